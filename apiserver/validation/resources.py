"""Validation of compute resources: names, quantities, requests against limits."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Any

from apimachinery import field, quantity

from . import checks
from .checks import Errors

STANDARD_RESOURCES = frozenset(
    {
        "cpu",
        "memory",
        "ephemeral-storage",
        "storage",
        "requests.cpu",
        "requests.memory",
        "requests.ephemeral-storage",
        "requests.storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
        "pods",
        "services",
        "services.nodeports",
        "services.loadbalancers",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
    }
)
CONTAINER_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
POD_LEVEL_RESOURCES = ("cpu", "hugepages-", "memory")
_COUNTED = frozenset(
    {
        "pods",
        "services",
        "services.nodeports",
        "services.loadbalancers",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
    }
)
_HUGE_PAGES = "hugepages-"


@lru_cache(4096)
def amount(value: str | int | float) -> Decimal:
    """The number that a quantity stands for."""
    return quantity.parse(value)


def is_native(name: str) -> bool:
    """Whether Kubernetes itself defines the resource."""
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """Whether the resource is one that a device plugin or an administrator may offer."""
    return (
        not is_native(name)
        and not name.startswith("requests.")
        and not checks.qualified_name(f"requests.{name}")
    )


def is_huge_page(name: str) -> bool:
    """Whether the resource counts huge pages of one size."""
    return name.startswith(_HUGE_PAGES)


def is_overcommit_allowed(name: str) -> bool:
    """Whether a limit may exceed the request."""
    return is_native(name) and not is_huge_page(name)


def is_integer(name: str) -> bool:
    """Whether only whole amounts make sense."""
    return name in _COUNTED or is_extended(name)


def validate_resource_name(name: str) -> checks.Problems:
    """What is wrong with the name of a resource, anywhere."""
    if problems := checks.qualified_name(name):
        return problems
    if "/" not in name and name not in STANDARD_RESOURCES and not is_huge_page(name):
        return ("must be a standard resource type or fully qualified",)
    return ()


@lru_cache(1024)
def validate_container_resource_name(name: str) -> checks.Problems:
    """What is wrong with the name of a resource that a container asks for."""
    problems = validate_resource_name(name)
    if "/" not in name:
        if name not in CONTAINER_RESOURCES and not is_huge_page(name):
            return (*problems, "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        return (*problems, "doesn't follow extended resource name standard")
    return problems


def validate_quantity(errors: Errors, name: str, value: str, path: str) -> None:
    """Check that an amount of a resource is not negative, and whole where it has to be."""
    number = amount(value)
    if number < 0:
        errors.append(field.invalid(path, quantity.canonical(value), checks.NEGATIVE))
    if is_integer(name) and number % 1 != 0:
        errors.append(field.invalid(path, value, "must be an integer"))


def validate_requirements(
    errors: Errors,
    requirements: dict[str, Any] | None,
    claim_names: set[str],
    path: str,
    *,
    pod_level: bool = False,
) -> None:
    """Check the requests, limits and claims of a container (or of a pod)."""
    if not requirements:
        return
    limits = requirements.get("limits") or {}
    requests = requirements.get("requests") or {}
    for name, value in limits.items():
        at = f"{path}.limits[{name}]"
        _validate_amount(errors, name, value, at, pod_level)
    for name, value in requests.items():
        at = f"{path}.requests[{name}]"
        _validate_amount(errors, name, value, at, pod_level)
        limit = limits.get(name)
        if limit is None:
            if not is_overcommit_allowed(name):
                errors.append(
                    field.required(f"{path}.limits", "Limit must be set for non overcommitable resources")
                )
        elif limit != value:
            asked, allowed = amount(value), amount(limit)
            if asked != allowed and not is_overcommit_allowed(name):
                errors.append(
                    field.invalid(f"{path}.requests", value, f"must be equal to {name} limit of {limit}")
                )
            elif asked > allowed:
                errors.append(
                    field.invalid(
                        f"{path}.requests", value, f"must be less than or equal to {name} limit of {limit}"
                    )
                )
    if any(map(is_huge_page, (*limits, *requests))) and not any(
        name in ("cpu", "memory") for name in (*limits, *requests)
    ):
        errors.append(field.forbidden(path, "HugePages require cpu or memory"))
    claims = requirements.get("claims")
    if claims:
        if pod_level:
            errors.append(
                field.forbidden(f"{path}.claims", "claims cannot be set for Resources at pod-level")
            )
        else:
            _validate_claims(errors, claims, claim_names, f"{path}.claims")


def _validate_amount(errors: Errors, name: str, value: str, path: str, pod_level: bool) -> None:
    if pod_level:
        if problems := validate_resource_name(name):
            checks.report(errors, path, name, problems)
        elif name not in POD_LEVEL_RESOURCES and not is_huge_page(name):
            errors.append(field.not_supported(path, name, list(POD_LEVEL_RESOURCES)))
    elif problems := validate_container_resource_name(name):
        checks.report(errors, path, name, problems)
    validate_quantity(errors, name, value, path)
    if is_huge_page(name):
        try:
            page = amount(name.removeprefix(_HUGE_PAGES))
            whole = page > 0 and amount(value) % page == 0
        except ValueError:
            whole = False
        if not whole:
            errors.append(field.invalid(path, value, f"{value} is not positive integer multiple of {name}"))


def _validate_claims(errors: Errors, claims: list[dict[str, Any]], claim_names: set[str], path: str) -> None:
    seen: set[str] = set()
    for i, claim in enumerate(claims):
        at = f"{path}[{i}]"
        name, request = claim.get("name") or "", claim.get("request") or ""
        if not name:
            errors.append(field.required(at))
            continue
        key = f"{name}/{request}" if request else name
        if request and (problems := checks.label(request)):
            checks.report(errors, f"{at}.request", request, problems)
        if name in seen:
            errors.append(field.duplicate(at, name))
        elif key in seen:
            errors.append(field.duplicate(at, key))
        elif not request and any(other.startswith(f"{name}/") for other in seen):
            errors.append(field.duplicate(at, name))
        seen.add(key)
        if name not in claim_names:
            known = f": {', '.join(sorted(claim_names))}" if claim_names else " which is empty"
            detail = "must be one of the names in pod.spec.resourceClaims" + known
            errors.append(replace(field.not_found(at, name), detail=detail))
