"""Events: one storage, two versions (core/v1 and events.k8s.io/v1) that name the same things differently."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, meta, resources
from apimachinery.field import FieldError
from apiserver.registry.strategy import Column, Strategy, age, register
from apiserver.validation import checks
from apiserver.validation.coordination import validate_event
from apiserver.validation.meta import validate_object_meta, validate_object_meta_update

from .printing import NAME

# core/v1 name → events.k8s.io/v1 name; all other fields are called the same.
_RENAMED = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
# In the newer version only the series of an event may change.
_IMMUTABLE = (
    "regarding",
    "related",
    "reason",
    "note",
    "type",
    "reportingController",
    "reportingInstance",
    "action",
    "eventTime",
    "deprecatedSource",
    "deprecatedFirstTimestamp",
    "deprecatedLastTimestamp",
    "deprecatedCount",
)


def to_core(event: Object) -> Object:
    """An events.k8s.io/v1 Event as core/v1."""
    core = _rename(event, {new: old for old, new in _RENAMED.items()})
    core["apiVersion"] = "v1"
    return core


def to_events_v1(event: Object) -> Object:
    """A core/v1 Event as events.k8s.io/v1."""
    new = _rename(event, _RENAMED)
    new["apiVersion"] = "events.k8s.io/v1"
    return new


def _rename(event: Object, names: dict[str, str]) -> Object:
    return {names.get(key, key): value for key, value in event.items()}


@register
class EventStrategy(Strategy):
    """What happened to an object, kept for an hour (`--event-ttl`)."""

    resource = resources.EVENTS
    name_rule = staticmethod(checks.subdomain)
    allow_create_on_update = True
    columns = (
        Column(
            "Last Seen",
            description="The time at which the most recent occurrence of this event was recorded.",
        ),
        Column(
            "Type", description="Type of this event (Normal, Warning), new types could be added in the future"
        ),
        Column(
            "Reason",
            description="This should be a short, machine understandable string that gives the reason for "
            "the transition into the object's current status.",
        ),
        Column("Object", description="The object that this event is about."),
        Column(
            "Subobject",
            priority=1,
            description="If referring to a piece of an object instead of an entire object, "
            "this string should contain a valid JSON/Go field access statement.",
        ),
        Column("Source", priority=1, description="The component reporting this event."),
        Column("Message", description="A human-readable description of the status of this operation."),
        Column("First Seen", priority=1, description="The time at which the event was first recorded."),
        Column("Count", priority=1, description="The number of times this event has occurred."),
        Column("Name", format="name", priority=1, description=NAME.description),
    )

    def validate(self, obj: Object) -> list[FieldError]:
        return super().validate(obj) + validate_event(obj, is_new_api=False)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_object_meta_update(obj, old) + validate_event(obj, is_new_api=False)

    def ttl(self, obj: Object) -> int | None:
        return self.settings.event_ttl

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        about, source = obj.get("involvedObject") or {}, obj.get("source") or {}
        fields = {
            f"involvedObject.{name}": about.get(name) or ""
            for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
        }
        component = source.get("component") or obj.get("reportingComponent") or ""
        return fields | {
            "reason": obj.get("reason") or "",
            "reportingComponent": obj.get("reportingComponent") or "",
            "source": component,
            "type": obj.get("type") or "",
        }

    def row(self, obj: Object) -> list[Any]:
        first = obj.get("firstTimestamp") or obj.get("eventTime")
        last = obj.get("lastTimestamp") or first
        count = obj.get("count") or 0
        series = obj.get("series")
        if series is not None:
            last, count = series.get("lastObservedTime"), series.get("count") or 0
        elif count == 0:
            count = 1  # A single event in the new API has no count.
        about, source = obj.get("involvedObject") or {}, obj.get("source") or {}
        kind = (about.get("kind") or "").lower()
        component = source.get("component") or obj.get("reportingComponent") or ""
        host = source.get("host") or obj.get("reportingInstance")
        return [
            age(last),
            obj.get("type") or "",
            obj.get("reason") or "",
            f"{kind}/{about['name']}" if about.get("name") else kind,
            about.get("fieldPath") or "",
            f"{component}, {host}" if host else component,
            (obj.get("message") or "").strip(),
            age(first),
            count,
            meta.name(obj),
        ]


@register
class EventV1Strategy(EventStrategy):
    """The same objects as events.k8s.io/v1."""

    resource = resources.EVENTS_V1
    storage_resource = resources.EVENTS

    def to_storage(self, obj: Object) -> Object:
        return to_core(obj)

    def from_storage(self, obj: Object) -> Object:
        return to_events_v1(obj)

    def validate(self, obj: Object) -> list[FieldError]:
        core = to_core(obj)
        return validate_object_meta(core) + validate_event(core, is_new_api=True)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        found = super().validate_update(to_core(obj), to_core(old))
        for name in _IMMUTABLE:
            checks.immutable(found, name, obj.get(name), old.get(name))
        return found

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        return super().selectable_fields(to_core(obj))

    def selectable_field_names(self) -> dict[str, str]:
        names = {name: name for name in ("metadata.name", "metadata.namespace", "reason", "type")}
        names["reportingController"] = "reportingComponent"
        core = [name for name in super().selectable_field_names() if name.startswith("involvedObject.")]
        return names | {name.replace("involvedObject", "regarding"): name for name in core}

    def row(self, obj: Object) -> list[Any]:
        return super().row(to_core(obj))
