"""HTTP to one API server: httpx's interface over aiohttp's connections.

The only file that knows which HTTP library is used (httpx's own pool costs six times as much per request).
It keeps connections alive, follows rotated certificates and tokens, and turns every network failure into
`ApiUnavailable`. It must never interpret an answer; that is the client's part.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from component_base.lean_aiohttp import aiohttp  # before httpx_aiohttp, which imports it too

# httpx loads its own command line, with rich and click, if it can: 6 MB and 50 ms that no daemon needs.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]

import httpx  # noqa: E402
from httpx_aiohttp import AiohttpTransport  # noqa: E402

from kube_client.config import ConfigError, KubeConfig  # noqa: E402
from kube_client.errors import ApiUnavailable  # noqa: E402

CONNECT_TIMEOUT = 10.0
RELOAD_INTERVAL = 10.0
KEEPALIVE_SECONDS = 90.0
DEAD_PEER_SECONDS = 30

_NETWORK_ERRORS = (httpx.TransportError, aiohttp.ClientError, OSError, TimeoutError)


class Answer:
    """A complete answer: status code, headers (lower-case names) and body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


class Transport:
    """Sends requests to the server of one KubeConfig. Safe for concurrent use in one event loop."""

    def __init__(self, config: KubeConfig, user_agent: str) -> None:
        self._config = config
        self._credentials = _Credentials(config)
        self._sni = config.tls_server_name
        self._session: aiohttp.ClientSession | None = None
        self._base = config.server
        self._headers = {
            "User-Agent": user_agent,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }
        # httpx's transport without httpx.AsyncClient: there are no redirects, cookies or proxies to follow here,
        # and looking for them costs half of each request.
        self._http = AiohttpTransport(
            verify=self._credentials.context or ssl.create_default_context(), client=self._make_session
        )

    async def send(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = 60.0,
    ) -> Answer:
        """One request, whole answer. `timeout` is the longest silence in seconds. Raises ApiUnavailable."""
        async with self.stream(method, target, headers=headers, body=body, timeout=timeout) as response:
            try:
                content = await response.aread()
            except _NETWORK_ERRORS as error:
                raise ApiUnavailable(f"{method} {target}: {_words(error)}") from error
            return Answer(response.status_code, response.headers, content)

    @contextlib.asynccontextmanager
    async def stream(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float | None = 60.0,
    ) -> AsyncIterator[httpx.Response]:
        """An answer whose body is still to be read (watch, logs). Raises ApiUnavailable when it cannot begin."""
        extensions: dict[str, Any] = {"timeout": {"connect": CONNECT_TIMEOUT, "read": timeout, "pool": None}}
        if self._sni:
            extensions["sni_hostname"] = self._sni
        request = httpx.Request(
            method,
            self._base + target,
            headers={**self._headers, **self._credentials.headers(headers)},
            content=body,
            extensions=extensions,
        )
        try:
            response = await self._http.handle_async_request(request)
        except _NETWORK_ERRORS as error:
            raise ApiUnavailable(f"{method} {target}: {_words(error)}") from error
        try:
            yield response
        finally:
            with contextlib.suppress(*_NETWORK_ERRORS):
                await response.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()
        if self._session is not None:
            await self._session.close()

    def _make_session(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(
                ssl=self._credentials.context or True,
                limit=0,
                keepalive_timeout=KEEPALIVE_SECONDS,
                socket_factory=_make_socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            )
        return self._session


async def read_chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body as it arrives. Raises ApiUnavailable when the connection breaks; a clean end just ends."""
    try:
        async for chunk in response.aiter_raw():
            yield chunk
    except _NETWORK_ERRORS as error:
        raise ApiUnavailable(f"reading {response.request.url.path}: {_words(error)}") from error


class _Credentials:
    """TLS context and bearer token, read again when their files change."""

    def __init__(self, config: KubeConfig) -> None:
        self._config = config
        self._token = config.token
        self._stamp: tuple[Any, ...] = ()
        self._checked = 0.0
        self.context = _ssl_context(config) if config.server.startswith("https:") else None
        self._load_if_changed()

    def headers(self, extra: Mapping[str, str] | None) -> dict[str, str]:
        now = time.monotonic()
        if now - self._checked > RELOAD_INTERVAL:
            self._checked = now
            self._load_if_changed()
        headers = dict(extra) if extra else {}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers

    def _load_if_changed(self) -> None:
        config = self._config
        files = (config.token_file, config.client_certificate_file, config.client_key_file, config.ca_file)
        stamp = tuple(_stamp(file) for file in files)
        if stamp == self._stamp:
            return
        first, self._stamp = not self._stamp, stamp
        if config.token_file and not config.token:
            with contextlib.suppress(OSError), open(config.token_file, encoding="utf-8") as file:
                self._token = file.read().strip()
        if not first and self.context is not None:
            # New handshakes present the new pair; a half-written pair is retried at the next check.
            try:
                _load_chain(self.context, config)
                if config.ca_file:
                    self.context.load_verify_locations(cafile=config.ca_file)
            except (ssl.SSLError, OSError):
                self._stamp = ()


def _ssl_context(config: KubeConfig) -> ssl.SSLContext:
    try:
        if config.insecure_skip_tls_verify:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif config.ca_data:
            context = ssl.create_default_context(cadata=config.ca_data.decode())
        else:
            context = ssl.create_default_context(cafile=config.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        _load_chain(context, config)
    except (ssl.SSLError, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot load the certificates for {config.server}: {error}") from error
    return context


def _load_chain(context: ssl.SSLContext, config: KubeConfig) -> None:
    with contextlib.ExitStack() as stack:
        certificate = _as_file(stack, config.client_certificate_data, config.client_certificate_file)
        key = _as_file(stack, config.client_key_data, config.client_key_file)
        if certificate:
            context.load_cert_chain(certificate, key)


def _as_file(stack: contextlib.ExitStack, data: bytes | None, file: str | None) -> str | None:
    """OpenSSL wants paths; data given inline passes through memory, never through the disk."""
    if data is None:
        return file
    descriptor = os.memfd_create("kubeconfig")
    stack.callback(os.close, descriptor)
    os.write(descriptor, data)
    return f"/proc/self/fd/{descriptor}"


def _stamp(file: str | None) -> tuple[int, int] | None:
    if file is None:
        return None
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


def _make_socket(address: Any) -> socket.socket:
    """A socket that notices a peer which vanished without a word (machine off, network cut)."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, DEAD_PEER_SECONDS // 2)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, DEAD_PEER_SECONDS // 6)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_SECONDS * 1000)
    return made


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
