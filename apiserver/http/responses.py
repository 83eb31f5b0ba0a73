"""Sending responses: bytes with the right headers, Status errors, warnings, gzip for what is large."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from typing import Any

import orjson
import yaml
from isal import igzip

from apimachinery.errors import StatusError
from apiserver.http.negotiation import YAML, Media
from apiserver.http.request import Request
from apiserver.storage import ListResult

COMPRESS_FROM = 128 * 1024
"""Bytes from which a response is compressed for clients that accept gzip."""
PIECE = 128 * 1024
"""Bytes of a large body that are sent at a time."""
_PRETTY_AGENTS = (b"curl", b"Wget", b"Mozilla/5.0")
_JSON = (b"content-type", b"application/json")
_PLAIN = (b"cache-control", b"no-cache, private")

Headers = list[tuple[bytes, bytes]]
_date = (0, (b"date", b""))


def date_header() -> tuple[bytes, bytes]:
    """The Date header, made once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, (b"date", formatdate(now, usegmt=True).encode()))
    return _date[1]


async def send(
    request: Request,
    status: int,
    body: bytes,
    content_type: tuple[bytes, bytes] = _JSON,
    extra: Headers | None = None,
) -> None:
    """Send a complete response."""
    headers = _headers(request, content_type, extra)
    if len(body) > COMPRESS_FROM and _takes_gzip(request):
        body = await asyncio.get_running_loop().run_in_executor(None, _compress, body)
        headers += ((b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding"))
    await _start(request, status, headers, len(body))
    if len(body) > PIECE:
        await _send_pieces(request, memoryview(body))
    else:
        await request.send({"type": "http.response.body", "body": body})


async def send_list(request: Request, page: ListResult, before: bytes, after: bytes, media: Media) -> None:
    """Send a list's stored bytes, between `before` and `after`: a large one piece by piece as it is put together."""
    length = page.length(before, after)
    if length <= PIECE or media.type == YAML or wants_pretty(request) or _takes_gzip(request):
        await send_raw(request, 200, page.document(before, after), media)
        return
    await _start(request, 200, _headers(request, _JSON, None), length)
    for piece in page.pieces(before, after, PIECE):
        length -= len(piece)
        await request.send({"type": "http.response.body", "body": piece, "more_body": length > 0})


def _headers(request: Request, content_type: tuple[bytes, bytes], extra: Headers | None) -> Headers:
    headers = [(b"audit-id", request.audit_id), _PLAIN, content_type, date_header()]
    if request.warnings:
        headers += warning_headers(request.warnings)
    if extra:
        headers += extra
    return headers


def _takes_gzip(request: Request) -> bool:
    return b"gzip" in request.headers.get(b"accept-encoding", b"")


async def _start(request: Request, status: int, headers: Headers, length: int) -> None:
    request.status = status
    headers.append((b"content-length", b"%d" % length))
    await request.send({"type": "http.response.start", "status": status, "headers": headers})


async def _send_pieces(request: Request, body: memoryview) -> None:
    """Send a large body bit by bit: encrypting 40 MB at once copies them six times over."""
    last = (len(body) - 1) // PIECE * PIECE
    for start in range(0, last, PIECE):
        await request.send(
            {"type": "http.response.body", "body": body[start : start + PIECE], "more_body": True}
        )
    await request.send({"type": "http.response.body", "body": body[last:]})


def _compress(body: bytes) -> bytes:
    return igzip.compress(body, compresslevel=1)


def warning_headers(warnings: list[str]) -> Headers:
    """`Warning: 299 - "…"` headers, each text once, quoted as RFC 7234 asks."""
    return [
        (
            b"warning",
            ('299 - "' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"').encode(),
        )
        for text in dict.fromkeys(warnings)
    ]


def wants_pretty(request: Request) -> bool:
    """Whether the client asked for indented output, or is a tool that people read."""
    values = request.query.get("pretty")
    if values is not None:
        return values[0].lower() not in ("false", "0")
    return request.headers.get(b"user-agent", b"").startswith(_PRETTY_AGENTS)


async def send_raw(request: Request, status: int, raw: bytes, media: Media) -> None:
    """Send JSON bytes as they are, unless the client wants them indented or as YAML."""
    if media.type == YAML:
        text = yaml.dump(orjson.loads(raw), Dumper=yaml.CSafeDumper, sort_keys=True, allow_unicode=True)
        await send(request, status, text.encode(), (b"content-type", b"application/yaml"))
    elif wants_pretty(request):
        await send(request, status, orjson.dumps(orjson.loads(raw), option=orjson.OPT_INDENT_2) + b"\n")
    else:
        await send(request, status, raw)


async def send_object(request: Request, status: int, obj: Any, media: Media) -> None:
    """Encode and send an object."""
    await send_raw(request, status, orjson.dumps(obj), media)


async def send_status(request: Request, error: StatusError) -> None:
    """Send a refusal as its Status object."""
    extra: Headers = []
    retry = error.retry_after_seconds
    if retry:
        extra.append((b"retry-after", b"%d" % retry))
    if error.code == 401:
        extra.append((b"www-authenticate", b"Bearer"))
    body = orjson.dumps(error.status(), option=orjson.OPT_INDENT_2 if wants_pretty(request) else 0)
    await send(request, error.code, body + b"\n", _JSON, extra)
