"""The update verb, for every kind and every path of it (the object, status, finalize …), and its retry loop.

`modify` is the one way in which an existing object changes: compute, admit, prepare, validate, inside the
storage's loop, which begins with the cache's copy, writes if nobody else wrote meanwhile, and does it all again
otherwise. A refusal based on a copy that may be old is believed only when that copy was the latest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from apimachinery import Object, errors
from apimachinery import field as fields
from apiserver.admission.plugin import UPDATE, Attributes
from apiserver.registry import managers
from apiserver.registry.create import create, match_namespace
from apiserver.registry.kind import Kind, Stored
from apiserver.registry.options import WriteOptions
from apiserver.registry.strategy import RequestContext, UpdateRules, restore
from apiserver.storage import UNCHANGED, Change, Claim, ClaimTaken, Entry, Remove, Unchanged

CLAIM_RETRIES = 64
Compute = Callable[[Object], Object]
"""From the stored object (not to be changed) to the wanted one (a fresh value)."""


async def update(
    kind: Kind, obj: Object, ctx: RequestContext, options: WriteOptions, *, subresource: str = ""
) -> tuple[Stored, bool]:
    """PUT: replace the object. Returns the result and whether it was created. Raises StatusError."""
    check_name(obj, ctx)
    match_namespace(kind, obj, ctx.namespace)
    if not subresource and kind.strategy.allow_create_on_update:
        existing = await kind.find(ctx.namespace, ctx.name)
        if existing is None:
            obj["metadata"].pop("resourceVersion", None)
            return await create(kind, obj, ctx, options), True
    kind.strategy.default(obj)

    def replace(old: Object) -> Object:
        wanted = dict(obj)
        wanted["metadata"] = dict(obj["metadata"])
        return wanted

    return await modify(kind, ctx, replace, options, subresource=subresource, replaces=True), False


def check_name(obj: Object, ctx: RequestContext) -> None:
    """Compare the object's name and namespace with the URL's. Raises StatusError 400."""
    metadata = obj.setdefault("metadata", {})
    name, namespace = metadata.get("name") or "", metadata.get("namespace") or ""
    if not name:
        raise errors.bad_request(
            f"the name of the object ({ctx.name} based on URL) was undeterminable: name must be provided"
        )
    if name != ctx.name:
        raise errors.bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({ctx.name})"
        )
    if ctx.namespace and namespace and namespace != ctx.namespace:
        raise errors.bad_request(
            f"the namespace of the object ({namespace}) does not match the namespace on the request ({ctx.namespace})"
        )


async def modify(
    kind: Kind,
    ctx: RequestContext,
    compute: Compute,
    options: WriteOptions,
    *,
    subresource: str = "",
    replaces: bool = False,
    manages_itself: bool = False,
    rules: UpdateRules | None = None,
) -> Stored:
    """Change an existing object. `replaces`: the result must carry a resourceVersion where the kind insists.

    `manages_itself`: `compute` has settled managedFields already (server-side apply). `rules`: other rules than
    those of the path (scale follows the object's, a binding has none). Raises StatusError.
    """
    work = _Work(
        kind, ctx, compute, options, subresource, replaces, manages_itself, rules or kind.rules[subresource]
    )
    made: Object = {}
    warnings = list(ctx.warnings)  # what decoding warned of; the rest is said anew by each attempt

    async def attempt(entry: Entry | None, old: Object) -> Object | Change | Remove | Unchanged:
        nonlocal made
        if entry is None:
            raise kind.not_found(ctx.name)
        ctx.warnings[:] = warnings
        made = await work.shape(old)
        return _answer(kind, ctx, old, made)

    for _ in range(CLAIM_RETRIES):
        try:
            written = await kind.store.update(ctx.namespace, ctx.name, attempt)
        except _DryRun:
            return kind.unsaved(made)
        except ClaimTaken as taken:
            error = kind.strategy.on_claim_taken(made, taken.key, ctx)
            if error is not None:
                raise error from None
        else:
            return kind.unsaved(made) if is_over(kind, made) else kind.view(written)
    raise errors.internal_error("failed to allocate what the object asks for")


class _DryRun(Exception):
    """Leaves the write loop when all but the writing has been done."""


def is_over(kind: Kind, obj: Object) -> bool:
    """Whether an object being deleted has nothing left to wait for."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("deletionGracePeriodSeconds"):
        return False
    return kind.strategy.is_finished(obj)


def _answer(
    kind: Kind, ctx: RequestContext, old: Object, obj: Object
) -> Object | Change | Remove | Unchanged:
    if ctx.dry_run:
        raise _DryRun
    if is_over(kind, obj):
        return Remove(kind.strategy.released_claims(old))
    if obj == old:
        return UNCHANGED  # The same, if in another order: nothing to write, nothing to tell watchers.
    if not kind.makes_claims:
        return obj
    claims = kind.strategy.claims(obj, old)
    return Change(
        obj, [Claim(key, kind.strategy.claim_value(obj, key)) for key in claims.take], claims.release
    )


@dataclass(frozen=True, slots=True)
class _Work:
    """One update: what is wanted and by which rules."""

    kind: Kind
    ctx: RequestContext
    compute: Compute
    options: WriteOptions
    subresource: str
    replaces: bool
    manages_itself: bool
    rules: UpdateRules

    async def shape(self, old: Object) -> Object:
        """Everything between reading and writing. Raises StatusError."""
        kind, ctx, rules = self.kind, self.ctx, self.rules
        resource, strategy = kind.resource, kind.strategy
        obj = self.compute(old)
        metadata, old_metadata = obj["metadata"], old["metadata"]
        _check_version(kind, ctx, metadata, old_metadata, self.replaces)
        if self.subresource:
            rules.prepare(obj, old, ctx)
        elif strategy.has_status:
            restore(obj, old, "status")
        if not self.manages_itself:
            managers.on_update(
                old,
                obj,
                self.options.field_manager,
                self.subresource,
                ctx.now,
                has_status=strategy.has_status,
            )
        await kind.admission.admit(Attributes(UPDATE, ctx, obj, old))
        for field in ("generation", "creationTimestamp", "selfLink"):
            restore(metadata, old_metadata, field)
        if not metadata.get("uid"):
            restore(metadata, old_metadata, "uid")
        if old_metadata.get("deletionTimestamp"):
            restore(metadata, old_metadata, "deletionTimestamp")
            restore(metadata, old_metadata, "deletionGracePeriodSeconds")
        metadata["resourceVersion"] = old_metadata["resourceVersion"]
        if not self.subresource or strategy.counts_generation:
            rules.prepare(obj, old, ctx)
        problems = rules.validate(obj, old)
        if problems:
            raise errors.invalid(resource.group, resource.kind, ctx.name, problems)
        if not self.subresource:
            ctx.warnings += strategy.warnings(obj, old)
        await kind.admission.validate(Attributes(UPDATE, ctx, obj, old))
        return obj


def _check_version(
    kind: Kind, ctx: RequestContext, metadata: Object, old_metadata: Object, replaces: bool
) -> None:
    resource = kind.resource
    uid = metadata.get("uid")
    if uid and uid != old_metadata.get("uid"):
        path = f"/registry/{resource.plural}/{ctx.namespace}/{ctx.name}".replace("//", "/")
        raise errors.conflict(
            resource.group,
            resource.plural,
            ctx.name,
            (
                f"StorageError: invalid object, Code: 4, Key: {path}, ResourceVersion: 0, AdditionalErrorMsg: Precondition "
                f"failed: UID in precondition: {uid}, UID in object meta: {old_metadata.get('uid')}"
            ),
        )
    version = metadata.get("resourceVersion")
    if version and version != "0":
        if version != old_metadata["resourceVersion"]:
            if not version.isdecimal():
                problem = f'strconv.ParseUint: parsing "{version}": invalid syntax'
                raise errors.invalid(
                    resource.group,
                    resource.kind,
                    ctx.name,
                    [fields.invalid("metadata.resourceVersion", version, problem)],
                )
            raise errors.conflict(resource.group, resource.plural, ctx.name)
    elif replaces and not kind.strategy.allow_unconditional_update:
        raise errors.invalid(
            resource.group,
            resource.kind,
            ctx.name,
            [fields.invalid("metadata.resourceVersion", 0, "must be specified for an update")],
        )
