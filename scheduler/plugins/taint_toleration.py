"""TaintToleration: NoSchedule and NoExecute taints repel pods, PreferNoSchedule taints lower a node's score.

Nodes share few distinct sets of taints; each set is judged once per pod.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from apimachinery import Object
from scheduler.framework.interface import (
    ClusterEvent,
    CycleState,
    Events,
    FilterPlugin,
    Mask,
    Rejection,
    Rows,
    ScorePlugin,
    Scores,
    default_normalize,
)
from scheduler.node_table import NodeTable, Taint
from scheduler.plugins.tolerations import untolerated
from scheduler.pod_info import PodInfo

_REPELLING = ("NoSchedule", "NoExecute")


def _may_help(pod: PodInfo, _old: Object | None, node: Object) -> bool:
    taints = [Taint(t["key"], t.get("value") or "", t["effect"]) for t in node["spec"].get("taints") or ()]
    return not any(untolerated(taints, pod.tolerations, _REPELLING))


class TaintToleration(FilterPlugin, ScorePlugin):
    """Serves Filter, PreScore and Score."""

    name = "TaintToleration"
    events: ClassVar[Events] = {
        ClusterEvent.NODE_ADDED: _may_help,
        ClusterEvent.NODE_TAINTS: _may_help,
        ClusterEvent.SELF_UPDATED: None,
    }

    def filter(self, state: CycleState, pod: PodInfo, nodes: NodeTable) -> Rejection | None:
        repelled: dict[int, Taint] = {}
        for taint_set, count in enumerate(nodes.taint_set_nodes):
            if count and taint_set:
                taints = nodes.taint_sets[taint_set]
                first = next(iter(untolerated(taints, pod.tolerations, _REPELLING)), None)
                if first is not None:
                    repelled[taint_set] = first
        if not repelled:
            return None
        repelling = np.zeros(len(nodes.taint_sets), np.bool_)
        repelling[list(repelled)] = True

        def explain(rows: Mask) -> Iterable[tuple[str, int]]:
            for taint_set, taint in repelled.items():
                count = int(np.count_nonzero(rows & (nodes.taints == taint_set)))
                yield f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}", count

        return Rejection(repelling[nodes.taints], explain, hopeless=True)

    def pre_score(self, state: CycleState, pod: PodInfo, nodes: NodeTable, feasible: Rows) -> bool:
        tolerations = [t for t in pod.tolerations if t.get("effect") in (None, "", "PreferNoSchedule")]
        counts = np.zeros(len(nodes.taint_sets), np.int64)
        for taint_set, count in enumerate(nodes.taint_set_nodes):
            if count and taint_set:
                taints = nodes.taint_sets[taint_set]
                counts[taint_set] = sum(1 for _ in untolerated(taints, tolerations, ("PreferNoSchedule",)))
        state[self.name] = counts
        return bool(counts.any())

    def score(self, state: CycleState, pod: PodInfo, nodes: NodeTable, feasible: Rows) -> Scores:
        counts: Scores = state[self.name]
        return counts[nodes.taints[feasible]]

    def normalize(self, state: CycleState, pod: PodInfo, scores: Scores) -> Scores:
        return default_normalize(scores, reverse=True)
