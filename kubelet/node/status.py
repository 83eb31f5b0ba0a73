"""The Node object from facts; pure functions.

https://kubernetes.io/docs/reference/node/node-status/ ; condition reasons and messages are the official ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from apimachinery import Object, quantity
from kubelet.runtime.types import Image

MAX_IMAGES, MAX_IMAGE_NAMES = 50, 5
NAMES = ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
_COMPARED_CONDITION = ("status", "reason", "message")


@dataclass(frozen=True)
class Pressure:
    """Which resources are scarce now."""

    memory: bool = False
    disk: bool = False
    pids: bool = False


@dataclass(frozen=True)
class Facts:
    """Everything that the status shows. `problems` keep the node from being ready."""

    hostname: str
    addresses: Sequence[str]
    capacity: Mapping[str, str]
    allocatable: Mapping[str, str]
    node_info: Mapping[str, str]
    images: Sequence[Image]
    port: int
    pressure: Pressure = Pressure()
    problems: Sequence[str] = ()


def capacity(cpus: int, memory: int, disk: int, max_pods: int) -> dict[str, str]:
    """status.capacity from counts and bytes."""
    return {
        "cpu": str(cpus),
        "ephemeral-storage": f"{disk // 1024}Ki",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "memory": f"{memory // 1024}Ki",
        "pods": str(max_pods),
    }


def allocatable(
    total: Mapping[str, str], reserved: Sequence[Mapping[str, str]], eviction: Mapping[str, str]
) -> dict[str, str]:
    """status.allocatable: capacity without reservations and hard eviction thresholds."""
    result = dict(total)
    held: dict[str, list[str]] = {name: [one[name] for one in reserved if name in one] for name in total}
    cpu = quantity.milli_value(total["cpu"]) - sum(quantity.milli_value(one) for one in held["cpu"])
    result["cpu"] = quantity.canonical(f"{cpu}m")
    memory = quantity.value(total["memory"]) - sum(quantity.value(one) for one in held["memory"])
    memory -= threshold(eviction.get("memory.available", "0"), quantity.value(total["memory"]))
    result["memory"] = f"{max(0, memory) // 1024}Ki"
    storage = quantity.value(total["ephemeral-storage"])
    storage -= sum(quantity.value(one) for one in held["ephemeral-storage"])
    storage -= threshold(eviction.get("nodefs.available", "0"), quantity.value(total["ephemeral-storage"]))
    result["ephemeral-storage"] = str(max(0, storage))
    return result


def threshold(text: str, total: int) -> int:
    """An eviction threshold in bytes (or inodes): an amount, or a share of `total`."""
    if text.endswith("%"):
        return int(total * float(text[:-1]) / 100)
    return quantity.value(text)


def node_status(facts: Facts, now: str, old: Object | None) -> Object:
    """The whole status to write. `old` is the last one: transition times and foreign conditions are kept from it."""
    addresses = [{"type": "InternalIP", "address": one} for one in facts.addresses]
    known = {one["type"]: one for one in (old or {}).get("conditions") or ()}
    conditions = [_stamped(one, known.get(one["type"]), now) for one in _conditions(facts)]
    return {
        "addresses": [*addresses, {"type": "Hostname", "address": facts.hostname}],
        "capacity": dict(facts.capacity),
        "allocatable": dict(facts.allocatable),
        "conditions": conditions,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": facts.port}},
        "images": _images(facts.images),
        "nodeInfo": dict(facts.node_info),
    }


def _stamped(new: Object, old: Object | None, now: str) -> Object:
    same = old is not None and old.get("status") == new["status"]
    transition = old.get("lastTransitionTime") if same and old is not None else None
    return {**new, "lastHeartbeatTime": now, "lastTransitionTime": transition or now}


def _conditions(facts: Facts) -> list[Object]:
    pressure = facts.pressure
    rows = (
        ("MemoryPressure", pressure.memory, "KubeletHasInsufficientMemory", "kubelet has insufficient memory available",
         "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", pressure.disk, "KubeletHasDiskPressure", "kubelet has disk pressure",
         "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", pressure.pids, "KubeletHasInsufficientPID", "kubelet has insufficient PID available",
         "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    )  # fmt: skip
    result = [
        {
            "type": kind,
            "status": "True" if held else "False",
            "reason": bad if held else good,
            "message": bad_text if held else good_text,
        }
        for kind, held, bad, bad_text, good, good_text in rows
    ]
    ready = not facts.problems
    text = "kubelet is posting ready status"
    if not ready:
        text = facts.problems[0] if len(facts.problems) == 1 else f"[{', '.join(facts.problems)}]"
    result.append(
        {
            "type": "Ready",
            "status": "True" if ready else "False",
            "reason": "KubeletReady" if ready else "KubeletNotReady",
            "message": text,
        }
    )
    return result


def _images(images: Sequence[Image]) -> list[Object]:
    largest = sorted(images, key=lambda image: image.size, reverse=True)[:MAX_IMAGES]
    shown = (
        {"names": [*image.digests, *image.tags][:MAX_IMAGE_NAMES], "sizeBytes": image.size}
        for image in largest
    )
    return [one for one in shown if one["names"]]


def differs(old: Object, new: Object) -> bool:
    """Whether anything but heartbeat times has changed."""
    keys = ("addresses", "capacity", "allocatable", "daemonEndpoints", "images", "nodeInfo")
    if any((old.get(key) or None) != (new.get(key) or None) for key in keys):
        return True
    known = {one["type"]: one for one in old.get("conditions") or ()}
    return any(
        known.get(one["type"], {}).get(key) != one.get(key)
        for one in new["conditions"]
        for key in _COMPARED_CONDITION
    )


def labels(hostname: str, architecture: str, extra: Mapping[str, str]) -> dict[str, str]:
    """The labels that a kubelet gives its node."""
    return {
        "beta.kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        "kubernetes.io/hostname": hostname,
        "kubernetes.io/os": "linux",
        **extra,
    }


def parse_taint(text: str) -> Object:
    """`key=value:Effect` or `key:Effect`. Raises ValueError."""
    head, separator, effect = text.rpartition(":")
    if not separator or effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
        raise ValueError(f"invalid taint spec: {text}")
    key, _, value = head.partition("=")
    taint = {"key": key, "effect": effect}
    if value:
        taint["value"] = value
    return taint
