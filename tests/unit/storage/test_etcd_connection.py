"""The HTTP/2 connection against a peer written by hand."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from hpack import Encoder

from apiserver.storage.etcd import EtcdError, EtcdTimeout, EtcdUnavailable, RevisionCompacted, frames
from apiserver.storage.etcd.connection import Connection
from apiserver.storage.etcd.endpoints import parse
from apiserver.storage.etcd.errors import from_status


class Peer:
    """The other side: takes what the connection writes apart, answers with frames."""

    def __init__(self, **settings: int) -> None:
        self.written = bytearray()
        self.closed = False
        self.lost: list[Connection] = []
        self.connection = Connection("etcd:2379", secure=False, on_closed=self.lost.append)
        self.connection.connection_made(cast(asyncio.BaseTransport, self))
        assert self.written.startswith(frames.PREFACE)
        del self.written[: len(frames.PREFACE)]
        self.read()
        self.send(
            frames.SETTINGS, 0, 0, frames.settings_payload({int(k[1:]): v for k, v in settings.items()})
        )

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def send(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        self.connection.data_received(frames.frame(kind, flags, stream, payload))

    def read(self) -> list[tuple[int, int, int, bytes]]:
        found = []
        while self.written:
            size = int.from_bytes(self.written[:3], "big")
            stream = int.from_bytes(self.written[5:9], "big")
            found.append((self.written[3], self.written[4], stream, bytes(self.written[9 : 9 + size])))
            del self.written[: 9 + size]
        return found

    async def requests(self) -> list[tuple[int, int, int, bytes]]:
        await asyncio.sleep(0)
        return [f for f in self.read() if f[0] in (frames.HEADERS, frames.DATA)]

    def answer(self, stream: int, message: bytes, *, cut: int = 0, status: str = "0", text: str = "") -> None:
        self.send(frames.HEADERS, frames.END_HEADERS, stream, Encoder().encode([(":status", "200")]))
        data = b"\x00" + len(message).to_bytes(4, "big") + message
        for part in (data[:cut], data[cut:]) if cut else (data,):
            self.send(frames.DATA, 0, stream, part)
        encoder = Encoder()
        encoder.header_table_size = 0
        block = encoder.encode([("grpc-status", status), ("grpc-message", text)])
        self.send(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream, block)


def later() -> float:
    return asyncio.get_running_loop().time() + 10


async def test_a_unary_call() -> None:
    peer = Peer()
    await peer.connection.ready
    first = peer.connection.unary("/kv/Range", b"question", later())
    second = peer.connection.unary("/kv/Range", b"", later())
    sent = await peer.requests()
    assert [(kind, stream) for kind, _, stream, _ in sent] == [(1, 1), (0, 1), (1, 3), (0, 3)]
    assert sent[1][3] == b"\x00\x00\x00\x00\x08question"
    peer.answer(3, b"second")
    peer.answer(1, b"first", cut=7)
    assert (await first, await second) == (b"first", b"second")


async def test_bytes_may_arrive_in_any_pieces() -> None:
    peer = Peer()
    call = peer.connection.unary("/kv/Range", b"question", later())
    sent: list[bytes] = []
    whole, peer.connection.data_received = peer.connection.data_received, sent.append  # type: ignore[method-assign]
    peer.answer(1, b"x" * 1000)
    for byte in b"".join(sent):
        whole(bytes((byte,)))
    assert await call == b"x" * 1000


async def test_large_requests_wait_for_the_peer_window() -> None:
    peer = Peer(_4=1000)
    peer.connection.unary("/kv/Txn", b"x" * 5000, later())
    data = [f for f in await peer.requests() if f[0] == frames.DATA]
    assert sum(len(f[3]) for f in data) == 1000
    small = peer.connection.unary("/kv/Range", b"small", later())
    assert len(await peer.requests()) == 2, "another stream is not held up"
    peer.answer(3, b"ok")
    assert await small == b"ok"
    peer.send(frames.WINDOW_UPDATE, 0, 1, (10_000).to_bytes(4, "big"))
    data = [f for f in await peer.requests() if f[0] == frames.DATA]
    assert sum(len(f[3]) for f in data) == 4005
    assert data[-1][1] == frames.END_STREAM


async def test_calls_beyond_the_peer_limit_queue() -> None:
    peer = Peer(_3=2)
    calls = [peer.connection.unary("/kv/Range", b"%d" % n, later()) for n in range(3)]
    assert {f[2] for f in await peer.requests()} == {1, 3}
    peer.answer(1, b"a")
    assert {f[2] for f in await peer.requests()} == {5}
    peer.answer(3, b"b")
    peer.answer(5, b"c")
    assert await asyncio.gather(*calls) == [b"a", b"b", b"c"]


async def test_errors_of_etcd() -> None:
    peer = Peer()
    call = peer.connection.unary("/kv/Range", b"", later())
    peer.answer(1, b"", status="11", text="etcdserver: mvcc: required revision has been compacted")
    with pytest.raises(RevisionCompacted):
        await call
    call = peer.connection.unary("/kv/Range", b"", later())
    peer.answer(3, b"", status="3", text="etcdserver: user name is empty%21")
    with pytest.raises(EtcdError, match="user name is empty!") as caught:
        await call
    assert caught.value.code == 3
    assert isinstance(from_status(14, "etcdserver: no leader"), EtcdUnavailable)


async def test_a_lost_connection_may_have_carried_out_the_call() -> None:
    peer = Peer(_3=1)
    sent = peer.connection.unary("/kv/Txn", b"", later())
    queued = peer.connection.unary("/kv/Txn", b"", later())
    peer.connection.connection_lost(ConnectionResetError("gone"))
    with pytest.raises(EtcdUnavailable) as first:
        await sent
    with pytest.raises(EtcdUnavailable) as second:
        await queued
    assert (first.value.sent, second.value.sent) == (True, False)
    assert peer.lost == [peer.connection]


async def test_goaway_finishes_what_was_taken_and_returns_the_rest() -> None:
    peer = Peer()
    taken = peer.connection.unary("/kv/Txn", b"", later())
    refused = peer.connection.unary("/kv/Txn", b"", later())
    peer.send(frames.GOAWAY, 0, 0, (1).to_bytes(4, "big") + bytes(4))
    assert not peer.connection.usable
    with pytest.raises(EtcdUnavailable) as caught:
        await refused
    assert not caught.value.sent
    peer.answer(1, b"done")
    assert await taken == b"done"
    assert peer.closed


async def test_deadlines_and_silence() -> None:
    peer = Peer()
    now = asyncio.get_running_loop().time()
    call = peer.connection.unary("/kv/Range", b"", now + 1)
    peer.connection.tick(now + 0.5)
    assert not call.done()
    peer.connection.tick(now + 1.5)
    with pytest.raises(EtcdTimeout):
        await call
    await asyncio.sleep(0)
    assert (frames.RST_STREAM, 0, 1, frames.CANCEL) in peer.read()
    for _ in range(15):
        peer.connection.tick(now)
    await asyncio.sleep(0)
    assert [f[0] for f in peer.read()] == [frames.PING]
    assert not peer.closed
    for _ in range(5):
        peer.connection.tick(now)
    assert peer.closed


async def test_a_stream_of_messages() -> None:
    peer = Peer()
    messages: list[bytes] = []
    ends: list[Any] = []
    peer.connection.open_stream("/w/Watch", messages.append, ends.append)
    data = b"".join(b"\x00" + len(m).to_bytes(4, "big") + m for m in (b"one", b"", b"three" * 100))
    for at in range(0, len(data), 7):
        peer.send(frames.DATA, 0, 1, data[at : at + 7])
    peer.send(frames.DATA, 0, 1, data)
    assert messages == [b"one", b"", b"three" * 100] * 2
    peer.connection.connection_lost(None)
    assert len(ends) == 1
    assert isinstance(ends[0], EtcdUnavailable)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:2379", "127.0.0.1:2379"),
        ("https://etcd-1:2379", "etcd-1:2379"),
        ("https://[::1]:2379", "[::1]:2379"),
        ("10.0.0.1:4001", "10.0.0.1:4001"),
        ("unix:///run/etcd.sock", "/run/etcd.sock"),
        ("unix:/run/etcd.sock", "/run/etcd.sock"),
    ],
)
def test_endpoints(url: str, expected: str) -> None:
    assert str(parse(url)) == expected
    assert parse(url).secure == url.startswith("https")


@pytest.mark.parametrize("url", ["ftp://x", "http://", "unix:"])
def test_bad_endpoints(url: str) -> None:
    with pytest.raises(ValueError, match="etcd endpoint"):
        parse(url)
