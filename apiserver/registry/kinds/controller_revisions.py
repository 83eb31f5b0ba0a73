"""ControllerRevisions."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, field, meta, resources
from apimachinery.field import FieldError
from apiserver.registry.strategy import Column, Strategy, register
from apiserver.validation import checks

from .printing import AGE, NAME, NONE, object_age


@register
class ControllerRevisionStrategy(Strategy):
    """A remembered state of a workload, to roll back to."""

    resource = resources.CONTROLLER_REVISIONS
    columns = (
        NAME,
        Column("Controller", description="Controller of the object"),
        Column("Revision", description="Revision indicates the revision of the state represented by Data."),
        AGE,
    )

    def validate(self, obj: Object) -> list[FieldError]:
        return super().validate(obj) + _validate(obj)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors = super().validate_update(obj, old) + _validate(obj)
        checks.immutable(errors, "data", obj.get("data"), old.get("data"))
        return errors

    def row(self, obj: Object) -> list[Any]:
        owner = meta.controller_of(obj)
        shown = NONE
        if owner is not None:
            group = owner["apiVersion"].rpartition("/")[0]
            shown = f"{owner['kind'].lower()}{'.' + group if group else ''}/{owner['name']}"
        return [meta.name(obj), shown, obj.get("revision") or 0, object_age(obj)]


def _validate(obj: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    checks.non_negative(errors, "revision", obj.get("revision"))
    if obj.get("data") is None:
        errors.append(field.required("data", "data is mandatory"))
    return errors
