"""Live connections to processes in containers: exec, attach and logs, as asynchronous streams."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

from kubelet.runtime.docker_client import Demultiplexer, chunks

_CHUNK = 65536
_LOG_QUEUE = 64


class SocketStream:
    """An upgraded engine connection. `resize` and `exit_code` are the engine's calls for this process."""

    def __init__(
        self,
        connection: socket.socket,
        ahead: bytes,
        tty: bool,
        resize: Callable[[int, int], Awaitable[None]],
        exit_code: Callable[[], Awaitable[int]],
    ) -> None:
        self._socket, self._ahead, self._tty = connection, ahead, tty
        self._resize, self._exit_code = resize, exit_code
        self._loop = asyncio.get_running_loop()

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """(1 stdout | 2 stderr, bytes) until the process ends; a terminal has only stdout."""
        frames = Demultiplexer()
        data = self._ahead
        while True:
            if data:
                if self._tty:
                    yield 1, data
                else:
                    for frame in frames.feed(data):
                        yield frame
            try:
                data = await self._loop.sock_recv(self._socket, _CHUNK)
            except OSError:
                return
            if not data:
                return

    async def write(self, data: bytes) -> None:
        """Bytes for standard input; a process that no longer reads is no error."""
        with contextlib.suppress(OSError):
            await self._loop.sock_sendall(self._socket, data)

    async def close_stdin(self) -> None:
        """End of standard input."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    async def resize(self, width: int, height: int) -> None:
        """The terminal's new size in characters."""
        await self._resize(width, height)

    async def exit_code(self) -> int:
        """To be asked after the output has ended."""
        return await self._exit_code()

    async def close(self) -> None:
        """Let go of the connection."""
        self._socket.close()


async def stream_logs(open_response: Callable[[], Any], tty: bool) -> AsyncGenerator[tuple[int, bytes], None]:
    """Read a log answer in a thread of its own; ends when the engine ends it or the generator is closed."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[int, bytes] | BaseException | None] = asyncio.Queue(_LOG_QUEUE)
    ended = threading.Event()
    opened: list[Any] = []

    def put(item: tuple[int, bytes] | BaseException | None) -> None:
        if not ended.is_set():
            asyncio.run_coroutine_threadsafe(queue.put(item), loop).result()

    def read() -> None:
        try:
            response = open_response()
            opened.append(response)
            frames = Demultiplexer()
            for data in chunks(response):
                for frame in [(1, data)] if tty else frames.feed(data):
                    put(frame)
            put(None)
        except Exception as error:  # handed to the reader of the generator
            with contextlib.suppress(RuntimeError):
                put(error)

    threading.Thread(target=read, name="logs", daemon=True).start()
    try:
        while (item := await queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        ended.set()
        while not queue.empty():
            queue.get_nowait()
        for response in opened:
            with contextlib.suppress(OSError, AttributeError):
                response.raw._fp.fp.raw._sock.shutdown(socket.SHUT_RDWR)
