"""The taint eviction controller: deletes pods from nodes with NoExecute taints that they do not tolerate.

The deadline is computed from the taint and the pod, not remembered, so that a restart neither forgets nor
prolongs it.
"""

from __future__ import annotations

import time

from apimachinery import Object, meta, times
from apimachinery.errors import StatusError, is_not_found
from apimachinery.resources import NODES, PODS
from controller_manager import indexes, pods, taints
from controller_manager.context import ControllerContext
from kube_client.controller import Controller, Result
from kube_client.informer import key_of


def seconds_left(pod: Object, node_taints: list[Object], now: float) -> float | None:
    """How long the pod may still stay: 0 or less means evict now, None never."""
    if not node_taints:
        return None
    allowed = taints.toleration_seconds(pod, node_taints)
    if allowed is None:
        return None
    if allowed == 0:
        return 0.0
    scheduled = meta.condition(pod, "PodScheduled") or {}
    bound = scheduled.get("lastTransitionTime") or pod["metadata"].get("creationTimestamp")
    moments = [taint["timeAdded"] for taint in node_taints if taint.get("timeAdded")]
    start = max(map(times.parse, [*moments, *([bound] if bound else [])]), default=now)
    return min(start, now) + allowed - now


class TaintEvictionController:
    """Keys are `namespace/name` of pods."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._events = context.client, context.events.named("taint-eviction-controller")
        self._pods = indexes.pods(context.informers)
        self._nodes = context.informers.informer(NODES)
        self._marked: set[str] = set()
        workers = context.options.workers.get("taint-eviction", 8)
        self._controller = Controller("taint-eviction-controller", self.reconcile, workers)
        self._pods.add_handler(self._on_pod)
        self._nodes.add_handler(self._on_node)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._controller.run()

    async def reconcile(self, key: str) -> Result | None:
        """Evict one pod, or come back when its time is over."""
        pod = self._pods.get(key)
        if pod is None or meta.is_deleting(pod):
            self._marked.discard(key)
            return None
        node = self._nodes.get(pods.node_name(pod))
        left = seconds_left(pod, taints.no_execute(node), time.time()) if node is not None else None
        if left is None:
            if key in self._marked:
                self._marked.discard(key)
                self._event(pod, f"Cancelling deletion of Pod {key}")
            return None
        if left > 0:
            self._marked.add(key)
            return Result(left)
        self._event(pod, f"Marking for deletion Pod {key}")
        await self._evict(pod)
        self._marked.discard(key)
        return None

    async def _evict(self, pod: Object) -> None:
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": times.now(),
        }
        conditions = [dict(one) for one in (pod.get("status") or {}).get("conditions") or ()]
        name, namespace, uid = meta.name(pod), meta.namespace(pod), meta.uid(pod)
        try:
            if meta.set_condition(conditions, condition):
                body = {"metadata": {"uid": uid}, "status": {"conditions": conditions}}
                await self._client.patch(PODS, name, body, namespace, "merge", subresource="status")
            await self._client.delete(PODS, name, namespace, preconditions={"uid": uid})
        except StatusError as error:
            if not is_not_found(error):
                raise

    def _event(self, pod: Object, message: str) -> None:
        self._events.event(pod, "Normal", "TaintManagerEviction", message)

    def _on_pod(self, kind: str, old: Object | None, new: Object) -> None:
        key = key_of(new)
        if kind == "DELETED":
            self._marked.discard(key)
            return
        node = self._nodes.get(pods.node_name(new)) if pods.node_name(new) else None
        if node is not None and (taints.no_execute(node) or key in self._marked):
            self._controller.enqueue(key)

    def _on_node(self, kind: str, old: Object | None, new: Object) -> None:
        before = taints.no_execute(old) if old is not None else []
        if kind != "DELETED" and before != taints.no_execute(new):
            for pod in self._pods.by_index(indexes.NODE, meta.name(new)):
                self._controller.enqueue(key_of(pod))
