"""The limits of `bench api`: plain-ASGI handlers that do only what cannot be left out.

Arguments: PORT CERT KEY ETCD. GET /object returns the bytes that POST /object brought; POST /txn parses its body and
makes one bare etcd transaction; GET /list joins the lines that POST /parts brought and sends them.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from typing import Any

import orjson
import uvicorn

from apiserver.storage.etcd.client import Etcd
from apiserver.storage.etcd.messages import rpc


class Limits:
    """The application."""

    def __init__(self, etcd: Etcd) -> None:
        self._etcd = etcd
        self._object = b""
        self._parts: list[bytes] = []
        self._keys = itertools.count()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        path, method = scope["path"], scope["method"]
        if path == "/object" and method == "GET":
            await _answer(send, self._object)
        elif path == "/list":
            await _answer(send, b'{"items":[' + b",".join(self._parts) + b"]}")
        elif path == "/txn":
            body = await _body(receive)
            orjson.loads(body)
            key = b"/limit/%d" % next(self._keys)
            create = rpc.Compare(result=0, target=1, key=key, create_revision=0)
            put = rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=body))
            await self._etcd.txn(rpc.TxnRequest(compare=[create], success=[put]))
            await _answer(send, body)
        elif path == "/object":
            self._object = await _body(receive)
            await _answer(send, b"{}")
        elif path == "/parts":
            self._parts += (await _body(receive)).split(b"\n")
            await _answer(send, b"{}")
        else:
            await _answer(send, b"ok")


async def _body(receive: Any) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


async def _answer(send: Any, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Serve until killed."""
    port, certificate, key, etcd = sys.argv[1:5]
    config = uvicorn.Config(
        Limits(Etcd([etcd])), "127.0.0.1", int(port), loop="uvloop", http="httptools", lifespan="off",
        access_log=False, log_level="error", ssl_certfile=certificate, ssl_keyfile=key, server_header=False,
        date_header=False, timeout_keep_alive=3600,
    )  # fmt: skip
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
