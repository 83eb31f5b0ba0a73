"""Exec and port-forward sessions as their clients see them, over real sockets and both transports."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

import pytest

from component_base.hijack import HijackedConnection
from component_base.serving import Server
from component_base.streams import port_forward, spdy, tunnel
from component_base.streams.negotiation import NegotiationError
from component_base.streams.remote_command import RemoteOptions, accept, exit_status, success_status

OPTIONS = RemoteOptions(stdin=True, stdout=True, stderr=True)


class Bytes:
    """A client's socket as the transports' ByteConnection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.write, self.drain = writer.write, writer.drain
        self.reader, self.writer = reader, writer

    async def read(self, limit: int = 65536) -> bytes:
        return await self.reader.read(limit)

    async def close(self) -> None:
        self.writer.close()


async def cat(scope: Any, _receive: Any, _send: Any) -> None:
    """A remote `cat` that exits with 3; says the terminal's size on stderr if it is told one."""
    try:
        session = await accept(scope, scope["extensions"]["hijack"](), OPTIONS)
    except NegotiationError:
        return
    assert session.stdin and session.stdout and session.stderr
    while data := await session.stdin.read():
        if data == b"exit":
            break
        await session.stdout.write(data)
    if not session.resize.empty():
        await session.stderr.write(b"%dx%d" % session.resize.get_nowait())
    await session.close(exit_status(3))


async def connect(app: Any, head: str) -> tuple[Server, Bytes, bytes]:
    server = Server(app, "127.0.0.1", 0)
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write((head + "\r\n\r\n").encode())
    return server, Bytes(reader, writer), await reader.readuntil(b"\r\n\r\n")


SPDY_HEAD = (
    "POST /exec HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n"
    "X-Stream-Protocol-Version: {}"
)
WS_HEAD = (
    "GET /exec HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {}"
)


async def test_spdy_exec_carries_streams_and_exit_code() -> None:
    server, wire, head = await connect(
        cat, SPDY_HEAD.format("v4.channel.k8s.io\r\nX-Stream-Protocol-Version: v3.channel.k8s.io")
    )
    assert b"101 Switching Protocols" in head and b"X-Stream-Protocol-Version: v4.channel.k8s.io" in head
    session = spdy.Session(wire, server=False)
    task = asyncio.create_task(session.run())
    streams = {
        name: await session.open({"streamType": name}) for name in ("error", "stdin", "stdout", "stderr")
    }
    await streams["stdin"].write(b"meow" * 50_000)
    await streams["stdin"].finish()
    assert await streams["stdout"].inbox.read_all() == b"meow" * 50_000
    assert await streams["stderr"].inbox.read_all() == b""
    status = json.loads(await streams["error"].inbox.read_all())
    assert status["details"] == {"causes": [{"reason": "ExitCode", "message": "3"}]}
    assert (status["status"], status["reason"]) == ("Failure", "NonZeroExitCode")
    await session.close(0.1)
    await task
    await server.stop()


async def test_old_spdy_versions_get_the_bare_message() -> None:
    server, wire, _ = await connect(cat, SPDY_HEAD.format("v2.channel.k8s.io"))
    session = spdy.Session(wire, server=False)
    task = asyncio.create_task(session.run())
    streams = {
        name: await session.open({"streamType": name}) for name in ("error", "stdin", "stdout", "stderr")
    }
    await streams["stdin"].finish()
    assert (await streams["error"].inbox.read_all()).startswith(b"command terminated with non-zero exit code")
    await session.close(0.1)
    await task
    await server.stop()


async def test_versions_that_do_not_meet_are_refused_with_those_accepted() -> None:
    server, wire, head = await connect(cat, SPDY_HEAD.format("v9.channel.k8s.io"))
    assert head.startswith(b"HTTP/1.1 403 Forbidden")
    assert b"X-Accepted-Stream-Protocol-Versions: v4.channel.k8s.io" in head
    assert b"unable to negotiate protocol: client supports [v9.channel.k8s.io]" in await wire.reader.read()
    await server.stop()


def masked(opcode: int, payload: bytes) -> bytes:
    key = b"\x01\x02\x03\x04"
    length = (
        struct.pack(">B", 0x80 | len(payload))
        if len(payload) < 126
        else struct.pack(">BH", 0x80 | 126, len(payload))
    )
    return bytes((0x80 | opcode,)) + length + key + bytes(b ^ key[i % 4] for i, b in enumerate(payload))


async def message(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, length = await reader.readexactly(2)
    if length == 126:
        (length,) = struct.unpack(">H", await reader.readexactly(2))
    return first & 15, await reader.readexactly(length)


async def test_websocket_v5_closes_stdin_by_signal_and_reports_the_exit_code() -> None:
    server, wire, head = await connect(cat, WS_HEAD.format("v5.channel.k8s.io"))
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    assert b"Sec-WebSocket-Protocol: v5.channel.k8s.io" in head
    assert await message(wire.reader) == (2, b"\x01")  # says that it is there
    wire.write(masked(9, b"beat") + masked(2, b"\x00hello") + masked(2, b'\x04{"Width":80,"Height":25}'))
    assert await message(wire.reader) == (10, b"beat")
    assert await message(wire.reader) == (2, b"\x01hello")
    wire.write(masked(2, b"\xff\x00"))
    assert await message(wire.reader) == (2, b"\x0280x25")
    _, status = await message(wire.reader)
    assert status[0] == 3 and json.loads(status[1:])["details"]["causes"][0]["message"] == "3"
    assert await message(wire.reader) == (8, b"\x03\xe8")
    wire.write(masked(8, b"\x03\xe8"))
    await wire.close()
    await server.stop()


async def test_websocket_base64_channels_are_text() -> None:
    server, wire, _ = await connect(cat, WS_HEAD.format("nope, v4.base64.channel.k8s.io"))
    assert await message(wire.reader) == (1, b"1")
    wire.write(masked(1, b"0aGVsbG8="))
    assert await message(wire.reader) == (1, b"1aGVsbG8=")
    await wire.close()
    await server.stop()


async def test_an_unmasked_frame_ends_the_session_with_a_protocol_error() -> None:
    server, wire, _ = await connect(cat, WS_HEAD.format("v5.channel.k8s.io"))
    await message(wire.reader)
    wire.write(b"\x82\x01a")
    assert await message(wire.reader) == (8, b"\x03\xea")
    await wire.close()
    await server.stop()


def test_options_come_from_either_query_and_need_a_stream() -> None:
    assert RemoteOptions.from_query({"input": "1", "tty": "1", "error": "1"}) == RemoteOptions(
        stdin=True, tty=True
    )
    with pytest.raises(ValueError, match="you must specify at least 1 of stdin, stdout, stderr"):
        RemoteOptions.from_query({"stdout": "false"})
    assert success_status()["status"] == exit_status(0)["status"] == "Success"


async def upper_server() -> asyncio.Server:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data.upper())
        writer.close()

    return await asyncio.start_server(handle, "127.0.0.1", 0)


def forwarding(target_port: int) -> Any:
    async def dial(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", target_port if port == 80 else 1)

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        connection: HijackedConnection = scope["extensions"]["hijack"]()
        await port_forward.serve(scope, connection, dial, lambda port, error: f"no {port}", ports=[80])

    return app


async def test_port_forward_serves_several_connections_and_names_a_closed_port() -> None:
    target = await upper_server()
    server, wire, head = await connect(
        forwarding(target.sockets[0].getsockname()[1]), SPDY_HEAD.format("portforward.k8s.io")
    )
    assert b"101" in head
    session = spdy.Session(wire, server=False)
    task = asyncio.create_task(session.run())

    async def exchange(request: str, port: str) -> tuple[bytes, bytes]:
        headers = {"port": port, "requestID": request}
        error = await session.open({"streamType": "error", **headers})
        await error.finish()
        data = await session.open({"streamType": "data", **headers})
        await data.write(b"abc" + request.encode())
        await data.finish()
        return await data.inbox.read_all(), await error.inbox.read_all()

    assert await asyncio.gather(exchange("0", "80"), exchange("1", "80"), exchange("2", "81")) == [
        (b"ABC0", b""),
        (b"ABC1", b""),
        (b"", b"no 81"),
    ]
    await session.close(0.1)
    await task
    await server.stop()
    target.close()


async def test_port_forward_over_websocket_channels_begins_with_the_port() -> None:
    target = await upper_server()
    server, wire, _ = await connect(
        forwarding(target.sockets[0].getsockname()[1]), WS_HEAD.format("v4.channel.k8s.io")
    )
    assert await message(wire.reader) == (2, b"\x00\x50\x00")
    assert await message(wire.reader) == (2, b"\x01\x50\x00")
    wire.write(masked(2, b"\x00abc"))
    assert await message(wire.reader) == (2, b"\x00ABC")
    await wire.close()
    await server.stop()
    target.close()


async def test_a_tunnel_carries_an_upgrade_to_another_server_and_back() -> None:
    back = Server(cat, "127.0.0.1", 0)
    await back.start()

    async def front(scope: Any, _receive: Any, _send: Any) -> None:
        request = SPDY_HEAD.format("v4.channel.k8s.io") + "\r\n\r\n"
        await tunnel.tunnel(scope["extensions"]["hijack"](), request.encode(), "127.0.0.1", back.port, None)

    server, wire, head = await connect(front, SPDY_HEAD.format("v4.channel.k8s.io"))
    assert b"101" in head
    session = spdy.Session(wire, server=False)
    task = asyncio.create_task(session.run())
    streams = {
        name: await session.open({"streamType": name}) for name in ("error", "stdin", "stdout", "stderr")
    }
    await streams["stdin"].write(b"exit")
    assert b"NonZeroExitCode" in await streams["error"].inbox.read_all()
    await session.close(0.1)
    await task
    await server.stop()
    await back.stop()
