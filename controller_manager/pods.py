"""Facts about one pod that several controllers ask for. Pure functions."""

from __future__ import annotations

from apimachinery import Object, meta, times


def phase(pod: Object) -> str:
    """`status.phase`, empty when not set."""
    return str((pod.get("status") or {}).get("phase") or "")


def node_name(pod: Object) -> str:
    """The node that the pod is bound to, empty when it is not."""
    return str((pod.get("spec") or {}).get("nodeName") or "")


def is_terminal(pod: Object) -> bool:
    """All containers have ended and will not be started again."""
    return phase(pod) in ("Succeeded", "Failed")


def is_active(pod: Object) -> bool:
    """Neither ended nor being deleted: it counts as a replica."""
    return not is_terminal(pod) and not meta.is_deleting(pod)


def is_terminating(pod: Object) -> bool:
    """Being deleted while its containers still run."""
    return not is_terminal(pod) and meta.is_deleting(pod)


def is_ready(pod: Object) -> bool:
    """The Ready condition is True."""
    return meta.condition_is_true(pod, "Ready")


def ready_since(pod: Object) -> float | None:
    """Epoch seconds since when the Ready condition is True; None when it is not (0.0 when not recorded)."""
    condition = meta.condition(pod, "Ready")
    if condition is None or condition.get("status") != "True":
        return None
    since = condition.get("lastTransitionTime")
    return times.parse(since) if since else 0.0


def seconds_until_available(pod: Object, min_ready_seconds: int, now: float) -> float | None:
    """0 when available, the seconds still to wait when ready for less than `min_ready_seconds`, None when not ready."""
    since = ready_since(pod)
    if since is None:
        return None
    if min_ready_seconds == 0:
        return 0.0
    return max(0.0, since + min_ready_seconds - now) if since else float(min_ready_seconds)


def is_available(pod: Object, min_ready_seconds: int, now: float) -> bool:
    """Ready for at least `min_ready_seconds`."""
    return seconds_until_available(pod, min_ready_seconds, now) == 0.0
