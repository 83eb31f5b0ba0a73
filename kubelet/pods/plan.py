"""From a pod's specification and what runs of it to the next actions; a pure function.

Follows https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ and .../pods/init-containers/,
.../pods/sidecar-containers/. It is level-triggered: computed anew after every change, never continued. Stopping a
pod is not planned here: that always means stopping everything (`termination`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
from kubelet.pods.record import PodRecord, container_hash
from kubelet.runtime import types
from kubelet.runtime.types import ContainerStatus

CRASH_LOOP = "CrashLoopBackOff"


@dataclass(frozen=True)
class Situation:
    """Everything that the decision depends on.

    `backoff` is the wait in seconds after a container's end before its next start (absent: none yet);
    `failed_probes` maps container ids to the kind of probe that gave up on them; `started` holds the ids of
    containers whose startup probe (or postStart hook) is done.
    """

    pod: Object
    record: PodRecord
    now: float
    backoff: Mapping[str, float] = field(default_factory=dict)
    failed_probes: Mapping[str, str] = field(default_factory=dict)
    started: frozenset[str] = frozenset()


def is_sidecar(container: Object) -> bool:
    """An init container that keeps running beside the others."""
    return container.get("restartPolicy") == "Always"


def restart_policy(pod: Object) -> str:
    """Always, OnFailure or Never."""
    return str(pod["spec"].get("restartPolicy") or "Always")


def go_duration(seconds: float) -> str:
    """A duration as the original prints it: 10s, 1m20s, 5m0s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def pod_label(pod: Object) -> str:
    """name_namespace(uid), as it stands in messages."""
    metadata = pod["metadata"]
    return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"


def finished(pod: Object, record: PodRecord) -> bool:
    """Whether the pod has nothing more to do: no container of it will ever be started again."""
    return verdict(pod, record) is not None


def verdict(pod: Object, record: PodRecord) -> str | None:
    """Succeeded or Failed for a pod that is over by its restart policy, else None."""
    policy = restart_policy(pod)
    if policy == "Always":
        return None
    for container in pod["spec"].get("initContainers") or ():
        latest = record.latest(container["name"])
        if latest is not None and latest.state == "exited" and latest.exit_code and not is_sidecar(container):
            return "Failed" if policy == "Never" else None
    failed = False
    for container in pod["spec"]["containers"]:
        latest = record.latest(container["name"])
        if latest is None or latest.state != "exited":
            return None
        failed = failed or latest.exit_code != 0
    if failed and policy == "OnFailure":
        return None
    return "Failed" if failed else "Succeeded"


def plan_pod(situation: Situation) -> Plan:
    """The next actions for a pod that is to run."""
    plan = Plan()
    _collect_garbage(situation, plan)
    if finished(situation.pod, situation.record):
        _wind_down(situation, plan)
        return plan
    sandbox = situation.record.running_sandbox
    if sandbox is None:
        _replace_sandbox(situation, plan)
        return plan
    if _initialize(situation, plan):
        for container in situation.pod["spec"]["containers"]:
            _keep_running(situation, plan, container, restart_policy(situation.pod))
    return plan


def _collect_garbage(situation: Situation, plan: Plan) -> None:
    """Of each container only the last ended one is kept; of sandboxes only the newest."""
    record = situation.record
    for group in record.containers.values():
        ended = [status for status in group if status.state == "exited"]
        keep = 1 if group[0].state == "exited" else 0
        # Beside a running container its last end stays: it is what `kubectl logs --previous` reads.
        keep = max(keep, 1)
        plan.actions += [Remove(status.id) for status in ended[keep:]]
    plan.actions += [Remove(status.id) for status in record.sandboxes[1:] if status.state != "running"]


def _wind_down(situation: Situation, plan: Plan) -> None:
    record = situation.record
    for status in record.running():
        plan.actions.append(KillContainer(status.id, status.name, f"Stopping container {status.name}"))
    for sandbox in record.sandboxes:
        if sandbox.state == "running":
            plan.actions.append(StopSandbox(sandbox.id))


def _replace_sandbox(situation: Situation, plan: Plan) -> None:
    record = situation.record
    for status in record.running():
        text = "Pod sandbox changed, it will be killed and re-created."
        plan.actions.append(KillContainer(status.id, status.name, text))
    newest = record.sandbox
    plan.actions.append(StartSandbox(newest.attempt + 1 if newest is not None else 0))


def _initialize(situation: Situation, plan: Plan) -> bool:
    """Init containers one after the other; True when the main containers may run."""
    pod, record = situation.pod, situation.record
    initialized = any(record.current(container["name"]) for container in pod["spec"]["containers"])
    for container in pod["spec"].get("initContainers") or ():
        name = container["name"]
        status = record.current(name)
        if is_sidecar(container):
            _keep_running(situation, plan, container, "Always")
            if initialized:
                continue
            if status is None or status.state != "running" or status.id not in situation.started:
                return False
            continue
        if initialized or (status is not None and status.state == "exited" and status.exit_code == 0):
            continue
        policy = "Never" if restart_policy(pod) == "Never" else "OnFailure"
        _keep_running(situation, plan, container, policy)
        return False
    return True


def _keep_running(situation: Situation, plan: Plan, container: Object, policy: str) -> None:
    """Start, restart, replace or leave one container."""
    name, record = container["name"], situation.record
    latest, status = record.latest(name), record.current(name)
    attempt = latest.attempt + 1 if latest is not None else 0
    if status is None or status.state == "created":
        attempt = latest.attempt if latest is not None and latest.state == "created" else attempt
        plan.actions.append(StartContainer(container, attempt))
        return
    if status.state == "running":
        if message := _reason_to_kill(situation, container, status):
            probe = situation.failed_probes.get(status.id, "")
            plan.actions.append(KillContainer(status.id, name, message, probe))
        return
    if policy == "Never" or (policy == "OnFailure" and status.exit_code == 0):
        return
    wait = situation.backoff.get(name, 0.0)
    if situation.now < status.finished_at + wait:
        message = (
            f"back-off {go_duration(wait)} restarting failed container={name} pod={pod_label(situation.pod)}"
        )
        plan.waiting[name] = Waiting(CRASH_LOOP, message)
        plan.wake(status.finished_at + wait)
        return
    plan.actions.append(StartContainer(container, attempt, status.finished_at))


def _reason_to_kill(situation: Situation, container: Object, status: ContainerStatus) -> str:
    name = container["name"]
    written = status.labels.get(types.HASH)
    if written and written != container_hash(container):
        return f"Container {name} definition changed, will be restarted"
    probe = situation.failed_probes.get(status.id)
    if probe:
        return f"Container {name} failed {probe} probe, will be restarted"
    return ""
