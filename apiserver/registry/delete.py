"""The delete verbs, for every kind: grace period, finalizers, propagation, preconditions.

Deleting is one of: remove now; mark as deleting (grace, or finalizers that somebody must clear); shorten the
grace of a deletion under way; or nothing, because all that was asked for is under way already. `decide` chooses
from values alone; `delete` carries it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from apimachinery import Object, errors, times
from apimachinery.meta import deep_copy
from apiserver.admission.plugin import DELETE, Attributes
from apiserver.registry.kind import Kind, Stored
from apiserver.registry.options import DeleteOptions
from apiserver.registry.strategy import RequestContext, Strategy
from apiserver.storage import UNCHANGED, Entry, Remove, Unchanged

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"


class Action(Enum):
    """What a deletion comes to."""

    REMOVE = "remove"
    MARK = "mark"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Deletion:
    """The outcome of a delete request: the object as it is now or last was, and whether it is gone."""

    obj: Stored
    removed: bool


def finalizers_for(obj: Object, options: DeleteOptions, default: str) -> list[str]:
    """The finalizers after the request's propagation policy has been worked in."""
    current = list(obj["metadata"].get("finalizers") or ())
    if options.orphan_dependents is not None:
        orphan, foreground = options.orphan_dependents, False
    elif options.propagation_policy is not None:
        orphan = options.propagation_policy == "Orphan"
        foreground = options.propagation_policy == "Foreground"
    else:
        orphan = ORPHAN in current or (default == "Orphan" and FOREGROUND not in current)
        foreground = FOREGROUND in current or (default == "Foreground" and ORPHAN not in current)
    kept = [f for f in current if f not in (ORPHAN, FOREGROUND)]
    return [*kept, *([ORPHAN] if orphan else []), *([FOREGROUND] if foreground else [])]


def decide(strategy: Strategy, obj: Object, options: DeleteOptions, ctx: RequestContext) -> Action:
    """Choose, and change `obj` to what is to be stored when the action is MARK."""
    metadata = obj["metadata"]
    before = list(metadata.get("finalizers") or ())
    finalizers = finalizers_for(obj, options, strategy.default_propagation)
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    if metadata.get("deletionTimestamp"):
        return _again(strategy, obj, options, ctx, changed=finalizers != before)
    grace = strategy.grace_period(obj, options.grace_period_seconds)
    finished = strategy.is_finished(obj)
    if grace <= 0 and finished:
        return Action.REMOVE
    metadata["deletionTimestamp"] = times.format(times.parse(ctx.now) + max(grace, 0))
    metadata["deletionGracePeriodSeconds"] = max(grace, 0)
    if metadata.get("generation"):
        metadata["generation"] += 1
    strategy.prepare_for_delete(obj, ctx)
    return Action.MARK


def _again(
    strategy: Strategy, obj: Object, options: DeleteOptions, ctx: RequestContext, *, changed: bool
) -> Action:
    """A deletion of what is being deleted: it may only become quicker."""
    metadata = obj["metadata"]
    period = metadata.get("deletionGracePeriodSeconds") or 0
    if period == 0:
        if strategy.is_finished(obj):
            return Action.REMOVE
        return Action.MARK if changed else Action.NOTHING
    asked = strategy.grace_period(obj, options.grace_period_seconds)
    if options.grace_period_seconds is None or asked >= period:
        if options.grace_period_seconds is None and asked == 0 and strategy.is_finished(obj):
            return Action.REMOVE  # the object needs no grace any more (a pod that has finished)
        return Action.MARK if changed else Action.NOTHING
    if asked == 0 and strategy.is_finished(obj):
        return Action.REMOVE
    requested = times.parse(metadata["deletionTimestamp"]) - period
    metadata["deletionTimestamp"] = times.format(requested + asked)
    metadata["deletionGracePeriodSeconds"] = asked
    if metadata.get("generation"):
        metadata["generation"] += 1
    return Action.MARK


def check_preconditions(kind: Kind, name: str, obj: Object, options: DeleteOptions) -> None:
    """Compare uid and resourceVersion. Raises StatusError 409."""
    metadata, resource = obj["metadata"], kind.resource
    if options.uid is not None and options.uid != metadata.get("uid"):
        raise errors.conflict(
            resource.group,
            resource.plural,
            name,
            (
                f"the UID in the precondition ({options.uid}) does not match the UID in record ({metadata.get('uid')}). "
                "The object might have been deleted and then recreated"
            ),
        )
    if options.resource_version is not None and options.resource_version != metadata["resourceVersion"]:
        raise errors.conflict(
            resource.group,
            resource.plural,
            name,
            (
                f"the ResourceVersion in the precondition ({options.resource_version}) does not match the ResourceVersion "
                f"in record ({metadata['resourceVersion']}). The object might have been modified"
            ),
        )


async def delete(kind: Kind, ctx: RequestContext, options: DeleteOptions) -> Deletion:
    """Delete `ctx.name`. Raises StatusError."""
    action, made = Action.NOTHING, {}

    async def attempt(entry: Entry | None, old: Object) -> Object | Remove | Unchanged:
        nonlocal action, made
        if entry is None:
            raise kind.not_found(ctx.name)
        await kind.admission.admit(Attributes(DELETE, ctx, None, old))
        await kind.admission.validate(Attributes(DELETE, ctx, None, old))
        check_preconditions(kind, ctx.name, old, options)
        made = deep_copy(old)
        action = decide(kind.strategy, made, options, ctx)
        if ctx.dry_run:
            raise _DryRun
        if action is Action.REMOVE:
            return Remove(kind.strategy.released_claims(old))
        return made if action is Action.MARK else UNCHANGED

    try:
        entry = await kind.store.update(ctx.namespace, ctx.name, attempt)
    except _DryRun:
        return Deletion(kind.unsaved(made), removed=action is Action.REMOVE)
    return Deletion(kind.view(entry), removed=action is Action.REMOVE)


class _DryRun(Exception):
    """Leaves the write loop when all but the writing has been done."""


async def delete_collection(
    kind: Kind, ctx: RequestContext, options: DeleteOptions, entries: list[Entry]
) -> list[Stored]:
    """Delete what a list found, one by one; what has gone meanwhile is passed over. Raises StatusError."""
    done: list[Stored] = []
    for entry in entries:
        ctx.name, ctx.namespace = entry.name, entry.namespace
        try:
            done.append((await delete(kind, ctx, options)).obj)
        except errors.StatusError as error:
            if error.code != 404:
                raise
    return done
