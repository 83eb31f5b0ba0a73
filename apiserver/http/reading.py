"""The reading verbs over HTTP: get and list. Where the client wants plain JSON, stored bytes are sent as they are."""

from __future__ import annotations

import orjson

from apimachinery import Object, errors
from apimachinery import field as fields
from apimachinery.selectors import FieldSelector, LabelSelector
from apiserver.http import tables
from apiserver.http.negotiation import Media, negotiate
from apiserver.http.request import Request
from apiserver.http.responses import send_list, send_object, send_raw
from apiserver.registry.kind import Kind, Stored
from apiserver.storage import ListResult


async def get(request: Request, kind: Kind) -> None:
    """GET of one object."""
    media = negotiate(request.headers.get(b"accept"), tables.OBJECT_FORMS)
    route = request.route
    namespace = route.namespace if kind.resource.namespaced else ""
    entry = await kind.get(namespace, route.name, request.param("resourceVersion") or None)
    await send_stored(request, kind, kind.view(entry), media)


async def send_stored(request: Request, kind: Kind, stored: Stored, media: Media, status: int = 200) -> None:
    """Send an object in the form asked for."""
    if not media.as_kind:
        await send_raw(request, status, stored.encoded(), media)
        return
    include = tables.included(request.param("includeObject"))
    obj = kind.internal(stored.decode())
    await send_object(request, status, tables.one(kind, obj, media, include), media)


def selectors(request: Request, kind: Kind) -> tuple[LabelSelector | None, FieldSelector | None]:
    """The selectors of a list or watch. Raises StatusError 400."""
    labels = fields_ = None
    query = request.query
    if "labelSelector" in query:
        try:
            labels = LabelSelector.parse(query["labelSelector"][0])
        except ValueError as error:
            raise errors.bad_request(str(error)) from None
    if "fieldSelector" in query:
        try:
            fields_ = FieldSelector.parse(query["fieldSelector"][0])
        except ValueError as error:
            raise errors.bad_request(str(error)) from None
        for name, _, _ in fields_.requirements:
            if name not in kind.field_names:
                raise errors.bad_request(_unknown_field(kind, name))
        if kind.converts:
            fields_ = fields_.transform(lambda name, value: (kind.field_names[name], value))
    elif request.route.verb == "watch" and request.route.name:  # /watch/…/{name}, the old form of a selector
        fields_ = FieldSelector.parse(f"metadata.name={request.route.name}")
    return labels, fields_


def _unknown_field(kind: Kind, name: str) -> str:
    if len(kind.field_names) > 2:
        return f"field label not supported: {name}"
    return f'{errors.quote(name)} is not a known field selector: only "metadata.name", "metadata.namespace"'


def check_list_options(request: Request, *, watch: bool) -> None:
    """Check how resourceVersion, resourceVersionMatch, continue and sendInitialEvents go together. Raises 422."""
    query = request.query
    match, version = request.param("resourceVersionMatch"), request.param("resourceVersion")
    initial = query.get("sendInitialEvents")
    problems = []
    if watch:
        if initial is not None:
            if match != "NotOlderThan":
                if match:
                    problems.append(fields.not_supported("resourceVersionMatch", match, ["NotOlderThan"]))
                else:
                    problems.append(
                        fields.forbidden(
                            "resourceVersionMatch",
                            "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                        )
                    )
        elif match:
            problems.append(
                fields.forbidden(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                )
            )
    else:
        if initial is not None:
            problems.append(fields.forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
        if match:
            if not version:
                problems.append(
                    fields.forbidden(
                        "resourceVersionMatch",
                        "resourceVersionMatch is forbidden unless resourceVersion is provided",
                    )
                )
            if request.param("continue"):
                problems.append(
                    fields.forbidden(
                        "resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided"
                    )
                )
            if match not in ("Exact", "NotOlderThan"):
                problems.append(
                    fields.not_supported("resourceVersionMatch", match, ["Exact", "NotOlderThan", ""])
                )
            if match == "Exact" and version == "0":
                problems.append(
                    fields.forbidden(
                        "resourceVersionMatch",
                        'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
                    )
                )
    if problems:
        raise errors.invalid("meta.k8s.io", "ListOptions", "", problems)


async def find(request: Request, kind: Kind) -> ListResult:
    """Run the list that the request asks for. Raises StatusError."""
    query = request.query
    namespace = request.route.namespace if kind.resource.namespaced else ""
    if not query:
        return await kind.store.list(namespace or None)
    labels, fields_ = selectors(request, kind)
    check_list_options(request, watch=False)
    limit = request.integer("limit") or 0
    if limit < 0:
        limit = 0
    return await kind.store.list(
        namespace or None,
        label_selector=labels,
        field_selector=fields_,
        resource_version=request.param("resourceVersion") or None,
        match=request.param("resourceVersionMatch") or None,
        limit=limit,
        cont=request.param("continue") or None,
    )


async def list_(request: Request, kind: Kind) -> None:
    """GET of a collection."""
    media = negotiate(request.headers.get(b"accept"), tables.LIST_FORMS)
    page = await find(request, kind)
    metadata: Object = {"resourceVersion": str(page.revision)}
    if page.cont:
        metadata["continue"] = page.cont
    if page.remaining is not None:
        metadata["remainingItemCount"] = page.remaining
    if not media.as_kind:
        await _send_list(request, kind, page, metadata, media)
        return
    objects = [entry.decode() for entry in page.entries]
    if media.as_kind == tables.TABLE:
        include = tables.included(request.param("includeObject"))
        await send_object(request, 200, tables.table(kind, objects, media, metadata, include), media)
        return
    items = [tables.partial(obj, media.version) for obj in objects]
    body = {
        "kind": media.as_kind,
        "apiVersion": f"meta.k8s.io/{media.version}",
        "metadata": metadata,
        "items": items,
    }
    await send_object(request, 200, body, media)


async def _send_list(request: Request, kind: Kind, page: ListResult, metadata: Object, media: Media) -> None:
    resource = kind.resource
    head = b"".join((
        b'{"kind":"', resource.list_kind.encode(), b'","apiVersion":"', resource.api_version.encode(),
        b'","metadata":', orjson.dumps(metadata), b',"items":',
    ))  # fmt: skip
    if kind.converts:
        items = [kind.served(entry.decode()) for entry in page.entries]
        await send_raw(request, 200, b"".join((head, orjson.dumps(items), b"}\n")), media)
    else:
        await send_list(request, page, head + b"[", b"]}\n", media)
