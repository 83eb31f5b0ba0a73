"""Validation of a PodSpec, in a Pod or in a template: the order of the checks is the official one."""

from __future__ import annotations

from typing import Any

from apimachinery import field
from apimachinery.field import FieldError

from . import checks
from .checks import Errors
from .containers import (
    PodContext,
    validate_containers,
    validate_ephemeral_containers,
    validate_init_containers,
)
from .meta import validate_labels
from .resources import amount, validate_requirements
from .scheduling import (
    validate_affinity,
    validate_scheduling_gates,
    validate_tolerations,
    validate_topology_spread,
)
from .security import validate_pod_security_context
from .volumes import validate_volumes

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_MAX_NAMESERVERS = 3
_MAX_SEARCHES = 32
_MAX_SEARCH_CHARACTERS = 2048

# Checked in this order, after everything else; each names a field that most pods do not set.
_NAMES = (
    ("serviceAccountName", checks.subdomain),
    ("nodeName", checks.subdomain),
)


def validate_pod_spec(
    spec: dict[str, Any], path: str = "spec", *, is_pod: bool = False, pod_name: str = ""
) -> list[FieldError]:
    """Check a PodSpec that has its defaults. `is_pod` is false for the spec of a template."""
    errors: Errors = []
    get = spec.get
    grace_period = get("terminationGracePeriodSeconds")
    if grace_period is None:
        errors.append(field.required(f"{path}.terminationGracePeriodSeconds"))
    volumes = validate_volumes(errors, get("volumes") or [], pod_name, f"{path}.volumes")
    claims = get("resourceClaims") or []
    restart_policy = get("restartPolicy") or ""
    pod = PodContext(
        volumes=volumes,
        claim_names={c["name"] for c in claims if c.get("name")},
        grace_period=grace_period,
        restart_policy=restart_policy,
        host_users=get("hostUsers") is not False,
        host_network=bool(get("hostNetwork")),
        is_pod=is_pod,
    )
    if claims:
        _validate_resource_claims(errors, claims, f"{path}.resourceClaims")
    containers = get("containers") or []
    validate_containers(errors, containers, pod, f"{path}.containers")
    init_containers = get("initContainers") or []
    if init_containers:
        validate_init_containers(errors, init_containers, containers, pod, f"{path}.initContainers")
    if ephemeral := get("ephemeralContainers"):
        validate_ephemeral_containers(
            errors, ephemeral, containers + init_containers, pod, f"{path}.ephemeralContainers"
        )
    if (resources := get("resources")) is not None:
        _validate_pod_resources(errors, spec, resources, f"{path}.resources")
    checks.one_of(errors, f"{path}.restartPolicy", restart_policy, RESTART_POLICIES)
    dns_policy = get("dnsPolicy") or ""
    checks.one_of(errors, f"{path}.dnsPolicy", dns_policy, DNS_POLICIES)
    if node_selector := get("nodeSelector"):
        validate_labels(errors, node_selector, f"{path}.nodeSelector")
    validate_pod_security_context(errors, spec, path)
    if affinity := get("affinity"):
        validate_affinity(errors, affinity, f"{path}.affinity")
    dns_config = get("dnsConfig")
    if dns_config is not None or dns_policy == "None":
        _validate_dns_config(errors, dns_config, dns_policy, f"{path}.dnsConfig")
    for i, gate in enumerate(get("readinessGates") or ()):
        condition = gate.get("conditionType") or ""
        checks.report(
            errors, f"{path}.readinessGates[{i}].conditionType", condition, checks.qualified_name(condition)
        )
    if gates := get("schedulingGates"):
        validate_scheduling_gates(errors, gates, f"{path}.schedulingGates")
    if constraints := get("topologySpreadConstraints"):
        validate_topology_spread(errors, constraints, f"{path}.topologySpreadConstraints")
    for name, check in _NAMES:
        value = get(name)
        if value and (problems := check(value)):
            checks.report(errors, f"{path}.{name}", value, problems)
    deadline = get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= checks.MAX_INT32:
        errors.append(
            field.invalid(
                f"{path}.activeDeadlineSeconds",
                deadline,
                f"must be between 1 and {checks.MAX_INT32}, inclusive",
            )
        )
    for name in ("hostname", "subdomain"):
        if value := get(name):
            checks.report(errors, f"{path}.{name}", value, checks.label(value))
    if override := get("hostnameOverride"):
        _validate_hostname_override(errors, spec, override, path)
    if tolerations := get("tolerations"):
        validate_tolerations(errors, tolerations, f"{path}.tolerations")
    for i, alias in enumerate(get("hostAliases") or ()):
        address = alias.get("ip") or ""
        checks.report(errors, f"{path}.hostAliases[{i}].ip", address, checks.ip(address))
        for j, host in enumerate(alias.get("hostnames") or ()):
            checks.report(errors, f"{path}.hostAliases[{i}].hostnames[{j}]", host, checks.subdomain(host))
    for name in ("priorityClassName", "runtimeClassName"):
        if value := get(name):
            checks.report(errors, f"{path}.{name}", value, checks.subdomain(value))
    preemption = get("preemptionPolicy")
    if preemption is not None:
        checks.one_of(errors, f"{path}.preemptionPolicy", preemption, ("PreemptLowerPriority", "Never"))
    if overhead := get("overhead"):
        validate_requirements(errors, {"limits": overhead}, set(), f"{path}.overhead")
    if (os := get("os")) is not None:
        _validate_os(errors, spec, os.get("name") or "", path)
    return errors


def _validate_resource_claims(errors: Errors, claims: list[dict[str, Any]], path: str) -> None:
    seen: set[str] = set()
    for i, claim in enumerate(claims):
        at = f"{path}[{i}]"
        name = claim.get("name") or ""
        if not name:
            errors.append(field.required(f"{at}.name"))
        elif name in seen:
            errors.append(field.duplicate(f"{at}.name", name))
        else:
            checks.report(errors, f"{at}.name", name, checks.label(name))
            seen.add(name)
        given = [n for n in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(n) is not None]
        if len(given) == 2:
            errors.append(
                field.invalid(
                    at,
                    claim,
                    "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
                )
            )
        elif not given:
            errors.append(
                field.invalid(
                    at, claim, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
                )
            )
        for source in given:
            checks.report(errors, f"{at}.{source}", claim[source], checks.subdomain(claim[source]))


def _validate_pod_resources(
    errors: Errors, spec: dict[str, Any], resources: dict[str, Any], path: str
) -> None:
    validate_requirements(errors, resources, set(), path, pod_level=True)
    limits = resources.get("limits") or {}
    for i, container in enumerate(spec.get("containers") or ()):
        for name, value in ((container.get("resources") or {}).get("limits") or {}).items():
            if name in limits and amount(value) > amount(limits[name]):
                errors.append(
                    field.invalid(
                        f"{path}.containers[{i}][{name}].limits",
                        value,
                        f"must be less than or equal to pod limits of {limits[name]}",
                    )
                )


def _validate_dns_config(errors: Errors, config: dict[str, Any] | None, policy: str, path: str) -> None:
    if policy == "None":
        if config is None:
            errors.append(field.required(path, "must provide `dnsConfig` when `dnsPolicy` is None"))
            return
        if not config.get("nameservers"):
            errors.append(
                field.required(
                    f"{path}.nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None"
                )
            )
            return
    config = config or {}
    servers = config.get("nameservers") or []
    if len(servers) > _MAX_NAMESERVERS:
        errors.append(
            field.invalid(
                f"{path}.nameservers", servers, f"must not have more than {_MAX_NAMESERVERS} nameservers"
            )
        )
    for i, server in enumerate(servers):
        checks.report(errors, f"{path}.nameservers[{i}]", server, checks.ip(server))
    searches = config.get("searches") or []
    if len(searches) > _MAX_SEARCHES:
        errors.append(
            field.invalid(
                f"{path}.searches", searches, f"must not have more than {_MAX_SEARCHES} search paths"
            )
        )
    if len(" ".join(searches)) > _MAX_SEARCH_CHARACTERS:
        errors.append(
            field.invalid(
                f"{path}.searches",
                searches,
                f"must not have more than {_MAX_SEARCH_CHARACTERS} characters (including spaces) in the search list",
            )
        )
    for i, search in enumerate(searches):
        # Underscores and a lone dot are allowed since 1.33.
        if search != ".":
            name = search.removesuffix(".")
            checks.report(errors, f"{path}.searches[{i}]", name, checks.subdomain(name.replace("_", "a")))
    for i, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            errors.append(field.required(f"{path}.options[{i}]", "must not be empty"))


def _validate_hostname_override(errors: Errors, spec: dict[str, Any], override: str, path: str) -> None:
    at = f"{path}.hostnameOverride"
    if spec.get("setHostnameAsFQDN"):
        errors.append(field.forbidden(at, "may not be specified when setHostnameAsFQDN is true"))
    if spec.get("hostNetwork"):
        errors.append(field.forbidden(at, "may not be specified when hostNetwork is true"))
    checks.report(errors, at, override, checks.subdomain(override))
    if len(override) > 64:
        errors.append(field.too_long(at, override, 64))


def _validate_os(errors: Errors, spec: dict[str, Any], name: str, path: str) -> None:
    if not name:
        errors.append(field.required(f"{path}.os.name", "cannot be empty"))
    elif name not in ("linux", "windows"):
        errors.append(field.not_supported(f"{path}.os", name, ["linux", "windows"]))
    elif name == "linux":
        at = f"{path}.securityContext.windowsOptions"
        detail = "windows options cannot be set for a linux pod"
        if (spec.get("securityContext") or {}).get("windowsOptions") is not None:
            errors.append(field.forbidden(at, detail))
        for kind in ("initContainers", "containers", "ephemeralContainers"):
            for i, container in enumerate(spec.get(kind) or ()):
                if (container.get("securityContext") or {}).get("windowsOptions") is not None:
                    errors.append(
                        field.forbidden(f"{path}.{kind}[{i}].securityContext.windowsOptions", detail)
                    )
