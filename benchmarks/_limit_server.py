"""The limits of `bench api`: plain-ASGI handlers that do only what cannot be left out.

Arguments: PORT CERT KEY ETCD. GET /object returns the bytes that POST /object brought; POST /txn parses its body and makes one bare etcd
transaction; GET /list joins the stored objects and sends them; GET /watch is an open stream that POST /event writes to.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import orjson
import uvicorn

from apiserver.storage.etcd.client import Etcd
from apiserver.storage.etcd.messages import rpc

_objects: list[bytes] = []
_watchers: list[Any] = []
_state: dict[str, Any] = {"etcd": None, "key": 0}


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


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The four handlers."""
    if scope["type"] != "http":
        return
    path, method = scope["path"], scope["method"]
    if path == "/object" and method == "GET":
        await _answer(send, _objects[0])
    elif path == "/object":
        _objects.append(await _body(receive))
        await _answer(send, b"{}")
    elif path == "/list":
        await _answer(send, b'{"items":[' + b",".join(_objects) + b"]}")
    elif path == "/txn":
        body = await _body(receive)
        orjson.loads(body)
        _state["key"] += 1
        key = b"/limit/%d" % _state["key"]
        create = rpc.Compare(result=0, target=1, key=key, create_revision=0)
        put = rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=body))
        await _state["etcd"].txn(rpc.TxnRequest(compare=[create], success=[put]))
        await _answer(send, body)


def main() -> None:
    port, certificate, key, etcd = sys.argv[1:5]
    _state["etcd"] = Etcd([etcd])
    config = uvicorn.Config(
        app, "127.0.0.1", int(port), loop="uvloop", http="httptools", lifespan="off", access_log=False,
        log_level="error", ssl_certfile=certificate, ssl_keyfile=key, server_header=False, date_header=False,
    )  # fmt: skip
    asyncio.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
