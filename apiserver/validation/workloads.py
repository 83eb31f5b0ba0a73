"""Validation of the controllers of pods: Deployment and ReplicaSet, with the parts that other workloads share."""

from __future__ import annotations

import re
from typing import Any

from apimachinery import Object, field, names
from apimachinery.field import FieldError
from apimachinery.selectors import LabelSelector

from . import checks
from .checks import Errors
from .meta import validate_label_selector, validate_object_meta, validate_object_meta_update
from .pods import validate_pod_template

_PERCENT = re.compile(r"[0-9]+%\Z")
_STATUS_COUNTS = (
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "observedGeneration",
)


def validate_selector_and_template(errors: Errors, spec: dict[str, Any], path: str = "spec") -> None:
    """Check that the selector is sound and not empty, and that it selects the pods made from the template."""
    selector = spec.get("selector")
    sound = True
    if selector is None:
        errors.append(field.required(f"{path}.selector"))
    else:
        before = len(errors)
        validate_label_selector(errors, selector, f"{path}.selector")
        sound = len(errors) == before
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            errors.append(
                field.invalid(f"{path}.selector", selector, "empty selector is invalid for deployment")
            )
    template = spec.get("template")
    if template is None:
        errors.append(field.required(f"{path}.template"))
        return
    labels = (template.get("metadata") or {}).get("labels") or {}
    # No selector at all selects nothing, an empty one everything.
    if selector is None or (sound and selector and not LabelSelector.from_object(selector).matches(labels)):
        errors.append(
            field.invalid(
                f"{path}.template.metadata.labels",
                labels or None,
                "`selector` does not match template `labels`",
            )
        )
    errors.extend(validate_pod_template(template, f"{path}.template"))


def validate_always_restarts(
    errors: Errors, spec: dict[str, Any], kind: str = "ReplicaSet", path: str = "spec.template"
) -> None:
    """Check that pods of the template restart for ever, as those of a long-running workload have to."""
    pod = (spec.get("template") or {}).get("spec") or {}
    if pod.get("restartPolicy") not in (None, "", "Always"):
        errors.append(field.not_supported(f"{path}.spec.restartPolicy", pod["restartPolicy"], ["Always"]))
    if pod.get("activeDeadlineSeconds") is not None:
        errors.append(
            field.forbidden(
                f"{path}.spec.activeDeadlineSeconds", f"activeDeadlineSeconds in {kind} is not Supported"
            )
        )


def validate_int_or_percent(errors: Errors, value: Any, path: str) -> None:
    """Check a count that may also be a percentage."""
    if isinstance(value, str):
        checks.report(errors, path, value, names.is_percent(value))
    else:
        checks.non_negative(errors, path, value)


def is_not_more_than_100_percent(errors: Errors, value: Any, path: str) -> None:
    """Check that a percentage is at most 100."""
    if isinstance(value, str) and _PERCENT.match(value) and int(value[:-1]) > 100:
        errors.append(field.invalid(path, value, "must not be greater than 100%"))


def _zero(value: Any) -> bool:
    return value == 0 or (isinstance(value, str) and bool(_PERCENT.match(value)) and int(value[:-1]) == 0)


def validate_deployment(deployment: Object) -> list[FieldError]:
    """Check a Deployment."""
    errors = validate_object_meta(deployment)
    _validate_deployment_spec(errors, deployment["spec"])
    return errors


def _validate_deployment_spec(errors: Errors, spec: dict[str, Any]) -> None:
    checks.non_negative(errors, "spec.replicas", spec.get("replicas"))
    validate_selector_and_template(errors, spec)
    validate_always_restarts(errors, spec)
    _validate_strategy(errors, spec.get("strategy") or {}, "spec.strategy")
    checks.non_negative(errors, "spec.minReadySeconds", spec.get("minReadySeconds"))
    checks.non_negative(errors, "spec.revisionHistoryLimit", spec.get("revisionHistoryLimit"))
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        checks.non_negative(errors, "spec.progressDeadlineSeconds", deadline)
        if deadline <= (spec.get("minReadySeconds") or 0):
            errors.append(
                field.invalid(
                    "spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds"
                )
            )


def _validate_strategy(errors: Errors, strategy: dict[str, Any], path: str) -> None:
    kind, rolling = strategy.get("type") or "", strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            errors.append(
                field.forbidden(
                    f"{path}.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'"
                )
            )
    elif kind == "RollingUpdate":
        if rolling is None:
            errors.append(
                field.required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")
            )
            return
        unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
        at = f"{path}.rollingUpdate"
        validate_int_or_percent(errors, unavailable, f"{at}.maxUnavailable")
        validate_int_or_percent(errors, surge, f"{at}.maxSurge")
        if _zero(unavailable) and _zero(surge):
            errors.append(
                field.invalid(f"{at}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
            )
        is_not_more_than_100_percent(errors, unavailable, f"{at}.maxUnavailable")
    else:
        errors.append(field.not_supported(path, strategy, ["Recreate", "RollingUpdate"]))


def validate_deployment_update(deployment: Object, old: Object) -> list[FieldError]:
    """Check an update of a Deployment: its selector stays."""
    errors = validate_object_meta_update(deployment, old)
    _validate_deployment_spec(errors, deployment["spec"])
    checks.immutable(errors, "spec.selector", deployment["spec"].get("selector"), old["spec"].get("selector"))
    return errors


def validate_deployment_status_update(deployment: Object, old: Object) -> list[FieldError]:
    """Check an update of a Deployment's status: counts that add up."""
    errors = validate_object_meta_update(deployment, old)
    status = deployment.get("status") or {}
    for name in _STATUS_COUNTS:
        checks.non_negative(errors, f"status.{name}", status.get(name))
    collisions, before = status.get("collisionCount"), (old.get("status") or {}).get("collisionCount")
    if collisions is not None:
        checks.non_negative(errors, "status.collisionCount", collisions)
    if before is not None and (collisions is None or collisions < before):
        errors.append(field.invalid("status.collisionCount", collisions, "cannot be decremented"))
    _validate_not_more(errors, status, ("updatedReplicas", "readyReplicas", "availableReplicas"))
    return errors


def _validate_not_more(errors: Errors, status: dict[str, Any], counts: tuple[str, ...]) -> None:
    replicas, ready = status.get("replicas") or 0, status.get("readyReplicas") or 0
    for name in counts:
        count = status.get(name) or 0
        if count > replicas:
            errors.append(field.invalid(f"status.{name}", count, "cannot be greater than status.replicas"))
    available = status.get("availableReplicas") or 0
    if available > ready:
        errors.append(
            field.invalid("status.availableReplicas", available, "cannot be greater than readyReplicas")
        )


def validate_replica_set(replica_set: Object) -> list[FieldError]:
    """Check a ReplicaSet."""
    errors = validate_object_meta(replica_set)
    _validate_replica_set_spec(errors, replica_set["spec"])
    return errors


def _validate_replica_set_spec(errors: Errors, spec: dict[str, Any]) -> None:
    checks.non_negative(errors, "spec.replicas", spec.get("replicas"))
    checks.non_negative(errors, "spec.minReadySeconds", spec.get("minReadySeconds"))
    validate_selector_and_template(errors, spec)
    validate_always_restarts(errors, spec)


def validate_replica_set_update(replica_set: Object, old: Object) -> list[FieldError]:
    """Check an update of a ReplicaSet: its selector stays."""
    errors = validate_object_meta_update(replica_set, old)
    _validate_replica_set_spec(errors, replica_set["spec"])
    checks.immutable(
        errors, "spec.selector", replica_set["spec"].get("selector"), old["spec"].get("selector")
    )
    return errors


def validate_replica_set_status_update(replica_set: Object, old: Object) -> list[FieldError]:
    """Check an update of a ReplicaSet's status: counts that add up."""
    errors = validate_object_meta_update(replica_set, old)
    status = replica_set.get("status") or {}
    for name in (
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
    ):
        checks.non_negative(errors, f"status.{name}", status.get(name))
    _validate_not_more(errors, status, ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"))
    return errors
