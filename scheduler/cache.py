"""What the scheduler knows of nodes and their pods, its own decisions in flight included.

An assumed pod counts on its node from the decision on, while its binding is still under way; the informer
confirms it, a failed binding gives it back. Pods of nodes not yet seen are kept aside until the node appears.
"""

from __future__ import annotations

from apimachinery import Object
from scheduler import metrics
from scheduler.framework.interface import ClusterEvent
from scheduler.node_table import NodeTable
from scheduler.pod_info import PodInfo


class Cache:
    """The only writer of the node table."""

    def __init__(self) -> None:
        self.nodes = NodeTable()
        self._where: dict[str, tuple[str, PodInfo]] = {}
        self._assumed: set[str] = set()
        self._strays: dict[str, dict[str, PodInfo]] = {}
        metrics.CACHE_SIZE.labels("nodes").set_function(lambda: len(self.nodes))
        metrics.CACHE_SIZE.labels("pods").set_function(lambda: len(self._where))
        metrics.CACHE_SIZE.labels("assumed_pods").set_function(lambda: len(self._assumed))

    def set_node(self, node: Object) -> set[ClusterEvent]:
        """Add or update a node; returns what changed."""
        events = self.nodes.set_node(node)
        name = node["metadata"]["name"]
        for pod in self._strays.pop(name, {}).values():
            self.nodes.add_pod(pod, self.nodes.rows[name])
        return events

    def remove_node(self, name: str) -> None:
        """Forget a node; its pods are remembered until they are deleted."""
        pods = self.nodes.remove_node(name)
        if pods:
            self._strays[name] = {pod.uid: pod for pod in pods}

    def assume(self, pod: PodInfo, node: str) -> None:
        """Count the pod on the node before the API server knows."""
        self._put(pod, node)
        self._assumed.add(pod.uid)

    def is_assumed(self, uid: str) -> bool:
        """Whether the pod's binding is in flight or not yet confirmed."""
        return uid in self._assumed

    def forget(self, pod: PodInfo) -> None:
        """The binding failed: take the assumed pod off its node, unless it was confirmed meanwhile."""
        if pod.uid in self._assumed:
            self._assumed.discard(pod.uid)
            self._take(pod.uid)

    def set_pod(self, pod: PodInfo) -> None:
        """The API server shows the pod on its node: add it, or confirm what was assumed."""
        self._assumed.discard(pod.uid)
        self._put(pod, pod.node_name)

    def refresh(self, uid: str, pod: Object) -> bool:
        """Keep the newest object of a counted pod whose spec is the same; False if the pod is not counted."""
        if uid in self._assumed or uid not in self._where:
            return False
        self._where[uid][1].object = pod
        return True

    def remove_pod(self, uid: str) -> bool:
        """The pod is gone from its node; False if it was on none."""
        self._assumed.discard(uid)
        return self._take(uid)

    def _put(self, pod: PodInfo, node: str) -> None:
        self._take(pod.uid)
        self._where[pod.uid] = (node, pod)
        row = self.nodes.rows.get(node)
        if row is None:
            self._strays.setdefault(node, {})[pod.uid] = pod
        else:
            self.nodes.add_pod(pod, row)

    def _take(self, uid: str) -> bool:
        node, pod = self._where.pop(uid, (None, None))
        if node is None or pod is None:
            return False
        row = self.nodes.rows.get(node)
        if row is not None:
            self.nodes.remove_pod(pod, row)
            return True
        strays = self._strays.get(node, {})
        strays.pop(uid, None)
        if not strays:
            self._strays.pop(node, None)
        return True
