"""The scale subresource: the replica count of any kind that has one, in one form for all (autoscaling/v1)."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, errors
from apimachinery import field as fields
from apimachinery.meta import deep_copy
from apimachinery.patch import json_patch, merge_patch, strategic
from apimachinery.schema import decode
from apimachinery.selectors import LabelSelector
from apiserver.http.negotiation import body_type, negotiate
from apiserver.http.request import Request
from apiserver.http.responses import send_object
from apiserver.http.writing import Writer
from apiserver.registry import patch as patching
from apiserver.registry.kind import Kind
from apiserver.registry.options import WriteOptions, write_options
from apiserver.registry.strategy import ScalePaths
from apiserver.registry.update import check_name, modify

DEFINITION = "io.k8s.api.autoscaling.v1.Scale"
_NONE: frozenset[str] = frozenset()


def _read(obj: Object, path: tuple[str, ...]) -> Any:
    value: Any = obj
    for key in path:
        value = (value or {}).get(key)
    return value


def scale_of(obj: Object, paths: ScalePaths) -> Object:
    """The Scale of an object."""
    metadata = obj["metadata"]
    shown = {
        key: metadata[key]
        for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        if key in metadata
    }
    status: Object = {"replicas": _read(obj, paths.status_replicas) or 0}
    selector = _read(obj, paths.selector)
    if selector:
        status["selector"] = str(LabelSelector.from_object(selector))
    return {
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": shown,
        "spec": {"replicas": _read(obj, paths.spec_replicas) or 0}, "status": status,
    }  # fmt: skip


def with_scale(obj: Object, scale: Object, paths: ScalePaths) -> Object:
    """The object with the Scale's replica count. Raises StatusError 422 for a negative one."""
    metadata = scale.get("metadata") or {}
    replicas = (scale.get("spec") or {}).get("replicas") or 0
    if replicas < 0:
        problem = fields.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise errors.invalid("autoscaling", "Scale", metadata.get("name") or "", [problem])
    changed: Object = deep_copy(obj)
    target = changed
    for key in paths.spec_replicas[:-1]:
        target = target.setdefault(key, {})
    target[paths.spec_replicas[-1]] = replicas
    for key in ("uid", "resourceVersion"):
        if metadata.get(key):
            changed["metadata"][key] = metadata[key]
        elif key == "resourceVersion":
            changed["metadata"].pop(key, None)
    return changed


class ScaleHandler:
    """GET, PUT and PATCH of a kind's scale."""

    def __init__(self, kind: Kind, writer: Writer) -> None:
        assert kind.strategy.scale is not None
        self._kind, self._paths, self._writer = kind, kind.strategy.scale, writer

    async def __call__(self, request: Request) -> None:
        """Serve a request."""
        media = negotiate(request.headers.get(b"accept"), _NONE)
        route = request.route
        if route.verb == "get":
            entry = await self._kind.get(
                route.namespace, route.name, request.param("resourceVersion") or None
            )
            await send_object(request, 200, scale_of(entry.decode(), self._paths), media)
            return
        scale = await (self._patch(request) if route.verb == "patch" else self._update(request))
        await send_object(request, 200, scale, media)

    async def _update(self, request: Request) -> Object:
        options = write_options("UpdateOptions", request.query, request.headers.get(b"user-agent", b""))
        content = body_type(request.headers.get(b"content-type"))
        found = decode.check(
            DEFINITION, await request.body(), options.unknown, content_type=content, api_version="autoscaling/v1",
        )  # fmt: skip
        request.warnings += found.messages
        scale = found.object
        ctx = self._writer.context(request, self._kind, dry_run=options.dry_run)
        check_name(scale, ctx)
        return await self._store(request, options, lambda old: scale)

    async def _patch(self, request: Request) -> Object:
        content = body_type(request.headers.get(b"content-type"), patching.PATCH_TYPES)
        apply = content == patching.APPLY_PATCH
        agent = request.headers.get(b"user-agent", b"")
        options = write_options("PatchOptions", request.query, agent, apply=apply)
        body = await request.body()
        if apply:
            document, repeated = patching.read_applied(body, options)
        else:
            document = patching.read_document(body)
            repeated = (
                [] if options.unknown == "ignore" else patching.strict_problems(content, body, document)
            )
        ctx = self._writer.context(request, self._kind, dry_run=options.dry_run)

        def patched(old: Object) -> Object:
            scale = scale_of(old, self._paths)
            if content == patching.JSON_PATCH:
                scale = json_patch.apply(scale, document)
            elif content == patching.STRATEGIC_PATCH:
                scale = strategic.apply(scale, deep_copy(document), DEFINITION)
            else:
                scale = merge_patch.apply(scale, document)
            return patching.read_outcome(
                DEFINITION, scale, ctx, options, repeated=repeated, api_version="autoscaling/v1"
            )

        return await self._store(request, options, patched)

    async def _store(self, request: Request, options: WriteOptions, wanted: Any) -> Object:
        ctx = self._writer.context(request, self._kind, dry_run=options.dry_run)

        def compute(old: Object) -> Object:
            return with_scale(old, wanted(old), self._paths)

        stored = await modify(
            self._kind, ctx, compute, options, subresource="scale", rules=self._kind.rules[""]
        )
        return scale_of(stored.decode(), self._paths)
