"""Who calls: the subject of a client certificate, read from its DER form.

Only common name and organizations are needed, so the few ASN.1 steps to them are taken here; a full certificate
library would cost the kubelet ten megabytes for its whole life. TLS has verified the chain before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_SEQUENCE, _SET, _OID, _VERSION = 0x30, 0x31, 0x06, 0xA0
_COMMON_NAME, _ORGANIZATION = bytes((0x55, 4, 3)), bytes((0x55, 4, 10))


@dataclass(frozen=True)
class User:
    """An authenticated caller."""

    name: str
    groups: tuple[str, ...] = ()


def from_certificate(der: bytes) -> User | None:
    """The certificate's user; None where there is no common name or the bytes are malformed."""
    try:
        _, certificate = next(_elements(der))
        _, body = next(_elements(certificate))
        parts = [part for part in _elements(body) if part[0] != _VERSION]
        subject = parts[4][1]  # serial, signature, issuer, validity, subject
        attributes = [_attribute(pair) for _, group in _elements(subject) for _, pair in _elements(group)]
    except (StopIteration, IndexError):
        return None
    names = [value for kind, value in attributes if kind == _COMMON_NAME]
    if not names:
        return None
    return User(names[0], tuple(value for kind, value in attributes if kind == _ORGANIZATION))


def _attribute(pair: bytes) -> tuple[bytes, str]:
    (_, kind), (_, value) = list(_elements(pair))[:2]
    return kind, value.decode("utf-8", "replace")


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of consecutive ASN.1 elements."""
    position = 0
    while position < len(data):
        tag, length = data[position], data[position + 1]
        position += 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(data[position : position + size], "big")
            position += size
        yield tag, data[position : position + length]
        position += length
