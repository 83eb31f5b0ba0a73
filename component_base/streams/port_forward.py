"""The server side of port-forward: many connections to ports of a pod over one client connection.

SPDY/3.1 (portforward.k8s.io: a data and an error stream per connection, paired by request id), the same
inside WebSocket messages (`SPDY/3.1+portforward.k8s.io`, kubectl from 1.30), and the older WebSocket channels.
The caller opens the connections into the pod; this module pairs streams and copies bytes.
"""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from typing import Any

from component_base import logs
from component_base.hijack import HijackedConnection
from component_base.streams import spdy
from component_base.streams.negotiation import open_session
from component_base.streams.pipes import Budget, ByteConnection, Inbox
from component_base.streams.websocket import BINARY, TEXT, WebSocket, WebSocketBytes

PROTOCOL = "portforward.k8s.io"
TUNNELLED = f"SPDY/3.1+{PROTOCOL}"
WEBSOCKET_PROTOCOLS = (TUNNELLED, "v4.channel.k8s.io", "v4.base64.channel.k8s.io")
_PAIR_TIMEOUT = 30.0  # seconds between the two streams of a connection
_log = logs.get_logger("port-forward")

# Opens a connection to a port inside the pod. Raises OSError when nothing listens there.
Dial = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


async def serve(
    scope: MutableMapping[str, Any],
    connection: HijackedConnection,
    dial: Dial,
    describe: Callable[[int, OSError], str],
    ports: Sequence[int] = (),
) -> None:
    """Answer a port-forward upgrade request and serve it until the client leaves.

    `describe(port, error)` words a failed connection for the error stream; `ports` are those of the query,
    which only the older WebSocket protocol uses. Raises NegotiationError (answered) and ConnectionError.
    """
    opening = await open_session(scope, connection, (PROTOCOL,), WEBSOCKET_PROTOCOLS)
    if opening.socket is None:
        await _SpdyForward(connection, dial, describe).run()
    elif opening.protocol == TUNNELLED:
        await _SpdyForward(WebSocketBytes(opening.socket), dial, describe).run()
    else:
        await _ChannelForward(opening.socket, "base64" in opening.protocol, dial, describe, ports).run()


class _SpdyForward:
    """Pairs the client's streams and serves each pair in a task."""

    def __init__(
        self, connection: ByteConnection, dial: Dial, describe: Callable[[int, OSError], str]
    ) -> None:
        self._session = spdy.Session(connection)
        self._dial, self._describe = dial, describe
        self._halves: dict[str, tuple[spdy.Stream, asyncio.TimerHandle]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        reading = asyncio.create_task(self._session.run())
        try:
            while (stream := await self._session.accept()) is not None:
                await self._on_stream(stream)
        finally:
            reading.cancel()
            for _, timer in self._halves.values():
                timer.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._session.close(patience=0.0)

    async def _on_stream(self, stream: spdy.Stream) -> None:
        headers = stream.headers
        kind, port = headers.get("streamtype", ""), headers.get("port", "")
        if kind not in ("data", "error") or not port.isdecimal() or not 0 < int(port) < 65536:
            await stream.reset()
            return
        # Clients from before request ids open one pair per port at a time, the error stream first.
        request = headers.get("requestid") or f"port-{port}"
        other = self._halves.pop(request, None)
        if other is None or other[0].headers["streamtype"] == kind:
            if other is not None:
                other[1].cancel()
            timer = asyncio.get_running_loop().call_later(_PAIR_TIMEOUT, self._expire, request)
            self._halves[request] = (stream, timer)
            return
        other[1].cancel()
        data, error = (stream, other[0]) if kind == "data" else (other[0], stream)
        task = asyncio.create_task(self._forward(int(port), data, error))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _expire(self, request: str) -> None:
        stream, _ = self._halves.pop(request)
        task = asyncio.create_task(stream.reset())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        _log.warning("Timed out waiting for the other stream of a connection", request=request)

    async def _forward(self, port: int, data: spdy.Stream, error: spdy.Stream) -> None:
        with suppress(ConnectionError):
            try:
                reader, writer = await self._dial(port)
            except OSError as failure:
                await error.write(self._describe(port, failure).encode())
            else:
                await copy_both_ways(data.read, data.write, data.finish, reader, writer)
            await data.finish()
            await error.finish()


class _ChannelForward:
    """Two channels per port of the query: data and error; each begins with the port, little-endian."""

    def __init__(
        self,
        socket: WebSocket,
        text: bool,
        dial: Dial,
        describe: Callable[[int, OSError], str],
        ports: Sequence[int],
    ) -> None:
        self._socket, self._text = socket, text
        self._dial, self._describe, self._ports = dial, describe, ports
        self._budget = Budget()
        self._inboxes = [Inbox(self._budget) for _ in ports]

    async def run(self) -> None:
        for index, port in enumerate(self._ports):
            for channel in (2 * index, 2 * index + 1):
                await self._send(channel, struct.pack("<H", port))
        tasks = [asyncio.create_task(self._forward(index)) for index in range(len(self._ports))]
        try:
            while (message := await self._socket.receive()) is not None:
                self._on_message(message[1])
                await self._budget.room()
        except (ConnectionError, OSError):
            pass  # the client is gone
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._socket.close()

    async def _send(self, channel: int, data: bytes) -> None:
        if self._text:
            await self._socket.send(b"%d" % channel + base64.b64encode(data), TEXT)
        else:
            await self._socket.send(bytes((channel,)) + data, BINARY)

    def _on_message(self, payload: bytes) -> None:
        if not payload:
            return
        channel, data = payload[0], payload[1:]
        if self._text:
            channel, data = channel - ord("0"), base64.b64decode(data)
        if channel % 2 == 0 and channel // 2 < len(self._inboxes):
            self._inboxes[channel // 2].feed(data)

    async def _forward(self, index: int) -> None:
        port = self._ports[index]
        with suppress(ConnectionError):
            try:
                reader, writer = await self._dial(port)
            except OSError as failure:
                await self._send(2 * index + 1, self._describe(port, failure).encode())
                return
            await copy_both_ways(
                self._inboxes[index].read, lambda data: self._send(2 * index, data), None, reader, writer
            )


async def copy_both_ways(
    read: Callable[[], Awaitable[bytes]],
    write: Callable[[bytes], Awaitable[None]],
    finish: Callable[[], Awaitable[None]] | None,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Copy client → pod and pod → client until the pod's side has ended or the client is gone."""

    async def outward() -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                await write(data)
        if finish is not None:
            with suppress(ConnectionError):
                await finish()

    async def inward() -> None:
        with suppress(ConnectionError):
            while data := await read():
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

    forth = asyncio.create_task(inward())
    try:
        await outward()
    finally:
        forth.cancel()
        await asyncio.gather(forth, return_exceptions=True)
        writer.close()
