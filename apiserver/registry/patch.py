"""The patch verb: JSON patch, merge patch, strategic merge patch and server-side apply, for every kind.

A patch is a function from the stored object to the wanted one; `update.modify` does the rest, so that a patch is
admitted and checked exactly as an update is.
"""

from __future__ import annotations

from typing import Any

import orjson

from apimachinery import Object, errors
from apimachinery import field as fields
from apimachinery.errors import StatusError
from apimachinery.meta import deep_copy
from apimachinery.patch import json_patch, merge_patch, strategic
from apimachinery.schema import decode, yaml_body
from apiserver.registry import managers
from apiserver.registry.create import insert, match_namespace
from apiserver.registry.kind import Kind, Stored
from apiserver.registry.options import WriteOptions
from apiserver.registry.strategy import RequestContext
from apiserver.registry.update import check_name, modify

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
PATCH_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)
MAX_OPERATIONS = 10_000


async def patch(
    kind: Kind, media: str, body: bytes, ctx: RequestContext, options: WriteOptions, *, subresource: str = ""
) -> tuple[Stored, bool]:
    """Apply a patch. Returns the result and whether it was created (apply only). Raises StatusError."""
    if media == APPLY_PATCH:
        return await _apply(kind, body, ctx, options, subresource)
    patched = compute_patch(kind, media, body)

    # What is shown of a patch whose outcome does not decode: a strategic patch itself, else the whole outcome.
    shown = strategic.go_value(read_document(body)) if media == STRATEGIC_PATCH else ""

    def compute(old: Object) -> Object:
        return checked(kind, patched(kind.served(old)), ctx, options, shown)

    return await modify(kind, ctx, compute, options, subresource=subresource), False


def checked(kind: Kind, wanted: Any, ctx: RequestContext, options: WriteOptions, shown: str = "") -> Object:
    """Read the patched object as if it had been sent: types, unknown fields, defaults. Raises StatusError."""
    try:
        found = decode.check(kind.resource, wanted, options.unknown)
    except StatusError as error:
        shown = shown or orjson.dumps(wanted).decode()
        problem = error.message.partition(f"cannot be handled as a {kind.resource.kind}: ")[2] or error.message
        raise errors.invalid("", "", "", [fields.invalid("patch", shown, problem)]) from None
    if options.unknown == "warn":
        ctx.warnings += found.messages
    obj = kind.internal(found.object)
    obj.setdefault("metadata", {})
    kind.strategy.default(obj)
    return obj


def compute_patch(kind: Kind, media: str, body: bytes) -> Any:
    """The function that a patch is. Raises StatusError 400 when the patch cannot be read."""
    document = read_document(body)
    if media == JSON_PATCH:
        if not isinstance(document, list):
            raise errors.bad_request(
                "error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch"
            )
        if len(document) > MAX_OPERATIONS:
            raise errors.entity_too_large(
                f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(document)}"
            )
        return lambda old: json_patch.apply(deep_copy(old), document)
    if not isinstance(document, dict):
        raise errors.bad_request(
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
        )
    if media == MERGE_PATCH:
        return lambda old: merge_patch.apply(deep_copy(old), document)
    return lambda old: strategic.apply(deep_copy(old), deep_copy(document), kind.resource.definition)


def read_document(body: bytes) -> Any:
    """Parse JSON. Raises StatusError 400."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise errors.bad_request(f"error decoding patch: {error}") from None


async def _apply(
    kind: Kind, body: bytes, ctx: RequestContext, options: WriteOptions, subresource: str
) -> tuple[Stored, bool]:
    resource = kind.resource
    try:
        document, _ = yaml_body.parse(body)
    except ValueError as error:
        raise errors.bad_request(f"error decoding YAML: {error}") from None
    if not isinstance(document, dict):
        raise errors.bad_request("error decoding YAML: an object is expected")
    for key in ("apiVersion", "kind"):
        if not document.get(key):
            raise errors.bad_request(f"invalid object type: {key} is required")
    if (document["apiVersion"], document["kind"]) != (resource.api_version, resource.kind):
        raise errors.bad_request(
            f"invalid object type: {document['apiVersion']}, Kind={document['kind']} does not match "
            f"{resource.api_version}, Kind={resource.kind}"
        )
    if (document.get("metadata") or {}).get("managedFields"):
        raise errors.bad_request("metadata.managedFields must be nil")
    # Not decoded here: server-side apply refuses unknown fields in its own words, whatever the validation asked for.
    applied = kind.internal(document)
    warnings = list(ctx.warnings)
    applied.setdefault("metadata", {}).setdefault("name", ctx.name)
    check_name(applied, ctx)
    match_namespace(kind, applied, ctx.namespace)
    if not subresource and await kind.find(ctx.namespace, ctx.name) is None:
        if applied["metadata"].get("uid"):
            raise errors.conflict(resource.group, resource.plural, ctx.name, (
                f"uid mismatch: the provided object specified uid {applied['metadata']['uid']}, and no existing object "
                "was found"
            ))
        fresh = managers.on_apply(kind, None, applied, options, subresource, ctx.now)
        kind.strategy.default(fresh)
        fresh["metadata"].pop("resourceVersion", None)
        return await insert(kind, fresh, ctx, options), True

    def compute(old: Object) -> Object:
        ctx.warnings += warnings
        merged = managers.on_apply(kind, old, applied, options, subresource, ctx.now)
        kind.strategy.default(merged)
        return merged

    result = await modify(kind, ctx, compute, options, subresource=subresource, manages_itself=True)
    return result, False
