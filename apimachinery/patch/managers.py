"""``metadata.managedFields`` as a value: who owns which fields, by what kind of operation, since when."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from apimachinery import Object
from apimachinery.patch import field_sets
from apimachinery.patch.field_sets import FieldSet

APPLY: Final = "Apply"
UPDATE: Final = "Update"
MAX_UPDATERS: Final = 10
ANCIENT: Final = "ancient-changes"
_META_FIELDS: Final[FieldSet] = {
    "f:apiVersion": {},
    "f:kind": {},
    **field_sets.from_paths(
        "metadata.name",
        "metadata.namespace",
        "metadata.creationTimestamp",
        "metadata.selfLink",
        "metadata.uid",
        "metadata.clusterName",
        "metadata.generation",
        "metadata.managedFields",
        "metadata.resourceVersion",
    ),
}


@dataclass(frozen=True, slots=True)
class Manager:
    """Who owns fields. Appliers are told apart by name and subresource only, updaters also by apiVersion."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What makes two entries the same manager."""
        version = "" if self.operation == APPLY else self.api_version
        return (self.name, self.operation, version, self.subresource)

    def __str__(self) -> str:
        text = f'"{self.name}"'
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.api_version}" if self.operation == UPDATE else text


@dataclass(frozen=True, slots=True)
class Owned:
    """The fields of one manager."""

    manager: Manager
    fields: FieldSet
    time: str | None


Managed = dict[tuple[str, str, str, str], Owned]


def decode(entries: list[Object] | None) -> Managed:
    """Read ``managedFields``; entries that make no sense are left out, as the original does on updates."""
    managed: Managed = {}
    for entry in entries or ():
        operation = entry.get("operation")
        if operation not in (APPLY, UPDATE) or entry.get("fieldsType", "FieldsV1") != "FieldsV1":
            continue
        manager = Manager(
            entry.get("manager") or "",
            operation,
            entry.get("apiVersion") or "",
            entry.get("subresource") or "",
        )
        managed[manager.identity] = Owned(manager, entry.get("fieldsV1") or {}, entry.get("time"))
    return managed


def encode(managed: Managed) -> list[Object]:
    """Write ``managedFields`` in the official order: appliers first, then by time and name."""
    entries: list[Object] = []
    for owned in managed.values():
        entry: dict[str, Any] = {"apiVersion": owned.manager.api_version, "fieldsType": "FieldsV1"}
        entry["fieldsV1"] = owned.fields
        entry["manager"] = owned.manager.name
        entry["operation"] = owned.manager.operation
        if owned.manager.subresource:
            entry["subresource"] = owned.manager.subresource
        if owned.time:
            entry["time"] = owned.time
        entries.append(entry)
    entries.sort(
        key=lambda e: (
            e["operation"], e.get("time") or "", e["manager"], e["apiVersion"], e.get("subresource", ""),
        )
    )  # fmt: skip
    return entries


def without_meta(fields: FieldSet, ignored: FieldSet | None = None) -> FieldSet:
    """The set without what nobody can own (identity and bookkeeping) and without ``ignored``."""
    out = field_sets.recursive_difference(fields, _META_FIELDS)
    return field_sets.recursive_difference(out, ignored) if ignored else out


def is_reset(entries: list[Object] | None) -> bool:
    """Say whether a client asks to forget all owners, by sending one empty entry."""
    return entries is not None and len(entries) == 1 and not entries[0]


def capped(managed: Managed) -> Managed:
    """Keep at most ten updaters: the oldest beyond are merged into ``ancient-changes``."""
    updaters = [o for o in managed.values() if o.manager.operation == UPDATE]
    if len(updaters) <= MAX_UPDATERS:
        return managed
    out = dict(managed)
    updaters.sort(key=lambda o: (o.time or "", o.manager.name))
    buckets: dict[str, Owned] = {}
    for owned in updaters[: len(updaters) - MAX_UPDATERS + 1]:
        del out[owned.manager.identity]
        bucket = buckets.get(owned.manager.api_version)
        if bucket is None:
            manager = replace(owned.manager, name=ANCIENT, subresource="")
            buckets[owned.manager.api_version] = Owned(manager, owned.fields, owned.time)
        else:
            joined = field_sets.union(bucket.fields, owned.fields)
            buckets[owned.manager.api_version] = Owned(bucket.manager, joined, owned.time)
    for bucket in buckets.values():
        out[bucket.manager.identity] = bucket
    return out
