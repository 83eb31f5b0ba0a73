"""Many watch connections that count the events they are sent: `python -m benchmarks._watchers PORT CA TOKEN PATH N`.

A process of its own, so that reading 500 encrypted streams does not hold up the load. Prints `open` when all
streams have begun; then for each line N on its input waits until every stream has N events, and prints `seen`.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
from typing import Any

import uvloop

from benchmarks._load import request

MARK = b'{"type":"'


class _Stream(asyncio.Protocol):
    def __init__(self, wanted: bytes, opened: asyncio.Semaphore) -> None:
        self._wanted, self._opened = wanted, opened
        self._tail = b""
        self._begun = False
        self.events = 0
        self.bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self._wanted)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if not self._begun:
            if not data.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"the watch was refused: {data[:200]!r}")
            self._begun = True
            self._opened.release()
        self.bytes += len(data)
        self.events += (self._tail + data).count(MARK)
        self._tail = data[1 - len(MARK) :] if len(data) >= len(MARK) else b""

    def connection_lost(self, exc: Exception | None) -> None:
        print("a watch ended", exc, file=sys.stderr)


async def main(port: int, ca: str, token: str, path: str, count: int) -> None:
    """Open the streams, then answer questions about them."""
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context(cafile=ca)
    wanted, opened = request("GET", path, token), asyncio.Semaphore(0)
    streams: list[_Stream] = []
    for _ in range(count):
        made: Any = await loop.create_connection(
            lambda: _Stream(wanted, opened), "127.0.0.1", port, ssl=context, server_hostname="localhost"
        )
        streams.append(made[1])
    for _ in range(count):
        await opened.acquire()
    print("open", flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        expected = int(line)
        while min(stream.events for stream in streams) < expected:  # noqa: ASYNC110 - an Event per arrival costs more
            await asyncio.sleep(0.01)
        print("seen", sum(stream.bytes for stream in streams), flush=True)


if __name__ == "__main__":
    _port, _ca, _token, _path, _count = sys.argv[1:]
    uvloop.run(main(int(_port), _ca, _token, _path, int(_count)))
