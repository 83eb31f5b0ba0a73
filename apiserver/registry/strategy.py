"""What makes one kind different from another: the base class of all strategies, and how they are registered.

The verbs are written once in `generic.py`; it calls these hooks at fixed points. A strategy is rules only: it
changes the object that it is given in place, returns errors as values, and never does I/O. A kind is added
with a row in `apimachinery.resources` and a module in `apiserver.registry.kinds` whose strategies are marked
with `@register`.
"""

from __future__ import annotations

import importlib
import pkgutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from apimachinery import Object, meta, times
from apimachinery.errors import StatusError
from apimachinery.field import FieldError
from apimachinery.resources import Resource
from apiserver.registry.settings import Settings
from apiserver.validation import checks
from apiserver.validation.meta import validate_object_meta, validate_object_meta_update


@dataclass(frozen=True)
class Column:
    """A printer column, as `kubectl get` shows it; priority above 0 is shown with `-o wide` only."""

    name: str
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0


@dataclass(frozen=True)
class User:
    """Who makes a request."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


Lookup = Callable[[Resource, str, str], Object | None]


@dataclass
class RequestContext:
    """The circumstances of one write, for strategies and admission.

    `lookup(resource, namespace, name)` reads another object from the watch cache (None when it is not there);
    it does no I/O. `warnings` collects texts for the client. `now` is the request's time (RFC 3339).
    """

    user: User
    verb: str
    resource: Resource
    subresource: str
    namespace: str
    name: str
    now: str
    dry_run: bool = False
    field_manager: str = ""
    lookup: Lookup = lambda resource, namespace, name: None
    warnings: list[str] = field(default_factory=list)
    chosen: set[str] = field(default_factory=set)
    """Claim keys that the strategy picked itself in this request: when one is taken, another will do."""


@dataclass(frozen=True)
class Claims:
    """Keys that an object holds for itself alone across all API servers (a cluster IP, a node port).

    `take` are created and `release` removed in the same transaction as the object. A key is a relative path such
    as `ipaddresses/10.96.0.7`.
    """

    take: tuple[str, ...] = ()
    release: tuple[str, ...] = ()


@dataclass(frozen=True)
class UpdateRules:
    """How updates through one path (the object itself, or a subresource such as status) are shaped and checked.

    `prepare(obj, old, ctx)` puts back in `obj` what this path may not change; `validate(obj, old)` judges the
    result.
    """

    prepare: Callable[[Object, Object, RequestContext], None]
    validate: Callable[[Object, Object], list[FieldError]]


@dataclass(frozen=True)
class ScalePaths:
    """Where a kind keeps the numbers that its `scale` subresource shows."""

    spec_replicas: tuple[str, ...] = ("spec", "replicas")
    status_replicas: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] = ("spec", "selector")


class Strategy:
    """The rules of one kind; the defaults here suit a kind without status, generation or grace."""

    resource: ClassVar[Resource]
    name_rule: ClassVar[checks.Check] = staticmethod(checks.subdomain)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Name", format="name"),
        Column("Created At", type="date"),
    )
    scale: ClassVar[ScalePaths | None] = None
    allow_create_on_update: ClassVar[bool] = False
    """PUT (or apply) of a name that does not exist creates it."""
    allow_unconditional_update: ClassVar[bool] = True
    """An update without resourceVersion overwrites; otherwise it is refused (422)."""
    counts_generation: ClassVar[bool] = False
    """metadata.generation starts at 1 and is bumped when anything but metadata and status changes."""
    default_propagation: ClassVar[str] = "Background"
    """What deletion does to dependents when the client says nothing: Background, Foreground or Orphan."""
    returns_deleted_object: ClassVar[bool] = False
    """A finished deletion answers with the object instead of a Status."""
    storage_resource: ClassVar[Resource | None] = None
    """Another row of the table under which these objects are stored. The rules then see objects in that version."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.has_status = "status" in {sub.name for sub in self.resource.subresources}

    # ---- writing

    def default(self, obj: Object) -> None:
        """Fill in default values, on create and on every update (static defaults are in there already)."""

    def prepare_for_create(self, obj: Object, ctx: RequestContext) -> None:
        """Set what the server decides and clear what clients may not set, before validation."""
        if self.has_status:
            obj["status"] = {}
        if self.counts_generation:
            obj["metadata"]["generation"] = 1

    def prepare_for_update(self, obj: Object, old: Object, ctx: RequestContext) -> None:
        """Put back what an update of the object itself may not change."""
        if self.has_status:
            restore(obj, old, "status")
        if self.counts_generation:
            self.bump_generation(obj, old)

    def prepare_for_status_update(self, obj: Object, old: Object, ctx: RequestContext) -> None:
        """Put back all that an update through `status` may not change: everything but status and metadata."""
        for key in (obj.keys() | old.keys()) - {"status", "metadata", "apiVersion", "kind"}:
            restore(obj, old, key)
        metadata, old_metadata = obj["metadata"], old["metadata"]
        for key in ("labels", "annotations", "finalizers", "ownerReferences", "generation"):
            restore(metadata, old_metadata, key)

    def bump_generation(self, obj: Object, old: Object) -> None:
        """Count a change of the desired state (the caller has restored status)."""
        generation = old["metadata"].get("generation") or 0
        ignored = {"metadata", "status", "apiVersion", "kind"}
        if any(obj.get(key) != old.get(key) for key in (obj.keys() | old.keys()) - ignored):
            generation += 1
        obj["metadata"]["generation"] = generation

    def validate(self, obj: Object) -> list[FieldError]:
        """Judge an object about to be created; extend this."""
        return validate_object_meta(obj, namespaced=self.resource.namespaced, name=type(self).name_rule)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        """Judge an update against the stored object; extend this."""
        return validate_object_meta_update(obj, old)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        """Judge an update through `status`."""
        return validate_object_meta_update(obj, old)

    def update_rules(self) -> dict[str, UpdateRules]:
        """Rules by path: "" is the object itself. Kinds with more (finalize, ephemeralcontainers) add theirs."""
        rules = {"": UpdateRules(self.prepare_for_update, self.validate_update)}
        if self.has_status:
            rules["status"] = UpdateRules(self.prepare_for_status_update, self.validate_status_update)
        return rules

    def warnings(self, obj: Object, old: Object | None = None) -> list[str]:
        """Advice for the client (header `Warning: 299`), after validation; `old` is None on create."""
        return []

    def claims(self, obj: Object, old: Object | None) -> Claims:
        """What the object must hold alone, given what `old` held (None on create)."""
        return Claims()

    def claim_value(self, obj: Object, key: str) -> Object | bytes:
        """What is stored under a claimed key; an object where the key belongs to a resource."""
        return b"{}"

    def released_claims(self, obj: Object) -> tuple[str, ...]:
        """What goes free when the object is removed: all that it holds."""
        return self.claims(obj, None).take

    def on_claim_taken(self, obj: Object, key: str, ctx: RequestContext) -> StatusError | None:
        """A claimed key belongs to another object: the error to return, or None to prepare and try again."""
        return StatusError(409, "Conflict", f"{key} is already allocated")

    # ---- other versions of the same objects

    def to_storage(self, obj: Object) -> Object:
        """Convert to the stored version (see `storage_resource`)."""
        return obj

    def from_storage(self, obj: Object) -> Object:
        """Convert from the stored version."""
        return obj

    # ---- deleting

    def grace_period(self, obj: Object, requested: int | None) -> int:
        """Seconds between the request and removal; 0 removes at once. `requested` is what the client asked for."""
        return 0

    def prepare_for_delete(self, obj: Object, ctx: RequestContext) -> None:
        """Called when deletionTimestamp is set on an object that stays for a while (grace or finalizers)."""

    def is_finished(self, obj: Object) -> bool:
        """Nothing but grace holds the object back any more. Kinds with further finalizers extend this."""
        return not obj["metadata"].get("finalizers")

    # ---- reading

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        """Further fields for field selectors; metadata.name and metadata.namespace are there always."""
        return {}

    def ttl(self, obj: Object) -> int | None:
        """Seconds after which the stored object vanishes by itself; None: never."""
        return None

    def row(self, obj: Object) -> list[Any]:
        """The cells of one table row, one per column; `age` gives the Age cell."""
        return [meta.name(obj), obj["metadata"].get("creationTimestamp")]

    def row_conditions(self, obj: Object) -> list[dict[str, Any]]:
        """Conditions of a table row (a finished pod is shown dimmed by some clients)."""
        return []

    def selectable_field_names(self) -> dict[str, str]:
        """The names accepted in field selectors, with those that they have in `selectable_fields`."""
        further = self.selectable_fields({"metadata": {}})
        return {name: name for name in ("metadata.name", "metadata.namespace", *further)}


def restore(obj: Object, old: Object, key: str) -> None:
    """Make `obj[key]` what it was in `old`, absent if it was absent."""
    if key in old:
        obj[key] = old[key]
    else:
        obj.pop(key, None)


def age(timestamp: str | None) -> str:
    """How long ago this was, as the Age column shows it; `<unknown>` for no time."""
    if not timestamp:
        return "<unknown>"
    return times.human_duration(time.time() - times.parse(timestamp))


_registered: list[type[Strategy]] = []
_S = TypeVar("_S", bound=type[Strategy])


def register(strategy: _S) -> _S:
    """Class decorator: this kind is served."""
    _registered.append(strategy)
    return strategy


def load(settings: Settings) -> dict[Resource, Strategy]:
    """Import every module of `apiserver.registry.kinds` and make its registered strategies."""
    package = importlib.import_module("apiserver.registry.kinds")
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    return {strategy.resource: strategy(settings) for strategy in _registered}
