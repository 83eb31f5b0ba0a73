"""The create verb, for every kind: name, system fields, admission, validation, storage."""

from __future__ import annotations

import uuid

from apimachinery import Object, errors, names
from apimachinery.errors import StatusError
from apimachinery.meta import deep_copy
from apiserver.admission.plugin import CREATE, Attributes
from apiserver.registry import managers
from apiserver.registry.kind import Kind, Stored
from apiserver.registry.options import WriteOptions
from apiserver.registry.strategy import RequestContext
from apiserver.storage import AlreadyExists, Claim, ClaimTaken

NAME_RETRIES = 8
CLAIM_RETRIES = 64
_SERVER_FIELDS = (
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "generation",
)


async def create(kind: Kind, obj: Object, ctx: RequestContext, options: WriteOptions) -> Stored:
    """Create `obj` (decoded, in the stored version). Raises StatusError; nothing is stored then."""
    metadata = obj.setdefault("metadata", {})
    if metadata.get("resourceVersion"):
        raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
    match_namespace(kind, obj, ctx.namespace)
    for field in _SERVER_FIELDS:
        metadata.pop(field, None)
    kind.strategy.default(obj)
    managers.on_create(obj, options.field_manager, ctx.now, has_status=kind.strategy.has_status)
    return await insert(kind, obj, ctx, options)


async def insert(kind: Kind, obj: Object, ctx: RequestContext, options: WriteOptions) -> Stored:
    """Create an object whose managed fields are settled (create, and apply of what does not exist)."""
    attributes = Attributes(CREATE, ctx, obj)
    await kind.admission.admit(attributes)
    metadata = obj["metadata"]
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = ctx.now
    generates = bool(metadata.get("generateName")) and not metadata.get("name")
    tries = 0
    while True:
        # What was chosen in vain for this try (an address, a port) must not look as if the client had asked for it.
        made = deep_copy(obj) if kind.makes_claims else obj
        if generates:
            made["metadata"]["name"] = names.generate_name(metadata["generateName"])
        try:
            return await _insert_once(kind, made, ctx)
        except AlreadyExists as taken:
            tries += 1
            if not generates or tries >= NAME_RETRIES:
                raise _already_exists(kind, made, taken) from None
        except ClaimTaken as taken:
            tries += 1
            error = kind.strategy.on_claim_taken(made, taken.key, ctx)
            if error is not None or tries >= CLAIM_RETRIES:
                raise error or errors.internal_error(f"failed to allocate {taken.key}") from None


async def _insert_once(kind: Kind, obj: Object, ctx: RequestContext) -> Stored:
    strategy, resource = kind.strategy, kind.resource
    strategy.prepare_for_create(obj, ctx)
    problems = strategy.validate(obj)
    name = obj["metadata"].get("name") or ""
    if problems:
        raise errors.invalid(resource.group, resource.kind, name, problems)
    ctx.warnings += strategy.warnings(obj)
    await kind.admission.validate(Attributes(CREATE, ctx, obj))
    if ctx.dry_run:
        existing = await kind.find(ctx.namespace, name)
        if existing is not None:
            raise _already_exists(kind, obj, AlreadyExists(existing))
        return kind.unsaved(obj)
    claims = (
        [Claim(key, strategy.claim_value(obj, key)) for key in strategy.claims(obj, None).take]
        if kind.makes_claims
        else []
    )
    return kind.view(await kind.store.create(ctx.namespace, name, obj, claims=claims))


def match_namespace(kind: Kind, obj: Object, namespace: str) -> None:
    """Put the request's namespace into the object. Raises StatusError 400 when the object says another."""
    metadata = obj["metadata"]
    given = metadata.get("namespace") or ""
    if given == namespace:
        return
    if not given:
        metadata["namespace"] = namespace
    elif not namespace:
        del metadata["namespace"]
    else:
        raise errors.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def _already_exists(kind: Kind, obj: Object, taken: AlreadyExists) -> StatusError:
    resource, name = kind.resource, obj["metadata"].get("name") or ""
    error = errors.already_exists(resource.group, resource.plural, name)
    if taken.entry.decode()["metadata"].get("deletionTimestamp"):
        error.message = f"object is being deleted: {error.message}"
    return error
