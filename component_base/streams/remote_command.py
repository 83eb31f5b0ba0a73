"""The server side of exec and attach: standard streams, terminal size and exit status of a remote command.

Speaks SPDY/3.1 (channel.k8s.io to v4.channel.k8s.io) and WebSocket (binary and base64 channels, v5's closing
of stdin). The caller runs the command; this module only carries its streams. The status goes to the error
stream: as JSON from version 4 on, before that as the bare message of a failure.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from component_base.hijack import HijackedConnection
from component_base.streams import spdy
from component_base.streams.negotiation import NegotiationError, open_session
from component_base.streams.pipes import Budget, Inbox
from component_base.streams.websocket import BINARY, TEXT, WebSocket

SPDY_PROTOCOLS = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
WEBSOCKET_PROTOCOLS = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
)
_JSON_STATUS = ("v4.", "v5.")
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE = range(5)
_CLOSE_SIGNAL = 255
_CREATION_TIMEOUT = 30.0  # seconds for a SPDY client to open its streams
_MAX_RESIZE = 4096


@dataclass(frozen=True)
class RemoteOptions:
    """Which streams the client asked for. With a terminal there is no separate stderr."""

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> RemoteOptions:
        """From the parameters of the API (`stdin`, `stdout` …) or of the kubelet (`input`, `output`, `error`).

        Raises ValueError, with the official text, when no stream at all is asked for.
        """

        def wanted(*names: str) -> bool:
            return any(query.get(name) in ("1", "true", "True") for name in names)

        tty = wanted("tty")
        options = cls(
            stdin=wanted("stdin", "input"),
            stdout=wanted("stdout", "output"),
            stderr=wanted("stderr", "error") and not tty,
            tty=tty,
        )
        if not (options.stdin or options.stdout or options.stderr):
            raise ValueError("you must specify at least 1 of stdin, stdout, stderr")
        return options


def success_status() -> dict[str, Any]:
    """The Status of a command that exited with 0."""
    return {"metadata": {}, "status": "Success"}


def exit_status(code: int, detail: str = "") -> dict[str, Any]:
    """The Status of a command that exited with `code`; clients take the code from the cause."""
    if code == 0:
        return success_status()
    detail = detail or f"exit status {code}"
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: {detail}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def error_status(message: str) -> dict[str, Any]:
    """The Status of a command that could not be run, as an internal error."""
    message = f"error executing command in container: {message}"
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {message}",
        "reason": "InternalError",
        "details": {"causes": [{"message": message}]},
        "code": 500,
    }


class InputStream:
    """What the client sends to the command's standard input."""

    def __init__(self, read: Callable[[], Awaitable[bytes]]) -> None:
        self._read = read

    async def read(self) -> bytes:
        """Some bytes; empty once the client has closed its end or left."""
        return await self._read()


class OutputStream:
    """Where the command's output goes."""

    def __init__(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        self._write = write

    async def write(self, data: bytes) -> None:
        """Send bytes; waits while the client is slow. Raises ConnectionError when it has left."""
        if data:
            await self._write(data)


class RemoteSession(ABC):
    """One accepted exec or attach. Streams that were not asked for are None.

    `resize` yields (width, height) of the terminal; `closed` is set when the client has left.
    """

    def __init__(self, options: RemoteOptions, protocol: str) -> None:
        self.options = options
        self.protocol = protocol
        self.stdin: InputStream | None = None
        self.stdout: OutputStream | None = None
        self.stderr: OutputStream | None = None
        self.resize: asyncio.Queue[tuple[int, int]] = asyncio.Queue(maxsize=64)
        self.closed = asyncio.Event()
        self._resize_text = bytearray()
        self._tasks: list[asyncio.Task[None]] = []

    async def close(self, status: Mapping[str, Any]) -> None:
        """Send the command's final Status and end the session. Does nothing if the client has left."""
        if not self.closed.is_set():
            with suppress(ConnectionError):
                await self._finish(self._encode(status))
        await self._close_connection()
        for task in self._tasks:
            task.cancel()

    @abstractmethod
    async def _finish(self, status: bytes) -> None:
        """Send the encoded status and end the streams."""

    @abstractmethod
    async def _close_connection(self) -> None:
        """Close the connection once the client has read everything."""

    def _encode(self, status: Mapping[str, Any]) -> bytes:
        if self.protocol.startswith(_JSON_STATUS):
            return orjson.dumps(status)
        return b"" if status.get("status") == "Success" else str(status.get("message", "")).encode()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    def _on_resize(self, data: bytes) -> None:
        """Terminal sizes are a sequence of JSON objects, cut anywhere."""
        self._resize_text += data
        while (end := self._resize_text.find(b"}")) >= 0:
            text = bytes(self._resize_text[: end + 1])
            del self._resize_text[: end + 1]
            with suppress(orjson.JSONDecodeError, KeyError, TypeError, ValueError):
                size = orjson.loads(text)
                if self.resize.full():
                    self.resize.get_nowait()
                self.resize.put_nowait((int(size["Width"]), int(size["Height"])))
        if len(self._resize_text) > _MAX_RESIZE:
            self._resize_text.clear()


class _SpdySession(RemoteSession):
    def __init__(self, options: RemoteOptions, protocol: str, session: spdy.Session) -> None:
        super().__init__(options, protocol)
        self._session = session
        self._streams: dict[str, spdy.Stream] = {}

    async def open(self) -> None:
        """Wait for the client's streams. Raises NegotiationError when they do not come in time."""
        self._start(self._serve())
        wanted = {"error"}
        wanted |= {name for name in ("stdin", "stdout", "stderr") if getattr(self.options, name)}
        if (
            self.options.tty
            and not self.protocol.startswith("v2.")
            and self.protocol not in ("", "channel.k8s.io")
        ):
            wanted.add("resize")
        try:
            async with asyncio.timeout(_CREATION_TIMEOUT):
                while wanted - self._streams.keys():
                    stream = await self._session.accept()
                    if stream is None:
                        raise NegotiationError("The client left before it had opened its streams")
                    kind = stream.headers.get("streamtype", "")
                    if kind in wanted and kind not in self._streams:
                        self._streams[kind] = stream
                    else:
                        await stream.reset()
        except TimeoutError:
            await self._close_connection()
            raise NegotiationError("Timed out waiting for client to create streams") from None
        if "stdin" in self._streams:
            self.stdin = InputStream(self._streams["stdin"].read)
        if "stdout" in self._streams:
            self.stdout = OutputStream(self._streams["stdout"].write)
        if "stderr" in self._streams:
            self.stderr = OutputStream(self._streams["stderr"].write)
        if "resize" in self._streams:
            self._start(self._read_sizes(self._streams["resize"]))

    async def _serve(self) -> None:
        try:
            await self._session.run()
        finally:
            self.closed.set()

    async def _read_sizes(self, stream: spdy.Stream) -> None:
        while data := await stream.read():
            self._on_resize(data)

    async def _finish(self, status: bytes) -> None:
        await self._streams["error"].write(status)
        for stream in self._streams.values():
            await stream.finish()

    async def _close_connection(self) -> None:
        await self._session.close()


class _WebSocketSession(RemoteSession):
    def __init__(self, options: RemoteOptions, protocol: str, socket: WebSocket) -> None:
        super().__init__(options, protocol)
        self._socket = socket
        self._base64 = "base64" in protocol
        self._budget = Budget()
        self._input = Inbox(self._budget)

    async def open(self) -> None:
        """Tell the client that we are there, as the originals do, with an empty message."""
        if self.options.stdin:
            self.stdin = InputStream(self._input.read)
        if self.options.stdout:
            self.stdout = OutputStream(lambda data: self._send(_STDOUT, data))
        if self.options.stderr:
            self.stderr = OutputStream(lambda data: self._send(_STDERR, data))
        first = _STDOUT if self.options.stdout else _STDERR if self.options.stderr else _ERROR
        await self._send(first, b"")
        self._start(self._serve())

    async def _send(self, channel: int, data: bytes) -> None:
        if self._base64:
            await self._socket.send(b"%d" % channel + base64.b64encode(data), TEXT)
        else:
            await self._socket.send(bytes((channel,)) + data, BINARY)

    async def _serve(self) -> None:
        try:
            while (message := await self._socket.receive()) is not None:
                if message[1]:
                    self._on_message(message[1])
                    await self._budget.room()
        except (ConnectionError, OSError):
            pass  # the client is gone, which `closed` tells
        finally:
            self._input.end()
            self.closed.set()

    def _on_message(self, payload: bytes) -> None:
        channel, data = payload[0], payload[1:]
        if self._base64:
            channel -= ord("0")
            try:
                data = base64.b64decode(data)
            except binascii.Error:
                return
        if channel == _STDIN and self.options.stdin:
            self._input.feed(data)
        elif channel == _RESIZE:
            self._on_resize(data)
        elif channel == _CLOSE_SIGNAL and self.protocol.startswith("v5.") and data[:1] == bytes((_STDIN,)):
            self._input.end()

    async def _finish(self, status: bytes) -> None:
        if status:
            await self._send(_ERROR, status)

    async def _close_connection(self) -> None:
        self._input.drop()
        for task in self._tasks:
            task.cancel()
        # Closing reads the peer's answer: the reading task must have let go of the connection by then.
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._socket.close()


async def accept(
    scope: MutableMapping[str, Any], connection: HijackedConnection, options: RemoteOptions
) -> RemoteSession:
    """Answer an exec or attach upgrade request and return its session.

    Raises NegotiationError when the client asked for something else (it has been answered) or opened no
    streams in time, ConnectionError when it left.
    """
    opening = await open_session(scope, connection, SPDY_PROTOCOLS, WEBSOCKET_PROTOCOLS)
    if opening.socket is not None:
        by_message = _WebSocketSession(options, opening.protocol, opening.socket)
        await by_message.open()
        return by_message
    by_stream = _SpdySession(options, opening.protocol, spdy.Session(connection))
    await by_stream.open()
    return by_stream
