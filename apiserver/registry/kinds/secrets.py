"""Secrets."""

from __future__ import annotations

import base64
from typing import Any

from apimachinery import Object, meta, resources
from apimachinery.field import FieldError
from apiserver.registry.strategy import Column, RequestContext, Strategy, register
from apiserver.validation.config import validate_secret, validate_secret_update

from .printing import AGE, NAME, object_age


@register
class SecretStrategy(Strategy):
    """Bytes by key that not everybody may read."""

    resource = resources.SECRETS
    columns = (
        NAME,
        Column("Type", description="Used to facilitate programmatic handling of secret data."),
        Column("Data", description="Data contains the secret data."),
        AGE,
    )

    def default(self, obj: Object) -> None:
        if not obj.get("type"):
            obj["type"] = "Opaque"
        _fold_string_data(obj)

    def prepare_for_create(self, obj: Object, ctx: RequestContext) -> None:
        super().prepare_for_create(obj, ctx)
        _fold_string_data(obj)

    def prepare_for_update(self, obj: Object, old: Object, ctx: RequestContext) -> None:
        super().prepare_for_update(obj, old, ctx)
        _fold_string_data(obj)

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_secret(obj)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_secret_update(obj, old)

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        return {"type": obj.get("type") or ""}

    def row(self, obj: Object) -> list[Any]:
        return [meta.name(obj), obj.get("type") or "", len(obj.get("data") or ()), object_age(obj)]


def _fold_string_data(obj: Object) -> None:
    """stringData is for writing only: its values, encoded, become part of data and win."""
    text = obj.pop("stringData", None)
    if text:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in text.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}
