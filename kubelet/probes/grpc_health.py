"""The gRPC health check of a gRPC probe, over HTTP/2 without TLS, in as few bytes as the protocol allows.

https://github.com/grpc/grpc/blob/master/doc/health-checking.md ; only `hpack` is needed, no gRPC library.
"""

from __future__ import annotations

import asyncio
import struct
from typing import NamedTuple

from hpack import Decoder, Encoder

from kubelet.probes.http import USER_AGENT, ProbeError

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _CONTINUATION = 0, 1, 3, 4, 6, 7, 9
_END_STREAM, _END_HEADERS, _ACK, _PADDED, _PRIORITY = 0x1, 0x4, 0x1, 0x8, 0x20
_SERVING = 1
_NAMES = {0: "UNKNOWN", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_UNIMPLEMENTED = "12"


class _Frame(NamedTuple):
    type: int
    flags: int
    stream: int
    payload: bytes


async def check(host: str, port: int, service: str, timeout: float) -> tuple[bool, str]:
    """(success, message). Raises ProbeError where there is no answer."""
    where = f"{host}:{port}"
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(_request(where, service))
                return _judge(service, *await _answer(reader, writer))
            finally:
                writer.transport.abort()
    except TimeoutError as error:
        raise ProbeError(f'timeout: failed to connect service "{where}" within {timeout:g}s: '
                         "context deadline exceeded") from error  # fmt: skip
    except (OSError, EOFError) as error:
        raise ProbeError(f'error: failed to connect service at "{where}": {error}') from error


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _request(authority: str, service: str) -> bytes:
    headers = Encoder().encode(
        [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/grpc.health.v1.Health/Check"),
            (":authority", authority),
            ("content-type", "application/grpc"),
            ("user-agent", USER_AGENT),
            ("te", "trailers"),
        ]
    )
    name = service.encode()
    message = b"\x0a" + bytes([len(name)]) + name if name else b""
    body = struct.pack(">BI", 0, len(message)) + message
    return (
        _PREFACE
        + _frame(_SETTINGS, 0, 0, b"")
        + _frame(_HEADERS, _END_HEADERS, 1, headers)
        + _frame(_DATA, _END_STREAM, 1, body)
    )


async def _read_frame(reader: asyncio.StreamReader) -> _Frame:
    head = await reader.readexactly(9)
    length = int.from_bytes(head[:3], "big")
    kind, flags, stream = struct.unpack(">BBI", head[3:])
    return _Frame(kind, flags, stream & 0x7FFFFFFF, await reader.readexactly(length))


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, bytes]:
    """(grpc-status, message body) of the one stream."""
    decoder, block, body, status = Decoder(), b"", b"", ""
    while True:
        frame = await _read_frame(reader)
        if frame.type == _SETTINGS and not frame.flags & _ACK:
            writer.write(_frame(_SETTINGS, _ACK, 0, b""))
        elif frame.type == _PING and not frame.flags & _ACK:
            writer.write(_frame(_PING, _ACK, 0, frame.payload))
        elif frame.type in (_GOAWAY, _RESET):
            raise EOFError("the server closed the stream")
        elif frame.type in (_HEADERS, _CONTINUATION):
            block += _unpadded(frame)
            if frame.flags & _END_HEADERS:
                for name, value in decoder.decode(block):
                    status = str(value) if str(name) == "grpc-status" else status
                block = b""
        elif frame.type == _DATA:
            body += _unpadded(frame)
        if frame.stream == 1 and frame.type in (_DATA, _HEADERS) and frame.flags & _END_STREAM:
            return status, body


def _unpadded(frame: _Frame) -> bytes:
    payload = frame.payload
    if frame.type in (_DATA, _HEADERS) and frame.flags & _PADDED:
        payload = payload[1 : len(payload) - payload[0]]
    if frame.type == _HEADERS and frame.flags & _PRIORITY:
        payload = payload[5:]
    return payload


def _judge(service: str, status: str, body: bytes) -> tuple[bool, str]:
    if status == _UNIMPLEMENTED:
        return False, "error: this server does not implement the grpc health protocol (grpc.health.v1.Health)"
    if status not in ("", "0"):
        return False, f"error: health rpc probe failed: code {status}"
    message = body[5:]
    code = message[1] if len(message) >= 2 and message[0] == 0x08 else 0
    if code == _SERVING:
        return True, f"service: {service}"
    return False, f'service unhealthy (responded with "{_NAMES.get(code, code)}")'
