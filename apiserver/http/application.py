"""The FastAPI application behind the lane: everything that is not a resource. One router per concern.

Requests arrive here authenticated and authorized.
"""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request, Response

from apimachinery import errors
from apimachinery.errors import StatusError
from apiserver import version
from apiserver.http import discovery
from apiserver.http.negotiation import negotiate
from apiserver.http.request import Request as LaneRequest
from apiserver.http.responses import wants_pretty
from apiserver.registry.catalog import Catalog
from component_base import metrics

_NONE: frozenset[str] = frozenset()
_PATHS = (
    "/.well-known/openid-configuration", "/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2",
    "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version",
)  # fmt: skip


def lane_request(request: Request) -> LaneRequest:
    """The request as the filters left it."""
    found: LaneRequest = request.scope["request"]
    return found


def json_response(
    request: Request, body: bytes | Any, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """A JSON response, indented for people."""
    if not isinstance(body, bytes):
        body = orjson.dumps(body)
    if wants_pretty(lane_request(request)):
        body = orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2)
    media = "application/json"
    if headers and "content-type" in headers:
        media = headers.pop("content-type")
    return Response(
        body, status, headers={"cache-control": "no-cache, private", **(headers or {})}, media_type=media
    )


def discovery_router(catalog: Catalog, documents: discovery.Documents, server_address: str) -> APIRouter:
    """/api, /apis and below, down to one group and version."""
    router = APIRouter()

    def root(request: Request, *, core: bool) -> Response:
        accept = lane_request(request).headers.get(b"accept")
        wanted = discovery.wants_aggregated(accept)
        resources = catalog.resources()
        if wanted:
            body, etag = documents.get(
                (core, wanted), lambda: discovery.aggregated(resources, wanted, core=core)
            )
            headers = {"etag": etag, "vary": "Accept", "cache-control": "public"}
            if request.headers.get("if-none-match") == etag:
                return Response(status_code=304, headers=headers)
            group = discovery.AGGREGATED_GROUP
            kind = f"application/json;g={group};v={wanted};as=APIGroupDiscoveryList"
            return json_response(request, body, headers={**headers, "content-type": kind})
        negotiate(accept, _NONE)
        body, _ = documents.get(
            core, lambda: discovery.core_versions(server_address) if core else discovery.group_list(resources)
        )
        return json_response(request, body, headers={"vary": "Accept"})

    @router.get("/api")
    @router.get("/api/")
    async def api(request: Request) -> Response:
        return root(request, core=True)

    @router.get("/apis")
    @router.get("/apis/")
    async def apis(request: Request) -> Response:
        return root(request, core=False)

    @router.get("/api/{version}")
    @router.get("/api/{version}/")
    async def core_resources(request: Request, version: str) -> Response:
        body, _ = documents.get(
            ("", version), lambda: discovery.resource_list(catalog.resources(), "", version)
        )
        return json_response(request, body)

    @router.get("/apis/{group}")
    @router.get("/apis/{group}/")
    async def group(request: Request, group: str) -> Response:
        known = discovery.versions(catalog.resources()).get(group)
        if not known:
            raise errors.path_not_found()
        return json_response(
            request, {"kind": "APIGroup", "apiVersion": "v1", **discovery.group(group, known)}
        )

    @router.get("/apis/{group}/{version}")
    @router.get("/apis/{group}/{version}/")
    async def resources(request: Request, group: str, version: str) -> Response:
        body, _ = documents.get(
            (group, version), lambda: discovery.resource_list(catalog.resources(), group, version)
        )
        return json_response(request, body)

    return router


def process_router(catalog: Catalog) -> APIRouter:
    """/version, /metrics, and / which lists what there is."""
    router = APIRouter()
    shown = version.info()

    @router.get("/version")
    @router.get("/version/")
    async def version_(request: Request) -> Response:
        body = orjson.dumps(shown, option=orjson.OPT_INDENT_2)
        return json_response(request, body)

    @router.get("/metrics")
    async def metrics_() -> Response:
        body, content_type = metrics.metrics_response()
        return Response(body, media_type=content_type)

    @router.get("/")
    async def paths(request: Request) -> Response:
        listed = set(_PATHS)
        for group, versions in discovery.versions(catalog.resources()).items():
            root = f"/apis/{group}" if group else "/api"
            listed |= {root, *(f"{root}/{version}" for version in versions)}
        return json_response(request, {"paths": sorted(listed)})

    return router


def make(*routers: APIRouter) -> FastAPI:
    """The application of these routers; refusals are official Status objects here too."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    for router in routers:
        app.include_router(router)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, StatusError)
        return json_response(request, error.status(), error.code)

    async def not_found(request: Request, error: Exception) -> Response:
        return json_response(request, errors.path_not_found().status(), 404)

    async def wrong_method(request: Request, error: Exception) -> Response:
        refusal = StatusError(
            405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {}
        )
        return json_response(request, refusal.status(), 405)

    app.add_exception_handler(StatusError, refused)
    app.add_exception_handler(404, not_found)
    app.add_exception_handler(405, wrong_method)
    return app
