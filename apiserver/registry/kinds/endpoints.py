"""Endpoints."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, meta, resources
from apimachinery.field import FieldError
from apiserver.defaults.services import default_endpoints
from apiserver.registry.strategy import Column, Strategy, register
from apiserver.validation.endpoints import validate_endpoints, validate_endpoints_update

from .printing import AGE, NAME, NONE, object_age, with_more

_SHOWN = 3


@register
class EndpointsStrategy(Strategy):
    """The addresses behind a Service, in the older form."""

    resource = resources.ENDPOINTS
    allow_create_on_update = True
    columns = (
        NAME,
        Column("Endpoints", description="The set of all endpoints is the union of all subsets."),
        AGE,
    )

    def default(self, obj: Object) -> None:
        default_endpoints(obj)

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_endpoints(obj)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_endpoints_update(obj, old)

    def warnings(self, obj: Object, old: Object | None = None) -> list[str]:
        if "endpointslice.kubernetes.io/skip-mirror" in (obj["metadata"].get("labels") or ()):
            return []
        return ["v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"]

    def row(self, obj: Object) -> list[Any]:
        return [meta.name(obj), _addresses(obj.get("subsets") or []), object_age(obj)]


def _addresses(subsets: list[dict[str, Any]]) -> str:
    if not subsets:
        return NONE
    texts = []
    for subset in subsets:
        addresses = [a.get("ip") or "" for a in subset.get("addresses") or ()]
        ports = subset.get("ports") or []
        if not ports:
            texts += addresses
        for port in ports:
            texts += [f"[{a}]:{port['port']}" if ":" in a else f"{a}:{port['port']}" for a in addresses]
    return with_more(texts[:_SHOWN], len(texts), _SHOWN)
