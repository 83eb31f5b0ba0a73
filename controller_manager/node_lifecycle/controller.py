"""The node lifecycle reconciler: one timer per node instead of a walk over all nodes every few seconds."""

from __future__ import annotations

import asyncio

from apimachinery import Object, meta, times
from apimachinery.errors import StatusError, is_not_found
from apimachinery.resources import LEASES, NODES, PODS
from component_base.logs import get_logger
from controller_manager import indexes, pods
from controller_manager.context import ControllerContext
from controller_manager.node_lifecycle import health
from controller_manager.node_lifecycle.zones import Zones, zone_of
from kube_client.controller import Controller, Result

LEASE_NAMESPACE = "kube-node-lease"

log = get_logger("node-lifecycle")


class NodeLifecycleController:
    """Keys are names of nodes."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._options = context.client, context.options
        self._events = context.events.named("node-controller")
        self._nodes = context.informers.informer(NODES)
        self._leases = context.informers.informer(LEASES, namespace=LEASE_NAMESPACE)
        self._pods = indexes.pods(context.informers)
        self._zones = Zones(context.options)
        self._beats: dict[str, health.Heartbeat] = {}
        self._told: dict[str, str] = {}
        self._unmarked: set[str] = set()
        workers = context.options.workers.get("node-lifecycle", 8)
        self._controller = Controller("node_lifecycle_controller", self.reconcile, workers)
        self._nodes.add_handler(self._on_node)
        self._leases.add_handler(self._on_lease)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._controller.run()

    async def reconcile(self, key: str) -> Result | None:
        """Judge one node; come back when its grace period would end."""
        node = self._nodes.get(key)
        beat = self._beats.get(key)
        if node is None or beat is None:
            return None
        now = asyncio.get_running_loop().time()
        reported = meta.condition(node, "Ready") is not None
        grace = (
            self._options.node_monitor_grace_period if reported else self._options.node_startup_grace_period
        )
        # While we cannot hear, silence is ours and not the node's.
        left = max(beat.seen, self._leases.restored_at) + grace - now
        if left <= 0 and self._leases.outage:
            left = 1.0
        if left <= 0:
            conditions = health.unknown_conditions(node, times.now())
            if conditions is not None:
                log.warning("Node stopped reporting", node=key, seconds=round(now - beat.seen))
                status = {**(node.get("status") or {}), "conditions": conditions}
                node = await self._client.update(NODES, {**node, "status": status}, "status")
                self._nodes.observe(node)
        self._notice(node)
        wait = await self._taint(node, now)
        await self._mark_pods(node)
        waits = [one for one in (left if left > 0 else None, wait) if one is not None]
        return Result(min(waits) + 0.01) if waits else None

    def _notice(self, node: Object) -> None:
        """Count the node in its zone, and tell when it became not ready."""
        key, ready = meta.name(node), health.ready_status(node)
        if self._zones.note(key, zone_of(node), ready == "True"):
            self._reconsider(key)
        before, self._told[key] = self._told.get(key), ready
        if before == "True" and ready != "True":
            words = f"Node {key} status is now: NodeNotReady"
            self._events.event(node, "Normal", "NodeNotReady", words)
            self._unmarked.add(key)
        elif ready == "True":
            self._unmarked.discard(key)
        elif before is None and ready == "Unknown":
            self._unmarked.add(key)

    def _reconsider(self, but: str) -> None:
        """A zone's state changed: its failing nodes may now be tainted, or must be spared."""
        for name in self._zones.failing():
            if name != but:
                self._controller.enqueue(name)

    async def _taint(self, node: Object, now: float) -> float | None:
        """Write the taints; returns when to try again if the zone's rate held one back."""
        key, zone = meta.name(node), zone_of(node)
        evict, wait = health.evicting_taint(node), None
        fresh = evict is not None and not health.has_evicting_taint(node)
        if evict is not None and self._zones.all_disrupted():
            evict = None
        elif fresh:
            wait = self._zones.seconds_until_free(zone, now)
            if wait is None or wait > 0:
                evict = None
        wanted = health.desired_taints(node, evict, times.now())
        if wanted is not None:
            body = {
                "metadata": {"resourceVersion": meta.resource_version(node), "uid": meta.uid(node)},
                "spec": {"taints": wanted},
            }
            self._nodes.observe(await self._client.patch(NODES, key, body, patch_type="merge"))
            if fresh and evict is not None:
                self._zones.take(zone, now)
        return wait if wait else None

    async def _mark_pods(self, node: Object) -> None:
        """The pods of a node that became not ready are not ready either: Services must stop sending to them."""
        key = meta.name(node)
        if key not in self._unmarked:
            return
        for pod in self._pods.by_index(indexes.NODE, key):
            if not pods.is_ready(pod):
                continue
            conditions = [dict(one) for one in pod["status"]["conditions"]]
            meta.set_condition(
                conditions, {"type": "Ready", "status": "False", "lastTransitionTime": times.now()}
            )
            body = {"metadata": {"uid": meta.uid(pod)}, "status": {"conditions": conditions}}
            try:
                changed = await self._client.patch(
                    PODS, meta.name(pod), body, meta.namespace(pod), "merge", subresource="status"
                )
                self._pods.observe(changed)
                self._events.event(pod, "Warning", "NodeNotReady", "Node is not ready")
            except StatusError as error:
                if not is_not_found(error):
                    raise
        self._unmarked.discard(key)

    def _on_node(self, kind: str, old: Object | None, new: Object) -> None:
        key = meta.name(new)
        if kind == "DELETED":
            words = f"Node {key} event: Removing Node {key} from Controller"
            self._events.event(new, "Normal", "RemovingNode", words)
            self._beats.pop(key, None)
            self._told.pop(key, None)
            self._unmarked.discard(key)
            if self._zones.remove(key):
                self._reconsider(key)
            return
        if key not in self._beats:
            words = f"Node {key} event: Registered Node {key} in Controller"
            self._events.event(new, "Normal", "RegisteredNode", words)
        self._hear(key, node=new)
        self._controller.enqueue(key)

    def _on_lease(self, kind: str, old: Object | None, new: Object) -> None:
        """A renewal only moves the moment from which the timer counts; it costs no reconcile."""
        if kind != "DELETED" and meta.name(new) in self._beats:
            self._hear(meta.name(new), lease=new)

    def _hear(self, key: str, node: Object | None = None, lease: Object | None = None) -> None:
        now = asyncio.get_running_loop().time()
        self._beats[key] = health.heard(self._beats.get(key), node, lease, now)
