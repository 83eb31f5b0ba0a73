"""A pod as the scheduler sees it: its object and, worked out once, what it asks for.

Requests follow the official rules (containers, init containers, sidecars, overhead, pod-level resources):
https://kubernetes.io/docs/concepts/scheduling-eviction/resource-bin-packing/. CPU is in millicores, all else
in base units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from apimachinery import Object, quantity

DEFAULT_CPU = 100  # millicores that a container without a CPU request counts for in scores
DEFAULT_MEMORY = 200 * 1024 * 1024  # bytes, likewise
_POD_LEVEL = ("cpu", "memory", "hugepages-")

Requests = dict[str, int]


class HostPort(NamedTuple):
    """A port that a pod takes on its node."""

    protocol: str
    port: int
    ip: str


class PodInfo:
    """Values derived from one state of a pod; never changed after it is made."""

    __slots__ = (
        "host_ports",
        "key",
        "nonzero_cpu",
        "nonzero_memory",
        "object",
        "priority",
        "requests",
        "uid",
    )

    def __init__(self, pod: Object) -> None:
        metadata, spec = pod["metadata"], pod["spec"]
        self.object = pod
        self.uid: str = metadata["uid"]
        self.key = f"{metadata['namespace']}/{metadata['name']}"
        self.priority: int = spec.get("priority") or 0
        self.requests = pod_requests(spec)
        nonzero = pod_requests(spec, {"cpu": DEFAULT_CPU, "memory": DEFAULT_MEMORY})
        self.nonzero_cpu = nonzero.get("cpu", 0)
        self.nonzero_memory = nonzero.get("memory", 0)
        self.host_ports = tuple(host_ports(spec))

    @property
    def name(self) -> str:
        """metadata.name"""
        return str(self.object["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """metadata.namespace"""
        return str(self.object["metadata"]["namespace"])

    @property
    def spec(self) -> Object:
        """The pod's spec, not to be changed."""
        spec: Object = self.object["spec"]
        return spec

    @property
    def node_name(self) -> str:
        """spec.nodeName, empty while the pod has no node."""
        return self.object["spec"].get("nodeName") or ""

    @property
    def tolerations(self) -> list[Object]:
        """spec.tolerations"""
        return self.object["spec"].get("tolerations") or []

    def __repr__(self) -> str:
        return f"PodInfo({self.key})"


@lru_cache(maxsize=4096)
def _amount(resource: str, text: str) -> int:
    return quantity.milli_value(text) if resource == "cpu" else quantity.value(text)


def amounts(resources: Mapping[str, Any] | None) -> Requests:
    """A ResourceList as integers."""
    return {name: _amount(name, str(text)) for name, text in (resources or {}).items()}


def pod_requests(spec: Object, missing: Requests | None = None) -> Requests:
    """What the whole pod requests; containers that lack a resource of `missing` count with its value."""

    def of(container: Object) -> Requests:
        requests = amounts((container.get("resources") or {}).get("requests"))
        return {**missing, **requests} if missing else requests

    total: Requests = {}
    for container in spec.get("containers") or ():
        _add(total, of(container))
    sidecars: Requests = {}
    initial: Requests = {}
    for container in spec.get("initContainers") or ():
        requests = of(container)
        if container.get("restartPolicy") == "Always":
            _add(total, requests)
            _add(sidecars, requests)
            requests = sidecars
        else:
            _add(requests, sidecars)
        for name, amount in requests.items():
            initial[name] = max(initial.get(name, 0), amount)
    for name, amount in initial.items():
        total[name] = max(total.get(name, 0), amount)
    pod_level = (spec.get("resources") or {}).get("requests") or {}
    total.update(amounts({name: text for name, text in pod_level.items() if name.startswith(_POD_LEVEL)}))
    _add(total, amounts(spec.get("overhead")))
    return total


def _add(total: Requests, more: Requests) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def host_ports(spec: Object) -> Iterable[HostPort]:
    """The host ports of all containers (and sidecars)."""
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in [*(spec.get("containers") or ()), *sidecars]:
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                yield HostPort(
                    port.get("protocol") or "TCP", int(port["hostPort"]), port.get("hostIP") or "0.0.0.0"
                )
