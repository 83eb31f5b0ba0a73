"""One HTTP/2 connection to one etcd member, as a state machine fed by the event loop.

Carries unary calls (one message each way, the hot path: a request is one write, an answer one slice) and
long-lived streams (watch). Knows flow control, GOAWAY, the peer's stream limit, deadlines and keep-alive pings.
It never reconnects and never repeats anything: that is `channel`'s decision.
"""

import asyncio
import struct
from collections import deque
from collections.abc import Callable
from typing import cast

from apiserver.storage.etcd import frames
from apiserver.storage.etcd.errors import EtcdError, EtcdTimeout, EtcdUnavailable, from_status

_CREDIT_STEP = 1 << 24
"""Bytes consumed before the receive window is topped up."""
_PING_AFTER_TICKS = 14
_DEAD_AFTER_TICKS = 22
"""Silence, in ticks of `tick()`, before a ping and before the connection is given up; etcd
allows a ping each 5 s."""
_FRAME_HEAD = struct.Struct("!BHBBI")
_MESSAGE_HEAD = struct.Struct("!BI")
_FIRST_FRAME = frames.PREFACE + frames.frame(
    frames.SETTINGS,
    0,
    0,
    frames.settings_payload(
        {
            frames.SETTINGS_HEADER_TABLE_SIZE: 0,
            frames.SETTINGS_ENABLE_PUSH: 0,
            frames.SETTINGS_INITIAL_WINDOW_SIZE: frames.LARGEST_WINDOW,
        }
    ),
)
_OPEN_WINDOW = frames.frame(
    frames.WINDOW_UPDATE, 0, 0, (frames.LARGEST_WINDOW - frames.DEFAULT_WINDOW).to_bytes(4, "big")
)


class Stream:
    """One call in flight: a unary call has `future`, a long-lived one `on_message` and `on_end`."""

    __slots__ = (
        "deadline",
        "future",
        "have",
        "id",
        "need",
        "on_end",
        "on_message",
        "parts",
        "unacked",
        "window",
    )

    def __init__(self) -> None:
        self.id = 0
        self.future: asyncio.Future[bytes] | None = None
        self.on_message: Callable[[bytes], None] | None = None
        self.on_end: Callable[[EtcdError | None], None] | None = None
        self.deadline = 0.0
        self.parts: list[bytes] = []
        self.have = 0
        self.need = 5
        self.unacked = 0
        self.window = 0

    def fail(self, error: EtcdError) -> None:
        """End the call with an error, once."""
        if self.future is not None:
            if not self.future.done():
                self.future.set_exception(error)
        elif self.on_end is not None:
            on_end, self.on_end = self.on_end, None
            on_end(error)


class Connection(asyncio.Protocol):
    """An HTTP/2 client connection for gRPC. `ready` resolves when the peer's settings have arrived."""

    def __init__(self, authority: str, *, secure: bool, on_closed: Callable[["Connection"], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._authority = authority
        self._secure = secure
        self._on_closed = on_closed
        self._transport: asyncio.WriteTransport | None = None
        self._streams: dict[int, Stream] = {}
        self._queued: deque[tuple[str, bytes, Stream]] = deque()
        self._unsent: deque[tuple[Stream, bytes, bool]] = deque()
        self._out: list[bytes] = []
        self._rest = b""
        self._next_id = 1
        self._window = frames.DEFAULT_WINDOW
        self._initial_window = frames.DEFAULT_WINDOW
        self._frame_size = frames.DEFAULT_FRAME_SIZE
        self._most_streams = 100
        self._consumed = 0
        self._silent_ticks = 0
        self._header_blocks: dict[str, tuple[bytes, bytes]] = {}
        self._good_trailers: set[bytes] = set()
        self._partial_headers: tuple[int, int, bytes] | None = None
        self.draining = False
        self.ready: asyncio.Future[None] = self._loop.create_future()

    # --- the side of the caller -------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """True while new calls may be opened here."""
        return self._transport is not None and not self.draining

    @property
    def closed(self) -> bool:
        """True when there is no transport (any more)."""
        return self._transport is None

    def unary(self, path: str, message: bytes, deadline: float) -> "asyncio.Future[bytes]":
        """Send one message and return a future of the answer's message. `deadline` is in loop time."""
        stream = Stream()
        stream.deadline = deadline
        stream.future = future = self._loop.create_future()
        if len(self._streams) >= self._most_streams:
            self._queued.append((path, message, stream))
        else:
            self._start(path, message, stream)
        return future

    def open_stream(
        self, path: str, on_message: Callable[[bytes], None], on_end: Callable[[EtcdError | None], None]
    ) -> Stream:
        """Open a call of many messages. `on_end` is called once, with None when the peer ended it in order."""
        stream = Stream()
        stream.on_message = on_message
        stream.on_end = on_end
        self._register(path, stream)
        before, block = self._header_frame(path)
        self._write(before + stream.id.to_bytes(4, "big") + block)
        return stream

    def send(self, stream: Stream, message: bytes) -> None:
        """Send one more message on an open stream."""
        self._unsent.append((stream, b"\x00" + len(message).to_bytes(4, "big") + message, False))
        self._send_unsent()

    def cancel(self, stream: Stream) -> None:
        """Forget a call; its callbacks are not called any more."""
        stream.on_end = None
        if self._streams.pop(stream.id, None) is not None and self._transport is not None:
            self._write(frames.frame(frames.RST_STREAM, 0, stream.id, frames.CANCEL))
            self._settle()

    def close(self, reason: str = "connection closed") -> None:
        """Close at once; calls in flight fail with EtcdUnavailable."""
        if self._transport is not None:
            self._transport.abort()
        self._fail_all(reason)

    def drain(self) -> None:
        """Take no new calls; close when those in flight have ended. Long-lived streams are ended now."""
        self.draining = True
        for stream in [s for s in self._streams.values() if s.future is None]:
            self._streams.pop(stream.id)
            stream.fail(EtcdUnavailable("etcd connection is going away"))
        self._settle()

    def tick(self, now: float) -> None:
        """Called twice a second: expires calls past their deadline, pings a silent peer, drops a dead one."""
        for stream in [s for s in self._streams.values() if s.deadline and s.deadline < now]:
            self._streams.pop(stream.id)
            stream.fail(EtcdTimeout())
            self._write(frames.frame(frames.RST_STREAM, 0, stream.id, frames.CANCEL))
        while self._queued and self._queued[0][2].deadline < now:
            self._queued.popleft()[2].fail(EtcdTimeout())
        self._settle()
        self._silent_ticks += 1
        if self._silent_ticks == _PING_AFTER_TICKS:
            self._write(frames.frame(frames.PING, 0, 0, b"skiff---"))
        elif self._silent_ticks >= _DEAD_AFTER_TICKS:
            self.close("etcd did not answer a ping")

    # --- sending ----------------------------------------------------------------------------------------

    def _header_frame(self, path: str) -> tuple[bytes, bytes]:
        """Return the HEADERS frame for a path, cut where the stream's number belongs."""
        cut = self._header_blocks.get(path)
        if cut is None:
            extra = {"hasleader": "true"} if path.endswith("/Watch") else {}
            block = frames.grpc_request_headers(path, self._authority, secure=self._secure, extra=extra)
            head = frames.frame(frames.HEADERS, frames.END_HEADERS, 0, block)
            cut = self._header_blocks[path] = head[:5], head[9:]
        return cut

    def _register(self, path: str, stream: Stream) -> None:
        stream.id = self._next_id
        stream.window = self._initial_window
        self._next_id += 2
        self._streams[stream.id] = stream
        if self._next_id > frames.LAST_STREAM_ID // 2:
            self.draining = True

    def _start(self, path: str, message: bytes, stream: Stream) -> None:
        self._register(path, stream)
        size = len(message) + 5
        before, block = self._header_frame(path)
        number = stream.id.to_bytes(4, "big")
        prefix = b"\x00" + len(message).to_bytes(4, "big")
        if size <= self._frame_size and size <= self._window and size <= stream.window and not self._unsent:
            self._window -= size
            self._write(
                b"".join(
                    (before, number, block, size.to_bytes(3, "big"), b"\x00\x01", number, prefix, message)
                )
            )
        else:
            self._write(before + number + block)
            self._unsent.append((stream, prefix + message, True))
            self._send_unsent()

    def _send_unsent(self) -> None:
        """Send what the peer's windows allow, in order per stream; a blocked stream does not hold up others."""
        blocked: list[tuple[Stream, bytes, bool]] = []
        while self._unsent and self._window > 0:
            stream, data, end = self._unsent.popleft()
            if stream.id not in self._streams:
                continue
            if stream.window <= 0 or any(stream is other[0] for other in blocked):
                blocked.append((stream, data, end))
                continue
            size = min(self._window, stream.window, self._frame_size, len(data))
            last = size == len(data)
            self._window -= size
            stream.window -= size
            flags = frames.END_STREAM if last and end else 0
            self._write(frames.frame(frames.DATA, flags, stream.id, data[:size]))
            if not last:
                self._unsent.appendleft((stream, data[size:], end))
        self._unsent.extendleft(reversed(blocked))

    def _write(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None:
            self._transport.write(b"".join(out) if len(out) > 1 else out[0])

    def _settle(self) -> None:
        """Start calls that waited for room; close a drained connection that has become idle."""
        while self._queued and len(self._streams) < self._most_streams and self.usable:
            path, message, stream = self._queued.popleft()
            if stream.future is not None and not stream.future.done():
                self._start(path, message, stream)
        if self.draining:
            for _, _, stream in self._queued:
                stream.fail(EtcdUnavailable("etcd connection is going away", sent=False))
            self._queued.clear()
            if not self._streams and self._transport is not None:
                self._transport.close()

    # --- asyncio.Protocol -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is no subclass of it
        self._transport.write(_FIRST_FRAME + _OPEN_WINDOW)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail_all(f"etcd connection lost: {exc}" if exc else "etcd connection lost")
        self._on_closed(self)

    def _fail_all(self, reason: str) -> None:
        self._transport = None
        self.draining = True
        streams, self._streams = list(self._streams.values()), {}
        for stream in streams:
            stream.fail(EtcdUnavailable(reason))
        while self._queued:
            self._queued.popleft()[2].fail(EtcdUnavailable(reason, sent=False))
        if not self.ready.done():
            self.ready.set_exception(EtcdUnavailable(reason, sent=False))

    def data_received(self, data: bytes) -> None:
        self._silent_ticks = 0
        if self._rest:
            data = self._rest + data
        at, size = 0, len(data)
        while size - at >= 9:
            high, low, kind, flags, stream_id = _FRAME_HEAD.unpack_from(data, at)
            end = at + 9 + (high << 16) + low
            if end > size:
                break
            payload = data[at + 9 : end]
            at = end
            if kind == frames.DATA:
                self._data(stream_id, flags, payload)
            elif kind == frames.HEADERS:
                if flags & (frames.PADDED | frames.PRIORITY):
                    payload = frames.unpad(flags, payload)
                self._headers(stream_id, flags, payload)
            else:
                self._control(kind, flags, stream_id, payload)
        self._rest = data[at:] if at < size else b""
        if self._consumed > _CREDIT_STEP:
            self._write(frames.frame(frames.WINDOW_UPDATE, 0, 0, self._consumed.to_bytes(4, "big")))
            self._consumed = 0

    def _data(self, stream_id: int, flags: int, payload: bytes) -> None:
        self._consumed += len(payload)
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        size = len(payload)
        if flags & frames.PADDED:
            payload = frames.unpad(flags & frames.PADDED, payload)
        if stream.on_message is None:
            stream.parts.append(payload)
        else:
            stream.unacked += size
            if stream.unacked > _CREDIT_STEP:
                self._write(
                    frames.frame(frames.WINDOW_UPDATE, 0, stream_id, stream.unacked.to_bytes(4, "big"))
                )
                stream.unacked = 0
            self._stream_data(stream, stream.on_message, payload)
        if flags & frames.END_STREAM:
            self._end(stream_id, b"")

    @staticmethod
    def _stream_data(stream: Stream, on_message: Callable[[bytes], None], payload: bytes) -> None:
        """Cut a long-lived stream's bytes into messages (5 bytes of prefix, then the message)."""
        size = len(payload)
        if not stream.parts and size >= 5 and _MESSAGE_HEAD.unpack_from(payload)[1] + 5 == size:
            on_message(payload[5:])  # a frame is a message: the usual case
            return
        stream.parts.append(payload)
        stream.have += size
        if stream.have < stream.need:
            return
        data = b"".join(stream.parts) if len(stream.parts) > 1 else payload
        at, size = 0, len(data)
        need = 5
        while size - at >= 5:
            end = at + 5 + int.from_bytes(data[at + 1 : at + 5], "big")
            if end > size:
                need = end - at
                break
            on_message(data[at + 5 : end])
            at = end
        stream.parts = [data[at:]] if at < size else []
        stream.have = size - at
        stream.need = need

    def _headers(self, stream_id: int, flags: int, block: bytes) -> None:
        if not flags & frames.END_HEADERS:
            self._partial_headers = (stream_id, flags, block)
        elif flags & frames.END_STREAM:
            self._end(stream_id, block)

    def _end(self, stream_id: int, trailers: bytes) -> None:
        stream = self._streams.pop(stream_id, None)
        if stream is None:
            return
        if trailers not in self._good_trailers:
            code, message = frames.grpc_status(trailers)
            if code:
                stream.fail(EtcdUnavailable(message) if code < 0 else from_status(code, message))
                self._settle()
                return
            self._good_trailers.add(trailers)
        if stream.future is not None:
            if not stream.future.done():
                parts = stream.parts
                stream.future.set_result((parts[0] if len(parts) == 1 else b"".join(parts))[5:])
        elif stream.on_end is not None:
            stream.on_end(None)
        if self._queued or self.draining:
            self._settle()

    def _control(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if kind == frames.WINDOW_UPDATE:
            increment = int.from_bytes(payload, "big")
            if stream_id == 0:
                self._window += increment
            elif stream_id in self._streams:
                self._streams[stream_id].window += increment
            if self._unsent:
                self._send_unsent()
        elif kind == frames.PING:
            if not flags & frames.ACK:
                self._write(frames.frame(frames.PING, frames.ACK, 0, payload))
        elif kind == frames.SETTINGS:
            if not flags & frames.ACK:
                self._settings(frames.parse_settings(payload))
        elif kind == frames.CONTINUATION and self._partial_headers is not None:
            first_id, first_flags, block = self._partial_headers
            self._partial_headers = None
            self._headers(first_id, first_flags | (flags & frames.END_HEADERS), block + payload)
        elif kind == frames.RST_STREAM:
            stream = self._streams.pop(stream_id, None)
            if stream is not None:
                code = int.from_bytes(payload, "big")
                refused = code == frames.REFUSED_STREAM
                stream.fail(EtcdUnavailable(f"etcd reset the stream (code {code})", sent=not refused))
                self._settle()
        elif kind == frames.GOAWAY:
            last = int.from_bytes(payload[:4], "big") & frames.LAST_STREAM_ID
            for unprocessed in [s for s in self._streams.values() if s.id > last]:
                self._streams.pop(unprocessed.id)
                unprocessed.fail(EtcdUnavailable("etcd is going away", sent=False))
            self.drain()
            self._on_closed(self)

    def _settings(self, settings: dict[int, int]) -> None:
        window = settings.get(frames.SETTINGS_INITIAL_WINDOW_SIZE)
        if window is not None:
            for stream in self._streams.values():
                stream.window += window - self._initial_window
            self._initial_window = window
        self._frame_size = settings.get(frames.SETTINGS_MAX_FRAME_SIZE, self._frame_size)
        # RFC 9113: no value means no limit.
        self._most_streams = settings.get(
            frames.SETTINGS_MAX_CONCURRENT_STREAMS, 1 << 30 if not self.ready.done() else self._most_streams
        )
        self._write(frames.frame(frames.SETTINGS, frames.ACK, 0, b""))
        if not self.ready.done():
            self.ready.set_result(None)
        self._settle()
        self._send_unsent()
