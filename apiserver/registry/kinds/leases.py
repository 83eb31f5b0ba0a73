"""Leases."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, meta, resources
from apimachinery.field import FieldError
from apiserver.registry.strategy import Column, Strategy, register
from apiserver.validation.coordination import validate_lease, validate_lease_update

from .printing import AGE, NAME, object_age


@register
class LeaseStrategy(Strategy):
    """A lock that expires: leader election, and the heartbeats of nodes."""

    resource = resources.LEASES
    allow_create_on_update = True
    allow_unconditional_update = False
    columns = (
        NAME,
        Column(
            "Holder", description="holderIdentity contains the identity of the holder of a current lease."
        ),
        AGE,
    )

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_lease(obj)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_lease_update(obj, old)

    def row(self, obj: Object) -> list[Any]:
        return [meta.name(obj), (obj.get("spec") or {}).get("holderIdentity") or "", object_age(obj)]
