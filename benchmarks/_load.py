"""A lean load generator: N connections over TLS, each sending its next request when the last is answered.

It must cost less than the server that it loads, so requests are prepared bytes and responses are only counted.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks._report import cpu_seconds

NextRequest = Callable[[], bytes | None]
Done = Callable[[bool], None]


@dataclass
class Result:
    """What one run took: requests, seconds, and processor seconds of the server."""

    requests: int
    seconds: float
    server_cpu: float
    errors: int

    @property
    def cpu_micros(self) -> float:
        """Server processor time per request in microseconds."""
        return self.server_cpu / self.requests * 1e6

    def checked(self) -> Result:
        """The result itself. Raises RuntimeError when a request failed."""
        if self.errors:
            raise RuntimeError(f"{self.errors} of {self.requests} requests failed")
        return self


class _Connection(asyncio.Protocol):
    """One connection; `kept` holds the body of the last answer where that is wanted."""

    def __init__(self) -> None:
        self._buffer = b""
        self._left = -1
        self._ok = False
        self._next: NextRequest = lambda: None
        self._done: Done = lambda ok: None
        self.kept: bytearray | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def begin(self, next_request: NextRequest, done: Done) -> None:
        """Send requests until there are no more."""
        self._next, self._done = next_request, done
        self._send()

    def _send(self) -> None:
        request = self._next()
        if request is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            data = self._head(data)
            if self._left < 0:
                return
        self._left -= len(data)
        if self.kept is not None:
            self.kept += data
        if self._left <= 0:
            self._left = -1
            self._done(self._ok)
            self._send()

    def _head(self, data: bytes) -> bytes:
        """Read the answer's head when it is complete; return what follows it."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return b""
        head = self._buffer[:end].lower()
        self._ok = head[9:10] == b"2"
        at = head.find(b"content-length:")
        if at < 0:
            raise RuntimeError(f"no length in {head!r}")
        self._left = int(head[at + 15 :].split(b"\r\n", 1)[0])
        rest, self._buffer = self._buffer[end + 4 :], b""
        return rest


class Load:
    """Loads one server, whose process is `pid`, through connections that stay open."""

    def __init__(self, port: int, ca_file: str, pid: int, connections: int) -> None:
        self._port, self._pid, self._count = port, pid, connections
        self._context = ssl.create_default_context(cafile=ca_file)
        self._connections: list[_Connection] = []

    async def _open(self) -> list[_Connection]:
        loop = asyncio.get_running_loop()
        while len(self._connections) < self._count:
            _, connection = await loop.create_connection(
                _Connection, "127.0.0.1", self._port, ssl=self._context, server_hostname="localhost"
            )
            self._connections.append(connection)
        return self._connections

    async def run(self, requests: Callable[[int], bytes], count: int) -> Result:
        """Send `count` requests made by `requests(number)`, and wait for the answers."""
        connections = await self._open()
        issued = finished = errors = 0
        ended = asyncio.Event()

        def next_request() -> bytes | None:
            nonlocal issued
            if issued == count:
                return None
            issued += 1
            return requests(issued - 1)

        def done(ok: bool) -> None:
            nonlocal finished, errors
            finished += 1
            errors += not ok
            if finished == count:
                ended.set()

        cpu, begun = cpu_seconds(self._pid), time.monotonic()
        for connection in connections[:count]:
            connection.begin(next_request, done)
        await asyncio.wait_for(ended.wait(), 300)
        return Result(count, time.monotonic() - begun, cpu_seconds(self._pid) - cpu, errors)

    async def fetch(self, raw: bytes) -> bytes:
        """The body of the answer to one request."""
        first = (await self._open())[0]
        first.kept = bytearray()
        (await self.run(lambda _: raw, 1)).checked()
        body, first.kept = bytes(first.kept), None
        return body


def request(method: str, path: str, token: str = "", body: bytes = b"") -> bytes:
    """An HTTP/1.1 request as bytes."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
    if token:
        head += f"Authorization: Bearer {token}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body
