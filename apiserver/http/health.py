"""/healthz, /livez, /readyz and their single checks, answered in the lane: they are what is asked first."""

from __future__ import annotations

from apiserver.http.request import Request
from apiserver.http.responses import send
from component_base.diagnostics import answer_health
from component_base.health import GROUPS, HealthChecks

_TEXT = (b"content-type", b"text/plain; charset=utf-8")
_AS_IT_IS = (b"x-content-type-options", b"nosniff")


def is_health(path: str) -> bool:
    """Whether the path belongs to a health endpoint."""
    return path.strip("/").partition("/")[0] in GROUPS


async def health(request: Request, checks: HealthChecks) -> None:
    """Answer a health request."""
    outcome = await answer_health(checks, request.path, request.scope["query_string"])
    await send(request, outcome.status, outcome.body.encode(), _TEXT, [_AS_IT_IS])
