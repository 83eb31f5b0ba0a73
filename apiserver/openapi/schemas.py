"""Definitions as the documents publish them, with descriptions, in either version's dialect.

The packaged definitions allow null everywhere and pin apiVersion and kind by enum; the official documents do
neither. Quantity and IntOrString differ between the two versions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from apimachinery.schema import definitions

_V3_PREFIX: Final = "#/components/schemas/"
_V2_PREFIX: Final = "#/definitions/"
_KEPT: Final = ("description", "format", "required")
_UNTYPED: Final = frozenset(
    definitions.CRD + name
    for name in ("JSON", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray")
)

Schema = dict[str, Any]


def closure(raw: dict[str, Schema], roots: Iterable[str]) -> dict[str, Schema]:
    """The definitions that the roots reach, sorted by name."""
    found: dict[str, Schema] = {}
    pending = list(roots)
    while pending:
        name = pending.pop()
        if name in found or name not in raw:
            continue
        found[name] = raw[name]
        pending.extend(_references(raw[name]))
    return dict(sorted(found.items()))


def _references(schema: Any) -> Iterable[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref":
                yield value.rpartition("/")[2]
            else:
                yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def publish(name: str, schema: Schema, version: int) -> Schema:
    """One definition in the dialect of OpenAPI ``version`` 2 or 3."""
    if name == definitions.QUANTITY:
        out: Schema = {"description": schema.get("description", "")}
        if version == 3:
            return out | {"oneOf": [{"type": "string"}, {"type": "number"}]}
        return out | {"type": "string"}
    if name == definitions.INT_OR_STRING:
        out = {"description": schema.get("description", ""), "format": "int-or-string"}
        if version == 3:
            return out | {"oneOf": [{"type": "integer"}, {"type": "string"}]}
        return out | {"type": "string"}
    if name in _UNTYPED:
        return {"description": schema.get("description", "")}
    return _schema(schema, version)


def _schema(schema: Schema, version: int) -> Schema:
    out: Schema = {}
    reference = schema.get("$ref")
    if reference is not None:
        pointer = (_V3_PREFIX if version == 3 else _V2_PREFIX) + reference.rpartition("/")[2]
        # Siblings of $ref do not count in v3: there the reference goes into allOf.
        if version == 3 and len(schema) > 1:
            out["allOf"] = [{"$ref": pointer}]
        else:
            out["$ref"] = pointer
    for key in _KEPT:
        if key in schema:
            out[key] = schema[key]
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0]
    if kind is not None:
        out["type"] = kind
    if "items" in schema:
        out["items"] = _schema(schema["items"], version)
    additional = schema.get("additionalProperties")
    if isinstance(additional, dict):
        out["additionalProperties"] = _schema(additional, version)
    if "properties" in schema:
        out["properties"] = {
            name: _schema(field, version) for name, field in sorted(schema["properties"].items())
        }
    out.update((key, value) for key, value in schema.items() if key.startswith("x-"))
    return out
