"""uvicorn's httptools protocol, with what an API server needs and without what it does not.

Added: upgrades handed to the application (extension `hijack`), the peer's certificate (extension `tls`), one
write per small response, a limit on the size of request heads. Left out: access log, default headers, a timer
per request. Each request costs CPU on every daemon, so changes here are measured (`benchmarks/serving.py`).
It relies on uvicorn 0.54's internals; the version is pinned and `tests/unit/component_base` guards the use.
"""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from component_base import logs
from component_base.hijack import HijackedConnection

MAX_HEAD = 1 << 20  # bytes of request line and headers, as Go's http.Server
_MAX_BEHIND_UPGRADE = 1 << 20  # bytes kept for an application that has not answered its upgrade request yet
_BODY_LIMIT = 65536  # bytes of a request body received ahead of the application
_JOIN_LIMIT = 32768  # bytes up to which joining parts is cheaper than handing them over one by one
_TLS_SLICE = 32768  # bytes: two TLS records
_log = logs.get_logger("serving")


class Protocol(HttpToolsProtocol):
    """One HTTP/1.1 connection."""

    busy_since: float  # loop time of the last request's end, or of the connection's start
    _behind_upgrade: bytearray | None = None  # what follows an upgrade request's head, until it is answered
    _hijacked = False
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.busy_since = self.loop.time()
        connection = transport.get_extra_info("ssl_object")
        certificate = connection.getpeercert(binary_form=True) if connection is not None else None
        self.extensions: dict[str, Any] = {
            "tls": {"client_cert_der": certificate},
            "write_chunk": self.write_chunk,
        }

    def write_chunk(self, chunk: bytes) -> int:
        """Write a ready-made chunk (RFC 9112, 7.1) of the running chunked response at once.

        For long streams that send the same bytes to many. Returns the bytes that wait to be sent; a connection
        that is going away takes nothing.
        """
        if self.transport.is_closing():
            return 0
        if len(chunk) <= _TLS_SLICE:
            self.transport.write(chunk)
        else:
            # OpenSSL keeps a buffer as large as the largest write for as long as the connection lasts.
            view = memoryview(chunk)
            for start in range(0, len(chunk), _TLS_SLICE):
                self.transport.write(view[start : start + _TLS_SLICE])
        return self.transport.get_write_buffer_size()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._hijacked:
            super().connection_lost(exc)
        self.connections.discard(self)
        self.extensions = {}  # it refers back to this object

    def data_received(self, data: bytes) -> None:
        if self._behind_upgrade is not None:
            self._behind_upgrade += data
            if len(self._behind_upgrade) > _MAX_BEHIND_UPGRADE:
                self.flow.pause_reading()
            return
        if self._head_bytes >= 0:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD:
                self._refuse(431, b"Request Header Fields Too Large")
                return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._behind_upgrade = bytearray(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(400, b"Bad Request")

    def _refuse(self, status: int, text: bytes) -> None:
        """Answer in the words of Go's server, whose clients meet them, and close."""
        if self.transport.is_closing():
            return
        line = b"%d %s" % (status, text)
        self.transport.write(
            b"HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n%s"
            % (line, line)
        )
        self.transport.close()

    def on_message_begin(self) -> None:
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        self._head_bytes = -1
        url = self.url
        if url.startswith(b"/"):
            raw_path, _, query = url.partition(b"?")
        else:
            parsed = httptools.parse_url(url)
            raw_path, query = parsed.path or b"/", parsed.query or b""
        path = raw_path.decode("ascii")
        if "%" in path:
            path = urllib.parse.unquote(path)
        version = self.parser.get_http_version()
        extensions = self.extensions
        upgrade = self.parser.should_upgrade()
        if upgrade:
            extensions = {**extensions, "hijack": self._hijack}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "root_path": "",
            "headers": self.headers,
            "state": self.app_state.copy(),
            "method": self.parser.get_method().decode("ascii"),
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "extensions": extensions,
        }
        previous = self.cycle
        keep_alive = version != "1.0" and (upgrade or self.parser.should_keep_alive())
        cycle = self.cycle = Cycle(self, scope, keep_alive)
        if previous is None or previous.response_complete:
            self._start(cycle)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def _start(self, cycle: Cycle) -> None:
        task = cycle.task = self.loop.create_task(cycle.run_asgi(self.app))
        self.tasks.add(task)

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > _BODY_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        if not self.cycle.response_complete:
            self.cycle.more_body = False
            self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        self.busy_since = self.loop.time()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, _ = self.pipeline.pop()
            self._start(cycle)  # type: ignore[arg-type]
        elif self._behind_upgrade is not None:
            # The upgrade was answered like any request (refused, or simply ignored): go on with HTTP.
            behind, self._behind_upgrade = bytes(self._behind_upgrade), None
            if behind:
                self.loop.call_soon(self._resume, behind)

    def _resume(self, data: bytes) -> None:
        if self.parser is not None and not self.transport.is_closing():
            self.data_received(data)

    def idle_for(self, now: float) -> float:
        """Seconds without a request in work; 0 while there is one."""
        if self.cycle is not None and not self.cycle.response_complete:
            return 0.0
        return now - self.busy_since

    def _hijack(self) -> HijackedConnection:
        """Give the connection to the application. Raises RuntimeError once a response has been started."""
        cycle = self.cycle
        if self._hijacked or cycle.response_started or self._behind_upgrade is None:
            raise RuntimeError("The connection cannot be hijacked any more")
        if self.transport.is_closing():
            raise ConnectionResetError("The client has gone")
        self._hijacked = True
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        self.connections.discard(self)
        behind, self._behind_upgrade = bytes(self._behind_upgrade), None
        return HijackedConnection(self.transport, behind, self.loop)


class Cycle(RequestResponseCycle):
    """One request and its response."""

    task: asyncio.Task[None]

    def __init__(self, protocol: Protocol, scope: Any, keep_alive: bool) -> None:
        self.scope = scope
        self.protocol = protocol
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.message_event = asyncio.Event()
        self.on_response: Callable[[], None] = protocol.on_response_complete
        self.disconnected = False
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = protocol.expect_100_continue
        self.body = bytearray()
        self.more_body = True
        self.response_started = False
        self.response_complete = False
        self.chunked_encoding = False
        self.expected_content_length = 0
        self._held: bytes | None = None  # a response head that waits to be written with its body

    async def run_asgi(self, app: Any) -> None:
        try:
            await app(self.scope, self.receive, self.send)
            if not self.response_complete and not self.disconnected:
                _log.error("Application returned without a complete response", path=self.scope["path"])
                self.transport.close()
        except asyncio.CancelledError:
            self.transport.close()
            raise
        except Exception as error:
            if self.disconnected or isinstance(error, ConnectionError):
                self.transport.close()
            elif self.response_started:
                _log.error("Request failed in its response", path=self.scope["path"], exc_info=True)
                self.transport.close()
            else:
                _log.error("Request failed", path=self.scope["path"], exc_info=True)
                await self.send_500_response()
        finally:
            self.protocol.tasks.discard(self.task)

    async def send(self, message: Any) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            if message["type"] != "http.response.start":
                raise RuntimeError(f"Expected 'http.response.start', not '{message['type']}'")
            self._send_head(message)
        elif not self.response_complete:
            if message["type"] != "http.response.body":
                raise RuntimeError(f"Expected 'http.response.body', not '{message['type']}'")
            self._send_body(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"'{message['type']}' after the response was complete")

    def _send_head(self, message: Any) -> None:
        status = message["status"]
        headers = message.get("headers", ())
        content = [STATUS_LINE[status]]
        lines = 2
        length: int | None = None
        has_close = False
        for name, value in headers:
            if name == b"content-length":
                length = int(value)
            elif name == b"transfer-encoding":
                continue
            elif name == b"connection" and b"close" in value.lower():
                self.keep_alive = False
                has_close = True
            content += (name, b": ", value, b"\r\n")
            lines += 1
        if not self.keep_alive and not has_close:
            content.append(b"connection: close\r\n")
            lines += 1
        bodiless = status in (204, 304) or self.scope["method"] == "HEAD"
        if length is not None:
            self.expected_content_length = 0 if bodiless else length
        elif not bodiless:
            if self.scope["http_version"] == "1.0":
                self.expected_content_length = -1  # the end of the connection ends the body
            else:
                self.chunked_encoding = True
                content.append(b"transfer-encoding: chunked\r\n")
                lines += 1
        content.append(b"\r\n")
        head = b"".join(content)
        if head.count(b"\n") != lines:
            raise RuntimeError("Line break in a response header")
        self.response_started = True
        self.waiting_for_100_continue = False
        if self.expected_content_length > 0:
            self._held = head  # its body follows at once
        else:
            self.transport.write(head)

    def _write(self, *parts: bytes) -> None:
        """One write for small parts; large ones are not copied together."""
        if sum(map(len, parts)) < _JOIN_LIMIT:
            self.transport.write(b"".join(parts))
        else:
            self.transport.writelines(parts)

    def _send_body(self, body: bytes, more_body: bool) -> None:
        if self.chunked_encoding:
            if body:
                tail = b"\r\n" if more_body else b"\r\n0\r\n\r\n"
                self._write(b"%x\r\n" % len(body), body, tail)
            elif not more_body:
                self.transport.write(b"0\r\n\r\n")
        elif self.scope["method"] != "HEAD":
            if self.expected_content_length >= 0:
                self.expected_content_length -= len(body)
                if self.expected_content_length < 0:
                    raise RuntimeError("Response body longer than its Content-Length")
                if not more_body and self.expected_content_length:
                    raise RuntimeError("Response body shorter than its Content-Length")
            if self._held is not None:
                head, self._held = self._held, None
                self._write(head, body)
            elif body:
                self.transport.write(body)
        if not more_body:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()
