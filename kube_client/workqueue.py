"""The queue between events and reconcilers.

A key waits at most once however often it is added, is never handed to two workers at a time, and comes back
later and later when it fails (5 ms doubling to 1000 s, as the original's default). It must never know what a
key means. One event loop only; no timers run while nothing is delayed.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_DELAY = 0.005
LAST_DELAY = 1000.0
MANY_RESTING = 1000


class WorkQueue(Generic[K]):
    """Delays are in seconds."""

    def __init__(self, first_delay: float = FIRST_DELAY, last_delay: float = LAST_DELAY) -> None:
        self._first_delay, self._last_delay = first_delay, last_delay
        self._ready: deque[K] = deque()
        self._dirty: set[K] = set()
        self._processing: set[K] = set()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._failures: dict[K, int] = {}
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._resting: dict[K, float] = {}
        self._sequence = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: K) -> None:
        """Make the key ready now (or after its rest); if a worker has it, again when that worker is done."""
        if key in self._dirty:
            return
        rested = self._resting.get(key)
        if rested is not None:
            if rested > asyncio.get_running_loop().time():
                self._schedule(key, rested)
                return
            del self._resting[key]
        self._dirty.add(key)
        if key not in self._processing:
            self._push(key)

    def add_after(self, key: K, delay: float) -> None:
        """Make the key ready after `delay` seconds; the earliest of several delays wins."""
        if delay <= 0:
            self.add(key)
            return
        self._schedule(key, asyncio.get_running_loop().time() + delay)

    def _schedule(self, key: K, due: float) -> None:
        if key in self._due and self._due[key] <= due:
            return
        self._due[key] = due
        self._sequence += 1
        heapq.heappush(self._heap, (due, self._sequence, key))
        self._arm()

    def add_rate_limited(self, key: K) -> None:
        """Make the key ready after its own back-off, which doubles each time until `forget`."""
        self.add_after(key, self.back_off(key))

    def back_off(self, key: K) -> float:
        """Count one more failure of the key and return the delay in seconds that it has earned."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        return min(self._first_delay * 2.0 ** min(failures, 60), self._last_delay)

    def forget(self, key: K) -> None:
        """The key succeeded: its next failure starts from the first delay."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """How often the key failed since it was last forgotten."""
        return self._failures.get(key, 0)

    async def get(self) -> K:
        """Wait for a ready key. The caller must call `done` with it."""
        while not self._ready:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # the wake-up was for somebody: pass it on
                raise
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._processing.add(key)
        return key

    def done(self, key: K, rest: float = 0.0) -> None:
        """The worker has finished with the key, which is not handed out again for `rest` seconds."""
        self._processing.discard(key)
        if rest > 0:
            now = asyncio.get_running_loop().time()
            if len(self._resting) >= MANY_RESTING:
                self._resting = {one: until for one, until in self._resting.items() if until > now}
            self._resting[key] = now + rest
        if key in self._dirty:
            if rest > 0:
                self._dirty.discard(key)
                self._schedule(key, self._resting[key])
            else:
                self._push(key)

    def close(self) -> None:
        """Drop the timer, so that nothing is left in the event loop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _push(self, key: K) -> None:
        self._ready.append(key)
        self._wake()

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _arm(self) -> None:
        if not self._heap:
            return
        due = self._heap[0][0]
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        # uvloop gives a handle without when() for a time that has come already.
        self._timer, self._timer_due = asyncio.get_running_loop().call_at(due, self._fire), due

    def _fire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time() + 0.001  # the loop's clock resolution
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                if self._resting.get(key, 0.0) <= now:
                    self._resting.pop(key, None)
                self.add(key)
        self._arm()
