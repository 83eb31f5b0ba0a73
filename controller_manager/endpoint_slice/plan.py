"""Packs the endpoints of a Service into slices with as few writes as possible. Pure functions.

Follows https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#distribution-of-endpointslices : first
every existing slice drops or renews what it has, then changed slices are filled, then one unchanged slice is, then
new ones are made. Slices are never rebalanced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apimachinery import Object, meta
from controller_manager import pods, service_pods

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGED_BY = "endpointslice-controller.k8s.io"
ZONE = "topology.kubernetes.io/zone"


@dataclass
class SlicePlan:
    """Objects to create and update (complete), and existing ones to delete."""

    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)


def plan_slices(
    service: Object,
    chosen: Sequence[Object],
    zones: Mapping[str, str],
    existing: Sequence[Object],
    limit: int,
) -> SlicePlan:
    """`chosen` are the pods of the selector, `zones` the zone of each node by name, `limit` endpoints per slice."""
    plan = SlicePlan()
    wanted_families = service_pods.families(service)
    plan.delete += [one for one in existing if one["addressType"] not in wanted_families]
    shown = [pod for pod in chosen if service_pods.belongs(pod, include_terminating=True)]
    labels = slice_labels(service)
    moment = service_pods.trigger_time(service, shown)
    for family in wanted_families:
        mine = [one for one in existing if one["addressType"] == family]
        _plan_family(plan, service, family, shown, zones, mine, labels, moment, limit)
    return plan


def slice_labels(service: Object) -> dict[str, str]:
    """The Service's labels and those by which slices are found."""
    reserved = (SERVICE_NAME, MANAGED_BY_LABEL, service_pods.HEADLESS_LABEL)
    labels = {name: value for name, value in meta.labels(service).items() if name not in reserved}
    labels[SERVICE_NAME] = meta.name(service)
    labels[MANAGED_BY_LABEL] = MANAGED_BY
    if service_pods.is_headless(service):
        labels[service_pods.HEADLESS_LABEL] = ""
    return labels


def endpoint(service: Object, pod: Object, ips: list[str], zone: str | None) -> Object:
    """The endpoint of one pod: ready, serving and terminating as the official conditions mean them."""
    serving, terminating = pods.is_ready(pod), meta.is_deleting(pod)
    ready = service_pods.publishes_not_ready(service) or (serving and not terminating)
    result: Object = {
        "addresses": ips,
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
    }
    own_name = service_pods.hostname(service, pod)
    if own_name:
        result["hostname"] = own_name
    result["targetRef"] = service_pods.target_reference(pod)
    if pods.node_name(pod):
        result["nodeName"] = pods.node_name(pod)
    if zone:
        result["zone"] = zone
    return result


def _plan_family(
    plan: SlicePlan,
    service: Object,
    family: str,
    shown: Iterable[Object],
    zones: Mapping[str, str],
    existing: list[Object],
    labels: dict[str, str],
    moment: str,
    limit: int,
) -> None:
    wanted: dict[Any, dict[str, Object]] = {}
    ports_of: dict[Any, list[Object]] = {}
    no_ports_needed = service_pods.is_headless(service) and not service["spec"].get("ports")
    for pod in shown:
        ports = service_pods.endpoint_ports(service, pod)
        ips = service_pods.addresses(pod, family)
        if not ips or not (ports or no_ports_needed):
            continue
        identity = port_identity(ports)
        ports_of[identity] = ports
        made = endpoint(service, pod, ips, zones.get(pods.node_name(pod)))
        wanted.setdefault(identity, {})[meta.uid(pod)] = made
    by_ports: dict[Any, list[Object]] = {}
    for one in existing:
        by_ports.setdefault(port_identity(one.get("ports") or []), []).append(one)

    template = _template(service, family, labels, moment)
    placeholder: Object | None = None
    for identity, slices in by_ports.items():
        if identity in wanted:
            continue
        for one in slices:
            is_empty = not one.get("endpoints") and not one.get("ports")
            if not wanted and placeholder is None and is_empty:
                placeholder = one
                if meta.labels(one) != labels:
                    plan.update.append(_changed(one, [], labels, moment))
            else:
                plan.delete.append(one)
    if not wanted and placeholder is None:
        # A Service without pods has one empty slice, so that readers can tell "none" from "not yet known".
        plan.create.append({**template, "endpoints": None, "ports": None})
    for identity, endpoints in wanted.items():
        _pack(
            plan, template, ports_of[identity], endpoints, by_ports.get(identity, []), labels, moment, limit
        )


def _pack(
    plan: SlicePlan,
    template: Object,
    ports: list[Object],
    endpoints: dict[str, Object],
    existing: list[Object],
    labels: dict[str, str],
    moment: str,
    limit: int,
) -> None:
    remaining = dict(endpoints)
    changed: list[tuple[Object, list[Object]]] = []
    unchanged: list[tuple[Object, list[Object]]] = []
    for one in existing:
        held = one.get("endpoints") or []
        kept: list[Object] = []
        for entry in held:
            fresh = remaining.pop((entry.get("targetRef") or {}).get("uid", ""), None)
            if fresh is not None:
                kept.append(fresh)
        if kept == held and meta.labels(one) == labels:
            unchanged.append((one, kept))
        else:
            changed.append((one, kept))
    left = list(remaining.values())
    # Fill what is written anyway, the fullest first.
    for _, kept in sorted(changed, key=lambda pair: -len(pair[1])):
        room = limit - len(kept)
        if kept and room > 0:
            kept += left[:room]
            left = left[room:]
    if left:
        fitting = [pair for pair in unchanged if len(pair[1]) + len(left) <= limit]
        best = max(fitting, key=lambda pair: len(pair[1]), default=None)
        if best is not None:
            unchanged.remove(best)
            changed.append((best[0], best[1] + left))
            left = []
    for one, kept in changed:
        if not kept and left:
            kept, left = left[:limit], left[limit:]
        if kept:
            plan.update.append(_changed(one, kept, labels, moment))
        else:
            plan.delete.append(one)
    while left:
        plan.create.append({**template, "ports": ports, "endpoints": left[:limit]})
        left = left[limit:]


def port_identity(ports: Iterable[Object]) -> tuple[Any, ...]:
    """Slices and endpoints belong together when this is equal."""
    return tuple(
        sorted(
            (
                port.get("name") or "",
                port.get("port") or 0,
                port.get("protocol") or "TCP",
                port.get("appProtocol") or "",
            )
            for port in ports
        )
    )


def _template(service: Object, family: str, labels: dict[str, str], moment: str) -> Object:
    owner = meta.owner_reference({"apiVersion": "v1", "kind": "Service", "metadata": service["metadata"]})
    metadata: Object = {
        "generateName": f"{meta.name(service)}-",
        "namespace": meta.namespace(service),
        "labels": labels,
        "ownerReferences": [owner],
    }
    if moment:
        metadata["annotations"] = {service_pods.TRIGGER_TIME: moment}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": family,
    }


def _changed(current: Object, endpoints: list[Object], labels: dict[str, str], moment: str) -> Object:
    metadata = {**current["metadata"], "labels": labels}
    if moment:
        metadata["annotations"] = {**meta.annotations(current), service_pods.TRIGGER_TIME: moment}
    return {**current, "metadata": metadata, "endpoints": endpoints or None}
