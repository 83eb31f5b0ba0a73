"""NodePorts: two pods cannot take the same host port, protocol and address on one node."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from apimachinery import Object
from scheduler.framework.interface import (
    ClusterEvent,
    CycleState,
    Events,
    FilterPlugin,
    Rejection,
    one_reason,
)
from scheduler.node_table import NodeTable
from scheduler.pod_info import PodInfo, host_ports

REASON = "node(s) didn't have free ports for the requested pod ports"
_ANY = "0.0.0.0"


def _frees_a_port(pod: PodInfo, _old: Object | None, gone: Object) -> bool:
    wanted = {port[:2] for port in pod.host_ports}
    return any(port[:2] in wanted for port in host_ports(gone["spec"]))


class NodePorts(FilterPlugin):
    """Serves Filter. An address of 0.0.0.0 conflicts with every address."""

    name = "NodePorts"
    events: ClassVar[Events] = {ClusterEvent.POD_DELETED: _frees_a_port, ClusterEvent.NODE_ADDED: None}

    def filter(self, state: CycleState, pod: PodInfo, nodes: NodeTable) -> Rejection | None:
        rejected = None
        for port in pod.host_ports:
            for row, addresses in nodes.ports.get(port[:2], {}).items():
                if port.ip == _ANY or _ANY in addresses or port.ip in addresses:
                    if rejected is None:
                        rejected = np.zeros(len(nodes.valid), np.bool_)
                    rejected[row] = True
        return None if rejected is None else Rejection(rejected, one_reason(REASON))
