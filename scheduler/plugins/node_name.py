"""NodeName: a pod that names its node fits only there."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from scheduler.framework.interface import (
    ClusterEvent,
    CycleState,
    Events,
    FilterPlugin,
    Rejection,
    one_reason,
)
from scheduler.node_table import NodeTable
from scheduler.pod_info import PodInfo

REASON = "node(s) didn't match the requested node name"


class NodeName(FilterPlugin):
    """Serves Filter."""

    name = "NodeName"
    events: ClassVar[Events] = {
        ClusterEvent.NODE_ADDED: lambda pod, _old, new: new["metadata"]["name"] == pod.node_name,
    }

    def filter(self, state: CycleState, pod: PodInfo, nodes: NodeTable) -> Rejection | None:
        wanted = pod.node_name
        if not wanted:
            return None
        rejected = np.ones(len(nodes.valid), np.bool_)
        row = nodes.rows.get(wanted)
        if row is not None:
            rejected[row] = False
        return Rejection(rejected, one_reason(REASON), hopeless=True)
