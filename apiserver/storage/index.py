"""Inverted indexes over a cache: from a label's or field's value to the keys of the objects that have it.

An index is made when somebody first asks for a name (`app=…`, `spec.nodeName=…`) and kept up to date from then
on; names that nobody selects by cost nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from apiserver.storage.entry import Entry
from apiserver.storage.selection import Dimension, Selection

_MOST_INDEXES: Final = 16
_WORTH_IT: Final = 64
"""Below this many objects a scan is as fast."""


class Index:
    """The indexes of one resource."""

    def __init__(self) -> None:
        self._keys: dict[Dimension, dict[str, set[str]]] = {}

    def clear(self) -> None:
        """Forget everything; indexes come back when asked for."""
        self._keys.clear()

    def change(self, old: Entry | None, new: Entry | None) -> None:
        """Follow one change of the cache."""
        for dimension, values in self._keys.items():
            before = dimension.value(old) if old is not None else None
            after = dimension.value(new) if new is not None else None
            if before == after:
                continue
            if before is not None and old is not None:
                keys = values.get(before)
                if keys is not None:
                    keys.discard(old.key)
                    if not keys:
                        del values[before]
            if after is not None and new is not None:
                values.setdefault(after, set()).add(new.key)

    def candidates(self, selection: Selection, entries: Mapping[str, Entry]) -> Iterable[str] | None:
        """Return the keys among which all selected objects are, in no order; None when a scan is called for."""
        if len(entries) < _WORTH_IT:
            return None
        best: set[str] | None = None
        for dimension, value in selection.exact():
            values = self._keys.get(dimension)
            if values is None:
                if len(self._keys) >= _MOST_INDEXES:
                    continue
                values = self._keys[dimension] = self._build(dimension, entries.values())
            found = values.get(value, set())
            if best is None or len(found) < len(best):
                best = found
        return best

    @staticmethod
    def _build(dimension: Dimension, entries: Iterable[Entry]) -> dict[str, set[str]]:
        values: dict[str, set[str]] = {}
        for entry in entries:
            value = dimension.value(entry)
            if value is not None:
                values.setdefault(value, set()).add(entry.key)
        return values
