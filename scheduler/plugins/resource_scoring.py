"""The arithmetic of the resource scores, in integers as in the original so that scores are the same.

Each function takes requested and allocatable amounts per node, the new pod included, and the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scheduler.framework.interface import MAX_SCORE, Rows, Scores
from scheduler.node_table import Integers, NodeTable
from scheduler.pod_info import PodInfo

DEFAULT_RESOURCES: tuple[dict[str, Any], ...] = (
    {"name": "cpu", "weight": 1},
    {"name": "memory", "weight": 1},
)


class Usage:
    """Requested and allocatable amounts of some resources on the feasible nodes, the pod counted in."""

    def __init__(
        self,
        pod: PodInfo,
        nodes: NodeTable,
        feasible: Rows,
        resources: Sequence[Mapping[str, Any]],
        *,
        nonzero: bool,
    ) -> None:
        requested, allocatable, weights = [], [], []
        for resource in resources:
            name = resource["name"]
            if name in ("cpu", "memory") and nonzero:
                of_pod = pod.nonzero_cpu if name == "cpu" else pod.nonzero_memory
                used = nodes.nonzero[0 if name == "cpu" else 1]
            else:
                of_pod = pod.requests.get(name, 0)
                if of_pod == 0 and name not in ("cpu", "memory", "ephemeral-storage"):
                    continue  # an extended resource that the pod does not use says nothing about a node
                used = nodes.requested[nodes.resource(name)]
            requested.append(used[feasible] + of_pod)
            allocatable.append(nodes.allocatable[nodes.resource(name)][feasible])
            weights.append(int(resource.get("weight") or 1))
        shape = (len(weights), len(feasible))
        self.requested: Integers = np.array(requested, np.int64).reshape(shape)
        self.allocatable: Integers = np.array(allocatable, np.int64).reshape(shape)
        self.weights: Integers = np.array(weights, np.int64).reshape(len(weights), 1)

    def weighted(self, scores: Integers) -> Scores:
        """The weighted mean over the resources that a node has."""
        weights = np.where(self.allocatable > 0, self.weights, 0)
        total = weights.sum(axis=0)
        result: Scores = (scores * weights).sum(axis=0) // np.maximum(total, 1)
        return result


def least_allocated(usage: Usage) -> Scores:
    """The more is free, the better."""
    free = np.maximum(usage.allocatable - usage.requested, 0)
    return usage.weighted(free * MAX_SCORE // np.maximum(usage.allocatable, 1))


def most_allocated(usage: Usage) -> Scores:
    """The more is taken, the better."""
    taken = np.minimum(usage.requested, usage.allocatable)
    return usage.weighted(taken * MAX_SCORE // np.maximum(usage.allocatable, 1))


def requested_to_capacity_ratio(usage: Usage, shape: Sequence[Mapping[str, int]]) -> Scores:
    """A broken line through the points of `shape` (utilization in percent to a score of 0 to 10)."""
    points = sorted((point["utilization"], point["score"]) for point in shape)
    utilization = np.minimum(usage.requested * 100 // np.maximum(usage.allocatable, 1), 100)
    scores = np.interp(utilization, [x for x, _ in points], [y * (MAX_SCORE // 10) for _, y in points])
    return usage.weighted(scores.astype(np.int64))


def balanced_allocation(usage: Usage) -> Scores:
    """The closer the resources' fractions are to each other, the better."""
    present = usage.allocatable > 0
    fractions = np.minimum(usage.requested / np.maximum(usage.allocatable, 1), 1.0)
    count = np.maximum(present.sum(axis=0), 1)
    mean = np.where(present, fractions, 0.0).sum(axis=0) / count
    variance = (np.where(present, fractions - mean, 0.0) ** 2).sum(axis=0) / count
    scores: Scores = ((1 - np.sqrt(variance)) * MAX_SCORE).astype(np.int64)
    return scores
