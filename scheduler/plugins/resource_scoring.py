"""The arithmetic of the resource scores, rounded down where the original's integer arithmetic does.

Each function takes requested and allocatable amounts per node, the new pod included, and the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from scheduler.framework.interface import MAX_SCORE, Rows, Scores
from scheduler.node_table import Amounts, NodeTable
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
        self.parts: list[tuple[int, Amounts, Amounts]] = []  # weight, requested, allocatable
        self.lacking = False
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
            allocatable = nodes.allocatable[nodes.resource(name)].take(feasible)
            self.lacking = self.lacking or not allocatable.all()
            self.parts.append((int(resource.get("weight") or 1), used.take(feasible) + of_pod, allocatable))

    def weighted(self, score: Callable[[Amounts, Amounts], Amounts]) -> Scores:
        """The weighted mean of `score(requested, allocatable)` over the resources that a node has."""
        if not self.parts:
            return np.zeros(0, np.int64)
        total: Any = 0.0
        weights: Any = 0.0
        for weight, requested, allocatable in self.parts:
            if not self.lacking:
                total, weights = total + weight * np.floor(score(requested, allocatable)), weights + weight
                continue
            present = allocatable > 0
            scores = np.floor(score(requested, np.where(present, allocatable, 1.0)))
            total, weights = total + weight * np.where(present, scores, 0.0), weights + weight * present
        result: Scores = (total / np.maximum(weights, 1)).astype(np.int64)
        return result


def least_allocated(usage: Usage) -> Scores:
    """The more is free, the better."""
    return usage.weighted(lambda used, all_: np.maximum(all_ - used, 0.0) * MAX_SCORE / all_)


def most_allocated(usage: Usage) -> Scores:
    """The more is taken, the better."""
    return usage.weighted(lambda used, all_: np.minimum(used, all_) * MAX_SCORE / all_)


def requested_to_capacity_ratio(usage: Usage, shape: Sequence[Mapping[str, int]]) -> Scores:
    """A broken line through the points of `shape` (utilization in percent to a score of 0 to 10)."""
    points = sorted((point["utilization"], point["score"] * (MAX_SCORE // 10)) for point in shape)
    utilizations, scores = [x for x, _ in points], [y for _, y in points]
    return usage.weighted(
        lambda used, all_: np.interp(np.floor(np.minimum(used * 100 / all_, 100.0)), utilizations, scores)
    )


def balanced_allocation(usage: Usage) -> Scores:
    """The closer the resources' fractions are to each other (standard deviation), the better."""
    if len(usage.parts) == 2 and not usage.lacking:
        (_, used_a, all_a), (_, used_b, all_b) = usage.parts
        deviation = np.abs(np.minimum(used_a / all_a, 1.0) - np.minimum(used_b / all_b, 1.0)) / 2
    else:
        allocatable = np.stack([part[2] for part in usage.parts])
        present = allocatable > 0
        used = np.stack([part[1] for part in usage.parts])
        fractions = np.where(present, np.minimum(used / np.where(present, allocatable, 1.0), 1.0), 0.0)
        count = np.maximum(present.sum(axis=0), 1)
        mean = fractions.sum(axis=0) / count
        deviation = np.sqrt((np.where(present, fractions - mean, 0.0) ** 2).sum(axis=0) / count)
    scores: Scores = ((1 - deviation) * MAX_SCORE).astype(np.int64)
    return scores
