"""Small in-memory pieces that both transports share: the byte connection's interface, inboxes, budgets."""

from __future__ import annotations

import asyncio
from typing import Protocol


class ByteConnection(Protocol):
    """What a transport needs: `HijackedConnection`, or SPDY bytes inside WebSocket messages."""

    async def read(self, limit: int = 65536) -> bytes:
        """Up to `limit` bytes, empty at the end."""
        ...

    def write(self, data: bytes) -> None:
        """Queue bytes."""
        ...

    async def drain(self) -> None:
        """Wait until the peer keeps up."""
        ...

    async def close(self) -> None:
        """Send what is queued, then close."""
        ...


class Budget:
    """How many received bytes may lie unread; the receiving loop waits for `room` before it reads on."""

    def __init__(self, limit: int = 1 << 20) -> None:
        self._limit = limit
        self._used = 0
        self._room = asyncio.Event()
        self._room.set()

    def take(self, count: int) -> None:
        """Count bytes that were received."""
        self._used += count
        if self._used > self._limit:
            self._room.clear()

    def give(self, count: int) -> None:
        """Count bytes that were read or dropped."""
        self._used -= count
        if self._used <= self._limit:
            self._room.set()

    async def room(self) -> None:
        """Return when the unread bytes are within the limit."""
        await self._room.wait()


class Inbox:
    """Bytes received for one stream and not yet read."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._buffer = bytearray()
        self._ended = False
        self._unread = True
        self._changed = asyncio.Event()

    def feed(self, data: bytes) -> None:
        """Append received bytes; after the end, or once nobody reads, they are dropped."""
        if self._ended or not self._unread:
            return
        self._buffer += data
        self._budget.take(len(data))
        self._changed.set()

    def end(self) -> None:
        """No more will come: `read` returns what is left and then empty bytes."""
        self._ended = True
        self._changed.set()

    def drop(self) -> None:
        """Nobody will read any more: free what is buffered and ignore what comes."""
        self._unread = False
        self._budget.give(len(self._buffer))
        self._buffer.clear()

    async def read(self, limit: int = 65536) -> bytes:
        """Up to `limit` bytes; empty at the end."""
        while not self._buffer and not self._ended:
            self._changed.clear()
            await self._changed.wait()
        data = bytes(self._buffer[:limit])
        del self._buffer[:limit]
        self._budget.give(len(data))
        return data

    async def read_all(self) -> bytes:
        """Everything until the end."""
        parts = []
        while part := await self.read():
            parts.append(part)
        return b"".join(parts)
