"""What a pod requests, by the official rules."""

from __future__ import annotations

from typing import Any

from scheduler.pod_info import PodInfo, pod_requests
from tests.unit.scheduler.cluster import pod


def container(cpu: str, **more: Any) -> dict[str, Any]:
    return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **more}


def test_containers_add_up_and_init_containers_count_by_their_maximum() -> None:
    spec = {"containers": [container("100m"), container("200m")], "initContainers": [container("250m")]}
    assert pod_requests(spec)["cpu"] == 300
    spec["initContainers"] = [container("1")]
    assert pod_requests(spec)["cpu"] == 1000


def test_sidecars_count_beside_containers_and_beside_later_init_containers() -> None:
    sidecar = container("100m", restartPolicy="Always")
    spec = {"containers": [container("200m")], "initContainers": [sidecar, container("400m")]}
    assert pod_requests(spec)["cpu"] == 500
    spec["initContainers"] = [container("400m"), sidecar]
    assert pod_requests(spec)["cpu"] == 400


def test_overhead_and_pod_level_resources() -> None:
    spec = {
        "containers": [container("200m")],
        "resources": {"requests": {"cpu": "1"}},
        "overhead": {"cpu": "50m", "memory": "1Mi"},
    }
    assert pod_requests(spec) == {"cpu": 1050, "memory": 1048576}


def test_missing_requests_count_with_defaults_in_scores_only() -> None:
    info = PodInfo(pod(cpu="300m"))
    assert info.requests == {"cpu": 300}
    assert (info.nonzero_cpu, info.nonzero_memory) == (300, 200 * 1024 * 1024)
