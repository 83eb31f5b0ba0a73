"""SPDY/3.1 as Kubernetes uses it: framing, header compression and multiplexed streams of one connection.

Follows the SPDY protocol drafts 3 and 3.1 (frames, name/value blocks, dictionary of section 2.6.10.1). Like
the peers in use it neither sends nor obeys WINDOW_UPDATE; a receiver that is slow holds up the connection.
Must never trust a length it has read: frames, header blocks and the number of streams are limited.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Mapping

from component_base.streams.pipes import Budget, ByteConnection, Inbox

_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age "
    "allow authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie "
    "keep-alive origin"
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(
    struct.pack(">I", len(word)) + word.replace("_", " ").encode() for word in _WORDS.split()
) + _TAIL.encode()  # fmt: skip

SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY, HEADERS = 1, 2, 3, 6, 7, 8
FLAG_FIN = 1
_PROTOCOL_ERROR, _INVALID_STREAM, _REFUSED_STREAM, _CANCEL = 1, 2, 3, 5
_MAX_FRAME = 8 << 20  # bytes; peers send whole writes as one frame, 32 KiB as a rule
_MAX_HEADERS = 1 << 18
_MAX_STREAMS = 4096
_CHUNK = 64 * 1024


class SpdyError(ConnectionError):
    """The peer broke the protocol, or the session ended."""


class HeaderCodec:
    """Compresses and decompresses name/value blocks; both directions keep state for the whole session."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(level=6, zdict=DICTIONARY)
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)

    def encode(self, headers: Mapping[str, str]) -> bytes:
        """The compressed block; names become lower case."""
        parts = [struct.pack(">I", len(headers))]
        for name, value in headers.items():
            for text in (name.lower().encode(), value.encode()):
                parts += (struct.pack(">I", len(text)), text)
        return self._deflate.compress(b"".join(parts)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def decode(self, block: bytes) -> dict[str, str]:
        """Headers by lower-case name, several values joined by NUL. Raises SpdyError."""
        try:
            plain = self._inflate.decompress(block, _MAX_HEADERS)
            if self._inflate.unconsumed_tail:
                raise SpdyError("header block too large")
            (count,) = struct.unpack_from(">I", plain)
            at = 4
            texts = []
            for _ in range(2 * count):
                (length,) = struct.unpack_from(">I", plain, at)
                if at + 4 + length > len(plain):
                    raise SpdyError("header block cut short")
                texts.append(plain[at + 4 : at + 4 + length].decode())
                at += 4 + length
        except (zlib.error, struct.error, UnicodeDecodeError) as error:
            raise SpdyError(f"bad header block: {error}") from error
        return {name.lower(): value for name, value in zip(texts[::2], texts[1::2], strict=True)}


class Stream:
    """One stream of a session: readable while the peer has not finished, writable while we have not."""

    def __init__(self, session: Session, stream_id: int, headers: dict[str, str], budget: Budget) -> None:
        self.id = stream_id
        self.headers = headers
        self._session = session
        self.inbox = Inbox(budget)
        self.local_done = False
        self.remote_done = False

    async def read(self, limit: int = 65536) -> bytes:
        """Up to `limit` bytes; empty when the peer has finished or reset the stream, or is gone."""
        return await self.inbox.read(limit)

    async def write(self, data: bytes) -> None:
        """Send bytes. Raises SpdyError once the stream or the session has ended."""
        view = memoryview(data)
        for start in range(0, len(view), _CHUNK):
            if self.local_done:
                raise SpdyError("stream is closed")
            await self._session.send_data(self.id, bytes(view[start : start + _CHUNK]))

    async def finish(self) -> None:
        """End our direction; the peer may still send."""
        if not self.local_done:
            self.local_done = True
            await self._session.send_data(self.id, b"", FLAG_FIN)
            self._session.forget(self)

    async def reset(self, code: int = _CANCEL) -> None:
        """End both directions at once."""
        if not (self.local_done and self.remote_done):
            self.local_done = True
            self.end()
            await self._session.send_reset(self.id, code)
        self._session.forget(self)

    def end(self) -> None:
        """The peer will send nothing more."""
        self.remote_done = True
        self.inbox.end()


class Session:
    """A SPDY connection, as server by default. `run` reads frames until the peer leaves; keep it in a task."""

    def __init__(self, connection: ByteConnection, *, server: bool = True) -> None:
        self._connection = connection
        self._codec = HeaderCodec()
        self._budget = Budget(4 << 20)
        self._streams: dict[int, Stream] = {}
        self._accepted: asyncio.Queue[Stream | None] = asyncio.Queue()
        self._next_id = 2 if server else 1
        self._peer_parity = 1 if server else 0
        self._last_peer_id = 0
        self.ended = asyncio.Event()

    async def run(self) -> None:
        """Serve the connection until it ends, for whatever reason; never raises for the peer's faults."""
        buffer = bytearray()
        try:
            while data := await self._connection.read():
                buffer += data
                self._consume(buffer)
                await self._connection.drain()
                await self._budget.room()
        except SpdyError:
            self._send_control(GOAWAY, 0, struct.pack(">II", self._last_peer_id, _PROTOCOL_ERROR))
        except (ConnectionError, OSError):
            pass  # the peer is gone: the streams end below
        finally:
            self.ended.set()
            for stream in self._streams.values():
                stream.local_done = True
                stream.end()
            self._accepted.put_nowait(None)

    async def accept(self) -> Stream | None:
        """The next stream that the peer opened (already replied to); None when the session has ended."""
        return await self._accepted.get()

    async def open(self, headers: Mapping[str, str]) -> Stream:
        """Open a stream towards the peer."""
        stream = Stream(self, self._next_id, dict(headers), self._budget)
        self._next_id += 2
        self._streams[stream.id] = stream
        self._send_control(SYN_STREAM, 0, struct.pack(">IIH", stream.id, 0, 0) + self._codec.encode(headers))
        await self._connection.drain()
        return stream

    async def close(self, patience: float = 3.0) -> None:
        """Say goodbye, give the peer `patience` seconds to leave (so that it reads everything), then close."""
        if not self.ended.is_set():
            self._send_control(GOAWAY, 0, struct.pack(">II", self._last_peer_id, 0))
            for stream in self._streams.values():
                stream.inbox.drop()
            try:
                async with asyncio.timeout(patience):
                    await self.ended.wait()
            except TimeoutError:
                pass  # the peer had its time
        await self._connection.close()

    async def send_data(self, stream_id: int, data: bytes, flags: int = 0) -> None:
        """One data frame. Raises SpdyError when the session has ended."""
        if self.ended.is_set():
            raise SpdyError("connection closed")
        self._connection.write(struct.pack(">II", stream_id, flags << 24 | len(data)) + data)
        try:
            await self._connection.drain()
        except OSError as error:
            raise SpdyError("connection lost") from error

    async def send_reset(self, stream_id: int, code: int) -> None:
        """Tell the peer that a stream is no more."""
        self._send_control(RST_STREAM, 0, struct.pack(">II", stream_id, code))

    def forget(self, stream: Stream) -> None:
        """Drop a stream that both sides have finished."""
        if stream.local_done and stream.remote_done:
            self._streams.pop(stream.id, None)

    def _send_control(self, kind: int, flags: int, payload: bytes) -> None:
        if not self.ended.is_set():
            self._connection.write(struct.pack(">HHI", 0x8003, kind, flags << 24 | len(payload)) + payload)

    def _consume(self, buffer: bytearray) -> None:
        """Handle every whole frame at the buffer's start."""
        at = 0
        while len(buffer) - at >= 8:
            first, second = struct.unpack_from(">II", buffer, at)
            length = second & 0xFFFFFF
            if length > _MAX_FRAME:
                raise SpdyError("frame too large")
            if len(buffer) - at - 8 < length:
                break
            payload = bytes(buffer[at + 8 : at + 8 + length])
            at += 8 + length
            flags = second >> 24
            if first & 0x80000000:
                if first >> 16 != 0x8003:
                    raise SpdyError("unsupported version")
                try:
                    self._on_control(first & 0xFFFF, flags, payload)
                except struct.error as error:
                    raise SpdyError("frame cut short") from error
            else:
                self._on_data(first, flags, payload)
        del buffer[:at]

    def _on_data(self, stream_id: int, flags: int, payload: bytes) -> None:
        stream = self._streams.get(stream_id)
        if stream is None or stream.remote_done:
            return  # crossed with our reset or finish
        stream.inbox.feed(payload)
        if flags & FLAG_FIN:
            stream.end()
            self.forget(stream)

    def _on_control(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == SYN_STREAM:
            self._on_syn_stream(flags, payload)
        elif kind in (SYN_REPLY, HEADERS):
            (stream_id,) = struct.unpack_from(">I", payload)
            headers = self._codec.decode(payload[4:])  # even if unused: the decompressor's state must advance
            stream = self._streams.get(stream_id)
            if stream is not None:
                stream.headers.update(headers)
                if flags & FLAG_FIN:
                    stream.end()
                    self.forget(stream)
        elif kind == RST_STREAM:
            (stream_id,) = struct.unpack_from(">I", payload)
            stream = self._streams.pop(stream_id, None)
            if stream is not None:
                stream.local_done = True
                stream.end()
        elif kind == PING:
            (ping_id,) = struct.unpack_from(">I", payload)
            if ping_id % 2 == self._peer_parity:
                self._send_control(PING, 0, payload[:4])
        # SETTINGS, WINDOW_UPDATE and GOAWAY ask for nothing here: the peer's end is the connection's end.

    def _on_syn_stream(self, flags: int, payload: bytes) -> None:
        stream_id, _, _ = struct.unpack_from(">IIH", payload)
        headers = self._codec.decode(payload[10:])
        if stream_id % 2 != self._peer_parity or stream_id <= self._last_peer_id:
            raise SpdyError("stream id out of order")
        self._last_peer_id = stream_id
        if len(self._streams) >= _MAX_STREAMS:
            self._send_control(RST_STREAM, 0, struct.pack(">II", stream_id, _REFUSED_STREAM))
            return
        stream = Stream(self, stream_id, headers, self._budget)
        self._streams[stream_id] = stream
        if flags & FLAG_FIN:
            stream.end()
        self._send_control(SYN_REPLY, 0, struct.pack(">I", stream_id) + self._codec.encode({}))
        self._accepted.put_nowait(stream)
