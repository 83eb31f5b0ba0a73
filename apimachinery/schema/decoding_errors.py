"""The words of a body that cannot be decoded, as the original's JSON decoder puts them.

Users meet these texts in ``kubectl`` output and tests compare them, so they name Go types (``int32``,
``map[string]string``, ``v1.PodSpec``) although there is no Go here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic_core import ErrorDetails

from apimachinery.schema import types as t
from apimachinery.schema.types import Type

_SCALARS = {t.STRING: "string", t.BOOLEAN: "bool", t.NUMBER: "float64", t.ANY: "interface {}"}
_NAMED = {
    t.QUANTITY: "resource.Quantity",
    t.INT_OR_STRING: "intstr.IntOrString",
    t.TIME: "v1.Time",
    t.MICRO_TIME: "v1.MicroTime",
    t.BYTES: "[]uint8",
    t.OBJECT: "runtime.RawExtension",
}


def go_type(node: Type) -> str:
    """How Go prints the type: ``int32``, ``[]v1.Container``, ``map[string]string``."""
    if node.kind in _SCALARS:
        return _SCALARS[node.kind]
    if node.kind in _NAMED:
        return _NAMED[node.kind]
    match node.kind:
        case t.INTEGER:
            return node.format or "int64"
        case t.LIST:
            return f"[]{go_type(node.item)}"
        case t.MAP:
            return f"map[string]{go_type(node.item)}"
    return ".".join(node.definition.rsplit(".", 2)[-2:])


def json_word(value: Any) -> str:
    """How Go's decoder calls a JSON value of the wrong type."""
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
    return "null"


def type_error(root: Type, error: ErrorDetails) -> str:
    """The message for one validation error of the compiled schema (unknown fields are not meant)."""
    if error["type"] == "go_value_error":
        return str(error["ctx"]["message"])
    value = error["input"]
    if error["type"] == "json_invalid":
        return error["msg"]
    path, struct, node = _locate(root, error["loc"])
    word = json_word(value)
    if node.kind == t.INTEGER and word == "number":
        word = f"number {json.dumps(value)}"
    if node.kind == t.TIME and word == "number":
        return f"json: cannot unmarshal number into Go value of type {_SCALARS[t.STRING]}"
    if struct is None:
        return f"json: cannot unmarshal {word} into Go value of type {go_type(node)}"
    owner = struct.definition.rpartition(".")[2]
    return (
        f"json: cannot unmarshal {word} into Go struct field {owner}.{'.'.join(path)} of type {go_type(node)}"
    )


def _locate(root: Type, location: Sequence[int | str]) -> tuple[list[str], Type | None, Type]:
    """Names of the struct fields on the way, the innermost struct, and the type at the place."""
    path: list[str] = []
    struct: Type | None = None
    node = root
    for part in location:
        if node.kind == t.STRUCT and isinstance(part, str):
            struct = node
            path.append(part)
            node = node.field(part)
        elif node.kind == t.LIST:
            node = node.item
        elif node.kind == t.MAP:
            if part == "[key]":
                break
            node = node.item
        elif node.kind == t.ONE_OF:
            node = next((a for a in node.alternatives if a.kind == part), t.ANYTHING)
        else:
            break  # the location goes on into the choices of a union
    return path, struct, node


def syntax_error(raw: bytes) -> str:
    """What Go's decoder says of a body that is not JSON at all."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return "invalid character '\\ufffd' in string literal"
    try:
        json.loads(text)
    except json.JSONDecodeError as err:
        if err.pos >= len(text.rstrip()):
            return "unexpected end of JSON input"
        character = text[err.pos]
        match err.msg:
            case "Expecting value":
                return f"invalid character '{character}' looking for beginning of value"
            case "Extra data":
                return f"invalid character '{character}' after top-level value"
            case "Expecting property name enclosed in double quotes":
                return f"invalid character '{character}' looking for beginning of object key string"
            case "Expecting ',' delimiter":
                return f"invalid character '{character}' after object key:value pair"
            case "Expecting ':' delimiter":
                return f"invalid character '{character}' after object key"
        return "unexpected end of JSON input"
    return "invalid JSON"
