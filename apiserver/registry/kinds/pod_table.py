"""How `kubectl get pods` sums up a Pod: its status in one word, ready containers, restarts.

The status column follows what users know: init containers first (`Init:1/2`), then the most telling reason of a
container (`CrashLoopBackOff`), then the phase; a deletion overrides it (`Terminating`).
"""

from __future__ import annotations

from typing import Any

from apimachinery import Object, meta
from apiserver.registry.strategy import Column, age

from .printing import AGE, NAME, NONE, object_age

COLUMNS = (
    NAME,
    Column("Ready", description="The aggregate readiness state of this pod for accepting traffic."),
    Column("Status", description="The aggregate status of the containers in this pod."),
    Column(
        "Restarts",
        description="The number of times the containers in this pod have been restarted and when the last container in "
        "this pod has restarted.",
    ),
    AGE,
    Column(
        "IP",
        priority=1,
        description="podIP address allocated to the pod. Routable at least within the cluster. "
        "Empty if not yet allocated.",
    ),
    Column("Node", priority=1, description="NodeName indicates in which node this pod is scheduled."),
    Column(
        "Nominated Node",
        priority=1,
        description="nominatedNodeName is set only when this pod preempts other pods "
        "on the node, but it cannot be scheduled right away as preemption victims receive their graceful "
        "termination periods.",
    ),
    Column(
        "Readiness Gates",
        priority=1,
        description="If specified, all readiness gates will be evaluated for pod "
        "readiness. A pod is ready when all its containers are ready AND all conditions specified in the readiness "
        'gates have status equal to "True"',
    ),
)


def row(pod: Object) -> list[Any]:
    """The cells of a Pod."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    ready, total, reason, restarts, last_restart = _summary(pod, spec, status)
    shown = str(restarts)
    if restarts and last_restart:
        shown = f"{restarts} ({age(last_restart)} ago)"
    addresses = status.get("podIPs") or []
    gates = spec.get("readinessGates") or []
    passed = sum(meta.condition_is_true(pod, gate.get("conditionType", "")) for gate in gates)
    return [
        meta.name(pod),
        f"{ready}/{total}",
        reason,
        shown,
        object_age(pod),
        (addresses[0].get("ip") if addresses else status.get("podIP")) or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        f"{passed}/{len(gates)}" if gates else NONE,
    ]


def conditions(pod: Object) -> list[dict[str, Any]]:
    """The conditions of the row, by which clients tell finished pods."""
    phase = (pod.get("status") or {}).get("phase")
    if phase == "Succeeded":
        message = "The pod has completed successfully."
    elif phase == "Failed":
        message = "The pod failed."
    else:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": message}]


def _summary(pod: Object, spec: dict[str, Any], status: dict[str, Any]) -> tuple[int, int, str, int, str]:
    """(ready containers, containers, reason, restarts, time of the last restart)."""
    init_specs = spec.get("initContainers") or []
    sidecars = {c["name"] for c in init_specs if c.get("restartPolicy") == "Always"}
    total = len(spec.get("containers") or ()) + len(sidecars)
    phase = status.get("phase") or ""
    reason = status.get("reason") or phase
    scheduled = meta.condition(pod, "PodScheduled")
    if scheduled and scheduled.get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    ready, restarts, last_restart = 0, 0, ""
    sidecar_restarts, last_sidecar_restart = 0, ""
    initializing = False
    for i, container in enumerate(status.get("initContainerStatuses") or ()):
        count, finished = container.get("restartCount") or 0, _last_finished(container)
        restarts += count
        last_restart = max(last_restart, finished)
        is_sidecar = container.get("name") in sidecars
        if is_sidecar:
            sidecar_restarts += count
            last_sidecar_restart = max(last_sidecar_restart, finished)
        state = container.get("state") or {}
        terminated, waiting = state.get("terminated"), state.get("waiting") or {}
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if is_sidecar and container.get("started"):
            ready += bool(container.get("ready"))
            continue
        if terminated is not None:
            reason = f"Init:{_termination(terminated)}"
        elif waiting.get("reason") and waiting["reason"] != "PodInitializing":
            reason = f"Init:{waiting['reason']}"
        else:
            reason = f"Init:{i}/{len(init_specs)}"
        initializing = True
        break
    if not initializing or meta.condition_is_true(pod, "Initialized"):
        restarts, last_restart = sidecar_restarts, last_sidecar_restart
        running = False
        for container in reversed(status.get("containerStatuses") or []):
            restarts += container.get("restartCount") or 0
            last_restart = max(last_restart, _last_finished(container))
            state = container.get("state") or {}
            terminated, waiting = state.get("terminated"), state.get("waiting") or {}
            if waiting.get("reason"):
                reason = waiting["reason"]
            elif terminated is not None:
                reason = _termination(terminated)
            elif container.get("ready") and state.get("running") is not None:
                running = True
                ready += 1
        if reason == "Completed" and running:
            reason = "Running" if meta.condition_is_true(pod, "Ready") else "NotReady"
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif phase not in ("Succeeded", "Failed"):
            reason = "Terminating"
    return ready, total, reason, restarts, last_restart


def _last_finished(container: dict[str, Any]) -> str:
    terminated = (container.get("lastState") or {}).get("terminated") or {}
    return terminated.get("finishedAt") or ""


def _termination(terminated: dict[str, Any]) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode') or 0}"
