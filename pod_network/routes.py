"""host-gw: each node's pods are reached through that node's own address. Pure functions.

Works where nodes share a link. Only routes that carry our protocol number are ever looked at, so that nobody else's
routes can be removed, whatever the plan says.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from apimachinery import Object

# The kernel keeps a number with each route saying who made it; this one is not assigned to any routing daemon.
ROUTE_PROTOCOL = 83


@dataclass(frozen=True, order=True)
class Route:
    """A pod range and the node address that leads to it."""

    destination: str
    gateway: str


@dataclass(frozen=True)
class Plan:
    """What turns the routes that are there into those wanted. Removals come first: a range may have moved."""

    remove: tuple[Route, ...]
    add: tuple[Route, ...]


def pod_cidr(node: Object) -> str | None:
    """The node's IPv4 pod range, or None while it has none."""
    spec = node.get("spec") or {}
    for text in spec.get("podCIDRs") or (spec.get("podCIDR"),):
        try:
            return str(ipaddress.IPv4Network(text))
        except ValueError:
            continue
    return None


def internal_ip(node: Object) -> str | None:
    """The node's first IPv4 InternalIP, or None."""
    for address in (node.get("status") or {}).get("addresses") or ():
        if address.get("type") == "InternalIP":
            try:
                return str(ipaddress.IPv4Address(address.get("address")))
            except ValueError:
                continue
    return None


def desired(nodes: Iterable[Object], own_name: str) -> set[Route]:
    """A route for every other node that has both a pod range and an address."""
    routes = set()
    for node in nodes:
        cidr, address = pod_cidr(node), internal_ip(node)
        if node["metadata"]["name"] != own_name and cidr and address:
            routes.add(Route(cidr, address))
    return routes


def plan(wanted: set[Route], present: set[Route]) -> Plan:
    """The difference, in a stable order."""
    return Plan(tuple(sorted(present - wanted)), tuple(sorted(wanted - present)))
