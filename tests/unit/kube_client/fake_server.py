"""A tiny API server over plain HTTP for tests of the client: real sockets, objects in a dict, faults on demand.

It knows nothing about kinds beyond the resource table and does no validation. What the real API server does is
tested against the real one.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
from aiohttp import web

from apimachinery import Object, resources
from apimachinery.patch import merge_patch
from apimachinery.resources import Resource
from kube_client.client import Client
from kube_client.config import KubeConfig

SERVED = (
    resources.PODS, resources.SERVICES, resources.ENDPOINTS, resources.NAMESPACES, resources.NODES,
    resources.CONFIG_MAPS, resources.SECRETS, resources.SERVICE_ACCOUNTS, resources.EVENTS,
    resources.DEPLOYMENTS, resources.REPLICA_SETS, resources.ENDPOINT_SLICES, resources.LEASES,
)  # fmt: skip
Fault = Callable[[web.Request], web.Response | None]


class FakeServer:
    """`requests` lists (method, path) of everything asked; `fault` may answer in the server's place."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.log: list[tuple[int, str, str, Object]] = []
        self.revision = 0
        self.oldest = 0
        self.requests: list[tuple[str, str]] = []
        self.fault: Fault | None = None
        self.changed = asyncio.Condition()
        self.watches: set[asyncio.Task[Any]] = set()
        self.url = ""
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def start(self) -> None:
        """Listen on a free port, or again on the port that it had."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Cut every connection; objects stay."""
        self.cut_watches()
        if self._runner is not None:
            await self._runner.cleanup()

    def client(self) -> Client:
        return Client(KubeConfig(server=self.url))

    def cut_watches(self) -> None:
        for task in list(self.watches):
            task.cancel()

    def get(self, resource: Resource, key: str) -> Object | None:
        return self.objects.get((resource.group_resource, key))

    def all(self, resource: Resource) -> list[Object]:
        return [obj for (name, _), obj in self.objects.items() if name == resource.group_resource]

    async def put(self, resource: Resource, obj: Object) -> Object:
        """Create or replace without HTTP."""
        kind = "MODIFIED" if (resource.group_resource, _key(obj)) in self.objects else "ADDED"
        return await self._store(kind, resource, obj)

    async def remove(self, resource: Resource, key: str) -> None:
        obj = self.objects.pop((resource.group_resource, key))
        await self._append("DELETED", resource, obj)

    async def compact(self) -> None:
        """Forget history: watches from older revisions get 410."""
        self.oldest = self.revision
        self.log.clear()

    async def _store(self, kind: str, resource: Resource, obj: Object) -> Object:
        obj = orjson.loads(orjson.dumps(obj))
        metadata = obj.setdefault("metadata", {})
        if "name" not in metadata:
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
        metadata.setdefault("uid", str(uuid.uuid4()))
        metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        obj.setdefault("apiVersion", resource.api_version)
        obj.setdefault("kind", resource.kind)
        await self._append(kind, resource, obj)
        self.objects[resource.group_resource, _key(obj)] = obj
        return obj

    async def _append(self, kind: str, resource: Resource, obj: Object) -> None:
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        self.log.append((self.revision, kind, resource.group_resource, orjson.loads(orjson.dumps(obj))))
        async with self.changed:
            self.changed.notify_all()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs))
        if self.fault is not None:
            answer = self.fault(request)
            if answer is not None:
                return answer
        resource, namespace, name, subresource = _parse(request.path)
        if resource is None:
            return _discovery(request.path)
        key = f"{namespace}/{name}" if namespace and name else name
        if request.method == "GET" and name is None:
            if request.query.get("watch"):
                return await self._watch(request, resource, namespace)
            return self._list(request, resource, namespace)
        if request.method == "POST":
            obj = orjson.loads(await request.read())
            if (resource.group_resource, _key(obj) if "name" in obj["metadata"] else "") in self.objects:
                return status(409, "AlreadyExists", f'{resource.group_resource} "{key}" already exists')
            return _json(await self._store("ADDED", resource, obj), 201)
        current = self.objects.get((resource.group_resource, key or ""))
        if current is None:
            return status(404, "NotFound", f'{resource.group_resource} "{name}" not found')
        if request.method == "GET":
            return _json(current)
        if request.method == "DELETE":
            await self.remove(resource, key or "")
            return _json(current)
        body = orjson.loads(await request.read())
        if request.method == "PATCH":
            body = merge_patch.apply(current, body)
        version = body["metadata"].get("resourceVersion")
        if version and version != current["metadata"]["resourceVersion"]:
            return status(409, "Conflict", "the object has been modified")
        if subresource == "status":
            body = {**current, "status": body.get("status"), "metadata": body["metadata"]}
        elif "status" in current:
            body["status"] = current["status"]
        if body.get("spec") != current.get("spec"):
            body["metadata"]["generation"] = body["metadata"].get("generation", 1) + 1
        return _json(await self._store("MODIFIED", resource, body))

    def _list(self, request: web.Request, resource: Resource, namespace: str | None) -> web.Response:
        items = [one for one in self.all(resource) if _in(one, namespace)]
        start = int(request.query.get("continue") or 0)
        limit = int(request.query.get("limit") or len(items) or 1)
        metadata = {"resourceVersion": str(self.revision)}
        if start + limit < len(items):
            metadata["continue"] = str(start + limit)
        body = {"kind": resource.list_kind, "metadata": metadata, "items": items[start : start + limit]}
        return _json(body)

    async def _watch(
        self, request: web.Request, resource: Resource, namespace: str | None
    ) -> web.StreamResponse:
        seen = int(request.query.get("resourceVersion") or 0)
        if seen < self.oldest:
            error = orjson.loads(status(410, "Expired", "too old resource version").body)
            return web.Response(body=orjson.dumps({"type": "ERROR", "object": error}) + b"\n")
        response = web.StreamResponse()
        await response.prepare(request)
        task = asyncio.current_task()
        assert task is not None
        self.watches.add(task)
        try:
            while True:
                for revision, kind, name, obj in list(self.log):
                    if revision > seen and name == resource.group_resource and _in(obj, namespace):
                        await response.write(orjson.dumps({"type": kind, "object": obj}) + b"\n")
                seen = max(seen, self.revision)
                async with self.changed:
                    await self.changed.wait_for(lambda known=seen: self.revision > known)
        except asyncio.CancelledError:
            if request.transport is not None:
                request.transport.abort()
            return response
        finally:
            self.watches.discard(task)


@contextlib.asynccontextmanager
async def fake_server() -> AsyncIterator[FakeServer]:
    """A running server, stopped at the end."""
    server = FakeServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def status(code: int, reason: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
    return web.Response(status=code, body=orjson.dumps(body), headers=headers)


def _discovery(path: str) -> web.Response:
    if path not in ("/api", "/apis"):
        return status(404, "NotFound", path)
    rows = [one for one in SERVED if (one.group == "") == (path == "/api")]
    groups: dict[str, list[Resource]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    items = [
        {
            "metadata": {"name": group},
            "versions": [
                {
                    "version": members[0].version,
                    "resources": [
                        {
                            "resource": one.plural,
                            "responseKind": {"kind": one.kind},
                            "scope": "Namespaced" if one.namespaced else "Cluster",
                            "verbs": list(one.verbs),
                        }
                        for one in members
                        if one.version == members[0].version
                    ],
                }
            ],
        }
        for group, members in groups.items()
    ]
    return _json({"kind": "APIGroupDiscoveryList", "items": items})


def _parse(path: str) -> tuple[Resource | None, str | None, str | None, str | None]:
    parts = path.strip("/").split("/")
    if parts[0] == "api":
        group, version, rest = "", parts[1] if len(parts) > 1 else "", parts[2:]
    else:
        group, version, rest = (
            parts[1] if len(parts) > 1 else "",
            parts[2] if len(parts) > 2 else "",
            parts[3:],
        )
    if not rest:
        return None, None, None, None
    namespace = None
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource = next(
        one for one in SERVED if (one.group, one.version, one.plural) == (group, version, rest[0])
    )
    return resource, namespace, rest[1] if len(rest) > 1 else None, rest[2] if len(rest) > 2 else None


def _in(obj: Object, namespace: str | None) -> bool:
    return namespace is None or obj["metadata"].get("namespace") == namespace


def _key(obj: Object) -> str:
    metadata = obj["metadata"]
    return (
        f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])
    )


def _json(obj: Object, code: int = 200) -> web.Response:
    return web.Response(status=code, body=orjson.dumps(obj), content_type="application/json")
