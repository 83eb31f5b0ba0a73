"""The `resize` subresource of Pods: only cpu and memory of running containers change."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, field
from apimachinery.field import FieldError
from apiserver.validation.checks import Errors, semantically_equal
from apiserver.validation.meta import validate_object_meta_update
from apiserver.validation.pod_annotations import MIRROR_ANNOTATION
from apiserver.validation.pod_spec import validate_pod_spec
from apiserver.validation.resources import amount

from .pod_qos import qos_class

_RESIZABLE = ("cpu", "memory")


def prepare_for_resize(pod: Object, old: Object) -> None:
    """Keep of the new pod only the resources and resize policies of its containers."""
    new_spec, old_spec = pod.get("spec") or {}, old["spec"]
    spec = dict(old_spec)
    for kind in ("containers", "initContainers"):
        new, before = new_spec.get(kind) or [], old_spec.get(kind) or []
        if [c.get("name") for c in new] != [c.get("name") for c in before]:
            return  # Added, removed or renamed: validation will say so.
        if before:
            spec[kind] = [_with_resources(b, c) for b, c in zip(before, new, strict=True)]
    if "resources" in new_spec:
        spec["resources"] = new_spec["resources"]
    pod["spec"] = spec


def _with_resources(container: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    merged = dict(container)
    for key in ("resources", "resizePolicy"):
        if key in source:
            merged[key] = source[key]
        else:
            merged.pop(key, None)
    return merged


def validate_pod_resize(pod: Object, old: Object) -> list[FieldError]:
    """Check a resize."""
    errors = validate_object_meta_update(pod, old)
    spec, old_spec = pod["spec"], old["spec"]
    errors += validate_pod_spec(spec, is_pod=True, pod_name=pod["metadata"].get("name", ""))
    if MIRROR_ANNOTATION in (old["metadata"].get("annotations") or ()):
        return [field.forbidden("", "static pods cannot be resized")]
    if (old_spec.get("os") or {}).get("name") == "windows":
        return [field.forbidden("", "windows pods cannot be resized")]
    before = (old.get("status") or {}).get("qosClass") or qos_class(old_spec)
    if before != qos_class(spec):
        errors.append(field.invalid("spec", before, "Pod QOS Class may not change as a result of resizing"))
    for kind in ("initContainers", "containers"):
        new_list, old_list = spec.get(kind) or [], old_spec.get(kind) or []
        if len(new_list) != len(old_list):
            errors.append(field.forbidden(f"spec.{kind}", "pod updates may not add or remove containers"))
            continue
        for i, (new, was) in enumerate(zip(new_list, old_list, strict=True)):
            _validate_container(errors, new, was, kind, f"spec.{kind}[{i}].resources")
    return errors


def _validate_container(
    errors: Errors, new: dict[str, Any], old: dict[str, Any], kind: str, path: str
) -> None:
    if semantically_equal(new, old):
        return
    is_sidecar = old.get("restartPolicy") == "Always"
    if kind == "initContainers" and not is_sidecar:
        errors.append(field.forbidden("spec", "resources for non-sidecar init containers are immutable"))
        return
    resources, old_resources = new.get("resources") or {}, old.get("resources") or {}
    for name, word in (("requests", "requests"), ("limits", "limits")):
        if (old_resources.get(name) or {}).keys() - (resources.get(name) or {}).keys():
            errors.append(field.forbidden(f"{path}.{name}", f"resource {word} cannot be removed"))
    policies = {p.get("resourceName"): p.get("restartPolicy") for p in new.get("resizePolicy") or ()}
    if policies.get("memory") in (None, "", "NotRequired"):
        limit = (resources.get("limits") or {}).get("memory")
        was = (old_resources.get("limits") or {}).get("memory")
        if limit is not None and was is None:
            errors.append(
                field.forbidden(
                    f"{path}.limits[memory]",
                    "memory limits cannot be added unless resizePolicy is RestartContainer",
                )
            )
    if not semantically_equal(_without_resizable(new), _without_resizable(old)):
        scope = "resources for sidecar containers are" if kind == "initContainers" else "resources are"
        errors.append(field.forbidden("spec", f"only cpu and memory {scope} mutable"))


def _without_resizable(container: dict[str, Any]) -> dict[str, Any]:
    resources = container.get("resources") or {}
    kept = {
        name: {k: amount(v) for k, v in (resources.get(name) or {}).items() if k not in _RESIZABLE}
        for name in ("requests", "limits")
    }
    return {**container, "resources": {**kept, "claims": resources.get("claims")}, "resizePolicy": None}
