"""A connection taken over from HTTP: what an application gets when it answers an `Upgrade:` request itself.

Bytes only; which protocol is spoken over it is the business of `component_base.streams`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

READ_LIMIT = 256 * 1024  # bytes buffered before the peer is made to wait


class HijackedConnection:
    """Reads and writes of a connection (plain or TLS) that no longer belongs to the HTTP server.

    Bytes that arrived behind the request head are the first to be read.
    """

    def __init__(
        self, transport: asyncio.Transport, buffered: bytes, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._reader = asyncio.StreamReader(limit=READ_LIMIT, loop=loop)
        protocol = asyncio.StreamReaderProtocol(self._reader, loop=loop)
        self._writer = asyncio.StreamWriter(transport, protocol, self._reader, loop)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if buffered:
            self._reader.feed_data(buffered)
        transport.resume_reading()

    async def read(self, limit: int = 65536) -> bytes:
        """Up to `limit` bytes; empty at the end of the stream. Raises ConnectionError when it broke."""
        return await self._reader.read(limit)

    async def read_exactly(self, count: int) -> bytes:
        """Exactly `count` bytes. Raises asyncio.IncompleteReadError at the end of the stream."""
        return await self._reader.readexactly(count)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue bytes; follow large or repeated writes with `drain`."""
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the peer has taken enough of what was written. Raises ConnectionError when it is gone."""
        await self._writer.drain()

    def write_eof(self) -> None:
        """End our direction where the transport can (plain TCP); with TLS only `close` ends it."""
        if self._writer.can_write_eof():
            self._writer.write_eof()

    async def close(self) -> None:
        """Send what is queued, then close."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()

    def abort(self) -> None:
        """Close at once, without sending what is queued."""
        self._writer.transport.abort()
