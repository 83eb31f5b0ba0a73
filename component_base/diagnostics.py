"""The small HTTPS server on which a daemon shows /healthz, /livez, /readyz and /metrics.

For daemons whose only endpoints these are (scheduler, controller manager, proxy); the API server and the
kubelet route the same answers within their own applications.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Literal
from urllib.parse import parse_qs

from component_base.health import GROUPS, HealthChecks, HealthResponse
from component_base.metrics import metrics_response
from component_base.serving import ASGIApp, Receive, Scope, Send, Server
from component_base.tls import TLSFiles, self_signed_context

_PLAIN = b"text/plain; charset=utf-8"


def diagnostics_app(
    health: HealthChecks, metrics: Callable[[], tuple[bytes, str]] | None = metrics_response
) -> ASGIApp:
    """An ASGI application with the health endpoints and, unless None is given, /metrics."""

    async def answer(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            status, body, kind = 405, b"405 method not allowed\n", _PLAIN
        elif scope["path"] == "/metrics" and metrics is not None:
            body, metrics_kind = metrics()
            status, kind = 200, metrics_kind.encode()
        else:
            response = await answer_health(health, scope["path"], scope["query_string"])
            status, body, kind = response.status, response.body.encode(), _PLAIN
        headers = [
            (b"content-type", kind),
            (b"content-length", b"%d" % len(body)),
            (b"x-content-type-options", b"nosniff"),
            (b"cache-control", b"no-cache, private"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


async def answer_health(health: HealthChecks, path: str, query: bytes = b"") -> HealthResponse:
    """Answer a GET of `path` among the health endpoints; 404 for every other path."""
    group, _, name = path.strip("/").partition("/")
    if group not in GROUPS:
        return HealthResponse(404, "404 page not found\n")
    if name:
        return await health.render_one(group, name)
    parameters = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    return await health.render(
        group, verbose="verbose" in parameters, exclude=tuple(parameters.get("exclude", ()))
    )


async def serve_diagnostics(
    host: str,
    port: int,
    health: HealthChecks,
    metrics: Callable[[], tuple[bytes, str]] | None = metrics_response,
    tls: TLSFiles | ssl.SSLContext | Literal["self-signed"] | None = "self-signed",
) -> Server:
    """Start the server and return it. Without files it makes a certificate for itself; None means plain HTTP.

    Raises OSError when the address cannot be used.
    """
    context = await self_signed_context(host) if tls == "self-signed" else tls
    server = Server(diagnostics_app(health, metrics), host, port, tls=context)
    await server.start()
    return server
