"""NodeResourcesFit: a node must have what the pod requests; how full it then is decides its score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from apimachinery import Object
from scheduler.framework.interface import (
    ClusterEvent,
    CycleState,
    Events,
    FilterPlugin,
    Handle,
    Mask,
    Rejection,
    Rows,
    ScorePlugin,
    Scores,
)
from scheduler.node_table import PODS, NodeTable
from scheduler.plugins import resource_scoring
from scheduler.pod_info import PodInfo, amounts, pod_requests


def _frees_something(pod: PodInfo, _old: Object | None, gone: Object) -> bool:
    """Every pod holds one of the node's pod slots, so only pods that ask for nothing need no second look."""
    freed = pod_requests(gone["spec"])
    wanted = [name for name, amount in pod.requests.items() if amount]
    return not wanted or any(freed.get(name) for name in wanted)


def _shrank(pod: PodInfo, old: Object | None, new: Object) -> bool:
    """A running pod was resized in place: only less of what the pod wants helps it."""
    if old is None:
        return False
    before, after = pod_requests(old["spec"]), pod_requests(new["spec"])
    return any(before.get(name, 0) > after.get(name, 0) for name, amount in pod.requests.items() if amount)


def _could_fit(pod: PodInfo, _old: Object | None, node: Object) -> bool:
    allocatable = amounts((node.get("status") or {}).get("allocatable"))
    return all(amount <= allocatable.get(name, 0) for name, amount in pod.requests.items())


class NodeResourcesFit(FilterPlugin, ScorePlugin):
    """Serves Filter and Score. Arguments: `scoringStrategy`, `ignoredResources`, `ignoredResourceGroups`."""

    name = "NodeResourcesFit"
    events: ClassVar[Events] = {
        ClusterEvent.POD_DELETED: _frees_something,
        ClusterEvent.POD_UPDATED: _shrank,
        ClusterEvent.NODE_ADDED: _could_fit,
        ClusterEvent.NODE_ALLOCATABLE: _could_fit,
        ClusterEvent.SELF_UPDATED: None,
    }

    def __init__(self, args: Mapping[str, Any], handle: Handle) -> None:
        super().__init__(args, handle)
        strategy = args.get("scoringStrategy") or {}
        self._strategy = strategy.get("type") or "LeastAllocated"
        self._resources = strategy.get("resources") or resource_scoring.DEFAULT_RESOURCES
        self._shape = (strategy.get("requestedToCapacityRatio") or {}).get("shape") or ()
        self._ignored = frozenset(args.get("ignoredResources") or ())
        self._ignored_groups = frozenset(args.get("ignoredResourceGroups") or ())

    def filter(self, state: CycleState, pod: PodInfo, nodes: NodeTable) -> Rejection | None:
        wanted = [
            (nodes.resource(name), name, amount)
            for name, amount in pod.requests.items()
            if amount and name not in self._ignored and name.partition("/")[0] not in self._ignored_groups
        ]
        rejected = nodes.requested[PODS] >= nodes.allocatable[PODS]
        for index, _, amount in wanted:
            rejected |= nodes.allocatable[index] - nodes.requested[index] < amount

        def explain(rows: Mask) -> Iterable[tuple[str, int]]:
            full = nodes.requested[PODS] >= nodes.allocatable[PODS]
            yield "Too many pods", int(np.count_nonzero(rows & full))
            for index, name, amount in wanted:
                short = nodes.allocatable[index] - nodes.requested[index] < amount
                yield f"Insufficient {name}", int(np.count_nonzero(rows & short))

        def hopeless() -> Mask:
            beyond = np.zeros(len(rejected), np.bool_)
            for index, _, amount in wanted:
                beyond |= nodes.allocatable[index] < amount
            return beyond

        return Rejection(rejected, explain, hopeless)

    def score(self, state: CycleState, pod: PodInfo, nodes: NodeTable, feasible: Rows) -> Scores:
        usage = resource_scoring.Usage(pod, nodes, feasible, self._resources, nonzero=True)
        if self._strategy == "MostAllocated":
            return resource_scoring.most_allocated(usage)
        if self._strategy == "RequestedToCapacityRatio":
            return resource_scoring.requested_to_capacity_ratio(usage, self._shape)
        return resource_scoring.least_allocated(usage)
