"""The engine's event stream, brought from its blocking thread to the event loop.

A thread holds the stream; when it breaks it is opened again from the last event's time, and a relist is asked
for, because an engine that was restarted does not replay.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from component_base.logs import get_logger
from kubelet.runtime.types import RuntimeEvent

log = get_logger("runtime")

ACTIONS = ("start", "die", "destroy", "oom")
RETRY_SECONDS = 1.0


class _Closable(Protocol):
    def __iter__(self) -> Iterator[dict[str, Any]]: ...
    def close(self) -> None: ...


class EventThread:
    """Calls `deliver` in `loop` for every event until closed. `open_stream(since)` opens the engine's stream."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        open_stream: Callable[[float], _Closable],
        deliver: Callable[[RuntimeEvent], None],
        errors: tuple[type[BaseException], ...],
    ) -> None:
        self._loop, self._open, self._deliver, self._errors = loop, open_stream, deliver, errors
        self._closed = threading.Event()
        self._stream: _Closable | None = None
        threading.Thread(target=self._run, name="engine events", daemon=True).start()

    def close(self) -> None:
        """End the thread; no more events are delivered."""
        self._closed.set()
        if self._stream is not None:
            self._stream.close()

    def _run(self) -> None:
        since, failing = time.time(), False
        while not self._closed.is_set():
            try:
                self._stream = self._open(since)
                failing = False
                self._send([RuntimeEvent("", "relist")])
                for document in self._stream:
                    since = max(since, document.get("timeNano", 0) / 1e9)
                    self._send([RuntimeEvent(document.get("id", ""), document.get("Action", ""))])
            except self._errors as error:
                if not failing and not self._closed.is_set():
                    failing = True
                    log.warning("Engine events interrupted", error=str(error))
            if not self._closed.is_set():
                self._send([RuntimeEvent("", "lost")])
                self._closed.wait(RETRY_SECONDS)

    def _send(self, events: Iterable[RuntimeEvent]) -> None:
        for event in events:
            if not self._closed.is_set():
                self._loop.call_soon_threadsafe(self._deliver, event)
