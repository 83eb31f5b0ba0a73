"""Validation of Services."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, field
from apimachinery.field import FieldError

from . import checks
from .checks import Errors
from .containers import PROTOCOLS
from .meta import validate_labels, validate_object_meta, validate_object_meta_update

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_FAMILIES = ("IPv4", "IPv6")
_FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_TRAFFIC_POLICIES = ("Cluster", "Local")
_DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")
_MAX_AFFINITY_SECONDS = 86400
_SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
_ONLY_LOAD_BALANCER = "may only be used when `type` is 'LoadBalancer'"
_FIXED = "may not change once set"
_NOT_FOR_EXTERNAL_NAME = "may not be set for ExternalName services"


def is_headless(spec: dict[str, Any]) -> bool:
    """Whether the Service has no address of its own (`clusterIP: None`)."""
    return spec.get("clusterIPs") == ["None"]


def is_externally_accessible(spec: dict[str, Any]) -> bool:
    """Whether traffic from outside the cluster may reach the Service."""
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def needs_health_check(spec: dict[str, Any]) -> bool:
    """Whether the Service has a health check node port."""
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def validate_service(service: Object) -> list[FieldError]:
    """Check a Service that has its defaults (and, once stored, its allocated addresses and ports)."""
    errors = validate_object_meta(service, name=checks.label1035)
    spec = service["spec"]
    get = spec.get
    kind = get("type") or ""
    headless = is_headless(spec)
    ports = get("ports") or []
    if not ports and not headless and kind != "ExternalName":
        errors.append(field.required("spec.ports"))
    if kind in ("LoadBalancer", "NodePort"):
        if headless:
            errors.append(
                field.invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
            )
    elif kind == "ExternalName":
        _validate_external_name(errors, spec)
    names: set[str] = set()
    for i, port in enumerate(ports):
        _validate_port(errors, port, len(ports) > 1, names, f"spec.ports[{i}]")
    if selector := get("selector"):
        validate_labels(errors, selector, "spec.selector")
    _validate_affinity(errors, spec)
    if kind != "ExternalName":
        validate_cluster_ips(errors, spec)
    for i, address in enumerate(get("externalIPs") or ()):
        if problems := checks.ip(address):
            checks.report(errors, f"spec.externalIPs[{i}]", address, problems)
        elif problem := checks.special_ip(address):
            errors.append(field.invalid(f"spec.externalIPs[{i}]", address, problem))
    checks.one_of(errors, "spec.type", kind, TYPES)
    _validate_port_uniqueness(errors, kind, ports)
    _validate_load_balancer(errors, service, spec, kind)
    _validate_traffic_policies(errors, spec, kind)
    return errors


def _validate_external_name(errors: Errors, spec: dict[str, Any]) -> None:
    for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(name):
            errors.append(field.forbidden(f"spec.{name}", _NOT_FOR_EXTERNAL_NAME))
    name = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        errors.append(field.required("spec.externalName"))
    else:
        checks.report(errors, "spec.externalName", name, checks.subdomain(name))


def _validate_port(
    errors: Errors, port: dict[str, Any], require_name: bool, names: set[str], path: str
) -> None:
    name = port.get("name") or ""
    if name:
        checks.report(errors, f"{path}.name", name, checks.label(name))
        if name in names:
            errors.append(field.duplicate(f"{path}.name", name))
        names.add(name)
    elif require_name:
        errors.append(field.required(f"{path}.name"))
    checks.port(errors, f"{path}.port", port.get("port") or 0)
    checks.one_of(errors, f"{path}.protocol", port.get("protocol"), PROTOCOLS)
    checks.port_or_name(errors, f"{path}.targetPort", port.get("targetPort"))
    protocol = port.get("appProtocol")
    if protocol is not None:
        checks.report(errors, f"{path}.appProtocol", protocol, checks.qualified_name(protocol))


def _validate_affinity(errors: Errors, spec: dict[str, Any]) -> None:
    affinity, config = spec.get("sessionAffinity") or "", spec.get("sessionAffinityConfig")
    checks.one_of(errors, "spec.sessionAffinity", affinity, ("ClientIP", "None"))
    path = "spec.sessionAffinityConfig"
    if affinity == "ClientIP":
        client = (config or {}).get("clientIP")
        seconds = (client or {}).get("timeoutSeconds")
        detail = "when session affinity type is ClientIP"
        if config is None:
            errors.append(field.required(path, detail))
        elif client is None:
            errors.append(field.required(f"{path}.clientIP", detail))
        elif seconds is None:
            errors.append(field.required(f"{path}.clientIP.timeoutSeconds", detail))
        elif not 0 < seconds <= _MAX_AFFINITY_SECONDS:
            errors.append(
                field.invalid(
                    f"{path}.clientIP.timeoutSeconds",
                    seconds,
                    f"must be greater than 0 and less than {_MAX_AFFINITY_SECONDS}",
                )
            )
    elif affinity == "None" and config is not None:
        errors.append(field.forbidden(path, "must not be set when session affinity is None"))


def validate_cluster_ips(errors: Errors, spec: dict[str, Any]) -> None:
    """Check clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy against each other."""
    first, addresses = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    path = "spec.clusterIPs"
    if first:
        if not addresses:
            errors.append(field.required(path))
        elif addresses[0] != first:
            errors.append(field.invalid(path, addresses, "first value must match `clusterIP`"))
    elif addresses:
        errors.append(field.invalid(path, addresses, "must be empty when `clusterIP` is not specified"))
    families = spec.get("ipFamilies") or []
    for i, family in enumerate(families):
        if family not in _FAMILIES:
            errors.append(field.not_supported(f"spec.ipFamilies[{i}]", family, list(_FAMILIES)))
        if family in families[:i]:
            errors.append(field.duplicate(f"spec.ipFamilies[{i}]", family))
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in _FAMILY_POLICIES:
        errors.append(field.not_supported("spec.ipFamilyPolicy", policy, list(_FAMILY_POLICIES)))
    broken = False
    for i, address in enumerate(addresses):
        if i == 0 and address == "None":
            if len(addresses) > 1:
                broken = True
                errors.append(field.invalid(path, addresses, "'None' must be the first and only value"))
            continue
        if problems := checks.ip(address):
            checks.report(errors, f"{path}[{i}]", address, problems)
            broken = True
    if len(addresses) > 2:
        errors.append(field.invalid(path, addresses, "may only hold up to 2 values"))
    if broken or addresses == ["None"]:
        return
    if len(addresses) > 1 and len({checks.is_ipv6(a) for a in addresses}) < 2:
        errors.append(field.invalid(path, addresses, "may specify no more than one IP for each IP family"))
    for i, (address, family) in enumerate(zip(addresses, families, strict=False)):
        if family in _FAMILIES and (family == "IPv6") != checks.is_ipv6(address):
            errors.append(
                field.invalid(
                    f"{path}[{i}]", address, f"expected an {family} value as indicated by `ipFamilies[{i}]`"
                )
            )


def _validate_port_uniqueness(errors: Errors, kind: str, ports: list[dict[str, Any]]) -> None:
    if kind == "ClusterIP":
        for i, port in enumerate(ports):
            if port.get("nodePort"):
                errors.append(
                    field.forbidden(f"spec.ports[{i}].nodePort", "may not be used when `type` is 'ClusterIP'")
                )
    node_ports: set[tuple[Any, Any]] = set()
    for i, port in enumerate(ports):
        key = (port.get("protocol"), port.get("nodePort"))
        if key[1]:
            if key in node_ports:
                errors.append(field.duplicate(f"spec.ports[{i}].nodePort", key[1]))
            node_ports.add(key)
    numbers: set[tuple[Any, Any]] = set()
    for i, port in enumerate(ports):
        key = (port.get("protocol"), port.get("port"))
        if key in numbers:
            errors.append(
                field.duplicate(f"spec.ports[{i}]", {"protocol": key[0], "port": key[1], "targetPort": 0})
            )
        numbers.add(key)


def _validate_load_balancer(errors: Errors, service: Object, spec: dict[str, Any], kind: str) -> None:
    ranges = spec.get("loadBalancerSourceRanges")
    annotation = (service["metadata"].get("annotations") or {}).get(_SOURCE_RANGES)
    is_load_balancer = kind == "LoadBalancer"
    if ranges:
        if not is_load_balancer:
            errors.append(field.forbidden("spec.LoadBalancerSourceRanges", _ONLY_LOAD_BALANCER))
        for i, value in enumerate(ranges):
            checks.report(
                errors, f"spec.LoadBalancerSourceRanges[{i}]", value.strip(), checks.cidr(value.strip())
            )
    elif annotation is not None:
        path = f"metadata.annotations[{_SOURCE_RANGES}]"
        if not is_load_balancer:
            errors.append(field.forbidden(path, _ONLY_LOAD_BALANCER))
        for value in annotation.strip().split(",") if annotation.strip() else ():
            checks.report(errors, path, value.strip(), checks.cidr(value.strip()))
    allocate = spec.get("allocateLoadBalancerNodePorts")
    if allocate is not None and not is_load_balancer:
        errors.append(field.forbidden("spec.allocateLoadBalancerNodePorts", _ONLY_LOAD_BALANCER))
    elif allocate is None and is_load_balancer:
        errors.append(field.required("allocateLoadBalancerNodePorts"))
    load_balancer_class = spec.get("loadBalancerClass")
    if load_balancer_class is not None:
        if is_load_balancer:
            checks.report(
                errors,
                "spec.loadBalancerClass",
                load_balancer_class,
                checks.qualified_name(load_balancer_class),
            )
        else:
            errors.append(field.forbidden("spec.loadBalancerClass", _ONLY_LOAD_BALANCER))


def _validate_traffic_policies(errors: Errors, spec: dict[str, Any], kind: str) -> None:
    external = spec.get("externalTrafficPolicy") or ""
    if is_externally_accessible(spec):
        checks.one_of(errors, "spec.externalTrafficPolicy", external, _TRAFFIC_POLICIES)
    elif external:
        errors.append(
            field.invalid(
                "spec.externalTrafficPolicy", external, "may only be set for externally-accessible services"
            )
        )
    health_port = spec.get("healthCheckNodePort") or 0
    if needs_health_check(spec):
        if not health_port:
            errors.append(field.required("spec.healthCheckNodePort"))
        else:
            checks.port(errors, "spec.healthCheckNodePort", health_port)
    elif health_port:
        errors.append(
            field.invalid(
                "spec.healthCheckNodePort",
                health_port,
                "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
            )
        )
    internal = spec.get("internalTrafficPolicy")
    if internal is None:
        if kind in ("NodePort", "LoadBalancer", "ClusterIP"):
            errors.append(field.required("spec.internalTrafficPolicy"))
    elif internal not in _TRAFFIC_POLICIES:
        errors.append(field.not_supported("spec.internalTrafficPolicy", internal, list(_TRAFFIC_POLICIES)))
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        errors.append(field.not_supported("spec.trafficDistribution", distribution, list(_DISTRIBUTIONS)))


def validate_service_update(service: Object, old: Object) -> list[FieldError]:
    """Check an update: addresses and families may be added and released, but the first ones stay."""
    errors = validate_object_meta_update(service, old)
    new_spec, old_spec = service["spec"], old["spec"]
    if "ExternalName" not in (new_spec.get("type"), old_spec.get("type")):
        _validate_addresses_kept(errors, new_spec, old_spec)

    def differ(name: str) -> bool:
        return bool(new_spec.get(name) != old_spec.get(name))

    if new_spec.get("type") == old_spec.get("type") == "LoadBalancer" and differ("loadBalancerClass"):
        errors.append(field.invalid("spec.loadBalancerClass", new_spec.get("loadBalancerClass"), _FIXED))
    if needs_health_check(new_spec) and needs_health_check(old_spec) and differ("healthCheckNodePort"):
        errors.append(field.forbidden("spec.healthCheckNodePort", checks.IMMUTABLE))
    seen = {e.message() for e in errors}
    return errors + [e for e in validate_service(service) if e.message() not in seen]


def _validate_addresses_kept(errors: Errors, new: dict[str, Any], old: dict[str, Any]) -> None:
    headless, was_headless = is_headless(new), is_headless(old)
    policy = new.get("ipFamilyPolicy")
    if not (headless and was_headless):
        _validate_kept(
            errors,
            new.get("clusterIPs") or [],
            old.get("clusterIPs") or [],
            policy,
            "clusterIP",
            "spec.clusterIPs",
        )
    if not headless and not was_headless:
        _validate_kept(
            errors,
            new.get("ipFamilies") or [],
            old.get("ipFamilies") or [],
            policy,
            "ipFamily",
            "spec.ipFamilies",
        )


def _validate_kept(
    errors: Errors, new: list[str], old: list[str], policy: str | None, word: str, path: str
) -> None:
    if len(new) == len(old):
        for i, (value, before) in enumerate(zip(new, old, strict=True)):
            if value != before:
                at = i if word == "clusterIP" else 0
                errors.append(field.invalid(f"{path}[{at}]", new, _FIXED))
        return
    if len(old) > len(new) and not new:
        errors.append(field.invalid(f"{path}[0]", new, f"primary {word} can not be unset"))
    if new and old and new[0] != old[0]:
        errors.append(field.invalid(f"{path}[0]", new, _FIXED))
    if len(old) > len(new) == 1 and policy != "SingleStack":
        errors.append(
            field.invalid(
                "spec.ipFamilyPolicy",
                policy,
                f"must be set to 'SingleStack' when releasing the secondary {word}",
            )
        )


def validate_service_status_update(service: Object, old: Object) -> list[FieldError]:
    """Check an update of the status: what a load balancer reports."""
    errors = validate_object_meta_update(service, old)
    status = service.get("status") or {}
    ingress = (status.get("loadBalancer") or {}).get("ingress") or []
    path = "status.loadBalancer.ingress"
    if ingress and service["spec"].get("type") != "LoadBalancer":
        errors.append(field.forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'"))
        return errors
    for i, point in enumerate(ingress):
        at = f"{path}[{i}]"
        address, mode, host = point.get("ip"), point.get("ipMode"), point.get("hostname")
        if address:
            checks.report(errors, f"{at}.ip", address, checks.ip(address))
            if mode is None:
                errors.append(field.required(f"{at}.ipMode", "must be specified when `ip` is set"))
        elif mode is not None:
            errors.append(field.forbidden(f"{at}.ipMode", "may not be specified when `ip` is not set"))
        if mode not in (None, "Proxy", "VIP"):
            errors.append(field.not_supported(f"{at}.ipMode", mode, ["Proxy", "VIP"]))
        if host:
            checks.report(errors, f"{at}.hostname", host, checks.subdomain(host))
            if not checks.ip(host):
                errors.append(field.invalid(f"{at}.hostname", host, "must be a DNS name, not an IP address"))
    return errors
