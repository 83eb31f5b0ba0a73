"""rtnetlink, as much of it as the pod network needs: requests, answers, attributes (rfc3549, linux/rtnetlink.h).

Lean on purpose: wiring a pod is a dozen messages, and the general library for this takes 23 MB of every kubelet and
most of the time. A socket stays in the network namespace in which its thread was when it was opened.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Collection, Iterator
from types import TracebackType

NEWLINK, DELLINK, GETLINK, SETLINK = 16, 17, 18, 19
NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26

CREATE, EXCLUSIVE, REPLACE = 0x400, 0x200, 0x100
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_NESTED = 0x8000
_ERROR, _DONE = 2, 3

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBi")
_ROUTE = struct.Struct("=BBBBBBBBI")
_BUFFER = 1 << 17

Attributes = dict[int, bytes]


class NetlinkError(OSError):
    """The kernel refused a request; `errno` and `strerror` say why."""


def attribute(kind: int, value: bytes | str | int) -> bytes:
    """One attribute: text is zero-terminated, an int a 32-bit number."""
    if isinstance(value, str):
        value = value.encode() + b"\0"
    elif isinstance(value, int):
        value = struct.pack("=I", value)
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | _NESTED, b"".join(parts))


def link_header(index: int = 0, *, family: int = socket.AF_UNSPEC, up: bool = False) -> bytes:
    """struct ifinfomsg; `up` sets the interface up."""
    return _LINK.pack(family, 0, index, int(up), int(up))


def address_header(index: int, prefix_length: int) -> bytes:
    """struct ifaddrmsg for an IPv4 address of global scope."""
    return _ADDRESS.pack(socket.AF_INET, prefix_length, 0, 0, index)


def route_header(prefix_length: int, protocol: int, scope: int = 0) -> bytes:
    """struct rtmsg for a unicast IPv4 route of the main table."""
    return _ROUTE.pack(socket.AF_INET, prefix_length, 0, 0, 254, protocol, scope, 1, 0)


class Link:
    """One interface in the answer to GETLINK."""

    def __init__(self, body: bytes) -> None:
        _, _, self.index, self.flags, _ = _LINK.unpack_from(body)
        self.attributes = parse(body[_LINK.size :])


class Address:
    """One address in the answer to GETADDR."""

    def __init__(self, body: bytes) -> None:
        _, self.prefix_length, _, _, self.index = _ADDRESS.unpack_from(body)
        self.attributes = parse(body[_ADDRESS.size :])


class RouteEntry:
    """One route in the answer to GETROUTE."""

    def __init__(self, body: bytes) -> None:
        _, self.prefix_length, _, _, self.table, self.protocol, _, _, _ = _ROUTE.unpack_from(body)
        self.attributes = parse(body[_ROUTE.size :])


def parse(data: bytes) -> Attributes:
    """The attributes in `data` by kind; values of nested ones are to be parsed in turn."""
    found: Attributes = {}
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < _ATTRIBUTE.size:
            break
        found[kind & 0x3FFF] = data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return found


def text(value: bytes | None) -> str:
    """A zero-terminated attribute as text."""
    return value.rstrip(b"\0").decode() if value is not None else ""


def number(value: bytes | None) -> int | None:
    """A 32-bit attribute."""
    return (
        int.from_bytes(value, "little" if struct.pack("=H", 1)[0] else "big") if value is not None else None
    )


class Netlink:
    """A socket to the kernel's routing tables in the calling thread's namespace. Blocking; one request at a time."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def change(self, kind: int, body: bytes, flags: int = 0, *, ignore: Collection[int] = ()) -> None:
        """A request that changes something. Raises NetlinkError, except for errors that `ignore` names."""
        try:
            for _ in self._talk(kind, body, _ACK | flags):
                continue
        except NetlinkError as error:
            if error.errno not in ignore:
                raise

    def dump(self, kind: int, body: bytes) -> Iterator[bytes]:
        """The bodies of all answers to a request for a listing. Raises NetlinkError."""
        return self._talk(kind, body, _DUMP)

    def get(self, kind: int, body: bytes) -> bytes:
        """The body of the one answer. Raises NetlinkError."""
        return next(self._talk(kind, body, 0))

    def _talk(self, kind: int, body: bytes, flags: int) -> Iterator[bytes]:
        self._sequence += 1
        head = _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, self._sequence, 0)
        self._socket.send(head + body)
        while True:
            data = self._socket.recv(_BUFFER)
            offset = 0
            while offset + _HEADER.size <= len(data):
                length, answer, _, sequence, _ = _HEADER.unpack_from(data, offset)
                content = data[offset + _HEADER.size : offset + length]
                offset += (length + 3) & ~3
                if sequence != self._sequence:
                    continue
                if answer == _DONE:
                    return
                if answer == _ERROR:
                    code = -struct.unpack_from("=i", content)[0]
                    if code:
                        raise NetlinkError(code, os.strerror(code))
                    return
                yield content


GONE = (errno.ENODEV, errno.ESRCH, errno.EADDRNOTAVAIL)
