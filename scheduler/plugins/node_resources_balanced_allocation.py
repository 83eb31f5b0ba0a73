"""NodeResourcesBalancedAllocation: prefer nodes whose CPU and memory would be used to similar degrees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.framework.interface import CycleState, Handle, Rows, ScorePlugin, Scores
from scheduler.node_table import NodeTable
from scheduler.plugins import resource_scoring
from scheduler.pod_info import PodInfo


class NodeResourcesBalancedAllocation(ScorePlugin):
    """Serves PreScore and Score. Argument: `resources`."""

    name = "NodeResourcesBalancedAllocation"

    def __init__(self, args: Mapping[str, Any], handle: Handle) -> None:
        super().__init__(args, handle)
        self._resources = args.get("resources") or resource_scoring.DEFAULT_RESOURCES

    def pre_score(self, state: CycleState, pod: PodInfo, nodes: NodeTable, feasible: Rows) -> bool:
        """A pod that requests none of the resources changes no node's balance."""
        return any(pod.requests.get(resource["name"]) for resource in self._resources)

    def score(self, state: CycleState, pod: PodInfo, nodes: NodeTable, feasible: Rows) -> Scores:
        usage = resource_scoring.Usage(pod, nodes, feasible, self._resources, nonzero=False)
        return resource_scoring.balanced_allocation(usage)
