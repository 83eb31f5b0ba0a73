"""Validation of Endpoints and EndpointSlices."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, field
from apimachinery.field import FieldError

from . import checks
from .checks import Errors
from .containers import PROTOCOLS
from .meta import validate_object_meta, validate_object_meta_update

ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_MAX_ADDRESSES = 100
_MAX_ENDPOINTS = 1000
_MAX_PORTS = 20000
_MAX_TOPOLOGY = 16
_MAX_ZONE_HINTS = 8


def validate_endpoints(endpoints: Object) -> list[FieldError]:
    """Check an Endpoints object."""
    errors = validate_object_meta(endpoints)
    _validate_subsets(errors, endpoints.get("subsets") or [])
    return errors


def validate_endpoints_update(endpoints: Object, old: Object) -> list[FieldError]:
    """Check an update of Endpoints: the subsets need another look only when they changed."""
    errors = validate_object_meta_update(endpoints, old)
    if endpoints.get("subsets") != old.get("subsets"):
        _validate_subsets(errors, endpoints.get("subsets") or [])
    return errors


def _validate_subsets(errors: Errors, subsets: list[dict[str, Any]]) -> None:
    for i, subset in enumerate(subsets):
        path = f"subsets[{i}]"
        ready, not_ready = subset.get("addresses") or [], subset.get("notReadyAddresses") or []
        if not ready and not not_ready:
            errors.append(field.required(path, "must specify `addresses` or `notReadyAddresses`"))
        for kind, addresses in (("addresses", ready), ("notReadyAddresses", not_ready)):
            for j, address in enumerate(addresses):
                _validate_address(errors, address, f"{path}.{kind}[{j}]")
        ports = subset.get("ports") or []
        for j, port in enumerate(ports):
            name = port.get("name") or ""
            at = f"{path}.ports[{j}]"
            if name:
                checks.report(errors, f"{at}.name", name, checks.label(name))
            elif len(ports) > 1:
                errors.append(field.required(f"{at}.name"))
            checks.port(errors, f"{at}.port", port.get("port") or 0)
            checks.one_of(errors, f"{at}.protocol", port.get("protocol"), PROTOCOLS)
            if (protocol := port.get("appProtocol")) is not None:
                checks.report(errors, f"{at}.appProtocol", protocol, checks.qualified_name(protocol))


def _validate_address(errors: Errors, address: dict[str, Any], path: str) -> None:
    value = address.get("ip") or ""
    if problems := checks.ip(value):
        checks.report(errors, f"{path}.ip", value, problems)
    elif problem := checks.special_ip(value):
        errors.append(field.invalid(f"{path}.ip", value, problem))
    if host := address.get("hostname"):
        checks.report(errors, f"{path}.hostname", host, checks.label(host))
    if node := address.get("nodeName"):
        checks.report(errors, f"{path}.nodeName", node, checks.subdomain(node))


def validate_endpoint_slice(endpoint_slice: Object) -> list[FieldError]:
    """Check an EndpointSlice."""
    errors = validate_object_meta(endpoint_slice)
    kind = endpoint_slice.get("addressType") or ""
    if not kind:
        errors.append(field.required("addressType"))
    elif kind not in ADDRESS_TYPES:
        errors.append(field.not_supported("addressType", kind, list(ADDRESS_TYPES)))
    _validate_endpoint_list(errors, endpoint_slice.get("endpoints") or [], kind)
    _validate_slice_ports(errors, endpoint_slice.get("ports") or [])
    return errors


def validate_endpoint_slice_update(endpoint_slice: Object, old: Object) -> list[FieldError]:
    """Check an update of an EndpointSlice: the type of its addresses stays."""
    errors = validate_object_meta_update(endpoint_slice, old)
    checks.immutable(errors, "addressType", endpoint_slice.get("addressType"), old.get("addressType"))
    kind = endpoint_slice.get("addressType") or ""
    _validate_endpoint_list(errors, endpoint_slice.get("endpoints") or [], kind)
    _validate_slice_ports(errors, endpoint_slice.get("ports") or [])
    return errors


def _validate_endpoint_list(errors: Errors, endpoints: list[dict[str, Any]], kind: str) -> None:
    if len(endpoints) > _MAX_ENDPOINTS:
        errors.append(field.too_many("endpoints", len(endpoints), _MAX_ENDPOINTS))
        return
    for i, endpoint in enumerate(endpoints):
        path = f"endpoints[{i}]"
        addresses = endpoint.get("addresses") or []
        if not addresses:
            errors.append(field.required(f"{path}.addresses", "must contain at least 1 address"))
        elif len(addresses) > _MAX_ADDRESSES:
            errors.append(field.too_many(f"{path}.addresses", len(addresses), _MAX_ADDRESSES))
        for j, address in enumerate(addresses):
            at = f"{path}.addresses[{j}]"
            if kind == "FQDN":
                checks.report(errors, at, address, checks.subdomain(address))
            elif problems := checks.ip(address):
                checks.report(errors, at, address, problems)
            elif kind in ("IPv4", "IPv6"):
                if checks.is_ipv6(address) != (kind == "IPv6"):
                    errors.append(field.invalid(at, address, f"must be a valid {kind} address"))
                elif problem := checks.special_ip(address):
                    errors.append(field.invalid(at, address, problem))
        if (node := endpoint.get("nodeName")) is not None:
            checks.report(errors, f"{path}.nodeName", node, checks.subdomain(node))
        topology = endpoint.get("deprecatedTopology") or {}
        if len(topology) > _MAX_TOPOLOGY:
            errors.append(field.too_many(f"{path}.deprecatedTopology", len(topology), _MAX_TOPOLOGY))
        if "kubernetes.io/hostname" in topology:
            errors.append(
                field.invalid(
                    f"{path}.deprecatedTopology[kubernetes.io/hostname]",
                    topology["kubernetes.io/hostname"],
                    "may not be set; use nodeName",
                )
            )
        if (host := endpoint.get("hostname")) is not None:
            checks.report(errors, f"{path}.hostname", host, checks.label(host))
        if hints := endpoint.get("hints"):
            _validate_hints(errors, hints, f"{path}.hints")


def _validate_hints(errors: Errors, hints: dict[str, Any], path: str) -> None:
    for kind in ("forZones", "forNodes"):
        targets = hints.get(kind) or []
        if len(targets) > _MAX_ZONE_HINTS:
            errors.append(field.too_many(f"{path}.{kind}", len(targets), _MAX_ZONE_HINTS))
            continue
        seen: set[str] = set()
        for i, target in enumerate(targets):
            name = target.get("name") or ""
            at = f"{path}.{kind}[{i}].name"
            if name in seen:
                errors.append(field.duplicate(f"{path}.{kind}[{i}]", name))
            seen.add(name)
            problems = checks.label_value(name) if kind == "forZones" else checks.subdomain(name)
            if kind == "forZones" and not name:
                errors.append(field.required(at))
            checks.report(errors, at, name, problems)


def _validate_slice_ports(errors: Errors, ports: list[dict[str, Any]]) -> None:
    if len(ports) > _MAX_PORTS:
        errors.append(field.too_many("ports", len(ports), _MAX_PORTS))
        return
    names: set[str] = set()
    for i, port in enumerate(ports):
        path = f"ports[{i}]"
        name = port.get("name") or ""
        if name:
            checks.report(errors, f"{path}.name", name, checks.label(name))
        if name in names:
            errors.append(field.duplicate(f"{path}.name", name))
        names.add(name)
        number = port.get("port")
        if number is not None:
            checks.port(errors, f"{path}.port", number)
        checks.one_of(errors, f"{path}.protocol", port.get("protocol"), PROTOCOLS)
        if (protocol := port.get("appProtocol")) is not None:
            checks.report(errors, f"{path}.appProtocol", protocol, checks.qualified_name(protocol))
