"""Validation of Leases, Events, and the objects that record service addresses."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from apimachinery import Object, field
from apimachinery.field import FieldError

from . import checks
from .meta import validate_object_meta, validate_object_meta_update

_REASON_LIMIT = 128
_ACTION_LIMIT = 128
_INSTANCE_LIMIT = 128
_NOTE_LIMIT = 1024


def validate_lease(lease: Object) -> list[FieldError]:
    """Check a Lease."""
    return validate_object_meta(lease) + _lease_spec(lease)


def validate_lease_update(lease: Object, old: Object) -> list[FieldError]:
    """Check an update of a Lease."""
    return validate_object_meta_update(lease, old) + _lease_spec(lease)


def _lease_spec(lease: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    spec = lease.get("spec") or {}
    seconds, transitions, holder = (
        spec.get("leaseDurationSeconds"),
        spec.get("leaseTransitions"),
        spec.get("holderIdentity"),
    )
    if seconds is not None and seconds <= 0:
        errors.append(field.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    if transitions is not None and transitions < 0:
        errors.append(
            field.invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0")
        )
    strategy, preferred = spec.get("strategy"), spec.get("preferredHolder")
    if strategy is not None:
        checks.report(errors, "spec.strategy", strategy, checks.qualified_name(strategy))
    if preferred and not strategy:
        errors.append(
            field.forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined")
        )
    if holder == "":
        errors.append(field.invalid("spec.holderIdentity", holder, "must not be empty"))
    return errors


def validate_event(event: Object, *, is_new_api: bool) -> list[FieldError]:
    """Check a core/v1 Event. `is_new_api`: it was sent as events.k8s.io/v1, which asks for more.

    Events of the older kind have no eventTime; of them only the namespaces have to agree.
    """
    errors: list[FieldError] = []
    namespace = event["metadata"].get("namespace") or ""
    about = (event.get("involvedObject") or {}).get("namespace") or ""
    timed = bool(event.get("eventTime"))
    homes = ("", "default", "kube-system") if timed else ("", "default")
    if (namespace not in homes) if not about else (namespace != about and not timed):
        errors.append(field.invalid("involvedObject.namespace", about, "does not match event.namespace"))
    if timed:
        _reporter(errors, event, "reportingController" if is_new_api else "reportingComponent")
    checks.report(errors, "namespace", namespace, checks.subdomain(namespace))
    if is_new_api:
        if not timed:
            errors.append(field.required("eventTime"))
        kind = event.get("type") or ""
        if kind not in ("Normal", "Warning"):
            errors.append(field.invalid("type", "", f"has invalid value: {kind}"))
        for name, empty in (("firstTimestamp", None), ("lastTimestamp", None), ("count", 0), ("source", {})):
            value = event.get(name)
            if value is not None and value != empty:
                errors.append(field.invalid(name, "", "needs to be unset"))
    return errors


def _reporter(errors: list[FieldError], event: Object, controller_field: str) -> None:
    controller = event.get("reportingComponent") or ""
    if not controller:
        errors.append(field.required(controller_field))
    checks.report(errors, controller_field, controller, checks.qualified_name(controller))
    for name, limit in (
        ("reportingInstance", _INSTANCE_LIMIT),
        ("action", _ACTION_LIMIT),
        ("reason", _REASON_LIMIT),
    ):
        value = event.get(name) or ""
        if not value:
            errors.append(field.required(name))
        if len(value) > limit:
            errors.append(field.invalid(name, "", f"can have at most {limit} characters"))
    if len(event.get("message") or "") > _NOTE_LIMIT:
        errors.append(field.invalid("message", "", f"can have at most {_NOTE_LIMIT} characters"))


@lru_cache(1024)
def ip_address_name(value: str) -> checks.Problems:
    """What is wrong with `value` as the name of an IPAddress: it is the address in canonical form."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return ("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",)
    return () if str(address) == value else ("must be a canonical format IP address",)


def validate_ip_address(address: Object) -> list[FieldError]:
    """Check an IPAddress: it belongs to a parent."""
    errors = validate_object_meta(address, namespaced=False, name=ip_address_name)
    parent = (address.get("spec") or {}).get("parentRef")
    if parent is None:
        errors.append(field.required("spec.parentRef"))
        return errors
    for name in ("resource", "name"):
        if not parent.get(name):
            errors.append(field.required(f"spec.parentRef.{name}"))
    return errors


def validate_service_cidr(cidr: Object) -> list[FieldError]:
    """Check a ServiceCIDR: one range, or one of each family."""
    errors = validate_object_meta(cidr, namespaced=False)
    values = (cidr.get("spec") or {}).get("cidrs") or []
    if not values:
        errors.append(field.required("spec.cidrs", "at least one CIDR required"))
    elif len(values) > 2:
        errors.append(field.invalid("spec", cidr.get("spec"), "may only hold up to 2 values"))
    for i, value in enumerate(values):
        checks.report(errors, f"spec.cidrs[{i}]", value, checks.cidr(value))
    return errors
