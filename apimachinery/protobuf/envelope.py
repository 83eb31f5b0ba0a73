"""The envelope of a protobuf body: four magic bytes, then a message that names the kind and holds the object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apimachinery.protobuf import wire

MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"
MAGIC: Final = b"k8s\x00"


@dataclass(slots=True)
class Unknown:
    """A kind and the undecoded bytes of an object of that kind; "" where the sender did not say."""

    api_version: str = ""
    kind: str = ""
    raw: bytes = b""


def open_envelope(body: bytes) -> Unknown:
    """Read the envelope. Raises ValueError with the official text."""
    if not body:
        raise ValueError("empty data")
    if not body.startswith(MAGIC):
        expected = " ".join(str(byte) for byte in MAGIC)
        raise ValueError(
            f"provided data does not appear to be a protobuf message, expected prefix [{expected}]"
        )
    if len(body) == len(MAGIC):
        raise ValueError("empty body")
    found = Unknown()
    at, end = len(MAGIC), len(body)
    while at < end:
        number, wire_type, at = wire.tag(body, at, end, "Unknown")
        match number:
            case 1:
                begin, at = _delimited(body, at, end, wire_type, "TypeMeta")
                _read_type(body, begin, at, found)
            case 2:
                begin, at = _delimited(body, at, end, wire_type, "Raw")
                found.raw = body[begin:at]
            case _:
                at = wire.skip(body, at, end, wire_type)
    return found


def _read_type(body: bytes, at: int, end: int, found: Unknown) -> None:
    while at < end:
        number, wire_type, at = wire.tag(body, at, end, "TypeMeta")
        match number:
            case 1:
                begin, at = _delimited(body, at, end, wire_type, "APIVersion")
                found.api_version = body[begin:at].decode("utf-8", "replace")
            case 2:
                begin, at = _delimited(body, at, end, wire_type, "Kind")
                found.kind = body[begin:at].decode("utf-8", "replace")
            case _:
                at = wire.skip(body, at, end, wire_type)


def _delimited(body: bytes, at: int, end: int, wire_type: int, field: str) -> tuple[int, int]:
    if wire_type != wire.BYTES:
        raise ValueError(f"proto: wrong wireType = {wire_type} for field {field}")
    return wire.length(body, at, end)
