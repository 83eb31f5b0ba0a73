"""The watch verb over HTTP: a stream of JSON lines that ends with the client, the server or a time limit.

Encoded batches come from storage ready-made for all watchers alike and go straight into the connection; the
task of a watch sleeps until it is over.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import orjson

from apimachinery.errors import StatusError
from apiserver.http import reading, tables
from apiserver.http.negotiation import negotiate
from apiserver.http.request import Request
from apiserver.http.responses import date_header
from apiserver.registry.kind import Kind
from apiserver.storage import Batch, Watcher

SHORTEST, LONGEST = 1800.0, 3600.0
"""Seconds that a watch lasts when the client does not say; chosen at random between, so that not all end at once."""


async def watch(request: Request, kind: Kind) -> None:
    """Serve a watch until it is over."""
    media = negotiate(request.headers.get(b"accept"), tables.WATCH_FORMS)
    labels, fields = reading.selectors(request, kind)
    reading.check_list_options(request, watch=True)
    seconds = request.integer("timeoutSeconds")
    limit = float(seconds) if seconds else random.uniform(SHORTEST, LONGEST)
    include = tables.included(request.param("includeObject"))
    namespace = request.route.namespace if kind.resource.namespaced else ""
    await request.body()
    try:
        watcher = await kind.store.watch(
            namespace or None,
            label_selector=labels,
            field_selector=fields,
            resource_version=request.param("resourceVersion") or None,
            bookmarks=request.flag("allowWatchBookmarks"),
            send_initial=request.flag("sendInitialEvents") if "sendInitialEvents" in request.query else None,
            encode=tables.encoder(kind, media, include),
        )
    except StatusError as error:
        if error.code != 410:
            raise
        await _start(request)
        line = orjson.dumps({"type": "ERROR", "object": error.status()}) + b"\n"
        await request.send({"type": "http.response.body", "body": line})
        return
    try:
        await _start(request)
        await _stream(request, watcher, limit)
    finally:
        watcher.close()


async def _start(request: Request) -> None:
    request.status = 200
    headers = [
        (b"audit-id", request.audit_id), (b"cache-control", b"no-cache, private"),
        (b"content-type", b"application/json"), date_header(),
    ]  # fmt: skip
    await request.send({"type": "http.response.start", "status": 200, "headers": headers})


async def _stream(request: Request, watcher: Watcher, limit: float) -> None:
    write: Callable[[bytes], int] | None = request.scope["extensions"].get("write_chunk")
    if write is not None and request.scope["http_version"] == "1.1":
        streaming = asyncio.ensure_future(_pump(request, watcher, write))
    else:
        streaming = asyncio.ensure_future(_copy(request, watcher))
    gone = asyncio.ensure_future(request.disconnected())
    stopping = asyncio.ensure_future(request.scope["state"]["stopping"].wait())
    try:
        await asyncio.wait((streaming, gone, stopping), timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        client_gone = gone.done()
    finally:
        watcher.close()
        for task in (streaming, gone, stopping):
            task.cancel()
        await asyncio.gather(streaming, gone, stopping, return_exceptions=True)
    if not client_gone:
        await request.send({"type": "http.response.body", "body": b""})


async def _pump(request: Request, watcher: Watcher, write: Callable[[bytes], int]) -> None:
    def sink(batch: Batch) -> int:
        return write(batch.http_chunk())

    async def drain() -> None:
        # An empty part writes nothing, but waits while the connection's buffer is full.
        await request.send({"type": "http.response.body", "body": b"", "more_body": True})

    await watcher.pump(sink, drain)


async def _copy(request: Request, watcher: Watcher) -> None:
    async for batch in watcher:
        await request.send({"type": "http.response.body", "body": batch.data, "more_body": True})
