"""One reader of a watch: first what exists, then what changes, as batches shared with other readers.

A watcher owns no copies: its queue holds references to batches. It never waits for a slow reader: one whose
unsent bytes exceed the limit is ended and comes back when it can.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from apiserver.storage.events import Batch, WatchEvent, bookmark

DEFAULT_MOST_UNSENT: Final = 8 << 20
"""Bytes that may wait for a reader before it is dropped."""

Sink = Callable[[Batch], int]
"""Writes a batch to the connection at once and returns how many bytes of that connection are still unsent."""


class Watcher:
    """The events of one watch. Either iterate (`async for batch in watcher`) or `pump` into a connection.

    `ended` says why it is over: "" (not over), "closed" (by `close`), "expired" (an ERROR event was the last one),
    "slow", "broken" (its events could not be encoded or written). Always `close()` it.
    """

    __slots__ = (
        "_initial", "_leave", "_queue", "_sink", "_unsent", "_waiter",
        "bookmarks", "ended", "head", "most_unsent", "revision",
    )  # fmt: skip

    def __init__(
        self,
        initial: Iterator[Batch],
        leave: Callable[["Watcher"], None],
        *,
        head: bytes,
        revision: int,
        bookmarks: bool,
        most_unsent: int,
    ) -> None:
        self._initial = initial
        self._leave = leave
        self._queue: deque[Batch] = deque()
        self._unsent = 0
        self._sink: Sink | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.head = head
        self.revision = revision
        self.bookmarks = bookmarks
        self.most_unsent = most_unsent
        self.ended = ""

    def __aiter__(self) -> "Watcher":
        return self

    async def __anext__(self) -> Batch:
        """Return the next batch; ends when the watch is over and all batches are read."""
        batch = next(self._initial, None)
        if batch is not None:
            return batch
        while not self._queue:
            if self.ended:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        batch = self._queue.popleft()
        self._unsent -= len(batch.data)
        return batch

    async def pump(self, sink: Sink, drain: Callable[[], Awaitable[None]]) -> str:
        """Write everything into `sink` until the watch is over; return why (see `ended`).

        The first batches are written one by one with `drain()` between; from then on batches go straight into
        the sink from where they arise, without waking a task.
        """
        for batch in self._initial:
            sink(batch)
            await drain()
        while self._queue:
            sink(self._queue.popleft())
            await drain()
        self._unsent = 0
        self._sink = sink
        if not self.ended:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self.ended

    def deliver(self, batch: Batch) -> None:
        """Take a batch from the cache (called by the hub only)."""
        if self._sink is not None:
            unsent = self._sink(batch)
        else:
            self._queue.append(batch)
            self._unsent += len(batch.data)
            unsent = self._unsent
            self._wake()
        if unsent > self.most_unsent:
            self._queue.clear()
            self.end("slow")

    def send_bookmark(self, revision: int) -> None:
        """Send a BOOKMARK now, as servers do shortly before they end a watch. `revision`: what has been sent."""
        self.deliver(Batch([bookmark(self.head, revision)]))

    def fail(self, event: WatchEvent) -> None:
        """End with an ERROR event."""
        self.deliver(Batch([event]))
        self.end("expired")

    def end(self, reason: str) -> None:
        """End for a reason; what is queued can still be read, except by a slow reader."""
        if not self.ended:
            self.ended = reason
            self._leave(self)
            self._wake()

    def close(self) -> None:
        """Leave. Harmless when it is over already."""
        self.end("closed")

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done() and (self._sink is None or self.ended):
            waiter.set_result(None)
