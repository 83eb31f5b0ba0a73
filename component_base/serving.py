"""The HTTPS server of every daemon: an ASGI application on uvicorn's protocol, without uvicorn's process life.

The daemon owns signals and the event loop; `Server` owns the listening socket, TLS and the connections. An
application finds in its scope:

- `extensions["tls"]["client_cert_der"]`: the verified client certificate (DER), None without one;
- `extensions["write_chunk"](chunk)`: see `Protocol.write_chunk`;
- `extensions["hijack"]()`, only for requests with an `Upgrade:` header: takes the connection over and returns
  a `HijackedConnection`; the application then writes its own `101 Switching Protocols`;
- `state["stopping"]`: an asyncio.Event that is set when the server begins to stop; long answers such as
  watches wait for it too and end.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from component_base import logs
from component_base.http_protocol import Protocol
from component_base.tls import ReloadingContext, TLSFiles

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

KEEP_ALIVE = 150.0  # seconds that an unused connection is kept
_SWEEP = 30.0
_log = logs.get_logger("serving")


class Server:
    """Serves `app` on host and port (0: any), or on the bound socket `sock`, with TLS when files are given.

    `tls` may also be a ready ssl.SSLContext. With `reuse_port` several processes may share the port.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        *,
        tls: TLSFiles | ssl.SSLContext | None = None,
        sock: socket.socket | None = None,
        reuse_port: bool = False,
        backlog: int = 2048,
    ) -> None:
        self._host, self._port, self._sock = host, port, sock
        self._tls, self._reuse_port, self._backlog = tls, reuse_port, backlog
        self.stopping = asyncio.Event()
        self._config = Config(
            app, interface="asgi3", http=Protocol, ws="none", loop="none", lifespan="off", log_config=None,
            access_log=False, proxy_headers=False, server_header=False, date_header=False,
        )  # fmt: skip
        self._state = ServerState()
        self._listener: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        """The port in use: the given one, or after `start` the one that the kernel chose."""
        return self._port

    @property
    def connections(self) -> int:
        """How many HTTP connections are open (hijacked ones excluded)."""
        return len(self._state.connections)

    async def start(self) -> None:
        """Listen. Raises OSError (port taken, no such address, no such file) and ssl.SSLError (bad files)."""
        loop = asyncio.get_running_loop()
        context = ReloadingContext(self._tls).context if isinstance(self._tls, TLSFiles) else self._tls
        self._config.load()
        app_state = {"stopping": self.stopping}

        def protocol() -> Protocol:
            return Protocol(self._config, self._state, app_state, loop)

        where: dict[str, Any] = {"sock": self._sock}
        if self._sock is None:
            where = {"host": self._host or None, "port": self._port, "reuse_port": self._reuse_port or None}
        self._listener = await loop.create_server(protocol, ssl=context, backlog=self._backlog, **where)
        self._port = self._listener.sockets[0].getsockname()[1]
        self._sweeper = loop.call_later(_SWEEP, self._sweep)
        _log.info("Serving", host=self._host, port=self._port, tls=context is not None)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._state.connections):
            if isinstance(connection, Protocol) and connection.idle_for(now) > KEEP_ALIVE:
                connection.timeout_keep_alive_handler()
        self._sweeper = loop.call_later(_SWEEP, self._sweep)

    async def stop(self, grace: float = 5.0) -> None:
        """Stop listening, set `stopping`, let requests finish for `grace` seconds, then cut what is left."""
        self.stopping.set()
        if self._listener is None:
            return
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._listener.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        tasks = set(self._state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1.0)
        for connection in list(self._state.connections):
            if not connection.transport.is_closing():
                connection.transport.abort()
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._listener.wait_closed()
        self._listener = None
