"""Given this pod and what runs of it, this is its status."""

from __future__ import annotations

from typing import Any

from samples import container, pod, record, sandbox, status

from apimachinery import Object
from kubelet.pods.actions import Waiting
from kubelet.pods.record import PodRecord
from kubelet.pods.status import Facts, pod_status
from kubelet.pods.status_writer import status_patch


def shown(of: Object, seen: PodRecord, **facts: Any) -> Object:
    return pod_status(of, seen, Facts(start_time=0.0, host_ips=("10.0.0.1",), **facts))


def condition(found: Object, kind: str) -> Object:
    return next(one for one in found["conditions"] if one["type"] == kind)


def test_a_new_pod_is_pending_and_creating() -> None:
    found = shown(pod(), record())
    assert found["phase"] == "Pending"
    assert found["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert condition(found, "PodReadyToStartContainers")["status"] == "False"
    ready = condition(found, "Ready")
    assert (ready["reason"], ready["message"]) == (
        "ContainersNotReady",
        "containers with unready status: [c]",
    )


def test_a_running_pod_is_ready_when_its_probes_say_so() -> None:
    seen, ids = record(sandbox(), status()), frozenset({"c-0"})
    found = shown(pod(), seen, started=ids, ready=ids, pod_ips=("10.244.0.5",))
    assert found["phase"] == "Running"
    assert found["podIPs"] == [{"ip": "10.244.0.5"}]
    assert condition(found, "Ready")["status"] == "True"
    one = found["containerStatuses"][0]
    assert (one["ready"], one["started"], one["containerID"]) == (True, True, "docker://c-0")


def test_init_containers_hold_the_others_back() -> None:
    of = pod(init=[container("i1"), container("i2")])
    found = shown(of, record(sandbox(), status("i1")))
    assert found["phase"] == "Pending"
    assert found["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    initialized = condition(found, "Initialized")
    assert initialized["reason"] == "ContainersNotInitialized"
    assert initialized["message"] == "containers with incomplete status: [i1 i2]"


def test_a_crash_loop_shows_the_last_end_beside_the_wait() -> None:
    seen = record(sandbox(), status(state="exited", attempt=3, exit_code=2))
    found = shown(
        pod(), seen, waiting={"c": Waiting("CrashLoopBackOff", "back-off")}, messages={"c-3": "said"}
    )
    one = found["containerStatuses"][0]
    assert one["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert one["lastState"]["terminated"]["exitCode"] == 2
    assert one["lastState"]["terminated"]["message"] == "said"
    assert one["restartCount"] == 3
    assert found["phase"] == "Running"


def test_reasons_of_an_end() -> None:
    def reason(**fields: Any) -> str:
        found = shown(pod(), record(sandbox(), status(state="exited", **fields)))
        return str(found["containerStatuses"][0]["state"]["terminated"]["reason"])

    assert reason() == "Completed"
    assert reason(exit_code=1) == "Error"
    assert reason(exit_code=137, oom_killed=True) == "OOMKilled"
    assert reason(exit_code=127, error="no such file") == "StartError"


def test_phases_by_restart_policy() -> None:
    def phase(code: int, policy: str) -> str:
        seen = record(sandbox(), status(state="exited", exit_code=code))
        return str(shown(pod(restartPolicy=policy), seen)["phase"])

    assert phase(0, "Never") == "Succeeded"
    assert phase(1, "Never") == "Failed"
    assert phase(1, "OnFailure") == "Running"
    assert phase(0, "Always") == "Running"


def test_a_stopped_pod_ends_as_its_containers_did() -> None:
    assert shown(pod(), record(sandbox(), status(state="exited")), over=True)["phase"] == "Succeeded"
    killed = record(sandbox(), status(state="exited", exit_code=137))
    assert shown(pod(), killed, over=True)["phase"] == "Failed"
    assert shown(pod(), record(), over=True)["phase"] == "Failed"


def test_readiness_gates() -> None:
    of = pod(readinessGates=[{"conditionType": "example.com/up"}])
    ids = frozenset({"c-0"})
    found = shown(of, record(sandbox(), status()), started=ids, ready=ids)
    assert condition(found, "ContainersReady")["status"] == "True"
    ready = condition(found, "Ready")
    assert ready["reason"] == "ReadinessGatesNotReady"
    assert "does not exist" in ready["message"]


def test_a_patch_holds_only_what_changed_and_keeps_transition_times() -> None:
    ids = frozenset({"c-0"})
    seen = record(sandbox(), status())
    before = shown(pod(), seen)
    for one in before["conditions"]:
        one["lastTransitionTime"] = "then"
    after = shown(pod(), seen, started=ids, ready=ids)
    patch = status_patch(before, after, "now")
    assert set(patch) == {"containerStatuses", "conditions"}
    changed = {one["type"]: one for one in patch["conditions"]}
    assert set(changed) == {"Ready", "ContainersReady"}
    assert changed["Ready"]["lastTransitionTime"] == "now"
    assert changed["Ready"]["reason"] is None


def test_an_unchanged_status_is_not_written() -> None:
    found = shown(pod(), record())
    assert status_patch(found, found, "now") == {}
