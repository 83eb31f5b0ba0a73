"""Short ways to write the objects that the tests of the controllers' plans are about."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, times

NOW = times.parse("2026-01-01T12:00:00Z")


def at(seconds: float) -> str:
    """The moment so many seconds after NOW."""
    return times.format(NOW + seconds)


def pod(
    name: str,
    *,
    ready: bool | None = True,
    phase: str = "Running",
    node: str = "node-1",
    labels: dict[str, str] | None = None,
    ip: str = "",
    ready_at: float = -100.0,
    created: float = -200.0,
    restarts: int = 0,
    deleting: bool = False,
    annotations: dict[str, str] | None = None,
    owner: str = "",
    **spec: Any,
) -> Object:
    metadata: Object = {
        "name": name,
        "namespace": "default",
        "uid": f"uid-{name}",
        "labels": labels or {},
        "annotations": annotations or {},
        "creationTimestamp": at(created),
        "resourceVersion": "1",
    }
    if deleting:
        metadata["deletionTimestamp"] = at(0)
    if owner:
        metadata["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner, "controller": True}
        ]
    status: Object = {"phase": phase, "containerStatuses": [{"restartCount": restarts}]}
    if ready is not None:
        state = "True" if ready else "False"
        status["conditions"] = [{"type": "Ready", "status": state, "lastTransitionTime": at(ready_at)}]
    if ip:
        status |= {"podIP": ip, "podIPs": [{"ip": ip}]}
    full = {"containers": [{"name": "c", "ports": [{"name": "web", "containerPort": 3000}]}], **spec}
    if node:
        full["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": full, "status": status}


def template(image: str = "v1") -> Object:
    return {"metadata": {"labels": {"app": "meow"}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def deployment(replicas: int = 10, **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "meow", "namespace": "default", "uid": "uid-meow", "generation": 1},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "meow"}},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
            },
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 10,
            "template": template(),
            **spec,
        },
    }


def replica_set(
    name: str,
    replicas: int,
    *,
    available: int | None = None,
    image: str = "v1",
    revision: int = 0,
    created: float = 0.0,
    annotations: dict[str, str] | None = None,
    **status: Any,
) -> Object:
    notes = dict(annotations or {})
    if revision:
        notes["deployment.kubernetes.io/revision"] = str(revision)
    count = replicas if available is None else available
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "generation": 1,
            "creationTimestamp": at(created),
            "annotations": notes,
            "resourceVersion": "1",
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "meow"}},
            "template": template(image),
        },
        "status": {
            "replicas": replicas,
            "readyReplicas": count,
            "availableReplicas": count,
            "observedGeneration": 1,
            "terminatingReplicas": 0,
            **status,
        },
    }


def service(**spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "meow-svc", "namespace": "default", "uid": "uid-svc", "labels": {"team": "a"}},
        "spec": {
            "clusterIP": "10.96.0.9",
            "ipFamilies": ["IPv4"],
            "selector": {"app": "meow"},
            "ports": [{"name": "http", "port": 80, "targetPort": 3000, "protocol": "TCP"}],
            **spec,
        },
    }


def node(name: str = "node-1", *, ready: str | None = "True", taints: list[Object] | None = None) -> Object:
    conditions = [
        {"type": "Ready", "status": ready, "lastHeartbeatTime": at(0), "lastTransitionTime": at(-100)}
    ]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "uid": f"uid-{name}", "creationTimestamp": at(-1000), "labels": {}},
        "spec": {"taints": taints} if taints else {},
        "status": {"conditions": conditions if ready is not None else []},
    }
