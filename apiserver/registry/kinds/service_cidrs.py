"""ServiceCIDRs."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, field, meta, resources
from apimachinery.field import FieldError
from apiserver.registry.strategy import Column, Strategy, register
from apiserver.validation.coordination import validate_service_cidr
from apiserver.validation.meta import validate_object_meta_update

from .printing import AGE, NAME, object_age


@register
class ServiceCIDRStrategy(Strategy):
    """A range from which Services get their addresses."""

    resource = resources.SERVICE_CIDRS
    counts_generation = True
    columns = (
        NAME,
        Column(
            "CIDRs",
            description="CIDRs defines the IP blocks in CIDR notation from which to assign service cluster "
            "IPs.",
        ),
        AGE,
    )

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_service_cidr(obj)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors = validate_object_meta_update(obj, old)
        new, before = ((o.get("spec") or {}).get("cidrs") or [] for o in (obj, old))
        if new != before and not (len(before) == 1 and len(new) == 2 and new[0] == before[0]):
            errors.append(field.invalid("spec.cidrs[0]", new[0] if new else "", "field is immutable"))
        return errors

    def row(self, obj: Object) -> list[Any]:
        return [meta.name(obj), ",".join((obj.get("spec") or {}).get("cidrs") or ()), object_age(obj)]
