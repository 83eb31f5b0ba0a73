"""The FastAPI application, made when somebody first asks for what it serves.

Importing FastAPI takes 350 ms and 12 MiB. Resource requests and health checks, which is all that a cluster starts
and lives on, do without it; so the server is ready sooner, and the first discovery waits instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from apiserver.http.request import Receive, Scope, Send

ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class Deferred:
    """An ASGI application that `make` makes, once and in a thread: requests go on being served meanwhile."""

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        self._made: ASGIApp | None = None
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if self._made is None:
            async with self._making:
                if self._made is None:
                    self._made = await asyncio.to_thread(self._make)
        await self._made(scope, receive, send)
