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


def _could_fit(pod: PodInfo, _old: Object | None, node: Object) -> bool:
    allocatable = amounts((node.get("status") or {}).get("allocatable"))
    return all(amount <= allocatable.get(name, 0) for name, amount in pod.requests.items())


class NodeResourcesFit(FilterPlugin, ScorePlugin):
    """Serves Filter and Score. Arguments: `scoringStrategy`, `ignoredResources`, `ignoredResourceGroups`."""

    name = "NodeResourcesFit"
    events: ClassVar[Events] = {
        ClusterEvent.POD_DELETED: _frees_something,
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
        lacking = {"Too many pods": nodes.requested[PODS] + 1 > nodes.allocatable[PODS]}
        rejected = lacking["Too many pods"].copy()
        hopeless = np.zeros(len(rejected), np.bool_)
        for name, amount in pod.requests.items():
            if amount == 0 or name in self._ignored or name.partition("/")[0] in self._ignored_groups:
                continue
            index = nodes.resource(name)
            allocatable = nodes.allocatable[index]
            short = lacking[f"Insufficient {name}"] = allocatable - nodes.requested[index] < amount
            rejected |= short
            hopeless |= allocatable < amount

        def explain(rows: Mask) -> Iterable[tuple[str, int]]:
            for reason, short in lacking.items():
                yield reason, int(np.count_nonzero(rows & short))

        return Rejection(rejected, explain, hopeless)

    def score(self, state: CycleState, pod: PodInfo, nodes: NodeTable, feasible: Rows) -> Scores:
        usage = resource_scoring.Usage(pod, nodes, feasible, self._resources, nonzero=True)
        if self._strategy == "MostAllocated":
            return resource_scoring.most_allocated(usage)
        if self._strategy == "RequestedToCapacityRatio":
            return resource_scoring.requested_to_capacity_ratio(usage, self._shape)
        return resource_scoring.least_allocated(usage)
