"""One HTTP request on its way through the filters: what is read of it at most once, and what the filters found.

Plain attributes and cached parsing instead of a framework's request object: this is the hot path.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from apimachinery import errors
from apiserver.registry.strategy import User

if TYPE_CHECKING:
    from apiserver.http.routes import Route

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY = 3 * 1024 * 1024
"""Bytes of a request body; more is refused with 413."""


@lru_cache(4096)
def parse_query(raw: bytes) -> dict[str, list[str]]:
    """The query parameters in order; the result is shared and must not be changed."""
    found: dict[str, list[str]] = {}
    for part in raw.decode("latin-1").split("&"):
        if not part:
            continue
        key, _, value = part.partition("=")
        if "%" in part or "+" in part:
            key, value = unquote_plus(key), unquote_plus(value)
        found.setdefault(key, []).append(value)
    return found


_NO_QUERY: dict[str, list[str]] = {}


class Request:
    """The request as the filters and handlers see it; `status` is set when the response starts."""

    __slots__ = (
        "audit_id", "headers", "impersonator", "method", "path", "query", "receive", "route", "scope", "send",
        "started", "status", "user", "warnings",
    )  # fmt: skip

    user: User
    route: Route

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        raw = scope["query_string"]
        self.query = parse_query(raw) if raw else _NO_QUERY
        self.started = time.perf_counter()
        self.status = 0
        self.audit_id = b""
        self.impersonator: User | None = None
        self.warnings: list[str] = []

    def param(self, name: str) -> str:
        """The first value of a query parameter, "" when there is none."""
        values = self.query.get(name)
        return values[0] if values else ""

    def flag(self, name: str) -> bool:
        """A boolean parameter, read as the API server reads them: absent, "0" and "false" are False."""
        values = self.query.get(name)
        return values is not None and values[0].lower() not in ("false", "0")

    def integer(self, name: str) -> int | None:
        """An integer parameter. Raises StatusError 400 when it is not one."""
        values = self.query.get(name)
        if not values or not values[0]:
            return None
        try:
            return int(values[0])
        except ValueError:
            problem = f'strconv.ParseInt: parsing "{values[0]}": invalid syntax'
            raise errors.bad_request(problem) from None

    async def body(self) -> bytes:
        """The whole body. Raises StatusError 413 beyond `MAX_BODY`, ConnectionError when the client went away."""
        declared = self.headers.get(b"content-length")
        if declared is not None and int(declared) > MAX_BODY:
            raise errors.entity_too_large(f"limit is {MAX_BODY}")
        message = await self.receive()
        if not message.get("more_body"):
            return self._part(message)
        parts = bytearray(self._part(message))
        while message.get("more_body"):
            message = await self.receive()
            parts += self._part(message)
            if len(parts) > MAX_BODY:
                raise errors.entity_too_large(f"limit is {MAX_BODY}")
        return bytes(parts)

    @staticmethod
    def _part(message: Message) -> bytes:
        if message["type"] != "http.request":
            raise ConnectionResetError("the client went away")
        body: bytes = message.get("body", b"")
        return body

    async def disconnected(self) -> None:
        """Return when the client has gone (its body must have been read)."""
        while (await self.receive())["type"] != "http.disconnect":
            continue
