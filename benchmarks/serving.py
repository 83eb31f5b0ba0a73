"""`bench serving`: what the HTTPS server costs per GET of 2.3 KB, beside a protocol that only writes canned bytes.

The limit is TLS, the event loop and the system calls alone; uvicorn as it comes stands beside both.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from benchmarks._load import Load
from benchmarks._report import Report
from component_base.self_signed import make
from component_base.serving import Server
from component_base.tls import TLSFiles, server_context

CONNECTIONS, WARM_UP, REQUESTS, ROUNDS = 32, 2_000, 20_000, 3
BODY = b"x" * 2300
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
CANNED = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
    len(BODY),
    BODY,
)
GET = b"GET /api/v1/namespaces/default/pods/x HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n"


async def answer(_scope: Any, _receive: Any, send: Any) -> None:
    """The least that an application can do."""
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


class Canned(asyncio.Protocol):
    """Answers every read with the same bytes, unread."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(CANNED)


async def serve(kind: str, pem: str) -> None:
    """The child's work: listen, say on which port, and serve until killed."""
    if kind == "ours":
        server = Server(answer, "127.0.0.1", 0, tls=TLSFiles(pem, pem))
        await server.start()
        port = server.port
    elif kind == "limit":
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(Canned, "127.0.0.1", 0, ssl=server_context(TLSFiles(pem, pem)))
        port = listener.sockets[0].getsockname()[1]
    else:
        config = uvicorn.Config(
            answer, "127.0.0.1", 0, loop="none", http="httptools", lifespan="off", access_log=False,
            log_config=None, ssl_certfile=pem, ssl_keyfile=pem, server_header=False, date_header=False,
        )  # fmt: skip
        plain = uvicorn.Server(config)
        config.load()
        plain.lifespan = config.lifespan_class(config)
        await plain.startup()
        port = plain.servers[0].sockets[0].getsockname()[1]
    print(port, flush=True)
    await asyncio.Event().wait()


def measure(kind: str, pem: str) -> float:
    """Processor microseconds of the server per request."""
    argv = [sys.executable, "-m", "benchmarks.serving", kind, pem]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        try:
            assert child.stdout is not None
            port = next(int(line) for line in child.stdout if line.strip().isdecimal())

            async def load() -> float:
                generator = Load(port, pem, child.pid, CONNECTIONS)
                await generator.run(lambda _: GET, WARM_UP)
                return (await generator.run(lambda _: GET, REQUESTS)).cpu_micros

            return uvloop.run(load())
        finally:
            child.kill()


def main() -> None:
    report = Report("bench serving: server processor time per GET over TLS")
    with tempfile.TemporaryDirectory() as directory:
        pem = str(Path(directory) / "pair.pem")
        Path(pem).write_bytes(make("localhost"))
        # In turns, and the best of each: what else the machine does then disturbs all three alike.
        rounds = [[measure(kind, pem) for kind in ("limit", "ours", "uvicorn")] for _ in range(ROUNDS)]
        limit, ours, plain = (min(figures) for figures in zip(*rounds, strict=True))
        report.add("component_base.serving", ours, "µs", limit=limit)
        report.add("uvicorn as it comes", plain, "µs", limit=limit)
    report.print()


if __name__ == "__main__":
    if len(sys.argv) == 3:
        uvloop.run(serve(sys.argv[1], sys.argv[2]))
    else:
        main()
