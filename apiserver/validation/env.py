"""Validation of a container's environment and of the downward API's field and resource references."""

from __future__ import annotations

import re
from typing import Any

from apimachinery import field

from . import checks
from .checks import Errors
from .resources import amount

ENV_FIELD_PATHS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
VOLUME_FIELD_PATHS = (
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
)
# What the downward API knows at all; of these each use supports a part.
_FIELD_LABELS = frozenset(
    (
        *ENV_FIELD_PATHS,
        *VOLUME_FIELD_PATHS,
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.hostname",
        "status.phase",
    )
)
RESOURCE_FIELDS = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_HUGE_PAGE_FIELDS = ("limits.hugepages-", "requests.hugepages-")
_SUBSCRIPT = re.compile(r"(.+)\['(.+)'\]\Z")

_BYTE_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_BYTES = ", ".join(_BYTE_DIVISORS)
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def validate_env(errors: Errors, variables: list[dict[str, Any]], path: str) -> None:
    """Check the variables of a container."""
    for i, variable in enumerate(variables):
        name = variable.get("name")
        if not name:
            errors.append(field.required(f"{path}[{i}].name"))
        elif problems := checks.env_var_name(name):
            checks.report(errors, f"{path}[{i}].name", name, problems)
        source = variable.get("valueFrom")
        if source is not None:
            _validate_value_from(errors, variable, source, f"{path}[{i}].valueFrom")


def _validate_value_from(errors: Errors, variable: dict[str, Any], source: dict[str, Any], path: str) -> None:
    given = [name for name in _SOURCES if source.get(name) is not None]
    if "fieldRef" in given:
        validate_field_ref(errors, source["fieldRef"], ENV_FIELD_PATHS, f"{path}.fieldRef")
    if "resourceFieldRef" in given:
        validate_resource_field_ref(
            errors, source["resourceFieldRef"], f"{path}.resourceFieldRef", volume=False
        )
    for name in ("configMapKeyRef", "secretKeyRef"):
        if name in given:
            _validate_key_ref(errors, source[name], f"{path}.{name}")
    if "fileKeyRef" in given:
        _validate_file_key_ref(errors, source["fileKeyRef"], f"{path}.fileKeyRef")
    if not given:
        errors.append(
            field.invalid(
                path,
                "",
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef`"
                " or `fileKeyRef`",
            )
        )
    elif variable.get("value"):
        errors.append(field.invalid(path, "", "may not be specified when `value` is not empty"))
    elif len(given) > 1:
        errors.append(field.invalid(path, "", "may not have more than one field specified at a time"))


def validate_field_ref(errors: Errors, ref: dict[str, Any], supported: tuple[str, ...], path: str) -> None:
    """Check a reference to a field of the pod, with or without a subscript (`metadata.labels['app']`)."""
    if not ref.get("apiVersion"):
        errors.append(field.required(f"{path}.apiVersion"))
        return
    expression = ref.get("fieldPath")
    if not expression:
        errors.append(field.required(f"{path}.fieldPath"))
        return
    if ref["apiVersion"] != "v1":
        errors.append(
            field.invalid(
                f"{path}.fieldPath",
                expression,
                f"error converting fieldPath: unsupported pod version: {ref['apiVersion']}",
            )
        )
        return
    subscripted = _SUBSCRIPT.match(expression)
    if subscripted:
        name, subscript = subscripted.groups()
        if name == "metadata.annotations":
            checks.report(errors, path, subscript.lower(), checks.qualified_name(subscript.lower()))
        elif name == "metadata.labels":
            checks.report(errors, path, subscript, checks.qualified_name(subscript))
        elif name in _FIELD_LABELS:
            errors.append(field.invalid(path, name, "does not support subscript"))
        else:
            errors.append(_unknown_field(path, expression))
    elif expression not in _FIELD_LABELS:
        errors.append(_unknown_field(path, expression))
    elif expression not in supported:
        errors.append(field.not_supported(f"{path}.fieldPath", expression, list(supported)))


def _unknown_field(path: str, expression: str) -> field.FieldError:
    return field.invalid(
        f"{path}.fieldPath",
        expression,
        f"error converting fieldPath: field label not supported: {expression}",
    )


def validate_resource_field_ref(errors: Errors, ref: dict[str, Any], path: str, *, volume: bool) -> None:
    """Check a reference to a container's request or limit."""
    resource = ref.get("resource") or ""
    if volume and not ref.get("containerName"):
        errors.append(field.required(f"{path}.containerName"))
    elif not resource:
        errors.append(field.required(f"{path}.resource"))
    elif resource not in RESOURCE_FIELDS and not resource.startswith(_HUGE_PAGE_FIELDS):
        errors.append(field.not_supported(f"{path}.resource", resource, list(RESOURCE_FIELDS)))
    divisor = ref.get("divisor")
    if divisor is None or amount(divisor) == 0:
        return
    what = resource.partition(".")[2]
    allowed: tuple[str, ...]
    if what == "cpu":
        allowed, detail = ("1m", "1"), "only divisor's values 1m and 1 are supported with the cpu resource"
    elif what == "memory":
        allowed, detail = (
            _BYTE_DIVISORS,
            f"only divisor's values {_BYTES} are supported with the memory resource",
        )
    elif what == "ephemeral-storage":
        allowed = _BYTE_DIVISORS
        detail = f"only divisor's values {_BYTES} are supported with the local ephemeral storage resource"
    elif what.startswith("hugepages-"):
        allowed, detail = (
            _BYTE_DIVISORS,
            f"only divisor's values {_BYTES} are supported with the hugepages resource",
        )
    else:
        return
    if str(divisor) not in allowed:
        errors.append(field.invalid(f"{path}.divisor", resource, detail))


def _validate_key_ref(errors: Errors, ref: dict[str, Any], path: str) -> None:
    name, key = ref.get("name") or "", ref.get("key") or ""
    checks.report(errors, f"{path}.name", name, checks.subdomain(name))
    if not key:
        errors.append(field.required(f"{path}.key"))
    else:
        checks.report(errors, f"{path}.key", key, checks.config_map_key(key))


def _validate_file_key_ref(errors: Errors, ref: dict[str, Any], path: str) -> None:
    for name in ("key", "volumeName", "path"):
        value = ref.get(name) or ""
        if not value:
            errors.append(field.required(f"{path}.{name}"))
        elif name == "key":
            checks.report(errors, f"{path}.key", value, checks.env_var_name(value))
        elif name == "volumeName":
            checks.report(errors, f"{path}.volumeName", value, checks.label(value))


def validate_env_from(errors: Errors, sources: list[dict[str, Any]], path: str) -> None:
    """Check the ConfigMaps and Secrets whose keys all become variables."""
    for i, source in enumerate(sources):
        prefix = source.get("prefix")
        if prefix:
            checks.report(errors, f"{path}[{i}].prefix", prefix, checks.env_var_name(prefix))
        given = [name for name in ("configMapRef", "secretRef") if source.get(name) is not None]
        for kind in given:
            name = source[kind].get("name") or ""
            if not name:
                errors.append(field.required(f"{path}[{i}].{kind}.name"))
            else:
                checks.report(
                    errors, f"{path}[{i}].{kind}.name", name, checks.prefix_of(checks.subdomain)(name)
                )
        if not given:
            errors.append(field.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            errors.append(field.invalid(path, "", "may not have more than one field specified at a time"))
