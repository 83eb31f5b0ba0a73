"""Taints and tolerations as the node controllers need them. Pure functions.

See https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apimachinery import Object

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
MEMORY_PRESSURE = "node.kubernetes.io/memory-pressure"
DISK_PRESSURE = "node.kubernetes.io/disk-pressure"
PID_PRESSURE = "node.kubernetes.io/pid-pressure"
NETWORK_UNAVAILABLE = "node.kubernetes.io/network-unavailable"


def of(node: Object) -> list[Object]:
    """`spec.taints`."""
    return (node.get("spec") or {}).get("taints") or []


def no_execute(node: Object) -> list[Object]:
    """The taints that evict."""
    return [taint for taint in of(node) if taint["effect"] == "NoExecute"]


def tolerates(toleration: Object, taint: Object) -> bool:
    """Whether the toleration matches the taint."""
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


def toleration_seconds(pod: Object, taints: Iterable[Object]) -> float | None:
    """How long the pod may stay under these NoExecute taints: 0 not at all, None for ever."""
    tolerations: Sequence[Object] = (pod.get("spec") or {}).get("tolerations") or ()
    limits: list[float] = []
    for taint in taints:
        matching = [one for one in tolerations if tolerates(one, taint)]
        if not matching:
            return 0.0
        limits += [
            max(0.0, float(one["tolerationSeconds"]))
            for one in matching
            if one.get("tolerationSeconds") is not None
        ]
    return min(limits, default=None)
