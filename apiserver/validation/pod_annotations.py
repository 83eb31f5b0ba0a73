"""Validation of the annotations that mean something on a Pod or its template."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, field

from .checks import Errors
from .paths import local_descending_path

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
APP_ARMOR_PREFIX = "container.apparmor.security.beta.kubernetes.io/"
SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER_PREFIX = "container.seccomp.security.alpha.kubernetes.io/"
_PROFILES = (APP_ARMOR_PREFIX, SECCOMP_CONTAINER_PREFIX, SECCOMP_POD)


def _containers(spec: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{kind}[{i}]", container)
        for kind in ("initContainers", "containers", "ephemeralContainers")
        for i, container in enumerate(spec.get(kind) or ())
    ]


def validate_pod_annotations(
    errors: Errors, annotations: dict[str, str], spec: dict[str, Any], path: str
) -> None:
    """Check the annotations of a Pod that have rules of their own."""
    mirror = annotations.get(MIRROR_ANNOTATION)
    if mirror is not None and not spec.get("nodeName"):
        errors.append(
            field.invalid(
                f"{path}[{MIRROR_ANNOTATION}]",
                mirror,
                "must set spec.nodeName if mirror pod annotation is set",
            )
        )
    cost = annotations.get(DELETION_COST)
    if cost is not None and not _is_int32(cost):
        errors.append(field.invalid(f"{path}[{DELETION_COST}]", cost, "must be a 32bit integer"))
    for key, value in annotations.items():
        if not key.startswith(_PROFILES):
            continue
        if not key.startswith(APP_ARMOR_PREFIX):
            _validate_seccomp(errors, value, f"{path}.{key}")
        else:
            name = key.removeprefix(APP_ARMOR_PREFIX)
            if all(container.get("name") != name for _, container in _containers(spec)):
                errors.append(field.invalid(f"{path}[{key}]", name, "container not found"))
            if value not in ("", "runtime/default", "unconfined") and not value.startswith("localhost/"):
                errors.append(
                    field.invalid(f"{path}[{key}]", value, f'invalid AppArmor profile name: "{value}"')
                )


def _is_int32(text: str) -> bool:
    digits = text.removeprefix("-")
    return (
        digits.isascii()
        and digits.isdigit()
        and (digits == "0" or digits[0] != "0")
        and abs(int(text)) < 2**31
    )


def _validate_seccomp(errors: Errors, profile: str, path: str) -> None:
    if profile in ("runtime/default", "docker/default", "unconfined"):
        return
    if profile.startswith("localhost/"):
        local_descending_path(errors, profile.removeprefix("localhost/"), path)
        return
    errors.append(field.invalid(path, profile, "must be a valid seccomp profile"))


def validate_annotation_updates(errors: Errors, pod: Object, old: Object, path: str) -> None:
    """Check that annotations which describe how the pod was started have not been touched."""
    new, before = pod["metadata"].get("annotations") or {}, old["metadata"].get("annotations") or {}
    if new == before:
        return
    for key, value in before.items():
        if new.get(key) == value:
            continue
        if key.startswith(APP_ARMOR_PREFIX):
            errors.append(field.forbidden(f"{path}[{key}]", "may not remove or update AppArmor annotations"))
        if key == MIRROR_ANNOTATION:
            errors.append(field.forbidden(f"{path}[{key}]", "may not remove or update mirror pod annotation"))
    for key in new.keys() - before.keys():
        if key.startswith(APP_ARMOR_PREFIX):
            errors.append(field.forbidden(f"{path}[{key}]", "may not add AppArmor annotations"))
        if key == MIRROR_ANNOTATION:
            errors.append(field.forbidden(f"{path}[{key}]", "may not add mirror pod annotation"))
    validate_pod_annotations(errors, new, pod["spec"], path)


def validate_profiles_match(
    errors: Errors, annotations: dict[str, str], spec: dict[str, Any], path: str
) -> None:
    """Check that deprecated profile annotations say what the securityContext fields say."""
    if not any(key.startswith(_PROFILES) for key in annotations):
        return
    pod_context = spec.get("securityContext") or {}
    if SECCOMP_POD in annotations:
        _match(
            errors,
            "seccomp",
            annotations[SECCOMP_POD],
            pod_context.get("seccompProfile"),
            f"{path}.securityContext.seccompProfile",
        )
    for at, container in _containers(spec):
        context = container.get("securityContext") or {}
        name = container.get("name")
        for word, prefix, key, inherited in (
            ("seccomp", SECCOMP_CONTAINER_PREFIX, "seccompProfile", None),
            ("apparmor", APP_ARMOR_PREFIX, "appArmorProfile", pod_context.get("appArmorProfile")),
        ):
            annotation = annotations.get(f"{prefix}{name}")
            if annotation is not None:
                profile = context.get(key) or inherited
                _match(errors, word, annotation, profile, f"{path}.{at}.securityContext.{key}")


def _match(errors: Errors, word: str, annotation: str, profile: dict[str, Any] | None, path: str) -> None:
    if profile is None:
        return
    expected = {
        "Unconfined": ("unconfined",),
        "RuntimeDefault": ("runtime/default", "docker/default"),
    }.get(profile.get("type") or "")
    if expected is not None:
        if annotation not in expected:
            errors.append(field.forbidden(f"{path}.type", f"{word} type in annotation and field must match"))
    elif profile.get("type") == "Localhost":
        if not annotation.startswith("localhost/"):
            errors.append(field.forbidden(f"{path}.type", f"{word} type in annotation and field must match"))
        elif annotation.removeprefix("localhost/") != profile.get("localhostProfile"):
            errors.append(
                field.forbidden(
                    f"{path}.localhostProfile", f"{word} profile in annotation and field must match"
                )
            )
