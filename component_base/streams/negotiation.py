"""The opening of a streaming session: which transport and which protocol version, and the 101 that says so.

Refusals are answered here too, in the words of the original servers, on the hijacked connection.
"""

from __future__ import annotations

from collections.abc import Collection, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal

from component_base.hijack import HijackedConnection
from component_base.streams.websocket import WebSocket, accept_key, handshake_fault

SPDY_VERSION = "SPDY/3.1"


class NegotiationError(Exception):
    """The client was refused; it has been answered and the connection is closed."""


@dataclass(frozen=True)
class Opening:
    """What client and server agreed on: `protocol` is the chosen version, empty if the client named none."""

    transport: Literal["spdy", "websocket"]
    protocol: str
    socket: WebSocket | None = None


async def open_session(
    scope: MutableMapping[str, Any],
    connection: HijackedConnection,
    spdy_protocols: Collection[str],
    websocket_protocols: Collection[str],
) -> Opening:
    """Answer the upgrade request in `scope`; protocols are listed in the server's order of preference.

    The client's first supported protocol wins. Raises NegotiationError after having answered 400 or 403.
    """
    upgrade = " ".join(_values(scope, b"upgrade"))
    if "websocket" in upgrade.lower():
        return await _open_websocket(scope, connection, websocket_protocols)
    if upgrade.lower() != SPDY_VERSION.lower():
        text = f'unable to upgrade: unexpected upgrade "{upgrade}"; must be "{SPDY_VERSION}" or "websocket"'
        await _refuse(connection, "400 Bad Request", text)
    offered = [
        name.strip() for value in _values(scope, b"x-stream-protocol-version") for name in value.split(",")
    ]
    chosen = next((name for name in offered if name in spdy_protocols), None)
    if chosen is None and offered:
        accepted = "".join(f"X-Accepted-Stream-Protocol-Versions: {name}\r\n" for name in spdy_protocols)
        text = (
            "unable to upgrade: unable to negotiate protocol: "
            f"client supports [{' '.join(offered)}], server accepts [{' '.join(spdy_protocols)}]"
        )
        await _refuse(connection, "403 Forbidden", text, accepted)
    protocol = f"X-Stream-Protocol-Version: {chosen}\r\n" if chosen is not None else ""
    await _switch(connection, SPDY_VERSION, protocol)
    return Opening("spdy", chosen or "")


async def _open_websocket(
    scope: MutableMapping[str, Any], connection: HijackedConnection, protocols: Collection[str]
) -> Opening:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    fault = handshake_fault(headers)
    if fault is not None or scope["method"] != "GET":
        await _refuse(connection, "400 Bad Request", fault or "bad method", "Sec-WebSocket-Version: 13\r\n")
    offered = [
        name.strip()
        for value in _values(scope, b"sec-websocket-protocol")
        for name in value.split(",")
        if not name.strip().startswith("base64url.bearer.authorization.k8s.io.")
    ]
    chosen = next((name for name in offered if name in protocols), None)
    if chosen is None and offered:
        text = f"requested protocol(s) are not supported: [{' '.join(offered)}]; supports [{' '.join(protocols)}]"
        await _refuse(connection, "403 Forbidden", text)
    extra = f"Sec-WebSocket-Accept: {accept_key(headers['sec-websocket-key'])}\r\n"
    if chosen is not None:
        extra += f"Sec-WebSocket-Protocol: {chosen}\r\n"
    await _switch(connection, "websocket", extra)
    return Opening("websocket", chosen or "", WebSocket(connection))


def _values(scope: MutableMapping[str, Any], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


async def _switch(connection: HijackedConnection, upgrade: str, extra: str) -> None:
    connection.write(
        f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n{extra}\r\n".encode()
    )
    await connection.drain()


async def _refuse(connection: HijackedConnection, status: str, text: str, extra: str = "") -> None:
    body = text.encode()
    connection.write(
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        f"{extra}Connection: close\r\n\r\n".encode()
        + body
    )
    await connection.close()
    raise NegotiationError(text)
