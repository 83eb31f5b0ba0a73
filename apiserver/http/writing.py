"""The writing verbs over HTTP: reads body and options, calls the registry, sends the result."""

from __future__ import annotations

from apimachinery import Object, errors, times
from apimachinery.schema import decode
from apiserver.http import reading, tables
from apiserver.http.negotiation import DEFAULT, JSON, Media, body_type, negotiate
from apiserver.http.request import Request
from apiserver.http.responses import send_object
from apiserver.registry import create as creating
from apiserver.registry import delete as deleting
from apiserver.registry import patch as patching
from apiserver.registry import update as updating
from apiserver.registry.catalog import Catalog
from apiserver.registry.kind import Kind
from apiserver.registry.options import DeleteOptions, WriteOptions, delete_options, write_options
from apiserver.registry.strategy import RequestContext


class Writer:
    """The writing verbs of stored kinds."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def context(self, request: Request, kind: Kind, *, dry_run: bool = False) -> RequestContext:
        """The circumstances of a write, for the registry."""
        route = request.route
        return RequestContext(
            request.user, route.verb, kind.resource, route.subresource,
            route.namespace if kind.resource.namespaced else "", route.name, times.now(), dry_run,
            lookup=self._catalog.lookup, warnings=request.warnings,
        )  # fmt: skip

    async def create(self, request: Request, kind: Kind) -> None:
        """POST to a collection."""
        options = write_options("CreateOptions", request.query, request.headers.get(b"user-agent", b""))
        media = self._media(request)
        obj = await self.decode(request, kind, options)
        ctx = self.context(request, kind, dry_run=options.dry_run)
        if kind.resource.namespaced and not ctx.namespace:
            raise errors.bad_request("an empty namespace may not be set during creation")
        stored = await creating.create(kind, obj, ctx, options)
        await reading.send_stored(request, kind, stored, media, 201)

    async def update(self, request: Request, kind: Kind) -> None:
        """PUT of an object, or of a part of it that is written alone (status, finalize …)."""
        options = write_options("UpdateOptions", request.query, request.headers.get(b"user-agent", b""))
        media = self._media(request)
        obj = await self.decode(request, kind, options)
        ctx = self.context(request, kind, dry_run=options.dry_run)
        stored, created = await updating.update(
            kind, obj, ctx, options, subresource=request.route.subresource
        )
        await reading.send_stored(request, kind, stored, media, 201 if created else 200)

    async def patch(self, request: Request, kind: Kind) -> None:
        """PATCH in all four forms."""
        content = body_type(request.headers.get(b"content-type"), patching.PATCH_TYPES)
        apply = content == patching.APPLY_PATCH
        agent = request.headers.get(b"user-agent", b"")
        options = write_options("PatchOptions", request.query, agent, apply=apply)
        media = self._media(request)
        body = await request.body()
        ctx = self.context(request, kind, dry_run=options.dry_run)
        stored, created = await patching.patch(
            kind, content, body, ctx, options, subresource=request.route.subresource
        )
        await reading.send_stored(request, kind, stored, media, 201 if created else 200)

    async def delete(self, request: Request, kind: Kind) -> None:
        """DELETE of an object."""
        media = self._media(request)
        options = await self._delete_options(request)
        ctx = self.context(request, kind, dry_run=options.dry_run)
        outcome = await deleting.delete(kind, ctx, options)
        if outcome.removed and not kind.strategy.returns_deleted_object:
            await send_object(request, 200, self._gone(kind, outcome.obj.decode()), media)
            return
        foreground = options.orphan_dependents is False
        await reading.send_stored(
            request, kind, outcome.obj, media, 202 if foreground and not outcome.removed else 200
        )

    async def delete_collection(self, request: Request, kind: Kind) -> None:
        """DELETE of a collection, narrowed by selectors."""
        media = negotiate(request.headers.get(b"accept"), tables.LIST_FORMS)
        options = await self._delete_options(request)
        page = await reading.find(request, kind)
        ctx = self.context(request, kind, dry_run=options.dry_run)
        done = await deleting.delete_collection(kind, ctx, options, page.entries)
        resource = kind.resource
        body = {
            "kind": resource.list_kind, "apiVersion": resource.api_version,
            "metadata": {"resourceVersion": str(page.revision)}, "items": [stored.decode() for stored in done],
        }  # fmt: skip
        await send_object(request, 200, body, Media(media.type))

    async def decode(self, request: Request, kind: Kind, options: WriteOptions) -> Object:
        """Read the body as an object of this kind, in the stored version. Raises StatusError 400, 413, 415."""
        content = body_type(request.headers.get(b"content-type"))
        found = decode.check(kind.resource, await request.body(), options.unknown, content_type=content)
        if found.messages and options.unknown == "warn":
            request.warnings += found.messages
        return kind.internal(found.object)

    @staticmethod
    async def _delete_options(request: Request) -> DeleteOptions:
        body = await request.body()
        content = body_type(request.headers.get(b"content-type")) if body else JSON
        return delete_options(body, request.query, content)

    @staticmethod
    def _media(request: Request) -> Media:
        accept = request.headers.get(b"accept")
        return negotiate(accept, tables.OBJECT_FORMS) if accept else DEFAULT

    @staticmethod
    def _gone(kind: Kind, obj: Object) -> Object:
        resource, metadata = kind.resource, obj["metadata"]
        details = {
            "name": metadata["name"],
            "group": resource.group,
            "kind": resource.plural,
            "uid": metadata["uid"],
        }
        if not resource.group:
            del details["group"]
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
