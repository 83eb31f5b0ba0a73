"""NodeUnschedulable: cordoned nodes take no pods, except those that tolerate the unschedulable taint."""

from __future__ import annotations

from typing import ClassVar

from scheduler.framework.interface import (
    ClusterEvent,
    CycleState,
    Events,
    FilterPlugin,
    Rejection,
    one_reason,
)
from scheduler.node_table import NodeTable, Taint
from scheduler.plugins.tolerations import tolerated
from scheduler.pod_info import PodInfo

REASON = "node(s) were unschedulable"
_TAINT = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")


class NodeUnschedulable(FilterPlugin):
    """Serves Filter."""

    name = "NodeUnschedulable"
    events: ClassVar[Events] = {
        ClusterEvent.NODE_ADDED: lambda _pod, _old, new: not new["spec"].get("unschedulable"),
        ClusterEvent.NODE_TAINTS: lambda _pod, _old, new: not new["spec"].get("unschedulable"),
        ClusterEvent.SELF_UPDATED: None,
    }

    def filter(self, state: CycleState, pod: PodInfo, nodes: NodeTable) -> Rejection | None:
        if not nodes.unschedulable.any() or tolerated(_TAINT, pod.tolerations):
            return None
        return Rejection(nodes.unschedulable, one_reason(REASON), hopeless=True)
