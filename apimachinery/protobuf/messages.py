"""Decoding of messages: field numbers from the table, types from the official schema, plain dicts in JSON form out.

As in the original, unknown fields are skipped, and a message that comes twice is merged. Whether a value makes
sense is left to the schema's own check, which every decoded object goes through like one that came as YAML.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from apimachinery import Object
from apimachinery.protobuf import field_numbers, values, wire
from apimachinery.schema import definitions
from apimachinery.schema import types as t
from apimachinery.schema.types import Type

MAX_DEPTH: Final = 200
"""Messages within each other; more is refused, so that a hostile body cannot exhaust the stack."""

Reader = Callable[[bytes, int, int, int, int, Object], int]
"""Reads one occurrence of a field: data, position, end, wire type, depth, where to put it; the next position."""
Value = Callable[[bytes, int, int, int, Any], Any]
"""Reads a length-delimited value: data, beginning, end, depth, the value read before (None at first)."""

_INTEGERS: Final = {"int32": 32}


class Message:
    """The decoder of one definition; its fields are prepared on first use."""

    __slots__ = ("_definition", "_fields", "_name", "_readers")

    def __init__(self, definition: str, fields: dict[str, Type] | None = None) -> None:
        self._definition = definition
        self._name = definition.rpartition(".")[2]
        self._fields = fields
        self._readers: dict[int, Reader] | None = None

    def decode(self, raw: bytes) -> Object:
        """Decode a whole message. Raises ValueError with the text of the original's decoder."""
        obj: Object = {}
        self.merge(raw, 0, len(raw), 0, obj)
        return obj

    def merge(self, data: bytes, at: int, end: int, depth: int, obj: Object) -> None:
        """Decode a part of ``data`` into ``obj``. Raises ValueError."""
        if depth > MAX_DEPTH:
            raise ValueError("exceeded max depth")
        readers = self._readers
        if readers is None:
            readers = self._readers = self._prepare()
        while at < end:
            number, wire_type, at = wire.tag(data, at, end, self._name)
            reader = readers.get(number)
            if reader is None:
                at = wire.skip(data, at, end, wire_type)
            else:
                at = reader(data, at, end, wire_type, depth, obj)

    def _prepare(self) -> dict[int, Reader]:
        fields = self._fields
        if fields is None:
            fields = definitions.get(self._definition).fields or {}
        readers: dict[int, Reader] = {}
        for number, row in field_numbers.rows(self._definition).items():
            if row.inlined:
                readers[number] = _inlined(Message(row.inlined, fields))
            elif row.name in fields:
                readers[number] = _field(row.name, fields[row.name], row.keeps_zero)
        return readers


@functools.cache
def message(definition: str) -> Message:
    """The decoder of a definition. Raises KeyError for one that has no protobuf form."""
    field_numbers.rows(definition)
    return Message(definition)


def _go_name(name: str) -> str:
    """How errors name a field: as Go does, nearly."""
    return name[:1].upper() + name[1:]


def _delimited(data: bytes, at: int, end: int, wire_type: int, name: str) -> tuple[int, int]:
    if wire_type != wire.BYTES:
        raise ValueError(f"proto: wrong wireType = {wire_type} for field {_go_name(name)}")
    return wire.length(data, at, end)


def _inlined(inner: Message) -> Reader:
    def read(data: bytes, at: int, end: int, wire_type: int, depth: int, obj: Object) -> int:
        begin, end = _delimited(data, at, end, wire_type, inner._name)
        inner.merge(data, begin, end, depth + 1, obj)
        return end

    return read


def _field(name: str, node: Type, keeps_zero: bool) -> Reader:
    match node.kind:
        case t.LIST:
            return _list(name, node.item)
        case t.MAP:
            return _map(name, node.item)
        case t.INTEGER | t.BOOLEAN | t.NUMBER:
            return _number(name, node, keeps_zero)
    value = _value(node)
    scalar = node.kind in (t.STRING, t.BYTES)

    def read(data: bytes, at: int, end: int, wire_type: int, depth: int, obj: Object) -> int:
        begin, end = _delimited(data, at, end, wire_type, name)
        found = value(data, begin, end, depth, obj.get(name))
        if found is None or (scalar and not found and not keeps_zero):
            obj.pop(name, None)
        else:
            obj[name] = found
        return end

    return read


def _scalar(node: Type) -> tuple[int, Callable[[bytes, int, int], tuple[Any, int]]]:
    """The wire type of a number and what reads it."""
    if node.kind == t.NUMBER:
        return wire.FIXED64, values.double
    bits = 0 if node.kind == t.BOOLEAN else _INTEGERS.get(node.format, 64)

    def read(data: bytes, at: int, end: int) -> tuple[Any, int]:
        value, at = wire.varint(data, at, end)
        return (wire.signed(value, bits) if bits else value != 0), at

    return wire.VARINT, read


def _number(name: str, node: Type, keeps_zero: bool) -> Reader:
    expected, scalar = _scalar(node)

    def read(data: bytes, at: int, end: int, wire_type: int, depth: int, obj: Object) -> int:
        if wire_type != expected:
            raise ValueError(f"proto: wrong wireType = {wire_type} for field {_go_name(name)}")
        value, at = scalar(data, at, end)
        if value or keeps_zero:
            obj[name] = value
        else:
            obj.pop(name, None)
        return at

    return read


def _list(name: str, item: Type) -> Reader:
    if item.kind in (t.INTEGER, t.BOOLEAN, t.NUMBER):
        return _numbers(name, item)
    value = _value(item)

    def read(data: bytes, at: int, end: int, wire_type: int, depth: int, obj: Object) -> int:
        begin, end = _delimited(data, at, end, wire_type, name)
        obj.setdefault(name, []).append(value(data, begin, end, depth, None))
        return end

    return read


def _numbers(name: str, item: Type) -> Reader:
    """Numbers come one by one or all in one piece."""
    expected, scalar = _scalar(item)

    def read(data: bytes, at: int, end: int, wire_type: int, depth: int, obj: Object) -> int:
        found = obj.setdefault(name, [])
        if wire_type == expected:
            value, at = scalar(data, at, end)
            found.append(value)
            return at
        at, end = _delimited(data, at, end, wire_type, name)
        while at < end:
            value, at = scalar(data, at, end)
            found.append(value)
        return end

    return read


def _map(name: str, item: Type) -> Reader:
    """A map is a list of entries, each a message of a key and a value."""
    member = _field("value", item, keeps_zero=True) if item.kind != t.LIST else _strings_message("value")

    def read(data: bytes, at: int, end: int, wire_type: int, depth: int, obj: Object) -> int:
        at, end = _delimited(data, at, end, wire_type, name)
        key, entry = "", {"value": _zero(item)}
        while at < end:
            number, wire_type, at = wire.tag(data, at, end, "Entry")
            match number:
                case 1:
                    begin, at = _delimited(data, at, end, wire_type, name)
                    key = data[begin:at].decode("utf-8", "replace")
                case 2:
                    at = member(data, at, end, wire_type, depth + 1, entry)
                case _:
                    at = wire.skip(data, at, end, wire_type)
        obj.setdefault(name, {})[key] = entry.get("value")
        return end

    return read


def _strings_message(name: str) -> Reader:
    """Lists within maps are messages that hold a list (``ExtraValue``)."""
    items = Message("", {})
    items._readers = {1: _list("items", Type(t.STRING))}

    def read(data: bytes, at: int, end: int, wire_type: int, depth: int, obj: Object) -> int:
        begin, end = _delimited(data, at, end, wire_type, name)
        holder: Object = {}
        items.merge(data, begin, end, depth + 1, holder)
        obj[name] = holder.get("items", [])
        return end

    return read


def _zero(item: Type) -> Any:
    match item.kind:
        case t.STRING | t.BYTES:
            return ""
        case t.STRUCT:
            return {}
        case t.LIST:
            return []
        case t.QUANTITY:
            return "0"
    return None


def _value(node: Type) -> Value:
    special = values.SPECIAL.get(node.kind)
    if special is not None:
        return special
    if node.kind == t.OBJECT and node.definition not in values.RAW:
        return lambda data, at, end, depth, old: {}
    inner = message(node.definition) if node.kind == t.STRUCT else None
    if inner is None:
        return values.raw

    def read(data: bytes, at: int, end: int, depth: int, old: Any) -> Any:
        obj = old if old is not None else {}
        inner.merge(data, at, end, depth + 1, obj)
        return obj

    return read
