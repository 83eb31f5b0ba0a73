"""The patch verb: JSON patch, merge patch, strategic merge patch and server-side apply, for every kind.

A patch is a function from the stored object to the wanted one; `update.modify` does the rest, so that a patch is
admitted and checked exactly as an update is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import orjson

from apimachinery import Object, errors
from apimachinery import field as fields
from apimachinery.errors import StatusError
from apimachinery.meta import deep_copy
from apimachinery.patch import json_patch, merge_patch, strategic
from apimachinery.resources import Resource
from apimachinery.schema import decode, decoding_errors, strictness, yaml_body
from apimachinery.schema.decode import UnknownFields
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
_OPERATION_FIELDS = frozenset({"op", "path", "from", "value"})


async def patch(
    kind: Kind, media: str, body: bytes, ctx: RequestContext, options: WriteOptions, *, subresource: str = ""
) -> tuple[Stored, bool]:
    """Apply a patch. Returns the result and whether it was created (apply only). Raises StatusError."""
    if media == APPLY_PATCH:
        return await _apply(kind, body, ctx, options, subresource)
    document = read_document(body)
    patched = compute_patch(kind, media, document)
    repeated = strict_problems(media, body, document) if options.unknown != "ignore" else []

    # What is shown of a patch whose outcome does not decode: a strategic patch itself, else the whole outcome.
    shown = strategic.go_value(document) if media == STRATEGIC_PATCH else ""

    def compute(old: Object) -> Object:
        wanted = patched(kind.served(old))
        obj = kind.internal(read_outcome(kind.resource, wanted, ctx, options, shown, repeated))
        obj.setdefault("metadata", {})
        kind.strategy.default(obj)
        return obj

    return await modify(kind, ctx, compute, options, subresource=subresource), False


def read_outcome(
    target: Resource | str,
    wanted: Any,
    ctx: RequestContext,
    options: WriteOptions,
    shown: str = "",
    repeated: Sequence[str] = (),
    *,
    api_version: str = "",
) -> Object:
    """Read the patched object as if it had been sent: types, unknown fields. Raises StatusError 422.

    `shown` is what the refusal quotes, the outcome if empty; `repeated` are the problems of the patch as it was sent.
    """

    def refusal(problem: str) -> StatusError:
        return errors.invalid("", "", "", [
            fields.invalid("patch", shown or orjson.dumps(wanted).decode(), problem)
        ])  # fmt: skip

    try:
        # What strict reading objects to comes back as messages, to stand behind those about the patch itself.
        unknown: UnknownFields = "ignore" if options.unknown == "ignore" else "warn"
        found = decode.check(target, wanted, unknown, api_version=api_version)
    except StatusError as error:
        raise refusal(re.sub(r"^.* cannot be handled as a \w+: ", "", error.message)) from None
    messages = [*repeated, *found.messages]
    if options.unknown == "strict" and messages:
        raise refusal(f"strict decoding error: {', '.join(messages)}")
    if options.unknown == "warn":
        ctx.warnings += messages
    return found.object


def strict_problems(media: str, body: bytes, document: Any) -> list[str]:
    """What strict reading objects to in the patch itself: repeated fields, unknown ones of JSON patch operations."""
    operations = document if media == JSON_PATCH else []
    unknown = any(isinstance(item, dict) and not item.keys() <= _OPERATION_FIELDS for item in operations)
    if not unknown and not strictness.may_repeat_keys(body, document):
        return []
    repeated = dict.fromkeys(strictness.repeated_keys(strictness.parse_pairs(body)))
    if media != JSON_PATCH:
        return [f'duplicate field "{path}"' for path in repeated]
    found = [
        f'json patch unknown field "[{index}].{name}"'
        for index, item in enumerate(operations)
        for name in item
        if name not in _OPERATION_FIELDS
    ]
    # Members of the values are not looked into: the original's JSON patch library keeps them as they came.
    return found + [f'json patch duplicate field "{path}"' for path in repeated if path.count(".") == 1]


def compute_patch(kind: Kind, media: str, document: Any) -> Any:
    """The function that a patch is. Raises StatusError 400 when the patch cannot be read."""
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
    except orjson.JSONDecodeError:
        raise errors.bad_request(f"error decoding patch: {decoding_errors.syntax_error(body)}") from None


def read_applied(body: bytes, options: WriteOptions) -> tuple[Object, list[str]]:
    """Parse an applied configuration; returns it and what to warn of. Raises StatusError 400."""
    try:
        document, repeated = yaml_body.parse(body)
    except ValueError as error:
        raise errors.bad_request(f"error decoding YAML: {error}") from None
    if not isinstance(document, dict):
        raise errors.bad_request("error decoding YAML: an object is expected")
    for key in ("apiVersion", "kind"):
        if not document.get(key):
            raise errors.bad_request(f"invalid object type: {key} is required")
    if repeated and options.unknown == "strict":
        problem = f"error converting YAML to JSON: {yaml_body.repeated_keys(repeated)}"
        raise errors.bad_request(f"error strict decoding YAML: {problem}")
    return document, repeated if options.unknown == "warn" else []


async def _apply(
    kind: Kind, body: bytes, ctx: RequestContext, options: WriteOptions, subresource: str
) -> tuple[Stored, bool]:
    resource = kind.resource
    document, warnings = read_applied(body, options)
    if (document["apiVersion"], document["kind"]) != (resource.api_version, resource.kind):
        raise errors.bad_request(
            f"invalid object type: {document['apiVersion']}, Kind={document['kind']} does not match "
            f"{resource.api_version}, Kind={resource.kind}"
        )
    if (document.get("metadata") or {}).get("managedFields"):
        raise errors.bad_request("metadata.managedFields must be nil")
    # Not decoded here: server-side apply refuses unknown fields in its own words, whatever the validation asked for.
    applied = kind.internal(document)
    applied.setdefault("metadata", {}).setdefault("name", ctx.name)
    check_name(applied, ctx)
    match_namespace(kind, applied, ctx.namespace)
    if not subresource and await kind.find(ctx.namespace, ctx.name) is None:
        if applied["metadata"].get("uid"):
            raise errors.conflict(
                resource.group,
                resource.plural,
                ctx.name,
                (
                    f"uid mismatch: the provided object specified uid {applied['metadata']['uid']}, and no existing object "
                    "was found"
                ),
            )
        fresh = managers.on_apply(kind, None, applied, options, subresource, ctx.now)
        kind.strategy.default(fresh)
        fresh["metadata"].pop("resourceVersion", None)
        ctx.warnings += warnings
        return await insert(kind, fresh, ctx, options), True

    def compute(old: Object) -> Object:
        ctx.warnings += warnings
        merged = managers.on_apply(kind, old, applied, options, subresource, ctx.now)
        kind.strategy.default(merged)
        return merged

    result = await modify(kind, ctx, compute, options, subresource=subresource, manages_itself=True)
    return result, False
