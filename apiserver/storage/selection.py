"""Which objects a list or a watch wants: namespace, label selector and field selector as one value.

Equal selections are equal and hash alike, so that watchers who want the same share the work of filtering
and encoding. Pure.
"""

from dataclasses import dataclass

from apimachinery.selectors import FieldSelector, LabelSelector
from apiserver.storage.entry import Entry
from apiserver.storage.events import WatchEvent


@dataclass(frozen=True)
class Dimension:
    """Something objects can be indexed by: one label's value or one selectable field's value."""

    kind: str  # "label" or "field"
    name: str

    def value(self, entry: Entry) -> str | None:
        """Return the entry's value; None where it has no such label."""
        return entry.labels.get(self.name) if self.kind == "label" else entry.field(self.name)


@dataclass(frozen=True)
class Selection:
    """The wish of one reader; `namespace` None means all namespaces."""

    namespace: str | None = None
    labels: LabelSelector | None = None
    fields: FieldSelector | None = None

    @classmethod
    def of(
        cls, namespace: str | None, labels: LabelSelector | None, fields: FieldSelector | None
    ) -> "Selection":
        """Return the selection in its simplest form: empty selectors and an empty namespace are None."""
        return cls(
            namespace or None,
            None if labels is None or labels.empty else labels,
            None if fields is None or fields.empty else fields,
        )

    @property
    def has_selectors(self) -> bool:
        """True when more than the namespace matters."""
        return self.labels is not None or self.fields is not None

    def exact(self) -> list[tuple[Dimension, str]]:
        """The conditions `name = value` that an index can answer, fields first."""
        found: list[tuple[Dimension, str]] = []
        if self.fields is not None:
            found += [
                (Dimension("field", name), value)
                for name, operator, value in self.fields.requirements
                if operator == "="
            ]
        if self.labels is not None:
            found += [(Dimension("label", name), value) for name, value in self.labels.exact]
        return found

    def matches(self, entry: Entry) -> bool:
        """Say whether an object is selected."""
        if self.namespace is not None and entry.namespace != self.namespace:
            return False
        if self.fields is not None:
            for name, operator, value in self.fields.requirements:
                if (entry.field(name) == value) != (operator == "="):
                    return False
        return self.labels is None or self.labels.matches(entry.labels)

    def view(self, event: WatchEvent) -> WatchEvent | None:
        """Return the event as this selection sees it, or None.

        An object that comes to match is ADDED, one that stops to match is DELETED with its last matching
        state and the revision of the change.
        """
        if not self.has_selectors:
            if self.namespace is None or event.entry.namespace == self.namespace:
                return event
            return None
        matches_now = event.type != "DELETED" and self.matches(event.entry)
        matched_before = event.previous is not None and self.matches(event.previous)
        if matches_now:
            if matched_before or event.type == "ADDED":
                return event
            return WatchEvent("ADDED", event.rev, event.entry, event.previous)
        if matched_before and event.previous is not None:
            if event.type == "DELETED":
                return event
            return WatchEvent("DELETED", event.rev, event.previous.at(event.rev), event.previous)
        return None
