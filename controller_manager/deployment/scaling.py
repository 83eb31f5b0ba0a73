"""How large each ReplicaSet of a Deployment should be now. Pure functions.

Follows https://kubernetes.io/docs/concepts/workloads/controllers/deployment/ : rolling update within maxSurge and
maxUnavailable, Recreate, proportional scaling in the middle of a rollout. Each plan is a list of `Scale`; what is
not in it keeps its size.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from apimachinery import Object, meta
from controller_manager.deployment import revisions


class Scale(NamedTuple):
    """Give the ReplicaSet this many replicas (and the Deployment's size annotations)."""

    replica_set: Object
    replicas: int


def replicas(obj: Object) -> int:
    """`spec.replicas` of a Deployment or ReplicaSet, 1 when not set."""
    value = obj["spec"].get("replicas")
    return 1 if value is None else int(value)


def available(replica_set: Object) -> int:
    """`status.availableReplicas`."""
    return int((replica_set.get("status") or {}).get("availableReplicas") or 0)


def total(replica_sets: Iterable[Object]) -> int:
    """Sum of `spec.replicas`."""
    return sum(replicas(one) for one in replica_sets)


def active(replica_sets: Iterable[Object]) -> list[Object]:
    """Those that want pods."""
    return [one for one in replica_sets if replicas(one) > 0]


def is_rolling(deployment: Object) -> bool:
    """The strategy is RollingUpdate (the default)."""
    strategy = deployment["spec"].get("strategy") or {}
    return str(strategy.get("type", "RollingUpdate")) == "RollingUpdate"


def fenceposts(deployment: Object) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods: percentages of surge rounded up, of unavailable down, never both 0."""
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    desired = replicas(deployment)
    surge = resolve(rolling.get("maxSurge", "25%"), desired, up=True)
    unavailable = resolve(rolling.get("maxUnavailable", "25%"), desired, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, unavailable


def resolve(value: int | str, whole: int, *, up: bool) -> int:
    """An IntOrString such as 3 or "25%" as a number of `whole`."""
    if isinstance(value, str) and value.endswith("%"):
        share = int(value[:-1]) * whole / 100
        return math.ceil(share) if up else math.floor(share)
    return int(value)


def max_surge(deployment: Object) -> int:
    """Pods allowed above the wanted number."""
    return fenceposts(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Object) -> int:
    """Pods allowed to be missing."""
    desired = replicas(deployment)
    if not is_rolling(deployment) or desired == 0:
        return 0
    return min(fenceposts(deployment)[1], desired)


def size(deployment: Object) -> tuple[int, int]:
    """(desired, maximum) for the size annotations."""
    return replicas(deployment), replicas(deployment) + max_surge(deployment)


def new_size(deployment: Object, everything: Sequence[Object], present: int) -> int:
    """What the new ReplicaSet, now at `present`, may grow to; `everything` includes it when it exists."""
    desired = replicas(deployment)
    if not is_rolling(deployment):
        return desired
    room = desired + max_surge(deployment) - total(everything)
    if room <= 0:
        return present
    return present + min(room, desired - present)


def plan_rolling(deployment: Object, new: Object, old: Sequence[Object]) -> list[Scale]:
    """The next step of a rolling update: first the new ReplicaSet, else the old ones."""
    everything = [*old, new]
    desired = replicas(deployment)
    if replicas(new) > desired:
        return [Scale(new, desired)]
    if replicas(new) < desired:
        grown = new_size(deployment, everything, replicas(new))
        if grown != replicas(new):
            return [Scale(new, grown)]
    return _shrink_old(deployment, new, active(old))


def _shrink_old(deployment: Object, new: Object, old: list[Object]) -> list[Scale]:
    """Take away unhealthy old pods first, then healthy ones as far as enough pods stay available."""
    if not old:
        return []
    minimum = replicas(deployment) - max_unavailable(deployment)
    new_unavailable = replicas(new) - available(new)
    room = total(old) + replicas(new) - minimum - new_unavailable
    if room <= 0:
        return []
    sizes = {meta.uid(one): replicas(one) for one in old}
    ordered = revisions.by_age(old)
    for one in ordered:
        if room <= 0:
            break
        unhealthy = min(room, max(0, replicas(one) - available(one)))
        sizes[meta.uid(one)] -= unhealthy
        room -= unhealthy
    spare = sum(available(one) for one in (*old, new)) - minimum
    for one in ordered:
        if spare <= 0:
            break
        taken = min(sizes[meta.uid(one)], spare)
        sizes[meta.uid(one)] -= taken
        spare -= taken
    return [Scale(one, sizes[meta.uid(one)]) for one in ordered if sizes[meta.uid(one)] != replicas(one)]


def plan_scaling(deployment: Object, new: Object | None, old: Sequence[Object]) -> list[Scale]:
    """The Deployment's own size changed (or it is paused): scale what runs, without rolling."""
    desired = replicas(deployment)
    everything = [*old, *([new] if new is not None else [])]
    only = _active_or_latest(new, old, active(everything))
    if only is not None:
        return [Scale(only, desired)]  # also when the size fits: the annotations may not
    if new is not None and _is_saturated(deployment, new):
        return [Scale(one, 0) for one in active(old)]
    if is_rolling(deployment):
        return _proportional(deployment, active(everything))
    return []


def _active_or_latest(new: Object | None, old: Sequence[Object], running: list[Object]) -> Object | None:
    if len(running) == 1:
        return running[0]
    if running:
        return None
    if new is not None:
        return new
    return revisions.by_age(old)[-1] if old else None


def _is_saturated(deployment: Object, new: Object) -> bool:
    desired = replicas(deployment)
    return (
        replicas(new) == desired
        and revisions.number_annotation(new, revisions.DESIRED_REPLICAS) == desired
        and available(new) == desired
    )


def _proportional(deployment: Object, running: list[Object]) -> list[Scale]:
    """Spread the change over the ReplicaSets by their size, so that the risk stays spread as it was."""
    desired, maximum = size(deployment)
    missing = (maximum if desired > 0 else 0) - total(running)
    ordered = revisions.by_age(running)
    if missing > 0:
        ordered.reverse()
    ordered.sort(
        key=replicas, reverse=True
    )  # stable: among equals the newest grows, the oldest shrinks first
    sizes: list[int] = []
    added = 0
    for one in ordered:
        share = 0
        if missing != 0 and missing != added:
            fraction, left = _fraction(deployment, one), missing - added
            share = min(fraction, left) if missing > 0 else max(fraction, left)
        sizes.append(replicas(one) + share)
        added += share
    if missing != 0 and sizes:
        sizes[0] = max(0, sizes[0] + missing - added)
    return [Scale(one, count) for one, count in zip(ordered, sizes, strict=True)]


def _fraction(deployment: Object, replica_set: Object) -> int:
    desired, maximum = size(deployment)
    if desired == 0:
        return -replicas(replica_set)
    before = revisions.number_annotation(replica_set, revisions.MAX_REPLICAS)
    if not before:
        before = int((deployment.get("status") or {}).get("replicas") or 0)
    if not before:
        return 0
    return math.floor(replicas(replica_set) * maximum / before + 0.5) - replicas(replica_set)


def is_scaling_event(deployment: Object, replica_sets: Iterable[Object]) -> bool:
    """The Deployment's size is another than the one that its running ReplicaSets were told."""
    desired = replicas(deployment)
    told = [revisions.number_annotation(one, revisions.DESIRED_REPLICAS) for one in active(replica_sets)]
    return any(number is not None and number != desired for number in told)
