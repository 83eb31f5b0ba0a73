"""/openapi/v2 and /openapi/v3: the documents that kubectl explain and validation read, from `apiserver.openapi`.

They are built in a thread when first asked for, and then served from memory; compressed for those who accept it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from isal import igzip

from apimachinery import errors
from apiserver.http.application import lane_request
from apiserver.http.negotiation import parse_accept
from apiserver.openapi import documents
from apiserver.registry.catalog import Catalog


def router(catalog: Catalog) -> APIRouter:
    """The OpenAPI endpoints."""
    made = APIRouter()

    async def respond(request: Request, build: Callable[[], bytes], media: str, etag: str = "") -> Response:
        body = await asyncio.to_thread(build)
        tag = f'"{etag or documents.etag(body)}"'
        headers = {"etag": tag, "vary": "Accept-Encoding, Accept"}
        if request.query_params.get("hash"):
            headers["cache-control"] = "public, immutable"
            headers["expires"] = "Thu, 31 Dec 2099 23:59:59 GMT"
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            body = await asyncio.to_thread(igzip.compress, body, 1)
            headers["content-encoding"] = "gzip"
        return Response(body, headers=headers, media_type=media)

    @made.get("/openapi/v2")
    async def v2(request: Request) -> Response:
        rows = catalog.resources()
        for clause in parse_accept(lane_request(request).headers.get(b"accept", b"")):
            if clause.type in documents.V2_PROTOBUF_ACCEPTED:
                media = documents.V2_PROTOBUF_CONTENT_TYPE
                return await respond(request, lambda: documents.v2_protobuf(rows), media)
            if clause.type in ("application/json", "*/*", "application/*"):
                break
        return await respond(request, lambda: documents.v2_json(rows), "application/json")

    @made.get("/openapi/v3")
    async def v3(request: Request) -> Response:
        rows = catalog.resources()
        return await respond(request, lambda: documents.v3_index(rows), "application/json")

    @made.get("/openapi/v3/{place:path}")
    async def one(request: Request, place: str) -> Response:
        rows = catalog.resources()
        group_version = place.partition("/")[2]
        try:
            etag = documents.v3_hash(group_version, rows)
        except KeyError:
            raise errors.path_not_found() from None
        return await respond(
            request, lambda: documents.v3_document(group_version, rows), "application/json", etag
        )

    return made
