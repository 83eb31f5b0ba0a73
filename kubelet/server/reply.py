"""Requests and replies of the kubelet's server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from component_base.serving import Receive, Scope, Send


class Refused(Exception):
    """The request is answered with this status code and text."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True)
class Request:
    """One request; `query` holds every value of a repeated parameter."""

    scope: Scope
    receive: Receive
    send: Send
    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]

    def first(self, name: str) -> str | None:
        """The first value of a parameter."""
        values = self.query.get(name)
        return values[0] if values else None

    def flag(self, name: str) -> bool:
        """Whether a parameter is true."""
        return self.first(name) in ("1", "true", "True")

    def parts(self, count: int) -> list[str]:
        """The path after its first part, which must have `count` parts (or one more, a pod uid). Raises Refused."""
        parts = self.path.strip("/").split("/")[1:]
        if len(parts) == count + 1:
            del parts[2]  # namespace, pod, uid, container
        if len(parts) != count or not all(parts):
            raise Refused(404, "404 page not found\n")
        return parts


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    code: int
    body: bytes
    content_type: str
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def send(self, send: Send) -> None:
        head = [
            (b"content-type", self.content_type.encode()),
            (b"content-length", str(len(self.body)).encode()),
            *self.headers,
        ]
        await send({"type": "http.response.start", "status": self.code, "headers": head})
        await send({"type": "http.response.body", "body": self.body})


async def stream(send: Send, chunks: AsyncGenerator[bytes, None], content_type: str) -> None:
    """An answer that is sent as it comes."""
    head = [(b"content-type", content_type.encode()), (b"transfer-encoding", b"chunked")]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    async with aclosing(chunks):
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
