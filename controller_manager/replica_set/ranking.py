"""Which pods a ReplicaSet deletes first when it has too many.

The order of https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#scaling-a-replicaset :
unassigned, pending, not ready, low deletion cost, crowded nodes, lately ready, often restarted, young. Ages are
compared on a logarithmic scale, so that equally aged pods go in a random but stable order. Pure functions.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from apimachinery import Object, meta, times
from controller_manager import pods

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_NUMBER = re.compile(r"0|-?[1-9][0-9]*")
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def choose(candidates: list[Object], related: Iterable[Object], count: int, now: float) -> list[Object]:
    """The `count` pods to delete. `related` are the active pods of all sibling ReplicaSets, for spreading."""
    if count >= len(candidates):
        return list(candidates)
    crowd = Counter(pods.node_name(pod) for pod in related if pods.is_active(pod) and pods.node_name(pod))
    return sorted(candidates, key=lambda pod: rank(pod, crowd[pods.node_name(pod)], now))[:count]


def rank(pod: Object, crowd: int, now: float) -> tuple[Any, ...]:
    """Sort key: smaller goes first. `crowd` is the number of related pods on the pod's node."""
    since = pods.ready_since(pod)
    created = (pod["metadata"]).get("creationTimestamp")
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    restarts = max((int(status.get("restartCount") or 0) for status in statuses), default=0)
    return (
        bool(pods.node_name(pod)),
        _PHASES.get(pods.phase(pod), 1),
        since is not None,
        deletion_cost(pod),
        -crowd,
        _log_age(since, now) if since is not None else 0,
        -restarts,
        _log_age(times.parse(created) if created else None, now),
        meta.uid(pod),
    )


def deletion_cost(pod: Object) -> int:
    """The annotation's value as a 32-bit number; 0 when absent or not a number."""
    text = meta.annotations(pod).get(DELETION_COST, "")
    if not _NUMBER.fullmatch(text):
        return 0
    value = int(text)
    return value if -(2**31) <= value < 2**31 else 0


def _log_age(moment: float | None, now: float) -> int:
    """The power of two of the age in nanoseconds; -1 for now, the future or an unknown moment."""
    if not moment or now - moment <= 0:
        return -1
    return int(math.log2((now - moment) * 1e9))
