"""A byte tunnel: a hijacked client connection passed on to another server, request head included.

The API server puts it between a client and a kubelet (exec, attach, port-forward) and between a client and
any upgraded proxy request. It never looks into what it carries.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress

from component_base.hijack import HijackedConnection

_CHUNK = 65536


async def tunnel(
    connection: HijackedConnection,
    request_head: bytes,
    host: str,
    port: int,
    ssl_context: ssl.SSLContext | None,
    *,
    connect_timeout: float = 10.0,
) -> None:
    """Send `request_head` to host and port, then copy both ways until either side has ended.

    The server's answer, whatever it is, goes to the client as it comes. Raises OSError (TimeoutError
    included) when the server cannot be reached: the client has got no answer then and is still connected.
    """
    async with asyncio.timeout(connect_timeout):
        reader, writer = await asyncio.open_connection(host, port, ssl=ssl_context)
    writer.write(request_head)

    async def forth() -> None:
        while data := await connection.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    async def back() -> None:
        while data := await reader.read(_CHUNK):
            connection.write(data)
            await connection.drain()

    client, server = asyncio.create_task(forth()), asyncio.create_task(back())
    try:
        await asyncio.wait((client, server), return_when=asyncio.FIRST_COMPLETED)
        if not server.done() and writer.can_write_eof():
            # Half-closed by the client (plain TCP): the server's answer still has to come back.
            await asyncio.wait((server,))
    finally:
        for task in (client, server):
            task.cancel()
        await asyncio.gather(client, server, return_exceptions=True)
        writer.close()
        with suppress(OSError):
            await connection.close()
