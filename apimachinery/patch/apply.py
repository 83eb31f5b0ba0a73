"""Server-side apply and the bookkeeping of field owners that every other write does.

``apply`` merges a stated configuration into the live object, refuses to take fields that others own unless forced,
and drops what the manager stated last time and no longer does. ``update_managers`` gives a manager the fields that
its create, update or patch has changed. Ownership follows KEP-555 (structured merge and diff).
"""

from __future__ import annotations

import json
from typing import Any, Final

from apimachinery import Object, errors, times
from apimachinery.patch import field_sets, typed
from apimachinery.patch.field_sets import FieldSet
from apimachinery.patch.managers import (
    APPLY,
    UPDATE,
    Managed,
    Manager,
    Owned,
    capped,
    decode,
    encode,
    is_reset,
    without_meta,
)
from apimachinery.resources import by_kind
from apimachinery.schema import decoder, definitions
from apimachinery.schema.types import ANYTHING, Type

__all__ = ["APPLY", "LAST_APPLIED", "UPDATE", "apply", "type_of", "update_managers"]

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
BEFORE_FIRST_APPLY: Final = "before-first-apply"
_KUBECTL: Final = "kubectl"


def type_of(obj: Object) -> Type:
    """The schema node of a built-in kind; a schemaless one for others."""
    resource = by_kind(obj.get("apiVersion") or "", obj.get("kind") or "")
    return definitions.get(resource.definition) if resource is not None else ANYTHING


def update_managers(
    old: Object | None,
    new: Object,
    manager: str,
    operation: str = UPDATE,
    subresource: str = "",
    *,
    node: Type | None = None,
    now: str | None = None,
    ignored: FieldSet | None = None,
) -> list[Object]:
    """Return the ``managedFields`` of ``new`` after ``manager`` has written it over ``old`` (None: created).

    The request's own ``managedFields`` are honoured where the original does so: one empty entry resets them,
    entries sent back replace the live ones, none at all leaves the live ones. ``ignored`` are fields that this
    endpoint resets (``status`` on the main one). Objects that are not tracked yet stay untracked on update.
    """
    sent = (new.get("metadata") or {}).get("managedFields")
    live = ((old or {}).get("metadata") or {}).get("managedFields")
    if is_reset(sent) and not subresource:
        return []
    managed = decode(sent) if not subresource else {}
    if not managed:
        managed = decode(live)
    if old is not None and not managed:
        return []
    kind = node if node is not None else type_of(new)
    removed: FieldSet
    if old is None:
        changed, removed = typed.created(_bare(new), kind), {}
    else:
        changed, removed = typed.compare(_bare(old), _bare(new), kind)
    changed, removed = without_meta(changed, ignored), without_meta(removed, ignored)
    if not changed and not removed:
        if live is not None and (not sent or sent == live):
            return list(live)
        return encode(managed)
    who = Manager(manager, operation, new.get("apiVersion") or "", subresource)
    managed = _take(managed, who, changed, removed, now or times.now())
    return encode(capped(managed))


def apply(
    live: Object | None,
    applied: Object,
    manager: str,
    force: bool = False,
    *,
    subresource: str = "",
    node: Type | None = None,
    now: str | None = None,
    ignored: FieldSet | None = None,
) -> Object:
    """Return the live object (None: there is none) with the configuration applied and its owners updated.

    ``applied`` may be the body as it was parsed: it is checked and made canonical here.
    When nothing changes, the result equals ``live``, times included. Raises StatusError: 409 with one
    FieldManagerConflict cause per field that somebody else owns, 500 (as the original) for fields that are not
    in the schema or lists whose keys are missing or repeated, 400 when the body carries managedFields.
    """
    if (applied.get("metadata") or {}).get("managedFields"):
        raise errors.bad_request("metadata.managedFields must be nil")
    kind = node if node is not None else type_of(applied)
    who = Manager(manager, APPLY, applied.get("apiVersion") or "", subresource)
    when = now or times.now()
    config = _bare(applied)
    try:
        typed.check_structure(config, kind)
        if kind.definition:
            config = decoder(kind.definition).decode_value(config).object
        request = _Apply(live, config, who, kind, when, ignored)
        conflicts = request.conflicts()
        if conflicts and not force:
            conflicts = _not_from_client_side(conflicts, live or {}, manager, kind)
            if conflicts:
                raise _conflict_error(conflicts)
        return request.result()
    except ValueError as err:
        raise _typed_error(applied, str(err)) from None


class _Apply:
    """One apply in steps: merge, prune, compare with the owners, give and take ownership."""

    def __init__(
        self,
        live: Object | None,
        config: Object,
        who: Manager,
        node: Type,
        now: str,
        ignored: FieldSet | None,
    ) -> None:
        self._live = live
        self._who = who
        self._node = node
        self._now = now
        before = _bare(live or {})
        self._managed = self._owners(before)
        self._claimed = typed.field_set(config, node)
        self._stated = without_meta(self._claimed, ignored)
        if ignored:
            config = typed.remove(config, ignored, node)
        merged = typed.merge(before, config, node) if live is not None else config
        self._object = self._pruned(merged)
        changed, removed = typed.compare(before, self._object, node)
        self._changed, self._removed = without_meta(changed), without_meta(removed)

    def _owners(self, before: Object) -> Managed:
        managed = decode(((self._live or {}).get("metadata") or {}).get("managedFields"))
        if self._live is None or managed:
            return managed
        # Nobody was tracked so far: what is there belongs to those who came before the first apply.
        everything = without_meta({k: v for k, v in typed.all_paths(before, self._node).items() if k != "."})
        first = Manager(BEFORE_FIRST_APPLY, UPDATE, self._who.api_version)
        return {first.identity: Owned(first, everything, self._now)} if everything else {}

    def _pruned(self, merged: Object) -> Object:
        """Drop what this manager stated before, states no longer, and nobody else owns."""
        last = self._managed.get(self._who.identity)
        if last is None:
            return merged
        claimed = self._claimed  # with the name, so that metadata never goes with its last owned field
        for identity, owned in self._managed.items():
            if identity != self._who.identity:
                claimed = field_sets.union(claimed, owned.fields)
        gone = field_sets.difference(
            typed.with_named_fields(last.fields, self._node), typed.with_named_fields(claimed, self._node)
        )
        pruned: Object = typed.remove(merged, gone, self._node)
        return pruned

    def conflicts(self) -> dict[Manager, FieldSet]:
        """Fields of others that this apply would change."""
        found: dict[Manager, FieldSet] = {}
        for identity, owned in self._managed.items():
            if identity != self._who.identity:
                taken = field_sets.intersection(owned.fields, self._changed)
                if taken:
                    found[owned.manager] = taken
        return found

    def result(self) -> Object:
        """The applied object, its managedFields up to date."""
        managed: Managed = {}
        for identity, owned in self._managed.items():
            if identity == self._who.identity:
                continue
            fields = field_sets.difference(owned.fields, self._changed)
            fields = field_sets.difference(fields, self._removed)
            if fields:
                managed[identity] = Owned(owned.manager, fields, owned.time)
        mine = self._managed.get(self._who.identity)
        if self._stated:
            same = mine is not None and mine.fields == self._stated
            unchanged = same and not self._changed and not self._removed
            time = mine.time if mine is not None and unchanged else self._now
            managed[self._who.identity] = Owned(self._who, self._stated, time)
        out = dict(self._object)
        metadata = dict(out.get("metadata") or {})
        metadata["managedFields"] = encode(managed)
        out["metadata"] = metadata
        return out


def _take(managed: Managed, who: Manager, changed: FieldSet, removed: FieldSet, now: str) -> Managed:
    """Ownership after an update: others lose what changed or went, the writer gains what changed."""
    out: Managed = {}
    for identity, owned in managed.items():
        fields = field_sets.difference(owned.fields, removed)
        if identity != who.identity:
            fields = field_sets.difference(fields, changed)
        if fields:
            out[identity] = Owned(owned.manager, fields, owned.time)
    if changed:
        mine = out.get(who.identity)
        fields = field_sets.union(mine.fields, changed) if mine else changed
        out[who.identity] = Owned(who, fields, now)
    return out


def _bare(obj: Object) -> Object:
    """The object without managedFields, which are never owned themselves."""
    metadata = obj.get("metadata")
    if not metadata or "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {k: v for k, v in metadata.items() if k != "managedFields"}}


def _not_from_client_side(
    conflicts: dict[Manager, FieldSet], live: Object, manager: str, node: Type
) -> dict[Manager, FieldSet]:
    """Leave out conflicts with kubectl's own earlier client-side apply, which server-side apply takes over."""
    if manager != _KUBECTL:
        return conflicts
    stated = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    if not stated:
        return conflicts
    try:
        last = json.loads(stated)
        if not isinstance(last, dict):
            return conflicts
        allowed = typed.field_set(last, node)
        changed, removed = typed.compare(_bare(live), last, node)
    except ValueError:
        return conflicts
    allowed = field_sets.difference(field_sets.difference(allowed, changed), removed)
    rest = {who: field_sets.difference(taken, allowed) for who, taken in conflicts.items()}
    return {who: taken for who, taken in rest.items() if taken}


def _conflict_error(conflicts: dict[Manager, FieldSet]) -> errors.StatusError:
    causes: list[Object] = []
    listed: dict[str, list[str]] = {}
    for who in sorted(conflicts, key=lambda w: (str(w), w.identity)):
        for path in field_sets.paths(conflicts[who]):
            where = field_sets.render(path)
            listed.setdefault(str(who), []).append(where)
            causes.append(
                {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": where}
            )
    if len(causes) == 1:
        who_text, where = next((who, paths[0]) for who, paths in listed.items())
        message = f"Apply failed with 1 conflict: conflict with {who_text}: {where}"
        return errors.apply_conflict(causes, message)
    lines: list[str] = []
    for who_text, paths in listed.items():
        lines.append(f"conflicts with {who_text}:")
        lines.extend(f"- {where}" for where in paths)
    return errors.apply_conflict(causes, f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines))


def _typed_error(applied: Object, problem: str) -> errors.StatusError:
    metadata: dict[str, Any] = applied.get("metadata") or {}
    where = f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}"
    kind = f"{applied.get('apiVersion')}, Kind={applied.get('kind')}"
    return errors.StatusError(500, "", f"failed to create typed patch object ({where}; {kind}): {problem}")
