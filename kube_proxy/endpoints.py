"""What the proxy needs to know of EndpointSlices, and which endpoints take a service port's traffic.

`categorize` is the one place where traffic policies and the endpoints' conditions meet; whatever else chooses among
endpoints (topology hints) belongs here too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from apimachinery import Object
from kube_proxy.services import ServicePort

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
HEADLESS_LABEL = "service.kubernetes.io/headless"


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One address and port behind a service port; `local` means on this node."""

    ip: str
    port: int
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    local: bool = False

    @property
    def address(self) -> str:
        """`ip:port`, as in rules and chain hashes."""
        return f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The endpoints of a service port by use: `cluster` for traffic of policy Cluster, `local` for policy Local;
    `any` tells whether some node has a usable one."""

    cluster: tuple[Endpoint, ...]
    local: tuple[Endpoint, ...]
    any: bool


def service_key(endpoint_slice: Object) -> str | None:
    """`namespace/name` of the Service that the slice belongs to, or None for slices that are not proxied."""
    metadata = endpoint_slice["metadata"]
    labels = metadata.get("labels") or {}
    name = labels.get(SERVICE_NAME_LABEL)
    if not name or endpoint_slice.get("addressType") != "IPv4" or HEADLESS_LABEL in labels:
        return None
    return f"{metadata['namespace']}/{name}"


def endpoints_by_port(slices: Iterable[Object], node_name: str) -> dict[str, tuple[Endpoint, ...]]:
    """All endpoints of a Service's slices by port name, sorted. An address that is in two slices for a moment counts
    once, ready if one of them says so."""
    found: dict[str, dict[tuple[str, int], Endpoint]] = {}
    for endpoint_slice in slices:
        ports = [
            (port.get("name") or "", int(port["port"]))
            for port in endpoint_slice.get("ports") or ()
            if port.get("port") is not None
        ]
        for entry in endpoint_slice.get("endpoints") or ():
            addresses = entry.get("addresses")
            if not addresses:
                continue
            conditions = entry.get("conditions") or {}
            ready = conditions.get("ready") is not False
            serving = conditions.get("serving") is not False
            terminating = conditions.get("terminating") is True
            local = entry.get("nodeName") == node_name
            for port_name, port in ports:
                by_address = found.setdefault(port_name, {})
                key = (addresses[0], port)
                if key in by_address and by_address[key].ready:
                    continue
                by_address[key] = Endpoint(addresses[0], port, ready, serving, terminating, local)
    return {port_name: tuple(sorted(by_address.values())) for port_name, by_address in found.items()}


def categorize(port: ServicePort, endpoints: tuple[Endpoint, ...]) -> Endpoints:
    """Which endpoints take the port's traffic: the ready ones, or, when there is none, those that still serve while
    they terminate; for policy Local the same among this node's own."""
    cluster = _usable(endpoints)
    if port.internal_policy != "Local" and not (
        port.external_policy == "Local" and port.externally_accessible
    ):
        return Endpoints(cluster, (), bool(cluster))
    local = _usable(tuple(endpoint for endpoint in endpoints if endpoint.local))
    return Endpoints(cluster, local, bool(cluster))


def _usable(endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    ready = tuple(endpoint for endpoint in endpoints if endpoint.ready)
    if ready:
        return ready
    return tuple(endpoint for endpoint in endpoints if endpoint.serving and endpoint.terminating)


def ready_local_count(endpoints: Mapping[str, tuple[Endpoint, ...]]) -> int:
    """How many distinct ready addresses a Service has on this node: what its health-check node port answers."""
    return len(
        {endpoint.ip for each in endpoints.values() for endpoint in each if endpoint.local and endpoint.ready}
    )
