"""SPDY framing against bytes made by hand, then against a peer of our own."""

from __future__ import annotations

import asyncio
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from component_base.streams.spdy import DICTIONARY, HeaderCodec, Session, SpdyError


class Wire:
    """One end of an in-memory connection."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self.sent = bytearray()
        self.peer: Wire | None = None

    async def read(self, _limit: int = 65536) -> bytes:
        return await self.incoming.get()

    def write(self, data: bytes) -> None:
        self.sent += data
        if self.peer is not None:
            self.peer.incoming.put_nowait(data)

    async def drain(self) -> None:
        await asyncio.sleep(0)

    async def close(self) -> None:
        if self.peer is not None:
            self.peer.incoming.put_nowait(b"")


def test_the_dictionary_is_the_drafts() -> None:
    assert len(DICTIONARY) == 1423
    assert zlib.adler32(DICTIONARY) == 0xE3C6A7C2
    assert DICTIONARY.startswith(b"\0\0\0\x07options\0\0\0\x04head")


def block(headers: dict[str, str]) -> bytes:
    """A name/value block as the draft describes it, first of its connection."""
    plain = struct.pack(">I", len(headers)) + b"".join(
        struct.pack(">I", len(text)) + text.encode() for pair in headers.items() for text in pair
    )
    deflate = zlib.compressobj(zdict=DICTIONARY)
    return deflate.compress(plain) + deflate.flush(zlib.Z_SYNC_FLUSH)


def syn_stream(stream_id: int, headers: dict[str, str]) -> bytes:
    payload = struct.pack(">IIBB", stream_id, 0, 0, 0) + block(headers)
    return b"\x80\x03\x00\x01" + b"\x00" + struct.pack(">I", len(payload))[1:] + payload


async def test_a_stream_from_raw_bytes_is_replied_to_and_carries_data() -> None:
    wire = Wire()
    session = Session(wire)
    task = asyncio.create_task(session.run())
    raw = syn_stream(1, {"streamtype": "stdin"}) + struct.pack(">II", 1, 5) + b"hello"
    raw += struct.pack(">II", 1, 0x01000003) + b"end"
    for byte in raw:
        wire.incoming.put_nowait(bytes((byte,)))
    stream = await session.accept()
    assert stream is not None and stream.headers == {"streamtype": "stdin"}
    assert await stream.inbox.read_all() == b"helloend"
    # SYN_REPLY: version 3, type 2, no flags, stream 1, an empty block that names the dictionary
    assert wire.sent[:6] == b"\x80\x03\x00\x02\x00\x00"
    assert wire.sent[8:12] == b"\0\0\0\x01"
    assert wire.sent[14:18] == b"\xe3\xc6\xa7\xc2"
    await stream.write(b"out")
    await stream.finish()
    assert wire.sent.endswith(b"\0\0\0\x01\0\0\0\x03out" + b"\0\0\0\x01\x01\0\0\0")
    wire.incoming.put_nowait(b"")
    await task


async def test_pings_of_the_peer_come_back() -> None:
    wire = Wire()
    task = asyncio.create_task(Session(wire).run())
    ping = b"\x80\x03\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01"
    wire.incoming.put_nowait(ping)
    wire.incoming.put_nowait(b"")
    await task
    assert wire.sent == ping


@pytest.mark.parametrize(
    "junk",
    [
        b"\x80\x02\x00\x01\x00\x00\x00\x00",  # version 2
        b"\x80\x03\x00\x01\x00\x00\x00\x02\x00\x00",  # cut short
        b"\x80\x03\x00\x01\x00\x00\x00\x0eAAAAAAAAAAAAAA",  # not zlib
        b"\x00\x00\x00\x01\x00\xff\xff\xff",  # too large
    ],
)
async def test_a_peer_that_breaks_the_protocol_gets_a_goaway(junk: bytes) -> None:
    wire = Wire()
    wire.incoming.put_nowait(junk)
    session = Session(wire)
    await session.run()
    assert wire.sent[:4] == b"\x80\x03\x00\x07"
    assert session.ended.is_set()


def test_headers_survive_both_directions_and_keep_compression_state() -> None:
    sender, receiver = HeaderCodec(), HeaderCodec()
    for _ in range(3):
        assert receiver.decode(sender.encode({"StreamType": "data", "port": "80"})) == {
            "streamtype": "data",
            "port": "80",
        }


def test_a_header_bomb_is_refused() -> None:
    with pytest.raises(SpdyError):
        HeaderCodec().decode(block({"a": "x" * 1_000_000}))


async def test_two_sessions_exchange_megabytes_and_end_in_order() -> None:
    left, right = Wire(), Wire()
    left.peer, right.peer = right, left
    client, server = Session(left, server=False), Session(right)
    tasks = [asyncio.create_task(client.run()), asyncio.create_task(server.run())]
    mine = await client.open({"streamtype": "data"})
    theirs = await server.accept()
    assert theirs is not None
    payload = bytes(range(256)) * 8192
    await mine.write(payload)
    await mine.finish()
    assert await theirs.inbox.read_all() == payload
    await theirs.reset()
    assert await mine.read() == b""
    await asyncio.gather(client.close(0.1), server.close(0.1))
    with pytest.raises(SpdyError):
        await mine.write(b"late")
    await asyncio.gather(*tasks)


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_no_bytes_whatever_break_the_session(junk: bytes) -> None:
    async def feed() -> None:
        wire = Wire()
        for part in (b"\x80\x03" + junk, junk, b""):
            wire.incoming.put_nowait(part)
        session = Session(wire)
        await session.run()
        assert session.ended.is_set()

    asyncio.run(feed())
