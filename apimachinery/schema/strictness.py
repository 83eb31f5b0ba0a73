"""The slow, exact reading of a body: nulls, unknown fields and duplicate fields, in the order of the document.

Decoding takes this path only when the fast one has seen a sign of trouble, so it is written for exactness:
``unknown field "spec.foo"`` and ``duplicate field "spec.x"`` as the original's strict decoder lists them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from apimachinery.schema import types as t
from apimachinery.schema.types import Type

_ZERO: dict[str, Any] = {
    t.STRING: "",
    t.BYTES: "",
    t.INTEGER: 0,
    t.NUMBER: 0,
    t.BOOLEAN: False,
    t.QUANTITY: "0",
    t.INT_OR_STRING: 0,
}


class Pairs(list[tuple[str, Any]]):
    """A JSON object with its members in order, repeated ones included."""


def parse_pairs(raw: bytes) -> Any:
    """Parse JSON keeping every member. Raises json.JSONDecodeError."""
    return json.loads(raw, object_pairs_hook=Pairs)


def may_repeat_keys(raw: bytes, value: Any) -> bool:
    """Compare the number of keys written with the number of keys read; cheap, and wrong only in fear."""
    if raw.count(b'":') != orjson.dumps(value).count(b'":'):
        return True
    return b'" :' in raw


def repeated_keys(value: Any, path: str = "") -> Iterator[str]:
    """Yield the path of every repeated member of what `parse_pairs` returned, whatever its type may be."""
    if isinstance(value, Pairs):
        seen: set[str] = set()
        for key, member in value:
            where = f"{path}.{key}" if path else key
            if key in seen:
                yield where
            seen.add(key)
            yield from repeated_keys(member, where)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from repeated_keys(item, f"{path}[{index}]")


@dataclass
class Findings:
    """What strict decoding objects to."""

    unknown: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    """Both kinds as official texts, in document order."""

    def add_unknown(self, path: str) -> None:
        if path not in self.unknown:
            self.unknown.append(path)
            self.messages.append(f'unknown field "{path}"')

    def add_duplicate(self, path: str) -> None:
        if path not in self.duplicates:
            self.duplicates.append(path)
            self.messages.append(f'duplicate field "{path}"')


def prune(value: Any, node: Type, findings: Findings, path: str = "") -> Any:
    """Return ``value`` as plain dicts without the fields that the type does not have; list what was found.

    Accepts plain dicts as well as :class:`Pairs`; values of the wrong type are passed on unchanged.
    """
    if isinstance(value, (dict, Pairs)):
        return _prune_object(value, node, findings, path)
    if isinstance(value, list):
        item = node.item if node.kind == t.LIST else t.ANYTHING
        if node.kind == t.ONE_OF:
            item = next((a.item for a in node.alternatives if a.kind == t.LIST), t.ANYTHING)
        return [prune(entry, item, findings, f"{path}[{i}]") for i, entry in enumerate(value)]
    return value


def _prune_object(value: dict[str, Any] | Pairs, node: Type, findings: Findings, path: str) -> dict[str, Any]:
    if node.kind == t.ONE_OF:
        node = next((a for a in node.alternatives if a.kind == t.STRUCT), t.ANYTHING)
    out: dict[str, Any] = {}
    closed = node.kind == t.STRUCT and not node.preserve_unknown
    counts = node.kind in (t.STRUCT, t.MAP)
    for key, member in value if isinstance(value, Pairs) else value.items():
        where = f"{path}.{key}" if path else key
        if closed and key not in (node.fields or {}):
            findings.add_unknown(where)
            continue
        if key in out and counts:
            findings.add_duplicate(where)
        out[key] = prune(member, node.field(key), findings, where)
    return out


def drop_nulls(value: Any, node: Type) -> Any:
    """Read null as the zero value, as Go does: absent in a struct, empty in a list or a map.

    Works in place where it can; values without a schema keep their nulls.
    """
    match node.kind:
        case t.STRUCT if isinstance(value, dict):
            gone = []
            for key, member in value.items():
                if member is None:
                    gone.append(key)
                elif isinstance(member, (dict, list)):
                    drop_nulls(member, node.field(key))
            for key in gone:
                if node.field(key).kind != t.ANY or not node.preserve_unknown:
                    del value[key]
        case t.MAP if isinstance(value, dict):
            for key, member in value.items():
                value[key] = _zero(node.item) if member is None else drop_nulls(member, node.item)
        case t.LIST if isinstance(value, list):
            for i, member in enumerate(value):
                value[i] = _zero(node.item) if member is None else drop_nulls(member, node.item)
        case t.ONE_OF:
            wanted = t.STRUCT if isinstance(value, dict) else t.LIST
            for alternative in node.alternatives:
                if alternative.kind == wanted:
                    drop_nulls(value, alternative)
    return value


def _zero(node: Type) -> Any:
    if node.kind == t.STRUCT or node.kind == t.MAP:
        return {}
    return _ZERO.get(node.kind)
