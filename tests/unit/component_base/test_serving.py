"""The server as its applications and clients meet it: bodies, keep-alive, upgrades, TLS, shutdown."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from component_base.self_signed import make
from component_base.serving import Server
from component_base.tls import TLSFiles, self_signed_context


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    text = f"{scope['method']} {scope['path']} {scope['query_string'].decode()} ".encode() + body
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]}
    )
    await send({"type": "http.response.body", "body": text})


async def shout(scope: Any, _receive: Any, _send: Any) -> None:
    connection = scope["extensions"]["hijack"]()
    connection.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n")
    while data := await connection.read():
        connection.write(data.upper())
        await connection.drain()
    await connection.close()


async def head_and_body(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    return head, await reader.readexactly(length)


UPGRADE = (
    b"POST /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n\r\n"
)


async def serve(app: Any, **options: Any) -> Server:
    server = Server(app, "127.0.0.1", 0, **options)
    await server.start()
    return server


async def test_pipelined_requests_are_answered_in_order_on_one_connection() -> None:
    server = await serve(echo)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        b"GET /a%20b?c=d HTTP/1.1\r\nHost: a\r\n\r\nPOST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyz"
    )
    assert (await head_and_body(reader))[1] == b"GET /a b c=d "
    assert (await head_and_body(reader))[1] == b"POST /e  xyz"
    writer.close()
    await server.stop()


async def test_a_body_larger_than_every_buffer_arrives_whole() -> None:
    server = await serve(echo)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    body = os.urandom(5_000_000)
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert (await head_and_body(reader))[1] == b"POST /  " + body
    writer.close()
    await server.stop()


async def test_an_upgrade_hands_over_the_connection_with_bytes_behind_the_head() -> None:
    server = await serve(shout)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(UPGRADE + b"early ")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101")
    writer.write(b"late")
    assert await reader.readexactly(10) == b"EARLY LATE"
    writer.write_eof()
    assert await reader.read() == b""
    await server.stop()


async def test_an_upgrade_answered_as_plain_http_leaves_the_connection_usable() -> None:
    server = await serve(echo)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(UPGRADE + b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await head_and_body(reader))[1] == b"POST /x  "
    assert (await head_and_body(reader))[1] == b"GET /next  "
    writer.close()
    await server.stop()


@pytest.mark.parametrize("junk", [b"NONSENSE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"])
async def test_malformed_requests_get_400_and_a_closed_connection(junk: bytes) -> None:
    server = await serve(echo)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(junk)
    assert (await reader.read()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    await server.stop()


async def test_an_endless_head_is_refused() -> None:
    server = await serve(echo)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET / HTTP/1.1\r\nX: " + b"a" * 1_200_000)
    assert (await reader.read()).startswith(b"HTTP/1.1 431 ")
    await server.stop()


async def test_a_failing_application_answers_500_and_a_line_break_in_a_header_is_not_sent() -> None:
    async def fail(scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"warning", b"a\r\nset-cookie: b"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    server = await serve(fail)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 500 ") and b"set-cookie" not in answer
    await server.stop()


async def test_stopping_ends_watches_that_wait_for_the_event() -> None:
    async def watch(scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await scope["state"]["stopping"].wait()
        await send({"type": "http.response.body", "body": b"bye"})

    server = await serve(watch)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    await server.stop()
    assert await reader.read() == b"3\r\nbye\r\n0\r\n\r\n"


async def certificate_length(scope: Any, _receive: Any, send: Any) -> None:
    der = scope["extensions"]["tls"]["client_cert_der"]
    text = b"%d" % (len(der) if der else 0)
    headers = [(b"content-length", b"%d" % len(text)), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


def write_pair(path: Path) -> None:
    path.write_bytes(make("127.0.0.1"))


def write_client_certificate(path: Path) -> None:
    run = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=me", "-days", "2"]
    subprocess.run(
        [*run, "-keyout", path / "me.key", "-out", path / "me.crt"], check=True, capture_output=True
    )


async def get(
    port: int, context: ssl.SSLContext, head: bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(head)
    return (await head_and_body(reader))[1]


async def test_client_certificates_are_optional_verified_and_shown(tmp_path: Path) -> None:
    write_pair(tmp_path / "server.pem")
    write_client_certificate(tmp_path)
    pem, client_ca = str(tmp_path / "server.pem"), str(tmp_path / "me.crt")
    server = await serve(certificate_length, tls=TLSFiles(pem, pem, client_ca))
    context = ssl.create_default_context(cafile=pem)
    assert await get(server.port, context) == b"0"
    context.load_cert_chain(tmp_path / "me.crt", tmp_path / "me.key")
    assert int(await get(server.port, context)) > 500
    stranger = ssl.create_default_context(cafile=pem)
    stranger.load_cert_chain(pem, pem)
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await get(server.port, stranger)
    await server.stop()


async def test_a_renewed_certificate_serves_the_next_connection(tmp_path: Path) -> None:
    path = tmp_path / "server.pem"
    write_pair(path)
    server = await serve(certificate_length, tls=TLSFiles(str(path), str(path)))
    old = ssl.create_default_context(cafile=str(path))
    assert await get(server.port, old) == b"0"
    write_pair(path)
    new = ssl.create_default_context(cafile=str(path))
    await asyncio.sleep(1.1)  # the files are looked at once a second at most
    assert await get(server.port, new) == b"0"
    path.write_bytes(b"broken")
    await asyncio.sleep(1.1)
    assert await get(server.port, new) == b"0"
    await server.stop()


async def test_tls_connections_can_be_hijacked_and_a_daemon_can_certify_itself() -> None:
    server = await serve(shout, tls=await self_signed_context("127.0.0.1"))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
    writer.write(UPGRADE + b"early ")
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"late")
    assert await reader.readexactly(10) == b"EARLY LATE"
    writer.close()
    await server.stop()


async def test_a_taken_port_is_an_os_error() -> None:
    server = await serve(echo)
    with pytest.raises(OSError):
        await Server(echo, "127.0.0.1", server.port).start()
    await server.stop()
