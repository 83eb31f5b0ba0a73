"""NodeAffinity: `nodeSelector` and required node affinity filter nodes, preferred terms score them."""

from __future__ import annotations

from collections.abc import Mapping
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
    PreFilterPlugin,
    Rejection,
    Rows,
    ScorePlugin,
    Scores,
    Unschedulable,
    default_normalize,
    one_reason,
)
from scheduler.node_table import NodeTable
from scheduler.pod_info import PodInfo

REASON = "node(s) didn't match Pod's node affinity/selector"
REASON_ENFORCED = "node(s) didn't match scheduler-enforced node affinity"
REASON_CONFLICT = "pod affinity terms conflict"


class NodeAffinity(PreFilterPlugin, FilterPlugin, ScorePlugin):
    """Serves PreFilter, Filter, PreScore and Score. Argument: `addedAffinity` (NodeAffinity)."""

    name = "NodeAffinity"
    events: ClassVar[Events] = {
        ClusterEvent.NODE_ADDED: None,
        ClusterEvent.NODE_LABELS: None,
        ClusterEvent.SELF_UPDATED: None,
    }

    def __init__(self, args: Mapping[str, Any], handle: Handle) -> None:
        super().__init__(args, handle)
        self._added: Object = args.get("addedAffinity") or {}

    def pre_filter(
        self, state: CycleState, pod: PodInfo, nodes: NodeTable
    ) -> Unschedulable | set[str] | None:
        """Terms that all name their nodes (as daemon pods' do) spare the look at all others."""
        terms = _required(_affinity(pod))
        if not terms:
            return None
        names: set[str] = set()
        for term in terms:
            named: set[str] | None = None
            for field in term.get("matchFields") or ():
                if field["key"] == "metadata.name" and field["operator"] == "In":
                    values = set(field.get("values") or ())
                    named = values if named is None else named & values
            if named is None:
                return None
            names |= named
        return names or Unschedulable((REASON_CONFLICT,), resolvable=False)

    def filter(self, state: CycleState, pod: PodInfo, nodes: NodeTable) -> Rejection | None:
        added = _required(self._added)
        if added is not None:
            rejected = ~match_terms(nodes, added)
            if (rejected & nodes.valid).any():
                return Rejection(rejected, one_reason(REASON_ENFORCED), hopeless=True)
        selector, terms = pod.spec.get("nodeSelector"), _required(_affinity(pod))
        if not selector and terms is None:
            return None
        matches = nodes.valid
        for key, value in (selector or {}).items():
            matches = matches & nodes.column(key).equals((value,))
        if terms is not None:
            matches = matches & match_terms(nodes, terms)
        return Rejection(~matches, one_reason(REASON), hopeless=True)

    def pre_score(self, state: CycleState, pod: PodInfo, nodes: NodeTable, feasible: Rows) -> bool:
        return bool(self._preferred(pod))

    def score(self, state: CycleState, pod: PodInfo, nodes: NodeTable, feasible: Rows) -> Scores:
        scores = np.zeros(len(feasible), np.int64)
        for preferred in self._preferred(pod):
            weight, term = preferred["weight"], preferred.get("preference") or {}
            if weight and (term.get("matchExpressions") or term.get("matchFields")):
                scores += weight * match_term(nodes, term)[feasible]
        return scores

    def normalize(self, state: CycleState, pod: PodInfo, scores: Scores) -> Scores:
        return default_normalize(scores)

    def _preferred(self, pod: PodInfo) -> list[Object]:
        key = "preferredDuringSchedulingIgnoredDuringExecution"
        return [*(_affinity(pod).get(key) or ()), *(self._added.get(key) or ())]


def _affinity(pod: PodInfo) -> Object:
    affinity: Object = (pod.spec.get("affinity") or {}).get("nodeAffinity") or {}
    return affinity


def _required(affinity: Object) -> list[Object] | None:
    """The required terms, None if there is no requirement at all."""
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return None if required is None else required.get("nodeSelectorTerms") or []


def match_terms(nodes: NodeTable, terms: list[Object]) -> Mask:
    """Rows that match any term; a term without expressions and fields matches nothing."""
    matches = np.zeros(len(nodes.valid), np.bool_)
    for term in terms:
        if term.get("matchExpressions") or term.get("matchFields"):
            matches |= match_term(nodes, term)
    return matches


def match_term(nodes: NodeTable, term: Object) -> Mask:
    """Rows that match every expression and field of a node selector term."""
    matches = nodes.valid.copy()
    for expression in term.get("matchExpressions") or ():
        matches &= _match_label(nodes, expression)
    for field in term.get("matchFields") or ():
        named = np.zeros(len(nodes.valid), np.bool_)
        named[[nodes.rows[name] for name in field.get("values") or () if name in nodes.rows]] = True
        matches &= named if field["operator"] == "In" else ~named
    return matches


def _match_label(nodes: NodeTable, expression: Object) -> Mask:
    column = nodes.column(expression["key"])
    operator = expression["operator"]
    values: list[str] = expression.get("values") or []
    if operator == "In":
        return column.equals(values)
    if operator == "NotIn":
        return ~column.equals(values)
    if operator == "Exists":
        return np.not_equal(column.ids, 0)
    if operator == "DoesNotExist":
        return np.equal(column.ids, 0)
    bound = _integer(values[0]) if len(values) == 1 else None
    if bound is None:
        return np.zeros(len(nodes.valid), np.bool_)
    numbers = [_integer(value) for value in column.values]
    return column.where(
        [
            number is not None and (number > bound if operator == "Gt" else number < bound)
            for number in numbers
        ]
    )


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
