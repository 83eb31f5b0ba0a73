"""The Endpoints controller: for each Service with a selector one object with all addresses.

The older form that EndpointSlices replace; kept for clients that still read it. At most 1000 addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apimachinery import Object, meta
from apimachinery.errors import StatusError, is_not_found
from apimachinery.resources import ENDPOINTS
from controller_manager import indexes, pods, service_pods
from controller_manager.context import ControllerContext
from kube_client.controller import Controller, Result
from kube_client.informer import key_of

MAX_ADDRESSES = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MANAGED_BY_LABEL, MANAGED_BY = "endpoints.kubernetes.io/managed-by", "endpoint-controller"


class EndpointsController:
    """Keys are `namespace/name` of Services."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._events = context.client, context.events.named("endpoint-controller")
        self._services = service_pods.services(context.informers)
        self._pods = indexes.pods(context.informers)
        self._endpoints = context.informers.informer(ENDPOINTS)
        self._controller = Controller("endpoint", self.reconcile, context.options.workers.get("endpoint", 5))
        self._services.add_handler(lambda kind, old, new: self._controller.enqueue(key_of(new)))
        self._pods.add_handler(self._on_pod)
        self._endpoints.add_handler(self._on_endpoints)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._controller.run()

    async def reconcile(self, key: str) -> Result | None:
        """Make the Endpoints of one Service tell the present addresses."""
        service, current = self._services.get(key), self._endpoints.get(key)
        if service is None:
            if current is not None and MANAGED_BY_LABEL in meta.labels(current):
                await self._delete(current)
            return None
        selector = service_pods.selector_of(service)
        if not selector:
            return None
        chosen = indexes.matching(self._pods, meta.namespace(service), selector)
        wanted = desired(service, chosen, current)
        if current is not None and _same(current, wanted):
            return None
        try:
            if current is None:
                written = await self._client.create(ENDPOINTS, wanted)
            else:
                written = await self._client.update(ENDPOINTS, wanted)
        except StatusError as error:
            if error.has_cause("NamespaceTerminating"):
                return None
            verb, word = ("create", "Create") if current is None else ("update", "Update")
            words = f"Failed to {verb} endpoint {meta.namespace(service)}/{meta.name(service)}: {error}"
            if error.code != 409:
                self._events.event(service, "Warning", f"FailedTo{word}Endpoint", words)
            raise
        self._endpoints.observe(written)
        return None

    async def _delete(self, endpoints: Object) -> None:
        try:
            await self._client.delete(
                ENDPOINTS,
                meta.name(endpoints),
                meta.namespace(endpoints),
                preconditions={"uid": meta.uid(endpoints)},
            )
        except StatusError as error:
            if not is_not_found(error):
                raise

    def _on_pod(self, kind: str, old: Object | None, new: Object) -> None:
        before = None if kind == "DELETED" else old
        for key in service_pods.affected_services(self._services, before, new):
            self._controller.enqueue(key)

    def _on_endpoints(self, kind: str, old: Object | None, new: Object) -> None:
        """Somebody else changed or removed them, or they are left over from a Service that is gone."""
        self._controller.enqueue(key_of(new))


def desired(service: Object, chosen: Iterable[Object], current: Object | None) -> Object:
    """The Endpoints object to write (on top of `current` when there is one)."""
    tolerate = service_pods.publishes_not_ready(service)
    family = service_pods.families(service)[0]
    shown = [pod for pod in chosen if service_pods.belongs(pod, include_terminating=tolerate)]
    groups: dict[tuple[Any, ...], Object] = {}
    for pod in sorted(shown, key=lambda one: (not (tolerate or pods.is_ready(one)), meta.name(one))):
        ports = service_pods.endpoint_ports(service, pod)
        if not ports and not (service_pods.is_headless(service) and not service["spec"].get("ports")):
            continue
        for ip in service_pods.addresses(pod, family)[:1]:
            kind = "addresses" if tolerate or pods.is_ready(pod) else "notReadyAddresses"
            identity = tuple(tuple(sorted(port.items())) for port in ports)
            groups.setdefault(identity, {"ports": ports}).setdefault(kind, []).append(
                _address(service, pod, ip)
            )
    subsets = [_canonical(group) for _, group in sorted(groups.items(), key=lambda item: repr(item[0]))]
    truncated = _truncate(subsets)
    annotations = {} if current is None else dict(meta.annotations(current))
    annotations.pop(OVER_CAPACITY, None)
    if truncated:
        annotations[OVER_CAPACITY] = "truncated"
    moment = service_pods.trigger_time(service, shown)
    if moment and (current is None or subsets != (current.get("subsets") or [])):
        annotations[service_pods.TRIGGER_TIME] = moment
    labels = {**meta.labels(service), MANAGED_BY_LABEL: MANAGED_BY}
    labels.pop(service_pods.HEADLESS_LABEL, None)
    if service_pods.is_headless(service):
        labels[service_pods.HEADLESS_LABEL] = ""
    metadata: Object = {"name": meta.name(service), "namespace": meta.namespace(service)}
    if current is not None:
        metadata = dict(current["metadata"])
    metadata["labels"] = labels
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    wanted: Object = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata}
    if subsets:
        wanted["subsets"] = subsets
    return wanted


def _address(service: Object, pod: Object, ip: str) -> Object:
    address: Object = {"ip": ip}
    own_name = service_pods.hostname(service, pod)
    if own_name:
        address["hostname"] = own_name
    if pods.node_name(pod):
        address["nodeName"] = pods.node_name(pod)
    address["targetRef"] = service_pods.target_reference(pod)
    return address


def _canonical(group: Object) -> Object:
    """Addresses in a stable order, empty lists left out."""
    subset: Object = {}
    for kind in ("addresses", "notReadyAddresses"):
        if group.get(kind):
            subset[kind] = sorted(group[kind], key=lambda one: (one["ip"], one["targetRef"]["uid"]))
    if group["ports"]:
        ports = sorted(group["ports"], key=lambda one: (one["name"], one["port"]))
        subset["ports"] = [{k: v for k, v in port.items() if v != ""} for port in ports]
    return subset


def _truncate(subsets: list[Object]) -> bool:
    """Keep at most 1000 addresses, the ready ones first."""
    room, cut = MAX_ADDRESSES, False
    for kind in ("addresses", "notReadyAddresses"):
        for subset in subsets:
            listed = subset.get(kind)
            if not listed:
                continue
            if len(listed) > room:
                cut = True
                subset[kind] = listed[:room]
                if not subset[kind]:
                    del subset[kind]
            room -= len(subset.get(kind, ()))
    subsets[:] = [subset for subset in subsets if "addresses" in subset or "notReadyAddresses" in subset]
    return cut


def _same(current: Object, wanted: Object) -> bool:
    return (
        (current.get("subsets") or []) == (wanted.get("subsets") or [])
        and _pairs(meta.labels(current)) == _pairs(meta.labels(wanted))
        and meta.annotations(current).get(OVER_CAPACITY) == meta.annotations(wanted).get(OVER_CAPACITY)
    )


def _pairs(labels: Mapping[str, str]) -> set[tuple[str, str]]:
    return set(labels.items())
