"""The pod garbage collector: removes pods that no kubelet will ever remove.

Pods of nodes that are gone, pods being deleted that were never bound, pods of nodes declared out of service, and
the oldest ended pods beyond a threshold.
"""

from __future__ import annotations

from collections.abc import Sequence

from apimachinery import Object, meta, times
from apimachinery.errors import StatusError, is_not_found
from apimachinery.resources import NODES, PODS
from component_base.logs import get_logger
from controller_manager import indexes, pods
from controller_manager.context import ControllerContext
from kube_client.controller import Controller, Result
from kube_client.informer import key_of

QUARANTINE = 40.0
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
_ENDED = "ended"
_ALL_ENDED = "ended pods"

log = get_logger("pod-gc")


def surplus(ended: Sequence[Object], threshold: int) -> list[Object]:
    """The ended pods beyond the threshold: evicted ones first, then the oldest."""
    excess = len(ended) - threshold
    if excess <= 0:
        return []
    return sorted(
        ended,
        key=lambda pod: (
            (pod.get("status") or {}).get("reason") != "Evicted",
            pod["metadata"].get("creationTimestamp") or "",
            meta.name(pod),
        ),
    )[:excess]


def disruption(pod: Object, message: str, now: str) -> Object:
    """The status to write before a lost pod is removed: it failed, and why."""
    status = dict(pod.get("status") or {})
    conditions = [dict(one) for one in status.get("conditions") or ()]
    meta.set_condition(
        conditions,
        {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByPodGC",
            "message": message,
            "lastTransitionTime": now,
        },
    )
    status["conditions"] = conditions
    if not pods.is_terminal(pod):
        status["phase"] = "Failed"
    return status


class PodGarbageCollector:
    """Keys are `node/<name>`, `pod/<namespace>/<name>` and one for all ended pods."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._threshold = context.options.terminated_pod_gc_threshold
        self._pods = indexes.pods(context.informers)
        self._pods.add_index(_ENDED, lambda pod: ("",) if pods.is_terminal(pod) else ())
        self._nodes = context.informers.informer(NODES)
        self._controller = Controller("pod_gc", self.reconcile, workers=2)
        self._pods.add_handler(self._on_pod)
        self._nodes.add_handler(self._on_node)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._controller.run()

    async def reconcile(self, key: str) -> Result | None:
        """Remove what the key stands for, if it still is to be removed."""
        kind, _, name = key.partition("/")
        if kind == "node":
            await self._node(name)
        elif kind == "pod":
            pod = self._pods.get(name)
            if pod is not None and meta.is_deleting(pod) and not pods.node_name(pod):
                await self._remove(pod, None)
        else:
            for pod in surplus(self._pods.by_index(_ENDED, ""), self._threshold):
                await self._remove(pod, None)
        return None

    async def _node(self, name: str) -> None:
        node = self._nodes.get(name)
        if node is None:
            try:
                await self._client.get(NODES, name)
                return
            except StatusError as error:
                if not is_not_found(error):
                    raise
            for pod in self._pods.by_index(indexes.NODE, name):
                await self._remove(pod, "PodGC: node no longer exists")
        elif _out_of_service(node) and not meta.condition_is_true(node, "Ready"):
            for pod in self._pods.by_index(indexes.NODE, name):
                if meta.is_deleting(pod):
                    await self._remove(pod, None)

    async def _remove(self, pod: Object, message: str | None) -> None:
        try:
            if message is not None:
                status = disruption(pod, message, times.now())
                body = {"metadata": {"uid": meta.uid(pod)}, "status": status}
                await self._client.patch(
                    PODS, meta.name(pod), body, meta.namespace(pod), "merge", subresource="status"
                )
            await self._client.delete(
                PODS,
                meta.name(pod),
                meta.namespace(pod),
                grace_period_seconds=0,
                preconditions={"uid": meta.uid(pod)},
            )
            log.info("Removed pod", pod=key_of(pod), reason=message or "")
        except StatusError as error:
            if not is_not_found(error):
                raise

    def _on_pod(self, kind: str, old: Object | None, new: Object) -> None:
        if kind == "DELETED":
            return
        node = pods.node_name(new)
        if not node:
            if meta.is_deleting(new):
                self._controller.enqueue(f"pod/{key_of(new)}")
        elif old is None or pods.node_name(old) != node or meta.is_deleting(new):
            known = self._nodes.get(node)
            if known is None:
                self._controller.enqueue_after(f"node/{node}", QUARANTINE)
            elif _out_of_service(known):
                self._controller.enqueue(f"node/{node}")
        if pods.is_terminal(new) and self._pods.index_size(_ENDED, "") > self._threshold:
            self._controller.enqueue_after(_ALL_ENDED, 1.0)

    def _on_node(self, kind: str, old: Object | None, new: Object) -> None:
        if kind == "DELETED":
            self._controller.enqueue_after(f"node/{meta.name(new)}", QUARANTINE)
        elif _out_of_service(new):
            self._controller.enqueue(f"node/{meta.name(new)}")


def _out_of_service(node: Object) -> bool:
    return any(taint["key"] == OUT_OF_SERVICE for taint in (node.get("spec") or {}).get("taints") or ())
