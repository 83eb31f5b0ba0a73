"""Validation of Namespaces and Nodes."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, field
from apimachinery.field import FieldError

from . import checks
from .checks import Errors
from .meta import validate_finalizer_name, validate_object_meta, validate_object_meta_update
from .resources import validate_quantity
from .scheduling import validate_taints

_POD_CIDR_FIXED = 'node updates may not change podCIDR except from "" to valid'


def validate_namespace(namespace: Object) -> list[FieldError]:
    """Check a Namespace."""
    errors = validate_object_meta(namespace, namespaced=False, name=checks.label)
    _validate_spec_finalizers(errors, namespace)
    return errors


def _validate_spec_finalizers(errors: Errors, namespace: Object) -> None:
    for finalizer in (namespace.get("spec") or {}).get("finalizers") or ():
        validate_finalizer_name(errors, finalizer, "spec.finalizers")


def validate_namespace_update(namespace: Object, old: Object) -> list[FieldError]:
    """Check an update of a Namespace: what is to be updated is metadata only."""
    return validate_object_meta_update(namespace, old)


def validate_namespace_status_update(namespace: Object, old: Object) -> list[FieldError]:
    """Check an update of the status: the phase follows deletionTimestamp."""
    errors = validate_object_meta_update(namespace, old)
    phase = (namespace.get("status") or {}).get("phase")
    deleted = namespace["metadata"].get("deletionTimestamp")
    if not deleted and phase != "Active":
        errors.append(
            field.invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")
        )
    elif deleted and phase != "Terminating":
        errors.append(
            field.invalid(
                "status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty"
            )
        )
    return errors


def validate_namespace_finalize_update(namespace: Object, old: Object) -> list[FieldError]:
    """Check an update through `finalize`."""
    errors = validate_object_meta_update(namespace, old)
    for i, finalizer in enumerate((namespace.get("spec") or {}).get("finalizers") or ()):
        validate_finalizer_name(errors, finalizer, f"spec.finalizers[{i}]")
    return errors


def validate_node(node: Object) -> list[FieldError]:
    """Check a Node."""
    errors = validate_object_meta(node, namespaced=False)
    spec = node.get("spec") or {}
    if taints := spec.get("taints"):
        validate_taints(errors, taints, "metadata.taints")
    _validate_node_resources(errors, node)
    _validate_pod_cidrs(errors, spec.get("podCIDRs") or [])
    return errors


def _validate_node_resources(errors: Errors, node: Object) -> None:
    status = node.get("status") or {}
    for kind in ("capacity", "allocatable"):
        for name, value in (status.get(kind) or {}).items():
            validate_quantity(errors, name, value, f"status.{kind}.{name}")


def _validate_pod_cidrs(errors: Errors, cidrs: list[str]) -> None:
    sound = True
    for i, value in enumerate(cidrs):
        if problems := checks.cidr(value):
            checks.report(errors, f"spec.podCIDRs[{i}]", value, problems)
            sound = False
    if len(cidrs) > 1:
        if sound and len({checks.is_ipv6(c) for c in cidrs}) != len(cidrs):
            errors.append(
                field.invalid("spec.podCIDRs", cidrs, "may specify no more than one CIDR for each IP family")
            )
        for i, value in enumerate(cidrs):
            if value in cidrs[:i]:
                errors.append(field.duplicate(f"spec.podCIDRs[{i}]", value))


def validate_node_update(node: Object, old: Object) -> list[FieldError]:
    """Check an update of a Node, its status included: pod ranges and provider id stay once set."""
    errors = validate_object_meta_update(node, old)
    _validate_node_resources(errors, node)
    seen: list[Any] = []
    for i, address in enumerate((node.get("status") or {}).get("addresses") or ()):
        if address in seen:
            errors.append(field.duplicate(f"status.addresses[{i}]", address))
        seen.append(address)
    spec, old_spec = node.get("spec") or {}, old.get("spec") or {}
    cidrs, old_cidrs = spec.get("podCIDRs") or [], old_spec.get("podCIDRs") or []
    if old_cidrs:
        if cidrs != old_cidrs:
            errors.append(field.forbidden("spec.podCIDRs", _POD_CIDR_FIXED))
    else:
        _validate_pod_cidrs(errors, cidrs)
    provider = old_spec.get("providerID")
    if provider and spec.get("providerID") != provider:
        errors.append(
            field.forbidden(
                "spec.providerID", 'node updates may not change providerID except from "" to valid'
            )
        )
    if taints := spec.get("taints"):
        validate_taints(errors, taints, "metadata.taints")
    if (spec.get("externalID") or "") != (old_spec.get("externalID") or ""):
        errors.append(field.forbidden("spec.externalID", "may not be updated"))
    return errors
