"""DefaultPreemption: when a pod fits nowhere, look for a node where evicting less important pods makes room.

The plan is a value (node and victims); the scheduler carries it out. Of all nodes the one is taken whose
victims matter least: lowest highest priority, then lowest sum, then fewest, then the youngest. Disruption
budgets are not looked at.
https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from scheduler.framework.interface import (
    CycleState,
    Diagnosis,
    PostFilterPlugin,
    PostFilterResult,
)
from scheduler.node_table import NodeTable
from scheduler.pod_info import PodInfo

NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"
NEVER = "not eligible due to preemptionPolicy=Never."
TERMINATING = "not eligible due to a terminating pod on the nominated node."
_ENOUGH = 100  # candidate nodes after which the search ends, as the original's minCandidateNodesAbsolute


class DefaultPreemption(PostFilterPlugin):
    """Serves PostFilter."""

    name = "DefaultPreemption"
    # Set by the scheduler once the profile is complete: do all filters pass on this one-node table?
    passes: Callable[[NodeTable, PodInfo], bool] | None = None

    def post_filter(
        self, state: CycleState, pod: PodInfo, nodes: NodeTable, diagnosis: Diagnosis
    ) -> PostFilterResult | None:
        if pod.spec.get("preemptionPolicy") == "Never":
            return PostFilterResult(f"preemption: {NEVER}")
        if self._waits_for_victims(pod, nodes):
            return PostFilterResult(f"preemption: {TERMINATING}", self.handle.nominated[pod.uid])
        reasons: Counter[str] = Counter()
        candidates: dict[int, list[PodInfo]] = {}
        hopeless = diagnosis.hopeless[nodes.valid].sum()
        if hopeless:
            reasons[NOT_HELPFUL] = int(hopeless)
        for row in np.flatnonzero(nodes.valid & ~diagnosis.hopeless):
            victims = self._victims(int(row), pod, nodes)
            if victims:
                candidates[int(row)] = victims
                if len(candidates) >= _ENOUGH:
                    break
            else:
                reasons[NO_VICTIMS] += 1
        if not candidates:
            total = f"preemption: 0/{diagnosis.total} nodes are available:"
            parts = sorted(f"{count} {reason}" for reason, count in reasons.items())
            return PostFilterResult(f"{total} {', '.join(parts)}.")
        chosen = min(candidates, key=lambda row: _cost(candidates[row]))
        return PostFilterResult("", nodes.names[chosen], tuple(candidates[chosen]))

    def _waits_for_victims(self, pod: PodInfo, nodes: NodeTable) -> bool:
        row = nodes.rows.get(self.handle.nominated.get(pod.uid, ""))
        if row is None:
            return False
        return any(
            other.priority < pod.priority and other.object["metadata"].get("deletionTimestamp")
            for other in nodes.pods[row].values()
        )

    def _victims(self, row: int, pod: PodInfo, nodes: NodeTable) -> list[PodInfo]:
        """The pods to evict from one node; empty when that would not help."""
        lesser = [other for other in nodes.pods[row].values() if other.priority < pod.priority]
        if not lesser or self.passes is None:
            return []
        alone = nodes.only(row)
        for other in lesser:
            alone.remove_pod(other, 0)
        if not self.passes(alone, pod):
            return []
        victims = []
        for other in sorted(lesser, key=_importance):
            alone.add_pod(other, 0)
            if not self.passes(alone, pod):
                alone.remove_pod(other, 0)
                victims.append(other)
        return victims


def _started(pod: PodInfo) -> str:
    status = pod.object.get("status") or {}
    return status.get("startTime") or pod.object["metadata"].get("creationTimestamp") or ""


def _importance(pod: PodInfo) -> tuple[int, str]:
    """Sorts the most important first: high priority, then long running."""
    return -pod.priority, _started(pod)


def _cost(victims: list[PodInfo]) -> tuple[int, int, int, list[int]]:
    highest = max(victim.priority for victim in victims)
    youngest = min(_started(victim) for victim in victims if victim.priority == highest)
    # Later start times are cheaper; RFC 3339 texts of one form compare like the times that they name.
    return (
        highest,
        sum(v.priority for v in victims),
        len(victims),
        [-ord(character) for character in youngest],
    )
