"""Pods and container statuses for the kubelet's unit tests."""

from __future__ import annotations

from typing import Any

from apimachinery import Object
from kubelet.pods.record import PodRecord, build
from kubelet.runtime.types import ContainerStatus, State

UID = "uid-1"


def pod(*containers: Object, init: list[Object] | None = None, **spec: Any) -> Object:
    """A pod with the given containers (default: one called c)."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "ns", "uid": UID, "generation": 1},
        "spec": {"containers": list(containers) or [container()], "initContainers": init or [], **spec},
    }


def container(name: str = "c", **fields: Any) -> Object:
    return {"name": name, "image": "busybox:1.36", **fields}


def status(name: str = "c", state: State = "running", attempt: int = 0, **fields: Any) -> ContainerStatus:
    """A container of the sandbox `s0` unless `sandbox_id` says otherwise."""
    defaults: dict[str, Any] = {
        "id": f"{name}-{attempt}",
        "pod_uid": UID,
        "pod_name": "p",
        "pod_namespace": "ns",
        "created_at": 100.0 + attempt,
        "started_at": 100.0 + attempt,
        "finished_at": 1000.0 if state == "exited" else 0.0,
        "sandbox_id": "s0",
        "image": "busybox:1.36",
        "image_id": "sha256:1",
    }
    return ContainerStatus(name=name, state=state, attempt=attempt, **{**defaults, **fields})


def sandbox(state: State = "running", attempt: int = 0) -> ContainerStatus:
    return status("POD", state, attempt, id=f"s{attempt}", created_at=50.0 + attempt, sandbox_id="", pid=7)


def record(*statuses: ContainerStatus) -> PodRecord:
    return build(statuses)
