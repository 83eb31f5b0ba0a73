"""A pod's status from its specification and what runs of it; a pure function.

Phases, conditions, reasons and messages follow https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/.
Conditions of others (readiness gates, the scheduler's) are kept by the writer, not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apimachinery import Object, times
from kubelet.containers.resources import qos_class
from kubelet.pods.actions import Waiting
from kubelet.pods.plan import is_sidecar, restart_policy, verdict
from kubelet.pods.record import PodRecord
from kubelet.runtime.types import ContainerStatus

CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
ENGINE_PREFIX = "docker://"
CANNOT_RUN_CODE = 128


@dataclass(frozen=True)
class Facts:
    """What else a status shows. `ready` and `started` hold container ids.

    `over` is set once all containers of a pod that is to stop have ended; `reason` and `message` are the pod's
    own (DeadlineExceeded, Evicted …). `images` maps engine image ids to what `imageID` shows.
    """

    start_time: float
    host_ips: tuple[str, ...] = ()
    pod_ips: tuple[str, ...] = ()
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    started: frozenset[str] = frozenset()
    ready: frozenset[str] = frozenset()
    messages: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    over: bool = False
    failed: bool = False
    reason: str = ""
    message: str = ""


def pod_status(pod: Object, record: PodRecord, facts: Facts) -> Object:
    """The status to write; `conditions` hold only the kubelet's own, without transition times."""
    spec = pod["spec"]
    init_specs = spec.get("initContainers") or ()
    initialized = _initialized(init_specs, spec["containers"], record, facts)
    default = Waiting("PodInitializing" if init_specs and not initialized else "ContainerCreating")
    containers = [_container(spec, one, record, facts, default) for one in spec["containers"]]
    init = [_container(spec, one, record, facts, Waiting("PodInitializing")) for one in init_specs]
    phase = _phase(pod, record, containers, init, facts)
    status: Object = {
        "phase": phase,
        "conditions": _conditions(pod, record, phase, initialized, containers, init, facts),
        "hostIP": facts.host_ips[0] if facts.host_ips else None,
        "hostIPs": [{"ip": ip} for ip in facts.host_ips],
        "podIP": facts.pod_ips[0] if facts.pod_ips else None,
        "podIPs": [{"ip": ip} for ip in facts.pod_ips],
        "startTime": times.format(facts.start_time),
        "containerStatuses": sorted(containers, key=lambda one: str(one["name"])),
        "initContainerStatuses": init,
        "qosClass": qos_class(pod),
        "reason": facts.reason or None,
        "message": facts.message or None,
        "observedGeneration": pod["metadata"].get("generation"),
    }
    return {key: value for key, value in status.items() if value not in (None, [])}


def _initialized(
    init_specs: Sequence[Object], specs: Sequence[Object], record: PodRecord, facts: Facts
) -> bool:
    if any(record.latest(one["name"]) for one in specs):
        return True
    return all(_init_done(one, record.current(one["name"]), facts) for one in init_specs)


def _init_done(spec: Object, status: ContainerStatus | None, facts: Facts) -> bool:
    if status is None:
        return False
    if is_sidecar(spec):
        return status.id in facts.started
    return status.state == "exited" and status.exit_code == 0


# -- containers ----------------------------------------------------------------------------------------------


def _container(pod_spec: Object, spec: Object, record: PodRecord, facts: Facts, default: Waiting) -> Object:
    name = spec["name"]
    group = record.containers.get(name, ())
    latest = group[0] if group else None
    waiting = facts.waiting.get(name)
    state: Object
    last: Object = {}
    if latest is None or latest.state == "created":
        state = _waiting(waiting or default)
        if facts.over:
            state = _never_ran()
        older = group[1] if len(group) > 1 else None
    elif latest.state == "running":
        state = {"running": {"startedAt": times.format(latest.started_at)}}
        older = group[1] if len(group) > 1 else None
    elif waiting is not None and not facts.over:
        state, older = _waiting(waiting), latest
    else:
        state, older = _terminated(latest, facts), group[1] if len(group) > 1 else None
    if older is not None and older.state == "exited":
        last = _terminated(older, facts)
    running = latest is not None and latest.state == "running"
    started = running and latest is not None and latest.id in facts.started
    result: Object = {
        "name": name,
        "state": state,
        "lastState": last,
        "ready": _ready(spec, latest, pod_spec, facts),
        "restartCount": latest.attempt if latest is not None else 0,
        "image": latest.image if latest is not None else spec.get("image", ""),
        "imageID": facts.images.get(latest.image_id, "") if latest is not None else "",
        "started": started,
    }
    if latest is not None and latest.state != "created":
        result["containerID"] = ENGINE_PREFIX + latest.id
        result.update(_allocated(spec))
        mounts = [_volume_mount(mount) for mount in spec.get("volumeMounts") or ()]
        if mounts:
            result["volumeMounts"] = mounts
    return result


def _ready(spec: Object, latest: ContainerStatus | None, pod_spec: Object, facts: Facts) -> bool:
    if latest is None:
        return False
    plain_init = not is_sidecar(spec) and any(one is spec for one in pod_spec.get("initContainers") or ())
    if plain_init:
        return latest.state == "exited" and latest.exit_code == 0
    return latest.state == "running" and latest.id in facts.ready and not facts.over


def _allocated(spec: Object) -> Object:
    resources = spec.get("resources") or {}
    found: Object = {}
    if resources.get("requests"):
        found["allocatedResources"] = dict(resources["requests"])
    found["resources"] = {
        key: dict(value) for key, value in resources.items() if key in ("limits", "requests") and value
    }
    return found


def _volume_mount(mount: Object) -> Object:
    shown: Object = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        shown["readOnly"] = True
        shown["recursiveReadOnly"] = "Disabled"
    return shown


def _waiting(waiting: Waiting) -> Object:
    shown = {"reason": waiting.reason}
    if waiting.message:
        shown["message"] = waiting.message
    return {"waiting": shown}


def _never_ran() -> Object:
    return {
        "terminated": {
            "exitCode": 137,
            "reason": "ContainerStatusUnknown",
            "message": "The container could not be located when the pod was terminated",
            "startedAt": None,
            "finishedAt": None,
        }
    }


def _terminated(status: ContainerStatus, facts: Facts) -> Object:
    code, message = status.exit_code, facts.messages.get(status.id, "")
    if status.error:
        reason, code, message = "StartError", code or CANNOT_RUN_CODE, status.error
    elif status.oom_killed:
        reason = "OOMKilled"
    else:
        reason = "Completed" if code == 0 else "Error"
    shown: dict[str, Any] = {
        "exitCode": code,
        "reason": reason,
        "startedAt": times.format(status.started_at),
        "finishedAt": times.format(status.finished_at),
        "containerID": ENGINE_PREFIX + status.id,
    }
    if message:
        shown["message"] = message
    return {"terminated": shown}


# -- phase and conditions ------------------------------------------------------------------------------------


def _phase(
    pod: Object, record: PodRecord, containers: Sequence[Object], init: Sequence[Object], facts: Facts
) -> str:
    before = (pod.get("status") or {}).get("phase")
    if before in ("Succeeded", "Failed"):
        return str(before)
    if facts.failed:
        return "Failed"
    if facts.over:
        codes = [one["state"].get("terminated", {}).get("exitCode", 1) for one in containers]
        return "Failed" if any(codes) else "Succeeded"
    decided = verdict(pod, record)
    if decided:
        return decided
    if any(
        _blocks_start(one, spec)
        for one, spec in zip(init, pod["spec"].get("initContainers") or (), strict=True)
    ):
        return "Pending" if not any("running" in one["state"] for one in containers) else "Running"
    running = stopped = 0
    for one in containers:
        if "running" in one["state"]:
            running += 1
        elif "terminated" in one["state"] or one["lastState"].get("terminated"):
            stopped += 1
        else:
            return "Pending"
    if running:
        return "Running"
    return "Running" if stopped and restart_policy(pod) != "Never" else "Pending"


def _blocks_start(one: Object, spec: Object) -> bool:
    if is_sidecar(spec):
        return not one["started"]
    return bool(one["state"].get("terminated", {"exitCode": 1})["exitCode"])


def _conditions(
    pod: Object,
    record: PodRecord,
    phase: str,
    initialized: bool,
    containers: Sequence[Object],
    init: Sequence[Object],
    facts: Facts,
) -> list[Object]:
    init_specs = pod["spec"].get("initContainers") or ()
    connected = record.running_sandbox is not None and bool(facts.pod_ips)
    incomplete = [
        one["name"]
        for one, spec in zip(init, init_specs, strict=True)
        if not one["ready"] and not (is_sidecar(spec) and one["started"])
    ]
    unready = [one["name"] for one in containers if not one["ready"]]
    unready += [
        one["name"]
        for one, spec in zip(init, init_specs, strict=True)
        if is_sidecar(spec) and not one["ready"]
    ]
    all_ready = _containers_ready(phase, unready)
    result = [
        _condition("PodReadyToStartContainers", connected),
        _initialized_condition(phase, initialized, incomplete),
        _ready_condition(pod, all_ready),
        {"type": "ContainersReady", **all_ready},
        _condition("PodScheduled", True),
    ]
    generation = pod["metadata"].get("generation")
    if generation is not None:
        for condition in result:
            condition["observedGeneration"] = generation
    return result


def _condition(kind: str, value: bool, reason: str = "", message: str = "") -> Object:
    condition: Object = {"type": kind, "status": "True" if value else "False"}
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def _initialized_condition(phase: str, initialized: bool, incomplete: Sequence[str]) -> Object:
    if phase == "Succeeded":
        return _condition("Initialized", True, "PodCompleted")
    if initialized or not incomplete:
        return _condition("Initialized", True)
    text = f"containers with incomplete status: [{' '.join(incomplete)}]"
    return _condition("Initialized", False, "ContainersNotInitialized", text)


def _containers_ready(phase: str, unready: Sequence[str]) -> Object:
    if phase == "Succeeded":
        return {"status": "False", "reason": "PodCompleted"}
    if phase == "Failed":
        return {"status": "False", "reason": "PodFailed"}
    if unready:
        text = f"containers with unready status: [{' '.join(unready)}]"
        return {"status": "False", "reason": "ContainersNotReady", "message": text}
    return {"status": "True"}


def _ready_condition(pod: Object, containers_ready: Object) -> Object:
    if containers_ready["status"] != "True":
        return {"type": "Ready", **containers_ready}
    have = {one["type"]: one for one in (pod.get("status") or {}).get("conditions") or ()}
    problems = []
    for gate in pod["spec"].get("readinessGates") or ():
        kind = gate["conditionType"]
        if kind not in have:
            problems.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif have[kind].get("status") != "True":
            problems.append(
                f'the status of pod readiness gate "{kind}" is not "True", but {have[kind].get("status")}'
            )
    if problems:
        return _condition("Ready", False, "ReadinessGatesNotReady", ", ".join(problems))
    return _condition("Ready", True)
