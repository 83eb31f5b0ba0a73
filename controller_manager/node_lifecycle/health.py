"""Is a node alive, and which conditions and taints follow? Pure functions.

See https://kubernetes.io/docs/concepts/architecture/nodes/#node-controller. Moments called `seen` are on the
observer's own monotonic clock in seconds: nodes' clocks are never trusted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from apimachinery import Object, meta
from controller_manager import taints

WATCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_PRESSURE = {
    ("MemoryPressure", "True"): taints.MEMORY_PRESSURE,
    ("DiskPressure", "True"): taints.DISK_PRESSURE,
    ("PIDPressure", "True"): taints.PID_PRESSURE,
    ("NetworkUnavailable", "True"): taints.NETWORK_UNAVAILABLE,
    ("Ready", "False"): taints.NOT_READY,
    ("Ready", "Unknown"): taints.UNREACHABLE,
}
_MANAGED = frozenset((*_PRESSURE.values(), taints.UNSCHEDULABLE))
_EVICTING = {"False": taints.NOT_READY, "Unknown": taints.UNREACHABLE}


@dataclass(frozen=True)
class Heartbeat:
    """The last signs of life: what they said, and when we saw them."""

    status: str = ""
    lease: str = ""
    seen: float = 0.0


def heard(before: Heartbeat | None, node: Object | None, lease: Object | None, now: float) -> Heartbeat:
    """The heartbeat after looking at the node and its lease (None: not looked at)."""
    beat = before or Heartbeat(seen=now)
    if node is not None:
        status = str((meta.condition(node, "Ready") or {}).get("lastHeartbeatTime") or "")
        if status != beat.status:
            beat = replace(beat, status=status, seen=now)
    if lease is not None:
        renewed = str((lease.get("spec") or {}).get("renewTime") or "")
        if renewed != beat.lease:
            beat = replace(beat, lease=renewed, seen=now)
    return beat


def ready_status(node: Object) -> str:
    """ "True", "False" or "Unknown"; a node that never reported is Unknown."""
    return str((meta.condition(node, "Ready") or {}).get("status") or "Unknown")


def unknown_conditions(node: Object, now: str) -> list[Object] | None:
    """The conditions of a node that fell silent; None when they say so already."""
    known = {one["type"]: one for one in (node.get("status") or {}).get("conditions") or ()}
    changed = False
    for kind in WATCHED:
        old = known.get(kind)
        if old is None:
            changed = True
            known[kind] = {
                "type": kind,
                "status": "Unknown",
                "reason": "NodeStatusNeverUpdated",
                "message": "Kubelet never posted node status.",
                "lastHeartbeatTime": node["metadata"].get("creationTimestamp"),
                "lastTransitionTime": now,
            }
        elif old.get("status") != "Unknown":
            changed = True
            known[kind] = {
                **old,
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": now,
            }
    return list(known.values()) if changed else None


def scheduling_taints(node: Object) -> list[str]:
    """Keys of the NoSchedule taints that the node's conditions and `spec.unschedulable` ask for."""
    keys = [
        _PRESSURE[one["type"], one["status"]]
        for one in (node.get("status") or {}).get("conditions") or ()
        if (one["type"], one.get("status")) in _PRESSURE
    ]
    if (node.get("spec") or {}).get("unschedulable"):
        keys.append(taints.UNSCHEDULABLE)
    return keys


def evicting_taint(node: Object) -> str | None:
    """Key of the NoExecute taint that the node's Ready condition asks for; None when it is ready."""
    return _EVICTING.get(ready_status(node)) if meta.condition(node, "Ready") else None


def has_evicting_taint(node: Object) -> bool:
    """The node carries one of our NoExecute taints already."""
    return any(taint["key"] in _EVICTING.values() for taint in taints.no_execute(node))


def desired_taints(node: Object, evict: str | None, now: str) -> list[Object] | None:
    """The node's taints as they should be; None when they are so. Taints that are not ours stay.

    `evict` is the key of the NoExecute taint to carry, None for none.
    """
    present = taints.of(node)
    wanted = {(key, "NoSchedule") for key in scheduling_taints(node)}
    if evict is not None:
        wanted.add((evict, "NoExecute"))
    result = [
        taint
        for taint in present
        if (taint["key"], taint["effect"]) in wanted or not _is_managed(taint["key"], taint["effect"])
    ]
    have = {(taint["key"], taint["effect"]) for taint in result}
    for key, effect in sorted(wanted - have):
        result.append({"key": key, "effect": effect, "timeAdded": now})
    return result if result != present else None


def _is_managed(key: str, effect: str) -> bool:
    if effect == "NoExecute":
        return key in _EVICTING.values()
    return effect == "NoSchedule" and key in _MANAGED
