"""ServiceAccounts."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, meta, resources
from apimachinery.field import FieldError
from apiserver.registry.strategy import Column, Strategy, register
from apiserver.validation.meta import validate_object_meta, validate_object_meta_update

from .printing import AGE, NAME, object_age


@register
class ServiceAccountStrategy(Strategy):
    """An identity for processes in pods."""

    resource = resources.SERVICE_ACCOUNTS
    returns_deleted_object = True
    columns = (
        NAME,
        Column(
            "Secrets",
            description="Secrets is a list of the secrets in the same namespace that pods running using "
            "this ServiceAccount are allowed to use.",
        ),
        AGE,
    )

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_object_meta(obj)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_object_meta_update(obj, old)

    def row(self, obj: Object) -> list[Any]:
        return [meta.name(obj), len(obj.get("secrets") or ()), object_age(obj)]
