"""The EndpointSlice reconciler: writes the slices that `plan` wants."""

from __future__ import annotations

from apimachinery import Object, meta
from apimachinery.errors import StatusError, is_not_found
from apimachinery.resources import ENDPOINT_SLICES, NODES
from controller_manager import indexes, service_pods
from controller_manager.context import ControllerContext
from controller_manager.endpoint_slice import plan
from kube_client.controller import Controller, Result
from kube_client.informer import key_of

_SERVICE = "service"


class EndpointSliceController:
    """Keys are `namespace/name` of Services."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._events = context.client, context.events.named("endpoint-slice-controller")
        self._limit = context.options.max_endpoints_per_slice
        self._services = service_pods.services(context.informers)
        self._pods = indexes.pods(context.informers)
        self._nodes = context.informers.informer(NODES)
        self._slices = context.informers.informer(ENDPOINT_SLICES, indexers={_SERVICE: _by_service})
        workers = context.options.workers.get("endpointslice", 5)
        self._controller = Controller("endpoint_slice", self.reconcile, workers)
        self._services.add_handler(lambda kind, old, new: self._controller.enqueue(key_of(new)))
        self._pods.add_handler(self._on_pod)
        self._slices.add_handler(self._on_slice)
        self._nodes.add_handler(self._on_node)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._controller.run()

    async def reconcile(self, key: str) -> Result | None:
        """Make the slices of one Service tell the present addresses. Those of deleted Services are garbage."""
        service = self._services.get(key)
        if service is None or meta.is_deleting(service):
            return None
        selector = service_pods.selector_of(service)
        if not selector:
            return None
        chosen = indexes.matching(self._pods, meta.namespace(service), selector)
        existing = [one for one in self._slices.by_index(_SERVICE, key) if not meta.is_deleting(one)]
        todo = plan.plan_slices(service, chosen, self._zones(chosen), existing, self._limit)
        try:
            # New addresses first, so that an endpoint that moves between slices is never missing.
            for one in todo.create:
                self._slices.observe(await self._client.create(ENDPOINT_SLICES, one))
            for one in todo.update:
                self._slices.observe(await self._client.update(ENDPOINT_SLICES, one))
            for one in todo.delete:
                await self._delete(one)
        except StatusError as error:
            if error.has_cause("NamespaceTerminating"):
                return None
            if error.code != 409:
                words = f"Error updating Endpoint Slices for Service {key}: {error}"
                self._events.event(service, "Warning", "FailedToUpdateEndpointSlices", words)
            raise
        return None

    async def _delete(self, one: Object) -> None:
        try:
            await self._client.delete(
                ENDPOINT_SLICES, meta.name(one), meta.namespace(one), preconditions={"uid": meta.uid(one)}
            )
        except StatusError as error:
            if not is_not_found(error):
                raise

    def _zones(self, chosen: list[Object]) -> dict[str, str]:
        zones = {}
        for name in {str((pod.get("spec") or {}).get("nodeName") or "") for pod in chosen}:
            node = self._nodes.get(name) if name else None
            zone = meta.labels(node).get(plan.ZONE) if node is not None else None
            if zone:
                zones[name] = zone
        return zones

    def _on_pod(self, kind: str, old: Object | None, new: Object) -> None:
        before = None if kind == "DELETED" else old
        for key in service_pods.affected_services(self._services, before, new):
            self._controller.enqueue(key)

    def _on_slice(self, kind: str, old: Object | None, new: Object) -> None:
        for key in _by_service(new):
            self._controller.enqueue(key)

    def _on_node(self, kind: str, old: Object | None, new: Object) -> None:
        """A node's zone changed: the endpoints of its pods show it."""
        before = meta.labels(old).get(plan.ZONE) if old is not None else None
        if kind == "DELETED" or before == meta.labels(new).get(plan.ZONE):
            return
        for pod in self._pods.by_index(indexes.NODE, meta.name(new)):
            for key in service_pods.affected_services(self._services, None, pod):
                self._controller.enqueue(key)


def _by_service(one: Object) -> list[str]:
    labels = meta.labels(one)
    if labels.get(plan.MANAGED_BY_LABEL) != plan.MANAGED_BY or plan.SERVICE_NAME not in labels:
        return []
    return [f"{meta.namespace(one)}/{labels[plan.SERVICE_NAME]}"]
