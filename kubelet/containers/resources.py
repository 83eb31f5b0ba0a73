"""Quality of service and cgroup values of pods and containers; pure.

https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/ and
https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from apimachinery import Object, quantity
from kubelet.runtime.types import Resources

QoS = Literal["Guaranteed", "Burstable", "BestEffort"]

CPU_PERIOD = 100_000
MIN_SHARES, SHARES_PER_CPU, MIN_QUOTA = 2, 1024, 1000
SANDBOX_OOM_SCORE, GUARANTEED_OOM_SCORE, BEST_EFFORT_OOM_SCORE = -998, -997, 1000
CRITICAL_PRIORITY = 2_000_000_000
_COMPUTE = ("cpu", "memory")


def all_containers(pod: Object) -> list[Object]:
    """Init containers, then containers."""
    spec = pod["spec"]
    return [*(spec.get("initContainers") or ()), *spec.get("containers", ())]


def qos_class(pod: Object) -> QoS:
    """The official class; what the API server has written wins."""
    written = (pod.get("status") or {}).get("qosClass")
    if written:
        return written  # type: ignore[no-any-return]
    guaranteed, anything = True, False
    for container in all_containers(pod):
        resources = container.get("resources") or {}
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        for name in _COMPUTE:
            request, limit = _amount(requests.get(name)), _amount(limits.get(name))
            anything = anything or request > 0 or limit > 0
            if limit == 0 or (request and request != limit):
                guaranteed = False
    if not anything:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _amount(value: str | int | float | None) -> int:
    return quantity.milli_value(value) if value is not None else 0


def cgroup_parent(uid: str, qos: QoS, driver: str) -> str:
    """The pod's cgroup in the form that the engine's cgroup driver wants."""
    if driver == "systemd":
        middle = "" if qos == "Guaranteed" else f"{qos.lower()}-"
        return f"kubepods-{middle}pod{uid.replace('-', '_')}.slice"
    middle = "" if qos == "Guaranteed" else f"/{qos.lower()}"
    return f"/kubepods{middle}/pod{uid}"


def cpu_shares(milli_cpu: int) -> int:
    """cpu.shares for a request."""
    return max(MIN_SHARES, milli_cpu * SHARES_PER_CPU // 1000)


def cpu_quota(milli_cpu: int) -> int:
    """CFS quota per period for a limit; 0 is unlimited."""
    return max(MIN_QUOTA, milli_cpu * CPU_PERIOD // 1000) if milli_cpu else 0


def oom_score(pod: Object, container: Object, qos: QoS, memory_capacity: int) -> int:
    """oom_score_adj by class; burstable containers are safer the more of the node's memory they requested."""
    if qos == "Guaranteed" or (pod["spec"].get("priority") or 0) >= CRITICAL_PRIORITY:
        return GUARANTEED_OOM_SCORE
    if qos == "BestEffort":
        return BEST_EFFORT_OOM_SCORE
    requested = quantity.value(((container.get("resources") or {}).get("requests") or {}).get("memory", "0"))
    score = 1000 - (1000 * requested) // max(1, memory_capacity)
    return min(BEST_EFFORT_OOM_SCORE - 1, max(1000 + GUARANTEED_OOM_SCORE, score))


def container_resources(pod: Object, container: Object, memory_capacity: int, parent: str) -> Resources:
    """The cgroup values of one container. A limit without a request counts as the request."""
    resources = container.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    limit = _amount(limits.get("cpu"))
    return Resources(
        cpu_shares=cpu_shares(_amount(requests.get("cpu")) if "cpu" in requests else limit),
        cpu_quota=cpu_quota(limit),
        cpu_period=CPU_PERIOD if limit else 0,
        memory_limit=quantity.value(limits.get("memory", "0")),
        oom_score_adj=oom_score(pod, container, qos_class(pod), memory_capacity),
        cgroup_parent=parent,
    )


def pod_resources(pod: Object, parent: str) -> Resources:
    """Values of the pod's own cgroup: the sum of its containers, limited only when all of them are."""
    containers = pod["spec"].get("containers", ())
    return Resources(
        cpu_shares=cpu_shares(sum(_request(container, "cpu") for container in containers)),
        cpu_quota=cpu_quota(_total_limit(containers, "cpu")),
        cpu_period=CPU_PERIOD,
        memory_limit=_total_limit(containers, "memory") // 1000,
        cgroup_parent=parent,
    )


def _request(container: Object, name: str) -> int:
    resources = container.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    return _amount(requests.get(name, limits.get(name)))


def _total_limit(containers: Iterable[Object], name: str) -> int:
    total = 0
    for container in containers:
        limit = _amount(((container.get("resources") or {}).get("limits") or {}).get(name))
        if not limit:
            return 0
        total += limit
    return total
