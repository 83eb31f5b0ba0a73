"""EndpointSlices."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, meta, resources
from apimachinery.field import FieldError
from apiserver.defaults.services import default_endpoint_slice
from apiserver.registry.strategy import Column, RequestContext, Strategy, register
from apiserver.validation.endpoints import validate_endpoint_slice, validate_endpoint_slice_update

from .printing import AGE, NAME, object_age, with_more

_SHOWN = 3
_UNSET = "<unset>"


@register
class EndpointSliceStrategy(Strategy):
    """A part of the endpoints of a Service."""

    resource = resources.ENDPOINT_SLICES
    allow_create_on_update = True
    columns = (
        NAME,
        Column(
            "AddressType",
            description="addressType specifies the type of address carried by this EndpointSlice.",
        ),
        Column(
            "Ports",
            description="ports specifies the list of network ports exposed by each endpoint in this slice.",
        ),
        Column("Endpoints", description="endpoints is a list of unique endpoints in this slice."),
        AGE,
    )

    def default(self, obj: Object) -> None:
        default_endpoint_slice(obj)

    def prepare_for_create(self, obj: Object, ctx: RequestContext) -> None:
        obj["metadata"]["generation"] = 1

    def prepare_for_update(self, obj: Object, old: Object, ctx: RequestContext) -> None:
        self.bump_generation(obj, old)
        labels, old_labels = obj["metadata"].get("labels") or {}, old["metadata"].get("labels") or {}
        if labels != old_labels and obj["metadata"]["generation"] == (old["metadata"].get("generation") or 0):
            obj["metadata"]["generation"] += 1

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_endpoint_slice(obj)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_endpoint_slice_update(obj, old)

    def row(self, obj: Object) -> list[Any]:
        ports = [_port(p) for p in obj.get("ports") or ()]
        addresses = [a for e in obj.get("endpoints") or () for a in e.get("addresses") or ()]
        return [
            meta.name(obj),
            obj.get("addressType") or "",
            with_more(ports[:_SHOWN], len(ports), _SHOWN) or _UNSET,
            with_more(addresses[:_SHOWN], len(addresses), _SHOWN) or _UNSET,
            object_age(obj),
        ]


def _port(port: dict[str, Any]) -> str:
    if port.get("port") is not None:
        return str(port["port"])
    return port.get("name") or "*"
