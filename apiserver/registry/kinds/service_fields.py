"""The fields of a Service that depend on each other and on its type, and the text of its table cells."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, field
from apimachinery.field import FieldError
from apiserver.validation.services import is_externally_accessible, is_headless, needs_health_check

from .printing import NONE

_FAMILIES = ("IPv4", "IPv6")
_WITH_ADDRESS = ("ClusterIP", "NodePort", "LoadBalancer")


def needs_node_port(spec: dict[str, Any]) -> bool:
    """Whether every port of the Service is to have a node port."""
    kind = spec.get("type")
    return kind == "NodePort" or (
        kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False
    )


def keep_allocated(spec: dict[str, Any], old: dict[str, Any]) -> None:
    """An update that leaves allocated values out keeps them."""
    if spec.get("type") in _WITH_ADDRESS and old.get("type") in _WITH_ADDRESS:
        if not spec.get("clusterIP") and not spec.get("clusterIPs"):
            for name in ("clusterIP", "clusterIPs"):
                if old.get(name):
                    spec[name] = old[name]
        for name in ("ipFamilies", "ipFamilyPolicy"):
            if not spec.get(name) and old.get(name):
                spec[name] = old[name]
    if needs_node_port(spec) and needs_node_port(old):
        known = {(p.get("protocol"), p.get("port")): p.get("nodePort") for p in old.get("ports") or ()}
        used = {p.get("nodePort") for p in spec.get("ports") or ()}
        for port in spec.get("ports") or ():
            before = known.get((port.get("protocol"), port.get("port")))
            if not port.get("nodePort") and before and before not in used:
                port["nodePort"] = before
    if needs_health_check(spec) and needs_health_check(old) and not spec.get("healthCheckNodePort"):
        spec["healthCheckNodePort"] = old.get("healthCheckNodePort")


def synchronize_cluster_ips(spec: dict[str, Any], old: dict[str, Any] | None) -> None:
    """clusterIP is the first of clusterIPs: clients may write either."""
    first, addresses = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    if old is None:
        if first and not addresses:
            spec["clusterIPs"] = [first]
        elif addresses and not first:
            pass  # Only an error: clusterIP has to be given along with clusterIPs.
        return
    old_first, old_addresses = old.get("clusterIP") or "", old.get("clusterIPs") or []
    same_addresses = addresses == old_addresses
    if first != old_first and same_addresses:
        # A client that knows clusterIP only has changed (or cleared) it.
        spec["clusterIPs"] = [first] if first else []
        if not first:
            spec.pop("clusterIPs")


def drop_fields_of_former_type(spec: dict[str, Any], old: dict[str, Any]) -> None:
    """On a change of type, forget what only the former type needed and the client did not touch."""
    kind, was = spec.get("type"), old.get("type")
    if was in _WITH_ADDRESS and kind not in _WITH_ADDRESS:
        if spec.get("clusterIPs") == old.get("clusterIPs") and spec.get("clusterIP") == old.get("clusterIP"):
            for name in ("clusterIP", "clusterIPs"):
                spec.pop(name, None)
        for name in ("ipFamilies", "ipFamilyPolicy"):
            _drop_unchanged(spec, old, name)
    if _may_have_node_ports(old) and not _may_have_node_ports(spec):
        before = {p.get("nodePort") for p in old.get("ports") or ()}
        for port in spec.get("ports") or ():
            if port.get("nodePort") in before:
                port.pop("nodePort", None)
    if needs_health_check(old) and not needs_health_check(spec):
        _drop_unchanged(spec, old, "healthCheckNodePort")
    if was == "LoadBalancer" and kind != "LoadBalancer":
        for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
            _drop_unchanged(spec, old, name)
    if is_externally_accessible(old) and not is_externally_accessible(spec):
        _drop_unchanged(spec, old, "externalTrafficPolicy")


def _drop_unchanged(spec: dict[str, Any], old: dict[str, Any], name: str) -> None:
    if spec.get(name) == old.get(name):
        spec.pop(name, None)


def _may_have_node_ports(spec: dict[str, Any]) -> bool:
    return spec.get("type") in ("NodePort", "LoadBalancer")


def default_families(spec: dict[str, Any], families: tuple[str, ...]) -> None:
    """Fill in ipFamilies and ipFamilyPolicy. `families` are the cluster's, the default one first."""
    wanted = list(spec.get("ipFamilies") or ())
    if not wanted:
        for address in spec.get("clusterIPs") or ():
            if address != "None":
                wanted.append("IPv6" if ":" in address else "IPv4")
    policy = spec.get("ipFamilyPolicy")
    if is_headless(spec) and not spec.get("selector"):
        # Its endpoints are the user's business and may be of either family, whatever the cluster has.
        policy = policy or ("SingleStack" if len(wanted) == 1 else "RequireDualStack")
        possible: tuple[str, ...] = _FAMILIES
    else:
        policy = policy or ("RequireDualStack" if len(wanted) > 1 else "SingleStack")
        possible = families
    wanted = wanted or [families[0]]
    if policy != "SingleStack" and len(wanted) == 1:
        wanted += [f for f in possible if f not in wanted]
    spec["ipFamilies"], spec["ipFamilyPolicy"] = wanted, policy


def validate_families(spec: dict[str, Any], families: tuple[str, ...]) -> list[FieldError]:
    """Check that the cluster has the address families that the Service wants."""
    if spec.get("type") == "ExternalName" or (is_headless(spec) and not spec.get("selector")):
        return []
    found = []
    if spec.get("ipFamilyPolicy") == "RequireDualStack" and len(families) == 1:
        found.append(
            field.invalid(
                "spec.ipFamilyPolicy",
                "RequireDualStack",
                "this cluster is not configured for dual-stack services",
            )
        )
    for i, family in enumerate(spec.get("ipFamilies") or ()):
        if family not in families:
            found.append(field.invalid(f"spec.ipFamilies[{i}]", family, "not configured on this cluster"))
    return found


def warnings(service: Object) -> list[str]:
    """Advice about a Service."""
    spec = service["spec"]
    found = []
    if is_headless(spec):
        for name, shown in (("loadBalancerIP", "spec.loadBalancerIP"), ("externalIPs", "spec.externalIPs")):
            if spec.get(name):
                found.append(f'{shown} is ignored when spec.clusterIP is "None"')
        if spec.get("sessionAffinity") not in (None, "None"):
            found.append("spec.SessionAffinity is ignored for headless services")
    if spec.get("externalName") and spec.get("type") != "ExternalName":
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found


def external_addresses(service: Object) -> str:
    """The External-IP cell."""
    spec = service["spec"]
    kind, external = spec.get("type"), spec.get("externalIPs") or []
    if kind == "ExternalName":
        return spec.get("externalName") or ""
    if kind == "LoadBalancer":
        ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
        points = sorted({p.get("ip") or p.get("hostname") or "" for p in ingress} - {""})
        return ",".join([*points, *external]) or "<pending>"
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(external) or NONE
    return "<unknown>"


def format_ports(ports: list[dict[str, Any]]) -> str:
    """The Port(s) cell: `80:30080/TCP`."""
    return (
        ",".join(
            f"{p['port']}:{p['nodePort']}/{p['protocol']}"
            if p.get("nodePort")
            else f"{p['port']}/{p['protocol']}"
            for p in ports
        )
        or NONE
    )
