"""A raw HTTP client against the API server: what these tests look at is status codes, headers and words."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.harness.control_plane import ControlPlane


class Answer:
    """A response, read to its end."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["message"])


class Http:
    """Requests as the administrator, or without any certificate."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url, self.session = url, session

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        data = body if isinstance(body, (bytes, str)) or body is None else json.dumps(body)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        async with self.session.request(method, self.url + path, data=data, headers=sent) as response:
            return Answer(response.status, response.headers, await response.read())

    async def apply(self, path: str, body: Any, manager: str = "test", force: bool = False) -> Answer:
        query = f"?fieldManager={manager}" + ("&force=true" if force else "")
        return await self("PATCH", path + query, body, Content_Type="application/apply-patch+yaml")

    async def merge(self, path: str, body: Any) -> Answer:
        return await self("PATCH", path, body, Content_Type="application/merge-patch+json")


def _context(plane: ControlPlane, certificate: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(plane.ca_file))
    if certificate:
        base = plane.pki / "kubernetes-admin"
        context.load_cert_chain(f"{base}.crt", f"{base}.key")
    return context


@pytest_asyncio.fixture
async def http(control_plane: ControlPlane) -> AsyncIterator[Http]:
    connector = aiohttp.TCPConnector(ssl=_context(control_plane, True))
    async with aiohttp.ClientSession(connector=connector, auto_decompress=True) as session:
        yield Http(control_plane.url, session)


@pytest_asyncio.fixture
async def stranger(control_plane: ControlPlane) -> AsyncIterator[Http]:
    connector = aiohttp.TCPConnector(ssl=_context(control_plane, False))
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Http(control_plane.url, session)


_numbers = iter(range(10_000))


@pytest_asyncio.fixture
async def namespace(http: Http, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own, with its default service account."""
    name = f"t{next(_numbers)}-{request.node.name.lower().replace('_', '-').split('[')[0]}"[:63].rstrip("-")
    created = await http("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert created.status == 201, created.body
    account = await http(
        "POST", f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}}
    )
    assert account.status == 201, account.body
    return name


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def pod(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "busybox:1.36"}], **spec},
    }  # fmt: skip


def deployment(name: str, replicas: int = 1) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "busybox:1.36"}]},
            },
        },
    }  # fmt: skip


async def until(condition: Any, seconds: float = 10.0) -> None:
    """Wait for `await condition()` to be true."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - the condition is the server's, no event of ours
            await asyncio.sleep(0.05)
