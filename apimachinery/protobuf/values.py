"""The values with a wire form of their own: text, bytes, times, quantities, numbers-or-names and raw JSON.

Each reader gets the data, the beginning and the end of its value, the depth and what was read before it. None
means that the value counts as absent.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from apimachinery import times
from apimachinery.protobuf import wire
from apimachinery.schema import definitions
from apimachinery.schema import types as t

RAW: Final = frozenset({"io.k8s.apimachinery.pkg.runtime.RawExtension", definitions.META + "FieldsV1"})
"""Objects without schema: their message holds JSON."""

_YEAR_ONE, _YEAR_10000 = -62135596800, 253402300800


def text(data: bytes, at: int, end: int, depth: int, old: Any) -> str:
    """A string; what is not UTF-8 is replaced, as Go does when it writes JSON."""
    return data[at:end].decode("utf-8", "replace")


def base64(data: bytes, at: int, end: int, depth: int, old: Any) -> str:
    """Bytes, which are base64 in JSON."""
    return binascii.b2a_base64(data[at:end], newline=False).decode()


def double(data: bytes, at: int, end: int) -> tuple[float | int, int]:
    """A floating-point number and the next position; whole numbers come out as integers. Raises ValueError."""
    if at + 8 > end:
        raise ValueError(wire.CUT_SHORT)
    value: float = struct.unpack_from("<d", data, at)[0]
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"json: unsupported value: {value}")
    return (int(value) if value.is_integer() and abs(value) < 2**53 else value), at + 8


def _members(data: bytes, at: int, end: int, owner: str) -> dict[int, int | bytes]:
    """The fields of a small message by number: varints and bytes. Raises ValueError."""
    found: dict[int, int | bytes] = {}
    while at < end:
        number, wire_type, at = wire.tag(data, at, end, owner)
        if wire_type == wire.VARINT:
            found[number], at = wire.varint(data, at, end)
        elif wire_type == wire.BYTES:
            begin, at = wire.length(data, at, end)
            found[number] = data[begin:at]
        else:
            at = wire.skip(data, at, end, wire_type)
    return found


def _integer(members: Mapping[int, int | bytes], number: int, bits: int, field: str) -> int:
    value = members.get(number, 0)
    if isinstance(value, bytes):
        raise ValueError(f"proto: wrong wireType = {wire.BYTES} for field {field}")
    return wire.signed(value, bits)


def _bytes(members: Mapping[int, int | bytes], number: int, field: str) -> bytes:
    value = members.get(number, b"")
    if isinstance(value, int):
        raise ValueError(f"proto: wrong wireType = {wire.VARINT} for field {field}")
    return value


def _moment(data: bytes, at: int, end: int) -> tuple[int, int] | None:
    """Seconds and nanoseconds since the epoch; None for the empty message, which is no time at all."""
    if at == end:
        return None
    members = _members(data, at, end, "Timestamp")
    seconds = _integer(members, 1, 64, "Seconds")
    if not _YEAR_ONE <= seconds < _YEAR_10000:
        raise ValueError("Time.MarshalJSON: year outside of range [0,9999]")
    return seconds, _integer(members, 2, 32, "Nanos")


def time(data: bytes, at: int, end: int, depth: int, old: Any) -> str | None:
    """``Time``: whole seconds."""
    moment = _moment(data, at, end)
    return None if moment is None else times.format(moment[0])


def micro_time(data: bytes, at: int, end: int, depth: int, old: Any) -> str | None:
    """``MicroTime``: microseconds."""
    moment = _moment(data, at, end)
    if moment is None:
        return None
    seconds, nanos = moment
    return f"{times.format(seconds)[:-1]}.{min(max(nanos, 0), 999_999_999) // 1000:06d}Z"


def quantity(data: bytes, at: int, end: int, depth: int, old: Any) -> str:
    """``Quantity``: its text."""
    return _bytes(_members(data, at, end, "Quantity"), 1, "String_").decode("utf-8", "replace")


def int_or_string(data: bytes, at: int, end: int, depth: int, old: Any) -> int | str:
    """``IntOrString``: a number, or a text when its type says so."""
    members = _members(data, at, end, "IntOrString")
    if _integer(members, 1, 64, "Type") == 1:
        return _bytes(members, 3, "StrVal").decode("utf-8", "replace")
    return _integer(members, 2, 32, "IntVal")


def raw(data: bytes, at: int, end: int, depth: int, old: Any) -> Any:
    """``RawExtension``, ``FieldsV1``: JSON within bytes. Raises ValueError when it is something else."""
    content = _bytes(_members(data, at, end, "RawExtension"), 1, "Raw")
    return orjson.loads(content) if content else None


SPECIAL: Final[Mapping[str, Callable[[bytes, int, int, int, Any], Any]]] = {
    t.STRING: text,
    t.BYTES: base64,
    t.TIME: time,
    t.MICRO_TIME: micro_time,
    t.QUANTITY: quantity,
    t.INT_OR_STRING: int_or_string,
}
