"""What the proxy needs to know of a Service, read from the API object once and kept as a value.

One `ServicePort` per port of a Service that has a cluster IP; ExternalName and headless Services have none.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from apimachinery import Object

Policy = Literal["Cluster", "Local"]
PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
DEFAULT_AFFINITY_SECONDS = 10800


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of one Service. `name` is `namespace/name:port` (`namespace/name` when the port has no name);
    `affinity_seconds` is 0 without session affinity; `health_check_port` 0 when there is none."""

    name: str
    port_name: str
    protocol: str
    cluster_ip: str
    port: int
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    affinity_seconds: int = 0
    external_policy: Policy = "Cluster"
    internal_policy: Policy = "Cluster"
    health_check_port: int = 0

    @property
    def externally_accessible(self) -> bool:
        """Whether it can be reached otherwise than by its cluster IP."""
        return bool(self.node_port or self.external_ips or self.load_balancer_ips)


def is_proxied(service: Object) -> bool:
    """False for headless and ExternalName Services and for those that another proxy looks after."""
    labels = service["metadata"].get("labels") or {}
    spec = service.get("spec") or {}
    return (
        spec.get("clusterIP") not in (None, "", "None")
        and spec.get("type") != "ExternalName"
        and PROXY_NAME_LABEL not in labels
    )


def service_ports(service: Object) -> tuple[ServicePort, ...]:
    """The Service's ports as values; none when it is not for this proxy or has no IPv4 cluster IP."""
    if not is_proxied(service):
        return ()
    metadata, spec = service["metadata"], service["spec"]
    cluster_ip = _ipv4_cluster_ip(spec)
    if cluster_ip is None:
        return ()
    key = f"{metadata['namespace']}/{metadata['name']}"
    external: Policy = "Local" if spec.get("externalTrafficPolicy") == "Local" else "Cluster"
    internal: Policy = "Local" if spec.get("internalTrafficPolicy") == "Local" else "Cluster"
    shared: dict[str, Any] = {
        "cluster_ip": cluster_ip,
        "external_ips": tuple(ip for ip in spec.get("externalIPs") or () if is_ipv4(ip)),
        "load_balancer_ips": _load_balancer_ips(service),
        "source_ranges": tuple(_ipv4_ranges(spec)),
        "affinity_seconds": _affinity_seconds(spec),
        "external_policy": external,
        "internal_policy": internal,
        "health_check_port": int(spec.get("healthCheckNodePort") or 0) if external == "Local" else 0,
    }
    return tuple(
        ServicePort(
            name=f"{key}:{port['name']}" if port.get("name") else key,
            port_name=port.get("name") or "",
            protocol=(port.get("protocol") or "TCP").lower(),
            port=int(port["port"]),
            node_port=int(port.get("nodePort") or 0),
            **shared,
        )
        for port in spec.get("ports") or ()
    )


def is_ipv4(address: str) -> bool:
    """Whether the text is an IPv4 address."""
    try:
        socket.inet_pton(socket.AF_INET, address)
    except OSError:
        return False
    return True


def _ipv4_cluster_ip(spec: Mapping[str, Any]) -> str | None:
    for address in spec.get("clusterIPs") or (spec["clusterIP"],):
        if is_ipv4(address):
            return str(address)
    return None


def _load_balancer_ips(service: Object) -> tuple[str, ...]:
    if service["spec"].get("type") != "LoadBalancer":
        return ()
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    # ipMode Proxy: the balancer delivers to node ports and must stay in the path.
    return tuple(
        item["ip"] for item in ingress if is_ipv4(item.get("ip") or "") and item.get("ipMode", "VIP") == "VIP"
    )


def _ipv4_ranges(spec: Mapping[str, Any]) -> list[str]:
    ranges = []
    for text in spec.get("loadBalancerSourceRanges") or ():
        try:
            ranges.append(str(ipaddress.IPv4Network(text.strip(), strict=False)))
        except ValueError:
            continue  # the other family's, or refused by the API server's validation long before
    return [] if "0.0.0.0/0" in ranges else ranges


def _affinity_seconds(spec: Mapping[str, Any]) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return int(config.get("timeoutSeconds") or DEFAULT_AFFINITY_SECONDS)
