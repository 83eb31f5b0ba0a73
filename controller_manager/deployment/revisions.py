"""Which ReplicaSet belongs to which revision of a Deployment: template hash, revision numbers, annotations.

The data that `kubectl rollout history` and `undo` read, in the official annotations. Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from apimachinery import Object, meta

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
ROLLBACK_TO = "deprecated.deployment.rollback.to"
NOT_COPIED = frozenset(
    (
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
        ROLLBACK_TO,
    )
)
HISTORY_LENGTH = 2000
_MAX_NAME = 63
_SAFE = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: Object, collisions: int) -> str:
    """A short stable name for a pod template; `collisions` (status.collisionCount) makes a new one."""
    text = orjson.dumps(without_empty(template), option=orjson.OPT_SORT_KEYS)
    value = 2166136261
    for byte in text + (collisions.to_bytes(8, "little") if collisions else b""):
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return "".join(_SAFE[ord(digit) % len(_SAFE)] for digit in str(value))


def without_empty(value: Any) -> Any:
    """The value without nulls and empty containers: absent and empty mean the same in a template."""
    if isinstance(value, dict):
        kept = {name: without_empty(one) for name, one in value.items()}
        return {name: one for name, one in kept.items() if one is not None and one != {} and one != []}
    if isinstance(value, list):
        return [without_empty(one) for one in value]
    return value


def same_template(first: Object, second: Object) -> bool:
    """Equal but for the pod-template-hash label."""
    return bool(_comparable(first) == _comparable(second))


def _comparable(template: Object) -> Any:
    metadata = template.get("metadata") or {}
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name != HASH_LABEL}
    return without_empty({**template, "metadata": {**metadata, "labels": labels}})


def find_new(deployment: Object, replica_sets: Iterable[Object]) -> Object | None:
    """The oldest ReplicaSet with the Deployment's present template."""
    wanted = _comparable(deployment["spec"]["template"])
    for one in by_age(replica_sets):
        if _comparable(one["spec"]["template"]) == wanted:
            return one
    return None


def by_age(replica_sets: Iterable[Object]) -> list[Object]:
    """Oldest first; equally old ones by name."""
    return sorted(
        replica_sets, key=lambda one: (one["metadata"].get("creationTimestamp", ""), meta.name(one))
    )


def revision_of(obj: Object) -> int:
    """The revision annotation as a number; 0 when absent or unreadable."""
    text = meta.annotations(obj).get(REVISION, "")
    return int(text) if text.isdigit() else 0


def max_revision(replica_sets: Iterable[Object]) -> int:
    """The highest revision among these, 0 for none."""
    return max((revision_of(one) for one in replica_sets), default=0)


def annotate_new(
    deployment: Object, annotations: dict[str, str], revision: int, size: tuple[int, int] | None
) -> dict[str, str]:
    """The annotations that the new ReplicaSet should have, from those it has.

    `size` is (desired, maximum) replicas for a ReplicaSet about to be created; an existing one is told by its
    scaling. A revision given up for a higher one (after a rollback) goes into the revision history.
    """
    result = dict(annotations)
    for name, value in meta.annotations(deployment).items():
        if name not in NOT_COPIED:
            result[name] = value
    old = result.get(REVISION, "")
    if (int(old) if old.isdigit() else 0) < revision:
        result[REVISION] = str(revision)
        if old:
            history = [entry for entry in result.get(REVISION_HISTORY, "").split(",") if entry] + [old]
            while len(history) > 1 and len(",".join(history)) > HISTORY_LENGTH:
                history.pop(0)
            result[REVISION_HISTORY] = ",".join(history)
    if size is not None:
        result |= size_annotations(*size)
    return result


def size_annotations(desired: int, maximum: int) -> dict[str, str]:
    """What a ReplicaSet is told of its Deployment's size, for proportional scaling."""
    return {DESIRED_REPLICAS: str(desired), MAX_REPLICAS: str(maximum)}


def number_annotation(replica_set: Object, name: str) -> int | None:
    """An annotation of `size_annotations` as a number."""
    text = meta.annotations(replica_set).get(name, "")
    return int(text) if text.isdigit() else None


def new_replica_set(deployment: Object, replicas: int, size: tuple[int, int], revision: int) -> Object:
    """The ReplicaSet to create for the present template."""
    template = meta.deep_copy(deployment["spec"]["template"])
    collisions = int((deployment.get("status") or {}).get("collisionCount") or 0)
    suffix = template_hash(template, collisions)
    labels = {**((template.get("metadata") or {}).get("labels") or {}), HASH_LABEL: suffix}
    template["metadata"] = {**(template.get("metadata") or {}), "labels": labels}
    selector = meta.deep_copy(deployment["spec"]["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: suffix}
    spec: Object = {"replicas": replicas, "selector": selector, "template": template}
    if deployment["spec"].get("minReadySeconds"):
        spec["minReadySeconds"] = deployment["spec"]["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{meta.name(deployment)[: _MAX_NAME - len(suffix) - 1]}-{suffix}",
            "namespace": meta.namespace(deployment),
            "labels": labels,
            "annotations": annotate_new(deployment, {}, revision, size),
            "ownerReferences": [meta.owner_reference(deployment)],
        },
        "spec": spec,
    }


def to_clean_up(deployment: Object, old: Sequence[Object]) -> list[Object]:
    """The old ReplicaSets beyond revisionHistoryLimit that are empty and settled, lowest revision first."""
    limit = deployment["spec"].get("revisionHistoryLimit")
    if limit is None or int(limit) == 2**31 - 1:
        return []
    alive = [one for one in old if not meta.is_deleting(one)]
    surplus = len(alive) - int(limit)
    if surplus <= 0:
        return []
    alive.sort(key=lambda one: (revision_of(one), one["metadata"].get("creationTimestamp", "")))
    return [one for one in alive[:surplus] if _settled_empty(one)]


def _settled_empty(replica_set: Object) -> bool:
    status = replica_set.get("status") or {}
    return (
        not status.get("replicas")
        and replica_set["spec"].get("replicas") == 0
        and replica_set["metadata"].get("generation", 0) <= (status.get("observedGeneration") or 0)
    )
