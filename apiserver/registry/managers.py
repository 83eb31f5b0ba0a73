"""Field managers: every write records who set which field (`metadata.managedFields`), as server-side apply needs.

A thin layer over `apimachinery.patch.apply`, which knows the algebra; this module knows when it is due.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from apimachinery import Object
from apimachinery.patch import apply, field_sets
from apimachinery.patch.managers import UPDATE
from apimachinery.patch.typed import TypedError
from apiserver.registry.options import WriteOptions

if TYPE_CHECKING:
    from apiserver.registry.kind import Kind


_STATUS = field_sets.from_paths("status")


def on_create(obj: Object, manager: str, now: str, *, has_status: bool) -> None:
    """Note the creator as owner of all that the object says."""
    on_update(None, obj, manager, "", now, has_status=has_status)


def on_update(
    old: Object | None, obj: Object, manager: str, subresource: str, now: str, *, has_status: bool
) -> None:
    """Note the writer as owner of what differs from `old`; writes of the object itself do not touch status."""
    ignored = _STATUS if has_status and not subresource else None
    try:
        managed = apply.update_managers(old, obj, manager, UPDATE, subresource, now=now, ignored=ignored)
    except TypedError:
        managed = []  # Keys of list items are missing: validation will say where. Only an apply is refused for it.
    if managed:
        obj["metadata"]["managedFields"] = managed
    else:
        obj["metadata"].pop("managedFields", None)


def on_apply(
    kind: Kind, old: Object | None, applied: Object, options: WriteOptions, subresource: str, now: str
) -> Object:
    """Merge an applied configuration into the object. Raises StatusError 409 on conflicts without force."""
    ignored = _STATUS if kind.strategy.has_status and not subresource else None
    return apply.apply(
        old, applied, options.field_manager, options.force, subresource=subresource, now=now, ignored=ignored
    )
