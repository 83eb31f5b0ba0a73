"""Given this pod and what runs of it, these are the next actions."""

from __future__ import annotations

from typing import Any

from samples import container, pod, record, sandbox, status

from apimachinery import Object
from kubelet.pods.actions import (
    KillContainer,
    Plan,
    Remove,
    StartContainer,
    StartSandbox,
    StopSandbox,
    Waiting,
)
from kubelet.pods.plan import Situation, go_duration, plan_pod, verdict
from kubelet.pods.record import PodRecord, container_hash
from kubelet.runtime import types


def planned(of: Object, seen: PodRecord, now: float = 2000.0, **more: Any) -> Plan:
    return plan_pod(Situation(of, seen, now, **more))


def test_nothing_runs_yet_so_the_sandbox_comes_first() -> None:
    assert planned(pod(), record()).actions == [StartSandbox(0)]


def test_a_running_sandbox_gets_its_containers_in_order() -> None:
    a, b = container("a"), container("b")
    assert planned(pod(a, b), record(sandbox())).actions == [StartContainer(a, 0), StartContainer(b, 0)]


def test_a_pod_that_runs_needs_nothing() -> None:
    plan = planned(pod(), record(sandbox(), status()))
    assert plan.actions == [] and plan.wake_at is None


def test_a_dead_sandbox_is_replaced_and_its_containers_are_killed_first() -> None:
    plan = planned(pod(), record(sandbox("exited"), status()))
    assert isinstance(plan.actions[0], KillContainer)
    assert plan.actions[1:] == [StartSandbox(1)]


def test_containers_of_an_older_sandbox_are_started_again_with_the_next_attempt() -> None:
    seen = record(sandbox("exited"), sandbox("running", 1), status(state="exited"))
    starts = [action for action in planned(pod(), seen).actions if isinstance(action, StartContainer)]
    assert [start.attempt for start in starts] == [1]


def test_init_containers_run_one_after_the_other() -> None:
    first, second = container("i1"), container("i2")
    of = pod(init=[first, second])
    assert planned(of, record(sandbox())).actions == [StartContainer(first, 0)]
    assert planned(of, record(sandbox(), status("i1"))).actions == []
    done = record(sandbox(), status("i1", "exited"))
    assert planned(of, done).actions == [StartContainer(second, 0)]


def test_a_failed_init_container_ends_a_pod_that_never_restarts() -> None:
    of = pod(init=[container("i1")], restartPolicy="Never")
    seen = record(sandbox(), status("i1", "exited", exit_code=1))
    assert verdict(of, seen) == "Failed"
    assert planned(of, seen).actions == [StopSandbox("s0")]


def test_a_sidecar_must_have_started_before_the_next_container() -> None:
    sidecar = container("side", restartPolicy="Always")
    of = pod(init=[sidecar])
    assert planned(of, record(sandbox(), status("side"))).actions == []
    ready = planned(of, record(sandbox(), status("side")), started=frozenset({"side-0"}))
    assert ready.actions == [StartContainer(of["spec"]["containers"][0], 0)]


def test_a_dead_sidecar_is_restarted_beside_the_main_containers() -> None:
    sidecar = container("side", restartPolicy="Always")
    seen = record(sandbox(), status("side", "exited"), status())
    assert planned(pod(init=[sidecar]), seen).actions == [StartContainer(sidecar, 1, 1000.0)]


def test_the_first_restart_is_immediate_and_the_next_one_waits() -> None:
    seen = record(sandbox(), status(state="exited", exit_code=1))
    assert planned(pod(), seen, now=1001.0).actions == [StartContainer(container(), 1, 1000.0)]
    waiting = planned(pod(), seen, now=1001.0, backoff={"c": 10.0})
    assert waiting.actions == []
    assert waiting.wake_at == 1010.0
    text = "back-off 10s restarting failed container=c pod=p_ns(uid-1)"
    assert waiting.waiting == {"c": Waiting("CrashLoopBackOff", text)}
    assert planned(pod(), seen, now=1011.0, backoff={"c": 10.0}).actions


def test_on_failure_restarts_only_failures() -> None:
    seen = record(sandbox(), status("a", "exited"), status("b", "exited", exit_code=2))
    of = pod(container("a"), container("b"), restartPolicy="OnFailure")
    assert planned(of, seen).actions == [StartContainer(container("b"), 1, 1000.0)]


def test_a_finished_job_gives_up_its_sandbox_and_keeps_its_containers() -> None:
    seen = record(sandbox(), status(state="exited"))
    assert planned(pod(restartPolicy="Never"), seen).actions == [StopSandbox("s0")]


def test_sidecars_are_killed_when_the_main_containers_are_done() -> None:
    of = pod(init=[container("side", restartPolicy="Always")], restartPolicy="Never")
    actions = planned(of, record(sandbox(), status("side"), status(state="exited"))).actions
    assert isinstance(actions[0], KillContainer) and actions[0].name == "side"
    assert actions[1] == StopSandbox("s0")


def test_a_failed_probe_kills_with_the_official_words() -> None:
    plan = planned(pod(), record(sandbox(), status()), failed_probes={"c-0": "liveness"})
    assert plan.actions == [
        KillContainer("c-0", "c", "Container c failed liveness probe, will be restarted", "liveness")
    ]


def test_a_changed_image_replaces_the_container() -> None:
    running = status(labels={types.HASH: container_hash(container(image="old:1"))})
    plan = planned(pod(), record(sandbox(), running))
    assert plan.actions == [KillContainer("c-0", "c", "Container c definition changed, will be restarted")]


def test_only_the_last_end_of_a_container_is_kept() -> None:
    seen = record(
        sandbox(), status(attempt=2), status(state="exited", attempt=1), status(state="exited", attempt=0)
    )
    assert planned(pod(), seen).actions == [Remove("c-0")]


def test_durations_are_printed_as_the_original_does() -> None:
    assert [go_duration(seconds) for seconds in (10, 80, 300)] == ["10s", "1m20s", "5m0s"]
