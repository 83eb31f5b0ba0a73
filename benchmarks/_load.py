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


class _Connection(asyncio.Protocol):
    def __init__(self, next_request: Callable[[], bytes | None], done: Callable[[bool], None]) -> None:
        self._next, self._done = next_request, done
        self._buffer = b""
        self._left = -1
        self._transport: asyncio.Transport | None = None
        self._ok = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]
        self._send()

    def _send(self) -> None:
        request = self._next()
        assert self._transport is not None
        if request is None:
            self._transport.close()
            return
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            self._buffer += data
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            self._ok = head[9:10] == b"2"
            at = head.find(b"content-length:")
            if at < 0:
                raise RuntimeError(f"no length in {head!r}")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0])
            self._left = length - (len(self._buffer) - end - 4)
            self._buffer = b""
        else:
            self._left -= len(data)
        if self._left <= 0:
            self._left = -1
            self._done(self._ok)
            self._send()


async def run(
    port: int,
    context: ssl.SSLContext,
    requests: Callable[[int], bytes],
    count: int,
    connections: int,
    pid: int,
) -> Result:
    """Sends `count` requests made by `requests(number)` over `connections` connections to 127.0.0.1:`port`."""
    loop = asyncio.get_running_loop()
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

    cpu, begun = cpu_seconds(pid), time.monotonic()
    for _ in range(min(connections, count)):
        await loop.create_connection(
            lambda: _Connection(next_request, done),
            "127.0.0.1",
            port,
            ssl=context,
            server_hostname="localhost",
        )
    await asyncio.wait_for(ended.wait(), 300)
    return Result(count, time.monotonic() - begun, cpu_seconds(pid) - cpu, errors)


def request(method: str, path: str, token: str = "", body: bytes = b"") -> bytes:
    """An HTTP/1.1 request as bytes."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
    if token:
        head += f"Authorization: Bearer {token}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body
