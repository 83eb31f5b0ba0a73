"""PriorityClasses."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, field, meta, resources
from apimachinery.field import FieldError
from apiserver.registry.strategy import Column, Strategy, register
from apiserver.validation import checks
from apiserver.validation.meta import validate_object_meta_update

from .printing import AGE, NAME, object_age

HIGHEST_USER_PRIORITY = 1_000_000_000
_SYSTEM = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}


@register
class PriorityClassStrategy(Strategy):
    """A name for a priority of pods."""

    resource = resources.PRIORITY_CLASSES
    counts_generation = True
    allow_create_on_update = False
    columns = (
        NAME,
        Column("Value", "integer", description="value represents the integer value of this priority class."),
        Column(
            "Global-Default",
            "boolean",
            description="globalDefault specifies whether this PriorityClass should be "
            "considered as the default priority for pods that do not have any priority class.",
        ),
        AGE,
        Column(
            "PreemptionPolicy",
            description="preemptionPolicy is the Policy for preempting pods with lower priority.",
        ),
    )

    def default(self, obj: Object) -> None:
        if obj.get("preemptionPolicy") is None:
            obj["preemptionPolicy"] = "PreemptLowerPriority"

    def validate(self, obj: Object) -> list[FieldError]:
        errors = super().validate(obj)
        name, value = meta.name(obj), obj.get("value") or 0
        if name.startswith("system-"):
            if _SYSTEM.get(name) != value:
                errors.append(
                    field.forbidden(
                        "metadata.name",
                        "priority class names with 'system-' prefix are reserved for system use only. "
                        f"error: {name} is not a known system priority class",
                    )
                )
        elif value > HIGHEST_USER_PRIORITY:
            errors.append(
                field.forbidden(
                    "value", f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"
                )
            )
        checks.one_of(
            errors, "preemptionPolicy", obj.get("preemptionPolicy"), ("PreemptLowerPriority", "Never")
        )
        return errors

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors = validate_object_meta_update(obj, old)
        if (obj.get("value") or 0) != (old.get("value") or 0):
            errors.append(field.forbidden("value", "may not be changed in an update."))
        checks.immutable(errors, "preemptionPolicy", obj.get("preemptionPolicy"), old.get("preemptionPolicy"))
        return errors

    def row(self, obj: Object) -> list[Any]:
        return [
            meta.name(obj),
            obj.get("value") or 0,
            bool(obj.get("globalDefault")),
            object_age(obj),
            obj.get("preemptionPolicy") or "",
        ]
