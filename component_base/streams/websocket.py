"""RFC 6455 WebSocket framing, server side, and byte connections carried in binary messages.

Only what the streaming protocols need: no extensions. Must never hold more than one message of limited size.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
from collections.abc import Mapping
from contextlib import suppress

from component_base.streams.pipes import ByteConnection

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, TEXT, BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
MAX_MESSAGE = 32 << 20  # bytes, as the original's library allows


class WebSocketError(ConnectionError):
    """The peer broke the protocol; `code` is the close status that says how."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def accept_key(key: str) -> str:
    """The `Sec-WebSocket-Accept` for the client's `Sec-WebSocket-Key`."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


def handshake_fault(headers: Mapping[str, str]) -> str | None:
    """What is wrong with an opening handshake's headers (lower-case names); None if nothing is."""
    if headers.get("sec-websocket-version") != "13":
        return "missing or bad WebSocket Version"
    try:
        valid = len(base64.b64decode(headers.get("sec-websocket-key", ""), validate=True)) == 16
    except ValueError:
        valid = False
    return None if valid else "bad Sec-WebSocket-Key"


def frame(opcode: int, payload: bytes) -> bytes:
    """One whole unmasked frame."""
    length = len(payload)
    if length < 126:
        return struct.pack(">BB", 0x80 | opcode, length) + payload
    if length < 65536:
        return struct.pack(">BBH", 0x80 | opcode, 126, length) + payload
    return struct.pack(">BBQ", 0x80 | opcode, 127, length) + payload


def unmask(payload: bytes, key: bytes) -> bytes:
    """XOR `payload` with the repeated four-byte `key`, by one big-integer operation."""
    length = len(payload)
    mask = (key * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(length, "big")


class WebSocket:
    """The messages of an accepted WebSocket connection. One task may receive while others send."""

    def __init__(self, connection: ByteConnection) -> None:
        self._connection = connection
        self._buffer = bytearray()
        self._closing = False

    async def receive(self) -> tuple[int, bytes] | None:
        """The next message as (TEXT or BINARY, payload); None after the close handshake or the end.

        Answers pings. Raises WebSocketError after having told the peer what it did wrong.
        """
        try:
            return await self._receive()
        except WebSocketError as error:
            self._send_close(error.code)
            raise

    async def _receive(self) -> tuple[int, bytes] | None:
        kind = _CONTINUATION
        message = bytearray()
        while (next_frame := await self._frame()) is not None:
            final, opcode, payload = next_frame
            if opcode == _PING:
                self._write(frame(_PONG, payload))
                await self._connection.drain()
            elif opcode == _CLOSE:
                self._send_close(struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1000)
                return None
            elif opcode in (TEXT, BINARY, _CONTINUATION):
                if (opcode == _CONTINUATION) == (kind == _CONTINUATION):
                    raise WebSocketError(1002, "fragments out of order")
                kind = kind or opcode
                message += payload
                if len(message) > MAX_MESSAGE:
                    raise WebSocketError(1009, "message too large")
                if final:
                    return kind, bytes(message)
            elif opcode != _PONG:
                raise WebSocketError(1002, "unknown opcode")
        return None

    async def _frame(self) -> tuple[bool, int, bytes] | None:
        if not await self._fill(2):
            return None
        first, second = self._buffer[0], self._buffer[1]
        length, size = second & 0x7F, 2
        if first & 0x70 or not second & 0x80:
            raise WebSocketError(1002, "reserved bits set or frame not masked")
        if first & 8 and (length > 125 or not first & 0x80):
            raise WebSocketError(1002, "bad control frame")
        if length >= 126:
            size = 4 if length == 126 else 10
            if not await self._fill(size):
                return None
            length = struct.unpack_from(">H" if size == 4 else ">Q", self._buffer, 2)[0]
        if length > MAX_MESSAGE:
            raise WebSocketError(1009, "message too large")
        if not await self._fill(size + 4 + length):
            return None
        key = bytes(self._buffer[size : size + 4])
        payload = unmask(bytes(self._buffer[size + 4 : size + 4 + length]), key)
        del self._buffer[: size + 4 + length]
        return bool(first & 0x80), first & 0x0F, payload

    async def _fill(self, count: int) -> bool:
        while len(self._buffer) < count:
            data = await self._connection.read()
            if not data:
                return False
            self._buffer += data
        return True

    async def send(self, payload: bytes, opcode: int = BINARY) -> None:
        """Send one message. Raises ConnectionError when the peer is gone or the connection is closing."""
        if self._closing:
            raise ConnectionResetError("WebSocket is closed")
        self._write(frame(opcode, payload))
        await self._connection.drain()

    def _write(self, data: bytes) -> None:
        if not self._closing:
            self._connection.write(data)

    def _send_close(self, code: int) -> None:
        self._write(frame(_CLOSE, struct.pack(">H", code)))
        self._closing = True

    async def close(self, code: int = 1000, patience: float = 3.0) -> None:
        """Send the close frame, let the peer answer for `patience` seconds, then close the connection."""
        if not self._closing:
            self._send_close(code)
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(patience):
                    # What arrives before the peer's close frame was sent before it saw ours.
                    while (late := await self._frame()) is not None and late[1] != _CLOSE:
                        pass
        await self._connection.close()


class WebSocketBytes:
    """A byte stream whose bytes travel as binary messages (SPDY tunnelled through WebSocket)."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._outgoing = bytearray()
        self._sending = asyncio.Lock()

    async def read(self, _limit: int = 65536) -> bytes:
        """The payload of the next message that has one; empty at the end."""
        while (message := await self._socket.receive()) is not None:
            if message[1]:
                return message[1]
        return b""

    def write(self, data: bytes) -> None:
        """Queue bytes for the next `drain`, which sends them as one message."""
        self._outgoing += data

    async def drain(self) -> None:
        """Send what is queued. Raises ConnectionError when the peer is gone."""
        async with self._sending:
            while self._outgoing:
                data, self._outgoing = bytes(self._outgoing), bytearray()
                await self._socket.send(data)

    async def close(self) -> None:
        """Send what is queued and close the WebSocket."""
        with suppress(ConnectionError):
            await self.drain()
        await self._socket.close()
