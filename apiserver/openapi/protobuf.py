"""The v2 document in protobuf, written by field number (gnostic's ``openapi.v2.Document``).

kubectl up to 1.28 asks for this form only. The message classes would be another dependency for a document that
is built once; the numbers are stable and few.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from apimachinery.resources import Resource
from apiserver.openapi import v2

_METHODS = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}


def encode(raw: dict[str, Any], resources: Iterable[Resource], version: str) -> bytes:
    """The same document as ``v2.document``, in protobuf."""
    info = _text(1, "Kubernetes") + _text(2, version)
    paths = b"".join(_named(2, path, _path(item)) for path, item in v2.paths(resources))
    definitions = b"".join(_named(1, name, _schema(schema)) for name, schema in v2.definitions(raw))
    return _text(1, "2.0") + _bytes(2, info) + _bytes(8, paths) + _bytes(9, definitions)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _flag(field: int, value: bool) -> bytes:
    return _varint(field << 3) + (b"\x01" if value else b"\x00")


def _named(field: int, name: str, value: bytes) -> bytes:
    return _bytes(field, _text(1, name) + _bytes(2, value))


def _any(value: Any) -> bytes:
    """``Any``: the value as YAML, of which JSON is a part."""
    return _bytes(2, orjson.dumps(value) + b"\n")


def _extensions(field: int, value: dict[str, Any]) -> bytes:
    return b"".join(_named(field, key, _any(v)) for key, v in value.items() if key.startswith("x-"))


def _schema(schema: dict[str, Any]) -> bytes:
    out = b""
    if "$ref" in schema:
        out += _text(1, schema["$ref"])
    if "format" in schema:
        out += _text(2, schema["format"])
    if "description" in schema:
        out += _text(4, schema["description"])
    out += b"".join(_text(19, name) for name in schema.get("required", ()))
    if "additionalProperties" in schema:
        out += _bytes(21, _bytes(1, _schema(schema["additionalProperties"])))
    if "type" in schema:
        out += _bytes(22, _text(1, schema["type"]))
    if "items" in schema:
        out += _bytes(23, _bytes(1, _schema(schema["items"])))
    if "properties" in schema:
        out += _bytes(25, b"".join(_named(1, name, _schema(s)) for name, s in schema["properties"].items()))
    return out + _extensions(31, schema)


def _path(item: dict[str, Any]) -> bytes:
    return b"".join(_bytes(_METHODS[method], _operation(o)) for method, o in item.items())


def _operation(operation: dict[str, Any]) -> bytes:
    out = b"".join(_text(1, tag) for tag in operation["tags"])
    out += _text(3, operation["description"]) + _text(5, operation["operationId"])
    out += b"".join(_text(6, media) for media in operation["produces"])
    out += b"".join(_text(7, media) for media in operation["consumes"])
    out += b"".join(_bytes(8, _bytes(1, _parameter(p))) for p in operation["parameters"])
    responses = b"".join(
        _named(1, code, _bytes(1, _response(r))) for code, r in operation["responses"].items()
    )
    out += _bytes(9, responses)
    return out + _extensions(13, operation)


def _parameter(parameter: dict[str, Any]) -> bytes:
    """``Parameter``: a body, or one of the non-body kinds, whose numbers differ slightly."""
    required = parameter.get("required", False)
    if parameter["in"] == "body":
        body = (
            _text(2, "body") + _text(3, "body") + _flag(4, required) + _bytes(5, _schema(parameter["schema"]))
        )
        return _bytes(1, body)
    common = _flag(1, required) + _text(2, parameter["in"]) + _text(3, parameter["description"])
    common += _text(4, parameter["name"])
    if parameter["in"] == "path":
        return _bytes(2, _bytes(4, common + _text(5, parameter["type"])))
    return _bytes(2, _bytes(3, common + _text(6, parameter["type"]) + _flag(20, True)))


def _response(response: dict[str, Any]) -> bytes:
    out = _text(1, response["description"])
    if "schema" in response:
        out += _bytes(2, _bytes(1, _schema(response["schema"])))
    return out
