"""What `kubectl get pods` shows."""

from __future__ import annotations

import time
from typing import Any

import pytest

from apimachinery import times
from apimachinery.resources import PODS

from .manifests import merged, pod, strategy

RUNNING = {"state": {"running": {}}, "ready": True, "restartCount": 0}


def waiting(reason: str) -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason}}, "ready": False, "restartCount": 0}


def terminated(**how: Any) -> dict[str, Any]:
    return {"state": {"terminated": how}, "ready": False, "restartCount": 0}


def cells(spec: dict[str, Any], status: dict[str, Any], **metadata: Any) -> list[Any]:
    obj = merged(pod(spec), {"metadata": metadata, "status": status})
    obj["metadata"]["creationTimestamp"] = times.format(time.time() - 90)
    return list(strategy(PODS).row(obj))


ONE_INIT = {"initContainers": [{"name": "i", "image": "x"}]}
SIDECAR = {"initContainers": [{"name": "s", "image": "x", "restartPolicy": "Always"}]}
GATED = [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]


@pytest.mark.parametrize(
    ("spec", "status", "ready", "shown"),
    [
        ({}, {"phase": "Pending"}, "0/1", "Pending"),
        ({}, {"phase": "Pending", "conditions": GATED}, "0/1", "SchedulingGated"),
        (
            {},
            {"phase": "Pending", "containerStatuses": [waiting("ContainerCreating")]},
            "0/1",
            "ContainerCreating",
        ),
        ({}, {"phase": "Running", "containerStatuses": [RUNNING]}, "1/1", "Running"),
        (
            {},
            {"phase": "Running", "containerStatuses": [waiting("CrashLoopBackOff")]},
            "0/1",
            "CrashLoopBackOff",
        ),
        ({}, {"phase": "Pending", "containerStatuses": [waiting("ErrImagePull")]}, "0/1", "ErrImagePull"),
        (
            {},
            {"phase": "Succeeded", "containerStatuses": [terminated(exitCode=0, reason="Completed")]},
            "0/1",
            "Completed",
        ),
        (
            {},
            {"phase": "Failed", "containerStatuses": [terminated(exitCode=1, reason="Error")]},
            "0/1",
            "Error",
        ),
        ({}, {"phase": "Failed", "containerStatuses": [terminated(exitCode=3)]}, "0/1", "ExitCode:3"),
        ({}, {"phase": "Failed", "containerStatuses": [terminated(signal=9)]}, "0/1", "Signal:9"),
        ({}, {"phase": "Failed", "reason": "Evicted"}, "0/1", "Evicted"),
        (
            ONE_INIT,
            {"phase": "Pending", "initContainerStatuses": [{"name": "i", **RUNNING}]},
            "0/1",
            "Init:0/1",
        ),
        (
            ONE_INIT,
            {"phase": "Pending", "initContainerStatuses": [{"name": "i", **waiting("CrashLoopBackOff")}]},
            "0/1",
            "Init:CrashLoopBackOff",
        ),
        (
            ONE_INIT,
            {"phase": "Pending", "initContainerStatuses": [{"name": "i", **terminated(exitCode=2)}]},
            "0/1",
            "Init:ExitCode:2",
        ),
        (
            ONE_INIT,
            {
                "phase": "Pending",
                "initContainerStatuses": [{"name": "i", **terminated(exitCode=0)}],
                "containerStatuses": [waiting("PodInitializing")],
            },
            "0/1",
            "PodInitializing",
        ),
        (
            SIDECAR,
            {
                "phase": "Running",
                "initContainerStatuses": [{"name": "s", "started": True, **RUNNING}],
                "containerStatuses": [RUNNING],
            },
            "2/2",
            "Running",
        ),
    ],
)
def test_status(spec: dict[str, Any], status: dict[str, Any], ready: str, shown: str) -> None:
    row = cells(spec, status)
    assert (row[1], row[2]) == (ready, shown)


def test_a_pod_with_one_container_done_and_one_running_is_judged_by_its_readiness() -> None:
    statuses = [RUNNING, terminated(exitCode=0, reason="Completed")]
    assert cells({}, {"phase": "Running", "containerStatuses": statuses})[2] == "NotReady"
    ready = [{"type": "Ready", "status": "True"}]
    assert cells({}, {"phase": "Running", "containerStatuses": statuses, "conditions": ready})[2] == "Running"


def test_a_deleted_pod_is_terminating_until_it_has_finished() -> None:
    deleted = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    assert cells({}, {"phase": "Running", "containerStatuses": [RUNNING]}, **deleted)[2] == "Terminating"
    assert cells({}, {"phase": "Succeeded"}, **deleted)[2] == "Succeeded"
    assert cells({}, {"phase": "Running", "reason": "NodeLost"}, **deleted)[2] == "Unknown"


def test_restarts_say_when_the_last_was() -> None:
    finished = times.format(time.time() - 300)
    status = {
        **RUNNING,
        "restartCount": 2,
        "lastState": {"terminated": {"exitCode": 1, "finishedAt": finished}},
    }
    assert cells({}, {"phase": "Running", "containerStatuses": [status]})[3] == "2 (5m ago)"
    assert cells({}, {"phase": "Running", "containerStatuses": [RUNNING]})[3] == "0"


def test_the_wide_columns() -> None:
    row = cells(
        {"nodeName": "node-1", "readinessGates": [{"conditionType": "a/b"}, {"conditionType": "a/c"}]},
        {
            "phase": "Running",
            "podIPs": [{"ip": "10.244.0.7"}],
            "conditions": [{"type": "a/b", "status": "True"}],
        },
    )
    assert row[4:] == ["90s", "10.244.0.7", "node-1", "<none>", "1/2"]
    assert cells({}, {"phase": "Pending"})[5:] == ["<none>", "<none>", "<none>", "<none>"]
    assert [c.name for c in strategy(PODS).columns] == [
        "Name",
        "Ready",
        "Status",
        "Restarts",
        "Age",
        "IP",
        "Node",
        "Nominated Node",
        "Readiness Gates",
    ]
