"""A small HTTP/1.1 client for probes and lifecycle hooks: one request, one status, then the connection is closed.

Runs on plain asyncio streams, because a probe must be cheap and must not follow proxies, cookies or anything else.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from apimachinery import Object

MAX_BODY = 10 * 1024
USER_AGENT = "kube-probe/1.36"


class ProbeError(Exception):
    """The request could not be made; the message is the one for events."""


@dataclass(frozen=True)
class Answer:
    """Status code and the beginning of the body."""

    status: int
    body: bytes
    location: str = ""


def _insecure() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def port_number(port: int | str, container: Object) -> int:
    """The number of a port given by number or by name. Raises ProbeError."""
    if isinstance(port, int) or str(port).isdigit():
        return int(port)
    for one in container.get("ports") or ():
        if one.get("name") == port:
            return int(one["containerPort"])
    raise ProbeError(f"couldn't find port: {port} in container {container['name']}")


def url_of(action: Object, host: str, container: Object) -> tuple[str, str, int, str]:
    """(scheme, host, port, path) of an httpGet action."""
    scheme = str(action.get("scheme") or "HTTP").lower()
    path = action.get("path") or "/"
    return (
        scheme,
        action.get("host") or host,
        port_number(action["port"], container),
        (path if path.startswith("/") else "/" + path),
    )


async def get(action: Object, pod_ip: str, container: Object, timeout: float, accept: str = "*/*") -> Answer:
    """Perform an httpGet action. Raises ProbeError (also for a timeout)."""
    scheme, host, port, path = url_of(action, pod_ip, container)
    url = f"{scheme}://{bracketed(host)}:{port}{path}"
    try:
        async with asyncio.timeout(timeout):
            return await _get(scheme, host, port, path, action.get("httpHeaders") or (), accept)
    except TimeoutError as error:
        raise ProbeError(
            f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        ) from error
    except (OSError, ValueError, EOFError, asyncio.LimitOverrunError) as error:
        raise ProbeError(f'Get "{url}": {_reason(error, host, port)}') from error


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _reason(error: BaseException, host: str, port: int) -> str:
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {bracketed(host)}:{port}: connect: connection refused"
    if isinstance(error, EOFError):
        return "EOF"
    if isinstance(error, OSError) and error.strerror:
        return f"dial tcp {bracketed(host)}:{port}: {error.strerror.lower()}"
    return str(error)


async def _get(
    scheme: str, host: str, port: int, path: str, headers: Iterable[Mapping[str, str]], accept: str
) -> Answer:
    context = _insecure() if scheme == "https" else None
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        writer.write(_request(host, port, path, headers, accept))
        await writer.drain()
        status_line = (await reader.readuntil(b"\n")).split(b" ", 2)
        if len(status_line) < 2 or not status_line[0].startswith(b"HTTP/"):
            raise ValueError("malformed HTTP response")
        location, length = "", MAX_BODY
        while line := (await reader.readuntil(b"\n")).strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"location":
                location = value.strip().decode("latin-1")
            elif name.lower() == b"content-length" and value.strip().isdigit():
                length = min(int(value), MAX_BODY)
        body = b""
        with contextlib.suppress(OSError):
            while len(body) < length and (chunk := await reader.read(length - len(body))):
                body += chunk
        return Answer(int(status_line[1]), body, location)
    finally:
        writer.transport.abort()


def _request(host: str, port: int, path: str, headers: Iterable[Mapping[str, str]], accept: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1"]
    given = {header["name"].lower() for header in headers}
    if "host" not in given:
        lines.append(f"Host: {bracketed(host)}:{port}")
    if "user-agent" not in given:
        lines.append(f"User-Agent: {USER_AGENT}")
    if "accept" not in given and accept:
        lines.append(f"Accept: {accept}")
    lines += [f"{header['name']}: {header.get('value', '')}" for header in headers]
    lines += ["Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace")
