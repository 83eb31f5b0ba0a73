"""The scheduling decision: a pure function of the profile, the node table and the pod.

It reads the table and changes nothing; the caller assumes, binds, reports. The failure's message is the
official one, which users read in the FailedScheduling event.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scheduler.framework.interface import (
    CycleState,
    Diagnosis,
    FilterPlugin,
    Mask,
    PostFilterResult,
    Rejection,
    Rows,
    Scores,
    Unschedulable,
)
from scheduler.framework.profile import Profile
from scheduler.node_table import NodeTable
from scheduler.pod_info import PodInfo

NO_NODES = "no nodes available to schedule pods"


@dataclass(frozen=True)
class Placed:
    """The pod goes to `node`, one of `feasible` that could take it."""

    node: str
    row: int
    feasible: int
    state: CycleState


@dataclass(frozen=True)
class Failed:
    """No node takes the pod; `rejected_by` names the plugins whose events may change that."""

    message: str
    rejected_by: frozenset[str]
    plan: PostFilterResult | None = None


def decide(profile: Profile, nodes: NodeTable, pod: PodInfo, rng: random.Random) -> Placed | Failed:
    """Give the pod a node or say why there is none. `rng` chooses among nodes of the same score."""
    if not len(nodes):
        return Failed(NO_NODES, frozenset())
    state = CycleState()
    candidates = nodes.valid.copy()
    for plugin in profile.pre_filter:
        result = plugin.pre_filter(state, pod, nodes)
        if isinstance(result, Unschedulable):
            hopeless = nodes.valid if not result.resolvable else ~nodes.valid
            message = ", ".join(result.reasons)
            by = frozenset((plugin.name,))
            return _fail(profile, nodes, pod, state, Diagnosis(len(nodes), {}, hopeless, by, message))
        if result is not None:
            named = np.zeros(len(candidates), np.bool_)
            named[[nodes.rows[name] for name in result if name in nodes.rows]] = True
            candidates &= named
    rejections: list[tuple[FilterPlugin, Rejection, Mask]] = []
    considered = candidates.copy()
    for filter_plugin in profile.filter:
        rejection = filter_plugin.filter(state, pod, nodes)
        if rejection is None:
            continue
        hit = candidates & rejection.rejected
        if hit.any():
            rejections.append((filter_plugin, rejection, hit))
            candidates &= ~rejection.rejected
    feasible: Rows = np.flatnonzero(candidates)
    if not len(feasible):
        return _fail(profile, nodes, pod, state, _diagnose(profile, nodes, considered, rejections))
    row = int(feasible[0]) if len(feasible) == 1 else _best(profile, nodes, pod, state, feasible, rng)
    return Placed(nodes.names[row], row, len(feasible), state)


def passes(profile: Profile, nodes: NodeTable, pod: PodInfo) -> bool:
    """Whether every filter lets the pod onto the only node of `nodes`."""
    state = CycleState()
    candidates = nodes.valid.copy()
    for plugin in profile.filter:
        rejection = plugin.filter(state, pod, nodes)
        if rejection is not None:
            candidates &= ~rejection.rejected
    return bool(candidates.any())


def _best(
    profile: Profile, nodes: NodeTable, pod: PodInfo, state: CycleState, feasible: Rows, rng: random.Random
) -> int:
    total: Scores = np.zeros(len(feasible), np.int64)
    for plugin, weight in profile.score:
        if plugin.pre_score(state, pod, nodes, feasible):
            scores = plugin.score(state, pod, nodes, feasible)
            total += weight * plugin.normalize(state, pod, scores)
    best = np.flatnonzero(total == total.max())
    return int(feasible[best[rng.randrange(len(best))]])


def _diagnose(
    profile: Profile,
    nodes: NodeTable,
    considered: Mask,
    rejections: list[tuple[FilterPlugin, Rejection, Mask]],
) -> Diagnosis:
    reasons: Counter[str] = Counter()
    hopeless = nodes.valid & ~considered
    for _, rejection, hit in rejections:
        for reason, count in rejection.explain(hit):
            reasons[reason] += count
        beyond = rejection.hopeless if isinstance(rejection.hopeless, bool) else rejection.hopeless()
        hopeless |= hit & beyond
    by = {plugin.name for plugin, _, _ in rejections}
    if not considered[nodes.valid].all():
        by |= {plugin.name for plugin in profile.pre_filter}
    return Diagnosis(len(nodes), +reasons, hopeless, frozenset(by))


def _fail(
    profile: Profile, nodes: NodeTable, pod: PodInfo, state: CycleState, diagnosis: Diagnosis
) -> Failed:
    plan = None
    for plugin in profile.post_filter:
        plan = plugin.post_filter(state, pod, nodes, diagnosis)
        if plan is not None:
            break
    message = fit_message(diagnosis.total, diagnosis.reasons, diagnosis.pre_filter_message)
    if plan is not None and plan.message:
        message += f" {plan.message}"
    return Failed(message, diagnosis.rejected_by, plan)


def fit_message(total: int, reasons: Mapping[str, int], pre_filter_message: str = "") -> str:
    """`0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.`, as the original words it."""
    message = f"0/{total} nodes are available:"
    if pre_filter_message:
        return f"{message} {pre_filter_message}."
    if not reasons:
        return message
    return f"{message} {', '.join(sorted(f'{count} {reason}' for reason, count in reasons.items()))}."
