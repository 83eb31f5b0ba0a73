"""Defaults of Deployments and ReplicaSets."""

from __future__ import annotations

from apimachinery import Object

from .pods import default_pod_template


def default_deployment(deployment: Object) -> None:
    """Fill in a Deployment."""
    spec = deployment.setdefault("spec", {})
    if spec.get("replicas") is None:
        spec["replicas"] = 1
    strategy = spec.get("strategy")
    if strategy is None:
        strategy = spec["strategy"] = {}
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.get("rollingUpdate")
        if rolling is None:
            rolling = strategy["rollingUpdate"] = {}
        if rolling.get("maxUnavailable") is None:
            rolling["maxUnavailable"] = "25%"
        if rolling.get("maxSurge") is None:
            rolling["maxSurge"] = "25%"
    if spec.get("revisionHistoryLimit") is None:
        spec["revisionHistoryLimit"] = 10
    if spec.get("progressDeadlineSeconds") is None:
        spec["progressDeadlineSeconds"] = 600
    _default_template(spec)


def default_replica_set(replica_set: Object) -> None:
    """Fill in a ReplicaSet."""
    spec = replica_set.setdefault("spec", {})
    if spec.get("replicas") is None:
        spec["replicas"] = 1
    _default_template(spec)


def _default_template(spec: Object) -> None:
    """The template is never absent: an empty one is told what it lacks."""
    if spec.get("template") is None:
        spec["template"] = {}
    default_pod_template(spec["template"])
