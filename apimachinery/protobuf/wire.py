"""The protobuf wire format: varints, tags and lengths, with the error texts of the original's generated decoders.

Only reads, and knows nothing of messages or types. Every function takes a position and returns the next one.
"""

from __future__ import annotations

from typing import Final

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
START_GROUP: Final = 3
END_GROUP: Final = 4
FIXED32: Final = 5

CUT_SHORT: Final = "unexpected EOF"
_MASK: Final = 2**64 - 1


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """An unsigned 64-bit number. Raises ValueError when the data end within it or it is too long."""
    value = shift = 0
    while True:
        if shift >= 64:
            raise ValueError("proto: integer overflow")
        if at >= end:
            raise ValueError(CUT_SHORT)
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & _MASK, at
        shift += 7


def signed(value: int, bits: int) -> int:
    """A varint as Go keeps it in an integer of ``bits`` bits: cut off, in two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def tag(data: bytes, at: int, end: int, owner: str) -> tuple[int, int, int]:
    """Field number, wire type, next position; ``owner`` names the message in errors. Raises ValueError."""
    key, at = varint(data, at, end)
    number, wire_type = signed(key >> 3, 32), key & 7
    if wire_type == END_GROUP:
        raise ValueError(f"proto: {owner}: wiretype end group for non-group")
    if number <= 0:
        raise ValueError(f"proto: {owner}: illegal tag {number} (wire type {key})")
    return number, wire_type, at


def length(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Beginning and end of a length-delimited value. Raises ValueError."""
    size, at = varint(data, at, end)
    if size >> 63:
        raise ValueError("proto: negative length found during unmarshaling")
    if at + size > end:
        raise ValueError(CUT_SHORT)
    return at, at + size


def skip(data: bytes, at: int, end: int, wire_type: int) -> int:
    """The position behind a value that nobody wants, groups included. Raises ValueError."""
    depth = 0
    while True:
        match wire_type:
            case 0:
                _, at = varint(data, at, end)
            case 1:
                at += 8
            case 2:
                _, at = length(data, at, end)
            case 3:
                depth += 1
            case 4:
                if not depth:
                    raise ValueError("proto: unexpected end of group")
                depth -= 1
            case 5:
                at += 4
            case _:
                raise ValueError(f"proto: illegal wireType {wire_type}")
        if at > end:
            raise ValueError(CUT_SHORT)
        if not depth:
            return at
        key, at = varint(data, at, end)
        wire_type = key & 7
