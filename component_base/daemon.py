"""The life of a daemon process: event loop, signals, garbage collector, exit code, back-off.

Every daemon's `__main__` ends in `run(main)`. Nothing here knows what the daemon does.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import random
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn

import uvloop

from component_base import logs

_RETURN_MEMORY_SECONDS = 10.0
_log = logs.get_logger("daemon")


def run(main: Callable[[asyncio.Event], Awaitable[None]]) -> NoReturn:
    """Run `main(stop)` on uvloop until it returns, then exit the process.

    SIGTERM and SIGINT set `stop`: main is to end in good order; a second signal ends the process at once. Exit
    code 0 after a return, 1 after an exception (which is logged), or the code of a SystemExit.
    """
    # Daemons hold long-lived objects by the ten thousand; collecting as often as the default does costs a
    # visible share of the CPU and finds next to nothing.
    gc.set_threshold(50_000, 20, 100)
    code = 0
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_supervise(main))
    except KeyboardInterrupt:
        code = 130
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else 1
        if isinstance(exit_.code, str):
            print(exit_.code, file=sys.stderr)
    except Exception as error:
        _log.error("Daemon failed", error=error, exc_info=True)
        code = 1
    sys.stderr.flush()
    sys.exit(code)


async def _supervise(main: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if stop.is_set():
            raise SystemExit(128 + number)
        _log.info("Stopping", signal=signal.Signals(number).name)
        stop.set()

    _return_memory(loop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    await main(stop)


def _return_memory(loop: asyncio.AbstractEventLoop) -> None:
    """Give what a burst left behind back to the system, now and then: glibc keeps it, a few milliseconds free it."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)
        loop.call_later(_RETURN_MEMORY_SECONDS, _return_memory, loop)


def settle() -> None:
    """Call once start-up work is done: what lives now lives long, so full collections need not visit it."""
    gc.collect()
    gc.freeze()


class Backoff:
    """Growing waits between attempts: `initial`, then times `factor` up to `cap` seconds, each ± `jitter`."""

    def __init__(
        self, initial: float = 0.1, factor: float = 2.0, cap: float = 30.0, jitter: float = 0.1
    ) -> None:
        self._initial, self._factor, self._cap, self._jitter = initial, factor, cap, jitter
        self._next = initial

    def next(self) -> float:
        """The seconds to wait before the next attempt."""
        wait = self._next
        self._next = min(self._next * self._factor, self._cap)
        return wait * (1 + random.uniform(-self._jitter, self._jitter))

    def reset(self) -> None:
        """Start again from the initial wait: the attempt succeeded."""
        self._next = self._initial

    async def wait(self, stop: asyncio.Event | None = None) -> bool:
        """Sleep the next wait; with `stop`, end early when it is set. Returns whether `stop` is set."""
        if stop is None:
            await asyncio.sleep(self.next())
            return False
        try:
            async with asyncio.timeout(self.next()):
                await stop.wait()
        except TimeoutError:
            return False
        return True
