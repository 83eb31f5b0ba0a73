"""Validation of Pods and pod templates: on creation, and what each kind of update may change."""

from __future__ import annotations

import json
from typing import Any

from apimachinery import Object, field
from apimachinery.field import FieldError

from . import checks
from .checks import Errors, semantically_equal
from .meta import validate_annotations, validate_labels, validate_object_meta, validate_object_meta_update
from .pod_annotations import validate_annotation_updates, validate_pod_annotations, validate_profiles_match
from .pod_spec import validate_pod_spec
from .remembered import Remembered, spec_key
from .scheduling import validate_tolerations

UPDATABLE_FIELDS = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
_SYSTEM_CONDITIONS = ("PodScheduled", "Ready", "Initialized")
_CONTAINER_LISTS = ("containers", "initContainers")
_valid_specs = Remembered(256)


def validate_pod(pod: Object) -> list[FieldError]:
    """Check a Pod about to be created."""
    errors = _metadata_and_spec(pod)
    spec = pod["spec"]
    if spec.get("ephemeralContainers"):
        errors.append(field.forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        errors.append(
            field.forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared")
        )
    if annotations := pod["metadata"].get("annotations"):
        validate_profiles_match(errors, annotations, spec, "spec")
    return errors


def _metadata_and_spec(pod: Object) -> list[FieldError]:
    meta, spec = pod["metadata"], pod["spec"]
    errors = validate_object_meta(pod)
    if annotations := meta.get("annotations"):
        validate_pod_annotations(errors, annotations, spec, "metadata.annotations")
    key = spec_key(spec)
    if key is None or key not in _valid_specs:
        problems = _spec(spec, meta.get("name") or "")
        errors += problems
        if key is not None and not problems:
            _valid_specs.add(key)
    return errors


def _spec(spec: dict[str, Any], pod_name: str) -> list[FieldError]:
    errors = validate_pod_spec(spec, is_pod=True, pod_name=pod_name)
    if not spec.get("serviceAccountName"):
        for i, volume in enumerate(spec.get("volumes") or ()):
            for j, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
                if source.get("serviceAccountToken") is not None:
                    errors.append(
                        field.forbidden(
                            f"spec.volumes[{i}].projected.sources[{j}].serviceAccountToken",
                            "must not be specified when serviceAccountName is not set",
                        )
                    )
    return errors


def validate_pod_template(template: dict[str, Any], path: str = "spec.template") -> list[FieldError]:
    """Check a PodTemplateSpec."""
    errors: Errors = []
    meta, spec = template.get("metadata") or {}, template.get("spec") or {}
    if labels := meta.get("labels"):
        validate_labels(errors, labels, f"{path}.labels")
    annotations = meta.get("annotations")
    if annotations:
        validate_annotations(errors, annotations, f"{path}.annotations")
        validate_pod_annotations(errors, annotations, spec, f"{path}.annotations")
    errors += validate_pod_spec(spec, f"{path}.spec")
    if annotations:
        validate_profiles_match(errors, annotations, spec, f"{path}.spec")
    if spec.get("ephemeralContainers"):
        errors.append(
            field.forbidden(
                f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template"
            )
        )
    return errors


def validate_pod_update(pod: Object, old: Object) -> list[FieldError]:
    """Check a user's update: of the spec only images, deadlines, more tolerations and fewer gates may change."""
    errors = validate_object_meta_update(pod, old)
    new_spec, old_spec = pod["spec"], old["spec"]
    if new_spec == old_spec:
        # The stored spec was valid, and only what is said of metadata can have become wrong.
        errors += validate_object_meta(pod)
        validate_annotation_updates(errors, pod, old, "metadata.annotations")
        return _unique(errors)
    errors += _metadata_and_spec(pod)
    validate_annotation_updates(errors, pod, old, "metadata.annotations")
    for kind in _CONTAINER_LISTS:
        new_list, old_list = new_spec.get(kind) or [], old_spec.get(kind) or []
        if len(new_list) != len(old_list):
            errors.append(field.forbidden(f"spec.{kind}", "pod updates may not add or remove containers"))
            return _unique(errors)
    if not _validate_deadline(errors, new_spec, old_spec):
        return _unique(errors)
    validate_only_added_tolerations(
        errors, new_spec.get("tolerations") or [], old_spec.get("tolerations") or [], "spec.tolerations"
    )
    _validate_only_deleted_gates(errors, new_spec, old_spec)
    munged = _with_updatable_fields_of(old_spec, new_spec)
    if old_spec.get("schedulingGates"):
        _allow_gated_changes(errors, munged, old_spec)
    if not semantically_equal(munged, old_spec):
        errors.append(
            field.forbidden(
                "spec",
                f"pod updates may not change fields other than {UPDATABLE_FIELDS}\n{_diff(old_spec, munged)}",
            )
        )
    return _unique(errors)


def _unique(errors: Errors) -> list[FieldError]:
    seen: dict[str, FieldError] = {}
    for error in errors:
        seen.setdefault(error.message(), error)
    return list(seen.values())


def _validate_deadline(errors: Errors, new: dict[str, Any], old: dict[str, Any]) -> bool:
    path = "spec.activeDeadlineSeconds"
    value, before = new.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds")
    if value is not None:
        if not 0 <= value <= checks.MAX_INT32:
            errors.append(field.invalid(path, value, f"must be between 0 and {checks.MAX_INT32}, inclusive"))
            return False
        if before is not None and before < value:
            errors.append(field.invalid(path, value, "must be less than or equal to previous value"))
            return False
    elif before is not None:
        errors.append(field.invalid(path, None, "must not update from a positive integer to nil value"))
    return True


def validate_only_added_tolerations(
    errors: Errors, new: list[dict[str, Any]], old: list[dict[str, Any]], path: str
) -> None:
    """Check that tolerations were only added, or their tolerationSeconds changed."""
    if new == old:
        return

    def without_seconds(toleration: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in toleration.items() if k != "tolerationSeconds" and v != ""}

    present = [without_seconds(t) for t in new]
    if any(without_seconds(t) not in present for t in old):
        errors.append(
            field.forbidden(path, "existing toleration can not be modified except its tolerationSeconds")
        )
        return
    validate_tolerations(errors, new, path)


def _validate_only_deleted_gates(errors: Errors, new: dict[str, Any], old: dict[str, Any]) -> None:
    known = {g.get("name") for g in old.get("schedulingGates") or ()}
    for i, gate in enumerate(new.get("schedulingGates") or ()):
        if gate.get("name") not in known:
            errors.append(
                field.forbidden(
                    f"spec.schedulingGates[{i}].name",
                    f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'",
                )
            )


def _with_updatable_fields_of(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The new spec with everything that may change set back to what it was."""
    munged = dict(new)
    for kind in _CONTAINER_LISTS:
        if munged.get(kind):
            munged[kind] = [
                {**c, "image": before.get("image")} for c, before in zip(munged[kind], old[kind], strict=True)
            ]
    for name in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        munged[name] = old.get(name)
    if (old.get("terminationGracePeriodSeconds") or 0) < 0 and munged.get(
        "terminationGracePeriodSeconds"
    ) == 1:
        munged["terminationGracePeriodSeconds"] = old["terminationGracePeriodSeconds"]
    return munged


def _allow_gated_changes(errors: Errors, munged: dict[str, Any], old: dict[str, Any]) -> None:
    """A pod held back by scheduling gates may have its node selector and node affinity narrowed."""
    new_selector, old_selector = munged.get("nodeSelector") or {}, old.get("nodeSelector") or {}
    if any(new_selector.get(k) != v for k, v in old_selector.items()):
        errors.append(
            field.invalid(
                "spec.nodeSelector", new_selector, "only additions are allowed (no mutations or deletions)"
            )
        )
    munged["nodeSelector"] = old.get("nodeSelector")
    new_affinity, old_affinity = munged.get("affinity") or {}, old.get("affinity") or {}
    new_node, old_node = new_affinity.get("nodeAffinity") or {}, old_affinity.get("nodeAffinity") or {}
    if semantically_equal(new_node, old_node):
        return
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    path = f"spec.affinity.nodeAffinity.{required}.nodeSelectorTerms"
    new_terms = (new_node.get(required) or {}).get("nodeSelectorTerms") or []
    old_terms = (old_node.get(required) or {}).get("nodeSelectorTerms") or []
    if old_terms:
        if len(new_terms) != len(old_terms):
            errors.append(
                field.invalid(
                    path, new_terms, "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
                )
            )
        else:
            for i, (term, before) in enumerate(zip(new_terms, old_terms, strict=True)):
                for kind in ("matchExpressions", "matchFields"):
                    kept = (term.get(kind) or [])[: len(before.get(kind) or [])]
                    if kept != (before.get(kind) or []):
                        errors.append(
                            field.invalid(
                                f"{path}[{i}]", term, "only additions are allowed (no mutations or deletions)"
                            )
                        )
    munged["affinity"] = {**new_affinity, "nodeAffinity": old_node}


def _diff(old: dict[str, Any], new: dict[str, Any]) -> str:
    lines = []
    for name in sorted(old.keys() | new.keys()):
        if not semantically_equal(old.get(name), new.get(name)):
            lines.append(f"- {name}: {json.dumps(old.get(name))}")
            lines.append(f"+ {name}: {json.dumps(new.get(name))}")
    return "\n".join(lines) + "\n"


def validate_pod_status_update(pod: Object, old: Object) -> list[FieldError]:
    """Check an update of the status subresource, usually the kubelet's."""
    errors = validate_object_meta_update(pod, old)
    validate_annotation_updates(errors, pod, old, "metadata.annotations")
    status, old_status = pod.get("status") or {}, old.get("status") or {}
    for i, condition in enumerate(status.get("conditions") or ()):
        kind = condition.get("type") or ""
        if kind not in _SYSTEM_CONDITIONS and (problems := checks.qualified_name(kind)):
            checks.report(errors, f"metadata.conditions[{i}].Type", kind, problems)
    nominated = status.get("nominatedNodeName")
    if nominated and nominated != old_status.get("nominatedNodeName"):
        checks.report(errors, "status.nominatedNodeName", nominated, checks.subdomain(nominated))
    if (status.get("qosClass") or "") != (old_status.get("qosClass") or ""):
        errors.append(field.invalid("status.qosClass", status.get("qosClass") or "", checks.IMMUTABLE))
    spec = old["spec"]
    policy = spec.get("restartPolicy") or "Always"
    sidecars = {c.get("name") for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    for kind, kind_policy, exempt in (
        ("containerStatuses", policy, _restartable(spec.get("containers") or ())),
        ("initContainerStatuses", policy, sidecars),
        ("ephemeralContainerStatuses", "Never", set()),
    ):
        _validate_transitions(
            errors, status.get(kind) or [], old_status.get(kind) or [], kind_policy, exempt, kind
        )
    _validate_addresses(errors, status)
    return errors


def _restartable(containers: Any) -> set[Any]:
    """Containers with a restart policy of their own, which the pod's says nothing of."""
    return {c.get("name") for c in containers if c.get("restartPolicy") or c.get("restartPolicyRules")}


def _validate_transitions(
    errors: Errors,
    new: list[dict[str, Any]],
    old: list[dict[str, Any]],
    policy: str,
    exempt: set[Any],
    kind: str,
) -> None:
    if policy == "Always":
        return
    states = {s.get("name"): s.get("state") or {} for s in new}
    for i, status in enumerate(old):
        terminated = (status.get("state") or {}).get("terminated")
        name = status.get("name")
        if terminated is None or name in exempt:
            continue
        if terminated.get("exitCode") != 0 and policy == "OnFailure":
            continue
        if name in states and states[name].get("terminated") is None:
            errors.append(
                field.forbidden(
                    f"status.{kind}[{i}].state", "may not be transitioned to non-terminated state"
                )
            )


def _validate_addresses(errors: Errors, status: dict[str, Any]) -> None:
    host_ips = status.get("hostIPs") or []
    if host_ips and status.get("hostIP") != host_ips[0].get("ip"):
        errors.append(
            field.invalid("status.hostIPs[0].ip", host_ips[0].get("ip"), "must be equal to `hostIP`")
        )
    for name in ("podIPs", "hostIPs"):
        addresses = [a.get("ip") or "" for a in status.get(name) or ()]
        problems = False
        for i, address in enumerate(addresses):
            if found := checks.ip(address):
                checks.report(errors, f"status.{name}[{i}]", address, found)
                problems = True
        if (
            len(addresses) > 1
            and not problems
            and len({checks.is_ipv6(a) for a in addresses}) != len(addresses)
        ):
            errors.append(
                field.invalid(
                    f"status.{name}", status[name], "may specify no more than one IP for each IP family"
                )
            )


def validate_ephemeral_containers_update(pod: Object, old: Object) -> list[FieldError]:
    """Check an update of the ephemeralcontainers subresource: they may only be added."""
    errors = validate_object_meta_update(pod, old) + _metadata_and_spec(pod)
    if MIRROR_ANNOTATION in (old["metadata"].get("annotations") or ()):
        return [field.forbidden("", "static pods do not support ephemeral containers")]
    new = {c.get("name"): c for c in pod["spec"].get("ephemeralContainers") or ()}
    for container in old["spec"].get("ephemeralContainers") or ():
        name = container.get("name")
        if name not in new:
            errors.append(
                field.forbidden(
                    "spec.ephemeralContainers", f'existing ephemeral containers "{name}" may not be removed\n'
                )
            )
        elif not semantically_equal(new[name], container):
            errors.append(
                field.forbidden(
                    "spec.ephemeralContainers",
                    f'existing ephemeral containers "{name}" may not be changed\n{_diff(container, new[name])}',
                )
            )
    return _unique(errors)


def validate_binding(binding: Object) -> list[FieldError]:
    """Check a Binding: it names a node."""
    errors: Errors = []
    target = binding.get("target") or {}
    kind = target.get("kind") or ""
    if kind not in ("", "Node"):
        errors.append(field.not_supported("target.kind", kind, ["Node", "<empty>"]))
    if not target.get("name"):
        errors.append(field.required("target.name"))
    return errors
