"""What a ReplicaSet should do now: how many pods to create, which to delete, and its next status. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from apimachinery import Object, meta
from controller_manager import pods
from controller_manager.replica_set import ranking

BURST_REPLICAS = 500


@dataclass
class ReplicaPlan:
    """`create` pods more, `delete` these; at most one of the two is not empty."""

    create: int = 0
    delete: list[Object] = field(default_factory=list)


@dataclass(frozen=True)
class Failure:
    """Creating or deleting pods failed: `reason` is FailedCreate or FailedDelete."""

    reason: str
    message: str


def plan_replicas(
    replica_set: Object, active: list[Object], related: Sequence[Object], now: float
) -> ReplicaPlan:
    """At most 500 pods per round, as the original."""
    if meta.is_deleting(replica_set):
        return ReplicaPlan()
    missing = replicas(replica_set) - len(active)
    if missing > 0:
        return ReplicaPlan(create=min(missing, BURST_REPLICAS))
    surplus = min(-missing, BURST_REPLICAS)
    return ReplicaPlan(delete=ranking.choose(active, related, surplus, now) if surplus else [])


def replicas(replica_set: Object) -> int:
    """`spec.replicas`, 1 when not set."""
    value = replica_set["spec"].get("replicas")
    return 1 if value is None else int(value)


def pod_from_template(owner: Object) -> Object:
    """The pod to create: the template's metadata and spec, a generated name, the controlling owner."""
    template = owner["spec"].get("template") or {}
    source = template.get("metadata") or {}
    metadata: Object = {"generateName": f"{meta.name(owner)}-", "namespace": meta.namespace(owner)}
    for field_name in ("labels", "annotations", "finalizers"):
        if source.get(field_name):
            metadata[field_name] = source[field_name]
    metadata["ownerReferences"] = [meta.owner_reference(owner)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template.get("spec") or {}}


def next_status(
    replica_set: Object,
    active: Sequence[Object],
    terminating: int,
    failure: Failure | None,
    now: float,
    timestamp: str,
) -> Object:
    """The status that these pods and this failure (None: the round went well) give."""
    status = dict(replica_set.get("status") or {})
    spec = replica_set["spec"]
    wanted_labels = (((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}).items()
    min_ready = int(spec.get("minReadySeconds") or 0)
    counts = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(wanted_labels <= meta.labels(pod).items() for pod in active),
        "readyReplicas": sum(pods.is_ready(pod) for pod in active),
        "availableReplicas": sum(pods.is_available(pod, min_ready, now) for pod in active),
        "terminatingReplicas": terminating,
    }
    for name, count in counts.items():
        if count or name in ("replicas", "terminatingReplicas"):
            status[name] = count
        else:
            status.pop(name, None)
    conditions = [one for one in status.get("conditions") or () if one["type"] != "ReplicaFailure"]
    known = meta.condition(replica_set, "ReplicaFailure")
    if failure is not None:
        conditions.append(
            known
            or {
                "type": "ReplicaFailure",
                "status": "True",
                "reason": failure.reason,
                "message": failure.message,
                "lastTransitionTime": timestamp,
            }
        )
    if conditions:
        status["conditions"] = conditions
    else:
        status.pop("conditions", None)
    status["observedGeneration"] = replica_set["metadata"].get("generation", 0)
    return status


def seconds_until_change(replica_set: Object, active: Sequence[Object], now: float) -> float | None:
    """When the next ready pod becomes available by time alone; None when there is nothing to wait for."""
    min_ready = int(replica_set["spec"].get("minReadySeconds") or 0)
    if not min_ready:
        return None
    waits = [pods.seconds_until_available(pod, min_ready, now) for pod in active]
    return min((wait for wait in waits if wait), default=None)
