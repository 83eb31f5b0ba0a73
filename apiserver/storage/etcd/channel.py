"""A lasting way to reach etcd: keeps one connection to one of the endpoints, and moves on when it fails.

Repeats what may be repeated (reads, and requests that certainly never reached etcd) until the call's deadline;
everything else is reported to the caller as it is, because a write without an answer may have happened.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence

from apiserver.storage.etcd.connection import Connection, Stream
from apiserver.storage.etcd.endpoints import Endpoint
from apiserver.storage.etcd.errors import EtcdError, EtcdTimeout, EtcdUnavailable
from component_base.logs import get_logger

_TICK_SECONDS = 0.5
_CONNECT_SECONDS = 3.0
_FIRST_BACKOFF_SECONDS = 0.02
_LONGEST_BACKOFF_SECONDS = 0.3
_RETRY_SECONDS = 0.05

log = get_logger("etcd")


class Channel:
    """Calls to etcd over the endpoint that answers at present. Start it inside a running event loop."""

    def __init__(
        self, endpoints: Sequence[Endpoint], tls: ssl.SSLContext | None, *, timeout: float = 10.0
    ) -> None:
        if not endpoints:
            raise ValueError("no etcd endpoint given")
        self._endpoints = list(endpoints)
        self._tls = tls
        self.timeout = timeout
        self._current: Connection | None = None
        self._open: set[Connection] = set()
        self._waiting: list[asyncio.Future[Connection]] = []
        self._connector: asyncio.Task[None] | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._closed = False
        self._last_problem = "not connected yet"

    @property
    def connected(self) -> bool:
        """True while there is a usable connection."""
        return self._current is not None and self._current.usable

    async def call(
        self, path: str, message: bytes, *, repeatable: bool = False, timeout: float | None = None
    ) -> bytes:
        """Make a unary call and return the answer's bytes; `timeout` in seconds.

        Raises EtcdError and its kinds: EtcdUnavailable, EtcdTimeout, RevisionCompacted.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self.timeout if timeout is None else timeout)
        while True:
            connection = self._current
            try:
                if connection is None or not connection.usable:
                    connection = await self._connection(deadline)
                return await connection.unary(path, message, deadline)
            except EtcdTimeout:
                if connection is not None:
                    self._leave(connection)
                raise
            except EtcdUnavailable as problem:
                if connection is not None and problem.sent:
                    self._leave(connection)
                if (problem.sent and not repeatable) or loop.time() + _RETRY_SECONDS >= deadline:
                    raise
            await asyncio.sleep(_RETRY_SECONDS)

    async def stream(
        self, path: str, on_message: Callable[[bytes], None], on_end: Callable[[EtcdError | None], None]
    ) -> "ClientStream":
        """Open a call of many messages on the present connection; raises EtcdUnavailable when there is none."""
        connection = self._current
        if connection is None or not connection.usable:
            connection = await self._connection(asyncio.get_running_loop().time() + self.timeout)
        return ClientStream(connection, connection.open_stream(path, on_message, on_end))

    async def close(self) -> None:
        """Close all connections; calls in flight fail."""
        self._closed = True
        if self._ticker is not None:
            self._ticker.cancel()
        if self._connector is not None:
            self._connector.cancel()
            await asyncio.gather(self._connector, return_exceptions=True)
        for connection in list(self._open):
            connection.close()
        self._current = None
        self._wake(error=EtcdUnavailable("the etcd client is closed", sent=False))

    # --- connections ------------------------------------------------------------------------------------

    async def _connection(self, deadline: float) -> Connection:
        if self._closed:
            raise EtcdUnavailable("the etcd client is closed", sent=False)
        loop = asyncio.get_running_loop()
        self._connect_soon()
        waiter: asyncio.Future[Connection] = loop.create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout_at(deadline):
                return await waiter
        except TimeoutError:
            raise EtcdUnavailable(f"etcd is not reachable: {self._last_problem}", sent=False) from None
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def _connect_soon(self) -> None:
        if not self._closed and (self._connector is None or self._connector.done()):
            self._connector = asyncio.get_running_loop().create_task(self._connect())
            if self._ticker is None:
                self._tick()

    async def _connect(self) -> None:
        """Try the endpoints in turn until one answers."""
        backoff = _FIRST_BACKOFF_SECONDS
        attempts = 0
        while True:
            endpoint = self._endpoints[0]
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    connection = await self._dial(endpoint)
                break
            except (OSError, TimeoutError, EtcdUnavailable) as problem:
                self._last_problem = f"{endpoint}: {problem or type(problem).__name__}"
                if attempts == 0:
                    log.warning(
                        "etcd is not reachable, trying again", endpoint=str(endpoint), error=str(problem)
                    )
            attempts += 1
            self._endpoints.append(self._endpoints.pop(0))
            if attempts % len(self._endpoints) == 0:
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, _LONGEST_BACKOFF_SECONDS)
        if attempts:
            log.info("etcd is reachable again", endpoint=str(endpoint))
        self._current = connection
        self._wake(connection)

    async def _dial(self, endpoint: Endpoint) -> Connection:
        loop = asyncio.get_running_loop()

        def protocol() -> Connection:
            return Connection(endpoint.authority, secure=endpoint.secure, on_closed=self._on_closed)

        tls = self._tls if endpoint.secure else None
        if endpoint.socket_path:
            server_name = "localhost" if tls else None
            transport, connection = await loop.create_unix_connection(
                protocol, endpoint.socket_path, ssl=tls, server_hostname=server_name
            )
        else:
            transport, connection = await loop.create_connection(
                protocol, endpoint.host, endpoint.port, ssl=tls
            )
        try:
            await connection.ready
        except BaseException:
            transport.abort()
            raise
        self._open.add(connection)
        return connection

    def _leave(self, connection: Connection) -> None:
        """Take no new calls to an endpoint that does not serve, when there is another one."""
        if connection is self._current and len(self._endpoints) > 1:
            self._endpoints.append(self._endpoints.pop(0))
            self._current = None
            connection.drain()
            self._connect_soon()

    def _on_closed(self, connection: Connection) -> None:
        if connection.closed:
            self._open.discard(connection)
        if connection is self._current:
            self._current = None
            self._connect_soon()

    def _wake(self, connection: Connection | None = None, error: EtcdError | None = None) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if waiter.done():
                continue
            if connection is not None:
                waiter.set_result(connection)
            elif error is not None:
                waiter.set_exception(error)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._open):
            connection.tick(now)
        self._ticker = loop.call_later(_TICK_SECONDS, self._tick)


class ClientStream:
    """The sending half of a long-lived call."""

    def __init__(self, connection: Connection, stream: Stream) -> None:
        self._connection = connection
        self._stream = stream

    def send(self, message: bytes) -> None:
        """Send one message."""
        self._connection.send(self._stream, message)

    def cancel(self) -> None:
        """End the call; no callback is called any more."""
        self._connection.cancel(self._stream)
