"""ConfigMaps."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, meta, resources
from apimachinery.field import FieldError
from apiserver.registry.strategy import Column, Strategy, register
from apiserver.validation.config import validate_config_map, validate_config_map_update

from .printing import AGE, NAME, object_age


@register
class ConfigMapStrategy(Strategy):
    """Configuration as text or bytes, by key."""

    resource = resources.CONFIG_MAPS
    columns = (NAME, Column("Data", description="Data contains the configuration data."), AGE)

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_config_map(obj)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_config_map_update(obj, old)

    def row(self, obj: Object) -> list[Any]:
        count = len(obj.get("data") or ()) + len(obj.get("binaryData") or ())
        return [meta.name(obj), count, object_age(obj)]
