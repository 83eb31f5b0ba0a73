"""The watch cache of one resource: what exists now, sorted, and what changed of late.

Fed by `feed` in revision order; read without waiting. It never asks etcd and never decides whether it is fresh
enough: that is `freshness`' business.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Final

from sortedcontainers import SortedList

from apimachinery import errors
from apiserver.storage import events
from apiserver.storage.entry import Draft, Entry, FieldsOf
from apiserver.storage.events import Batch, Encode, WatchEvent
from apiserver.storage.hub import Hub, added
from apiserver.storage.index import Index
from apiserver.storage.selection import Selection
from apiserver.storage.watcher import Watcher

_FEWEST_EVENTS: Final = 1_000
_MOST_EVENTS: Final = 10_000
_FRESH_SECONDS: Final = 75.0
"""The ring always keeps the fewest, never more than the most, and in between what is younger than this."""


class ResourceCache:
    """The objects of one resource, by key (`namespace/name` or `name`)."""

    def __init__(
        self, resource: str, group: str, head: bytes, prefix: str, fields_of: FieldsOf | None
    ) -> None:
        """`prefix` is the etcd key that all objects' keys begin with, ending in a slash."""
        self.resource = resource
        self.group = group
        self.head = head
        self.prefix = prefix
        self.fields_of = fields_of
        self.entries: dict[str, Entry] = {}
        self.keys: SortedList = SortedList()
        self.hub = Hub(head)
        self._index = Index()
        self._ring: deque[tuple[float, WatchEvent]] = deque()
        self.loaded = asyncio.Event()
        self.base = 0
        """Revision at which the cache was last loaded; earlier events are not for it."""
        self.floor = 0
        """The ring has every event after this revision."""
        self.last_change = 0
        self.received = 0
        self.loads = 0

    @property
    def capacity(self) -> int:
        """Events in the ring at present."""
        return len(self._ring)

    # --- writing (by the feed) --------------------------------------------------------------------------

    def load(self, drafts: Iterator[tuple[Draft, int]], revision: int) -> None:
        """Replace everything by what etcd held at `revision`; watchers are told that their position expired."""
        if self.loaded.is_set():
            self.expire_watchers(revision)
        self.entries = {draft.key: draft.entry(rev) for draft, rev in drafts}
        self.keys = SortedList(self.entries)
        self._index.clear()
        self._ring.clear()
        self.base = self.floor = self.last_change = revision
        self.loads += 1
        self.loaded.set()

    def expire_watchers(self, revision: int) -> None:
        """End all watchers: events may have been missed."""
        status = errors.resource_expired("The resourceVersion for the provided watch is too old.").status()
        self.hub.fail(events.error(status, revision))

    def apply(self, key: str, draft: Draft | None, rev: int) -> None:
        """Take one change: a new state, or a deletion (`draft` None). Changes come in revision order."""
        if rev <= self.base:
            return
        previous = self.entries.get(key)
        if draft is None:
            if previous is None:
                return
            del self.entries[key]
            self.keys.remove(key)
            event = WatchEvent("DELETED", rev, previous.at(rev), previous)
        else:
            entry = draft.entry(rev)
            self.entries[key] = entry
            if previous is None:
                self.keys.add(key)
            event = WatchEvent("ADDED" if previous is None else "MODIFIED", rev, entry, previous)
        self._index.change(previous, event.entry if draft is not None else None)
        self.last_change = rev
        self.received += 1
        now = asyncio.get_running_loop().time()
        self._ring.append((now, event))
        self.trim(now)
        self.hub.add(event)

    def trim(self, now: float) -> None:
        """Drop old events from the ring; `now` in loop time."""
        ring = self._ring
        while len(ring) > _FEWEST_EVENTS and (len(ring) > _MOST_EVENTS or now - ring[0][0] > _FRESH_SECONDS):
            self.floor = ring.popleft()[1].rev

    # --- reading ----------------------------------------------------------------------------------------

    def select(self, selection: Selection, start: str = "", limit: int = 0) -> list[Entry]:
        """Return the selected objects in key order, from key `start` on, at most `limit` (0: all)."""
        entries = self.entries
        if selection.has_selectors:
            candidates = self._index.candidates(selection, entries)
            if candidates is not None:
                found = [e for key in candidates if key >= start and selection.matches(e := entries[key])]
                found.sort(key=_key)
                return found[:limit] if limit else found
        keys = self._keys(selection.namespace, start)
        if selection.has_selectors:
            found = []
            for key in keys:
                entry = entries[key]
                if selection.matches(entry):
                    found.append(entry)
                    if limit and len(found) >= limit:
                        break
            return found
        if limit:
            return [entries[key] for key, _ in zip(keys, range(limit), strict=False)]
        return [entries[key] for key in keys]

    def _keys(self, namespace: str | None, start: str) -> Iterator[str]:
        if namespace is None:
            return iter(self.keys.irange(start)) if start else iter(self.keys)
        return iter(self.keys.irange(max(start, f"{namespace}/"), f"{namespace}0", inclusive=(True, False)))

    def count(self, namespace: str | None, start: str = "") -> int:
        """Return how many objects there are from key `start` on (all or in one namespace)."""
        if namespace is None:
            return len(self.keys) - (self.keys.bisect_left(start) if start else 0)
        first: int = self.keys.bisect_left(max(start, f"{namespace}/"))
        last: int = self.keys.bisect_left(f"{namespace}0")
        return max(last - first, 0)

    def since(self, revision: int) -> list[WatchEvent]:
        """Return the events after `revision`, which must not be before `floor`."""
        found: list[WatchEvent] = []
        for _, event in reversed(self._ring):
            if event.rev <= revision:
                break
            found.append(event)
        found.reverse()
        return found

    # --- watching ---------------------------------------------------------------------------------------

    def watch(
        self,
        selection: Selection,
        encode: Encode | None,
        *,
        after: int | None,
        revision: int,
        initial_end: bool,
        bookmarks: bool,
        most_unsent: int,
    ) -> Watcher:
        """Begin a watch: events after revision `after`, or with None what exists and then what changes.

        `revision` is where the cache is; `initial_end` adds the bookmark that ends the initial list. A watch
        whose `after` is too old consists of an ERROR event.
        """
        self.hub.flush()
        if after is not None and after < self.floor:
            return self._too_old(after, revision, most_unsent)
        if after is None:
            initial = added(self.select(selection))
            if initial_end:
                initial = _then(initial, events.bookmark(self.head, revision, initial_events_end=True))
        else:
            seen = [selection.view(event) for event in self.since(after)]
            initial = iter([event for event in seen if event is not None])
        return self.hub.join(
            selection, encode, initial, revision=revision, bookmarks=bookmarks, most_unsent=most_unsent
        )

    def _too_old(self, after: int, revision: int, most_unsent: int) -> Watcher:
        status = errors.resource_expired(f"too old resource version: {after} ({self.floor})").status()
        watcher = Watcher(
            iter([Batch([events.error(status, revision)])]),
            lambda watcher: None,
            head=self.head,
            revision=revision,
            bookmarks=False,
            most_unsent=most_unsent,
        )
        watcher.end("expired")
        return watcher


def _key(entry: Entry) -> str:
    return entry.key


def _then(first: Iterator[WatchEvent], last: WatchEvent) -> Iterator[WatchEvent]:
    yield from first
    yield last
