"""What a Deployment tells its users: counts and the conditions Available, Progressing, ReplicaFailure.

Official reasons and messages, which `kubectl rollout status` and people read. Pure functions; `now` is epoch
seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from apimachinery import Object, meta, times
from controller_manager.deployment import scaling

NEW_AVAILABLE = "NewReplicaSetAvailable"
TIMED_OUT = "ProgressDeadlineExceeded"
PAUSED = "DeploymentPaused"
RESUMED = "DeploymentResumed"
FOUND_NEW = "FoundNewReplicaSet"
CREATED_NEW = "NewReplicaSetCreated"
CREATE_FAILED = "ReplicaSetCreateError"


def condition(kind: str, status: str, reason: str, message: str, now: float) -> Object:
    """A DeploymentCondition changed now."""
    stamp = times.format(now)
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": stamp,
        "lastTransitionTime": stamp,
        "reason": reason,
        "message": message,
    }


def find(status: Object, kind: str) -> Object | None:
    """The condition of this type in a status."""
    return next((one for one in status.get("conditions") or () if one["type"] == kind), None)


def with_condition(status: Object, new: Object) -> Object:
    """The status with the condition in it; one of the same status and reason stays untouched."""
    known = find(status, new["type"])
    if known is not None and known["status"] == new["status"] and known.get("reason") == new["reason"]:
        return status
    if known is not None and known["status"] == new["status"]:
        new = {**new, "lastTransitionTime": known["lastTransitionTime"]}
    return {**status, "conditions": [*without(status, new["type"]), new]}


def without(status: Object, kind: str) -> list[Object]:
    """The conditions but the one of this type."""
    return [one for one in status.get("conditions") or () if one["type"] != kind]


def has_deadline(deployment: Object) -> bool:
    """A progress deadline is set (the largest int32 means none)."""
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return seconds is not None and int(seconds) != 2**31 - 1


def counted(deployment: Object, everything: Sequence[Object], new: Object | None, now: float) -> Object:
    """The status with its numbers and the Available condition."""
    old_status = deployment.get("status") or {}
    totals = {
        "replicas": _sum(everything, "replicas"),
        "updatedReplicas": _sum([new] if new is not None else [], "replicas"),
        "readyReplicas": _sum(everything, "readyReplicas"),
        "availableReplicas": _sum(everything, "availableReplicas"),
    }
    totals["unavailableReplicas"] = max(0, scaling.total(everything) - totals["availableReplicas"])
    status: Object = {"observedGeneration": deployment["metadata"].get("generation", 0)}
    status |= {name: count for name, count in totals.items() if count}
    if all((one.get("status") or {}).get("terminatingReplicas") is not None for one in everything):
        status["terminatingReplicas"] = _sum(everything, "terminatingReplicas")
    if old_status.get("collisionCount") is not None:
        status["collisionCount"] = old_status["collisionCount"]
    if old_status.get("conditions"):
        status["conditions"] = list(old_status["conditions"])
    minimum = scaling.replicas(deployment) - scaling.max_unavailable(deployment)
    if totals["availableReplicas"] >= minimum:
        reason, words, state = "MinimumReplicasAvailable", "Deployment has minimum availability.", "True"
    else:
        reason = "MinimumReplicasUnavailable"
        words, state = "Deployment does not have minimum availability.", "False"
    return with_condition(status, condition("Available", state, reason, words, now))


def rollout(deployment: Object, everything: Sequence[Object], new: Object | None, now: float) -> Object:
    """The status during a rollout: `counted` plus Progressing and ReplicaFailure."""
    old_status = deployment.get("status") or {}
    status = counted(deployment, everything, new, now)
    if not has_deadline(deployment):
        status = _set_conditions(status, without(status, "Progressing"))
    current = find(old_status, "Progressing")
    settled = (
        status.get("replicas", 0) == status.get("updatedReplicas", 0)
        and current is not None
        and current.get("reason") == NEW_AVAILABLE
    )
    if has_deadline(deployment) and not settled:
        subject = (
            f'ReplicaSet "{meta.name(new)}"' if new is not None else f'Deployment "{meta.name(deployment)}"'
        )
        if is_complete(deployment, status):
            words = f"{subject} has successfully progressed."
            status = with_condition(status, condition("Progressing", "True", NEW_AVAILABLE, words, now))
        elif _has_progressed(old_status, status):
            changed = condition("Progressing", "True", "ReplicaSetUpdated", f"{subject} is progressing.", now)
            if current is not None and current["status"] == "True":
                changed["lastTransitionTime"] = current["lastTransitionTime"]
            # Always anew: lastUpdateTime is what the deadline counts from.
            status = _set_conditions(status, [*without(status, "Progressing"), changed])
        elif _is_timed_out(deployment, status, now):
            words = f"{subject} has timed out progressing."
            status = with_condition(status, condition("Progressing", "False", TIMED_OUT, words, now))
    failure = _replica_failure(everything, new, now)
    if failure is not None:
        return with_condition(status, failure)
    return _set_conditions(status, without(status, "ReplicaFailure"))


def paused(deployment: Object, now: float) -> Object | None:
    """The status to write when pausing or resuming has not been told yet; else None."""
    status = deployment.get("status") or {}
    current = find(status, "Progressing")
    if not has_deadline(deployment) or (current is not None and current.get("reason") == TIMED_OUT):
        return None
    told = current is not None and current.get("reason") == PAUSED
    if deployment["spec"].get("paused") and not told:
        new = condition("Progressing", "Unknown", PAUSED, "Deployment is paused", now)
    elif not deployment["spec"].get("paused") and told:
        new = condition("Progressing", "Unknown", RESUMED, "Deployment is resumed", now)
    else:
        return None
    return with_condition(status, new)


def is_complete(deployment: Object, status: Object) -> bool:
    """All pods are of the present template and available, none of an old one is left."""
    desired = scaling.replicas(deployment)
    generation = int(deployment["metadata"].get("generation") or 0)
    return (
        status.get("updatedReplicas", 0) == desired
        and status.get("replicas", 0) == desired
        and status.get("availableReplicas", 0) == desired
        and int(status.get("observedGeneration") or 0) >= generation
    )


def seconds_until_deadline(deployment: Object, status: Object, now: float) -> float | None:
    """When to look again because the deadline may have passed; None when it does not matter."""
    current = find(status, "Progressing")
    if not has_deadline(deployment) or current is None:
        return None
    if is_complete(deployment, status) or current.get("reason") == TIMED_OUT:
        return None
    deadline = times.parse(current["lastUpdateTime"]) + int(deployment["spec"]["progressDeadlineSeconds"])
    return max(0.0, deadline - now) + 1.0


def _has_progressed(old: Object, new: Object) -> bool:
    def count(status: Object, name: str) -> int:
        return int(status.get(name) or 0)

    old_left = count(old, "replicas") - count(old, "updatedReplicas")
    new_left = count(new, "replicas") - count(new, "updatedReplicas")
    return (
        count(new, "updatedReplicas") > count(old, "updatedReplicas")
        or new_left < old_left
        or count(new, "readyReplicas") > count(old, "readyReplicas")
        or count(new, "availableReplicas") > count(old, "availableReplicas")
    )


def _is_timed_out(deployment: Object, status: Object, now: float) -> bool:
    current = find(status, "Progressing")
    if current is None or current.get("reason") == NEW_AVAILABLE:
        return False
    if current.get("reason") == TIMED_OUT:
        return True
    deadline = times.parse(current["lastUpdateTime"]) + int(deployment["spec"]["progressDeadlineSeconds"])
    return deadline < now


def _replica_failure(everything: Sequence[Object], new: Object | None, now: float) -> Object | None:
    ordered = ([new] if new is not None else []) + list(everything)
    for one in ordered:
        known = meta.condition(one, "ReplicaFailure")
        if known is not None:
            failure = condition(
                "ReplicaFailure", known["status"], known.get("reason", ""), known.get("message", ""), now
            )
            failure["lastTransitionTime"] = known.get("lastTransitionTime") or failure["lastTransitionTime"]
            failure["lastUpdateTime"] = failure["lastTransitionTime"]
            return failure
    return None


def _set_conditions(status: Object, conditions: list[Object]) -> Object:
    result = {name: value for name, value in status.items() if name != "conditions"}
    if conditions:
        result["conditions"] = conditions
    return result


def _sum(replica_sets: Iterable[Object], name: str) -> int:
    return sum(int((one.get("status") or {}).get(name) or 0) for one in replica_sets)
