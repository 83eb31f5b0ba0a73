"""Validation of metadata, common to every kind: names, labels, annotations, owners, finalizers.

Follows the API conventions for ObjectMeta. What the server itself sets (uid, creationTimestamp …) is checked only
for having been left alone.
"""

from __future__ import annotations

from typing import Any

from apimachinery import Object, field
from apimachinery.field import FieldError

from . import checks
from .checks import Check, Errors

TOTAL_ANNOTATION_SIZE_LIMIT = 256 * 1024
STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_IMMUTABLE_FIELDS = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)


def validate_object_meta(
    obj: Object, *, namespaced: bool = True, name: Check = checks.subdomain, path: str = "metadata"
) -> list[FieldError]:
    """Check the metadata of an object about to be stored; its name has been generated already."""
    errors: Errors = []
    meta = obj["metadata"]
    generate_name = meta.get("generateName")
    if generate_name:
        checks.report(errors, f"{path}.generateName", generate_name, checks.prefix_of(name)(generate_name))
    value = meta.get("name")
    if not value:
        errors.append(field.required(f"{path}.name", "name or generateName is required"))
    elif problems := name(value):
        checks.report(errors, f"{path}.name", value, problems)
    namespace = meta.get("namespace")
    if namespaced:
        if not namespace:
            errors.append(field.required(f"{path}.namespace"))
        elif problems := checks.label(namespace):
            checks.report(errors, f"{path}.namespace", namespace, problems)
    elif namespace:
        errors.append(field.forbidden(f"{path}.namespace", "not allowed on this type"))
    generation = meta.get("generation")
    if generation is not None and generation < 0:
        errors.append(field.invalid(f"{path}.generation", generation, checks.NEGATIVE))
    _validate_common(errors, meta, path)
    return errors


def validate_object_meta_update(obj: Object, old: Object, path: str = "metadata") -> list[FieldError]:
    """Check the metadata of an update against the stored object."""
    errors: Errors = []
    meta, old_meta = obj["metadata"], old["metadata"]
    if old_meta.get("deletionTimestamp") and (finalizers := meta.get("finalizers")):
        extra = sorted(set(finalizers) - set(old_meta.get("finalizers") or ()))
        if extra:
            listed = ", ".join(f'"{f}"' for f in extra)
            errors.append(
                field.forbidden(
                    f"{path}.finalizers",
                    "no new finalizers can be added if the object is being deleted, "
                    f"found new finalizers []string{{{listed}}}",
                )
            )
    if (meta.get("generation") or 0) < (old_meta.get("generation") or 0):
        errors.append(
            field.invalid(f"{path}.generation", meta.get("generation") or 0, "must not be decremented")
        )
    for name in _IMMUTABLE_FIELDS:
        if meta.get(name) != old_meta.get(name):
            errors.append(field.invalid(f"{path}.{name}", meta.get(name), checks.IMMUTABLE))
    _validate_common(errors, meta, path)
    return errors


def _validate_common(errors: Errors, meta: dict[str, Any], path: str) -> None:
    labels = meta.get("labels")
    if labels:
        validate_labels(errors, labels, f"{path}.labels")
    annotations = meta.get("annotations")
    if annotations:
        validate_annotations(errors, annotations, f"{path}.annotations")
    owners = meta.get("ownerReferences")
    if owners:
        _validate_owner_references(errors, owners, f"{path}.ownerReferences")
    finalizers = meta.get("finalizers")
    if finalizers:
        _validate_finalizers(errors, finalizers, f"{path}.finalizers")


def validate_labels(errors: Errors, labels: dict[str, str], path: str) -> None:
    """Check keys and values of labels (or of anything written like them, such as a nodeSelector)."""
    for key, value in labels.items():
        if problems := checks.qualified_name(key):
            checks.report(errors, path, key, problems)
        if problems := checks.label_value(value):
            checks.report(errors, path, value, problems)


def validate_annotations(errors: Errors, annotations: dict[str, str], path: str) -> None:
    """Check the keys of annotations and that all together stay within 256 KiB."""
    characters = 0
    for key, value in annotations.items():
        if problems := checks.qualified_name(key.lower()):
            checks.report(errors, path, key, problems)
        characters += len(key) + len(value)
    if characters * 4 > TOTAL_ANNOTATION_SIZE_LIMIT:
        size = sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items())
        if size > TOTAL_ANNOTATION_SIZE_LIMIT:
            errors.append(field.too_long(path, "", TOTAL_ANNOTATION_SIZE_LIMIT))


def _validate_owner_references(errors: Errors, owners: list[dict[str, Any]], path: str) -> None:
    controller = ""
    for owner in owners:
        api_version = owner.get("apiVersion") or ""
        if not api_version:
            errors.append(field.invalid(f"{path}.apiVersion", api_version, "version must not be empty"))
        for name in ("kind", "name", "uid"):
            if not owner.get(name):
                errors.append(
                    field.invalid(f"{path}.{name}", owner.get(name) or "", f"{name} must not be empty")
                )
        if owner.get("kind") == "Event" and api_version == "v1":
            errors.append(field.invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner"))
        if owner.get("controller"):
            if controller:
                errors.append(
                    field.invalid(
                        path,
                        owners,
                        "Only one reference can have Controller set to true. "
                        f'Found "true" in references for {controller} and {owner.get("name")}',
                    )
                )
            controller = owner.get("name") or ""


def _validate_finalizers(errors: Errors, finalizers: list[str], path: str) -> None:
    for finalizer in finalizers:
        checks.report(errors, path, finalizer, checks.qualified_name(finalizer))
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        errors.append(
            field.invalid(path, finalizers, "finalizer orphan and foregroundDeletion cannot be both set")
        )
    for i, finalizer in enumerate(finalizers):
        validate_finalizer_name(errors, finalizer, f"{path}[{i}]", qualified=False)


def validate_finalizer_name(errors: Errors, finalizer: str, path: str, *, qualified: bool = True) -> None:
    """Check that a finalizer is one of the standard three or has a prefix of its own."""
    if qualified:
        checks.report(errors, path, finalizer, checks.qualified_name(finalizer))
    if "/" not in finalizer and finalizer not in STANDARD_FINALIZERS:
        errors.append(
            field.invalid(
                path, finalizer, "name is neither a standard finalizer name nor is it fully qualified"
            )
        )


def validate_set_operator(errors: Errors, operator: str, values: list[Any], at: str) -> bool:
    """Check the number of values of an operator that label and node selectors share; False for any other operator."""
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(
                field.required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")
            )
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            errors.append(
                field.forbidden(
                    f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                )
            )
    else:
        return False
    return True


def validate_label_selector(errors: Errors, selector: dict[str, Any] | None, path: str) -> None:
    """Check a LabelSelector (matchLabels and matchExpressions)."""
    if not selector:
        return
    labels = selector.get("matchLabels")
    if labels:
        validate_labels(errors, labels, f"{path}.matchLabels")
    for i, requirement in enumerate(selector.get("matchExpressions") or ()):
        at = f"{path}.matchExpressions[{i}]"
        operator, values = requirement.get("operator") or "", requirement.get("values") or []
        if not validate_set_operator(errors, operator, values, at):
            errors.append(field.invalid(f"{at}.operator", operator, "not a valid selector operator"))
        key = requirement.get("key") or ""
        checks.report(errors, f"{at}.key", key, checks.qualified_name(key))
        for j, value in enumerate(values):
            checks.report(errors, f"{at}.values[{j}]", value, checks.label_value(value))
