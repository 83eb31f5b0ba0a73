"""Handing one resource's events to its watchers: encoded once, filtered once for all who want the same.

Watchers with the same selection and form make a group. Groups are found by namespace or by the value of a field
they ask for (`spec.nodeName=…`), so that a pod's change does not visit 5,000 kubelets. Events of a few
milliseconds leave as one batch, hence one write per watcher; after a quiet time the first leaves at once.
"""

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from apiserver.storage.entry import Entry
from apiserver.storage.events import Batch, Encode, WatchEvent, bookmark
from apiserver.storage.selection import Selection
from apiserver.storage.watcher import Watcher
from component_base.logs import get_logger

_COALESCE_SECONDS: Final = 0.003
_INITIAL_BATCH: Final = 200
"""Objects per batch while a watcher gets what exists."""

log = get_logger("storage")


class Group:
    """Watchers that receive the same bytes."""

    __slots__ = ("encode", "route", "selection", "watchers")

    def __init__(self, selection: Selection, encode: Encode | None) -> None:
        self.selection = selection
        self.encode = encode
        self.watchers: dict[Watcher, None] = {}
        self.route = _route(selection)

    def batch(self, events: Iterable[WatchEvent]) -> Batch | None:
        """Return the events as this group sees them."""
        selection = self.selection
        if selection.has_selectors or selection.namespace is not None:
            events = [seen for event in events if (seen := selection.view(event)) is not None]
        else:
            events = list(events)
        return Batch(events, self.encode) if events else None


def _route(selection: Selection) -> tuple[str, str]:
    """Return the (field, value) by which events find a group; ("", "") for groups that must see every event."""
    if selection.fields is not None:
        for name, operator, value in selection.fields.requirements:
            if operator == "=":
                return name, value
    if selection.namespace is not None:
        return "metadata.namespace", selection.namespace
    return "", ""


class Hub:
    """All watchers of one resource."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._groups: dict[tuple[Selection, Encode | None], Group] = {}
        self._routes: dict[str, dict[str, list[Group]]] = {}
        self._pending: list[WatchEvent] = []
        self._scheduled = False
        self._last_flush = 0.0
        self.watchers = 0
        self.dispatched = 0
        self.terminated = 0

    def add(self, event: WatchEvent) -> None:
        """Take an event; watchers get it within milliseconds."""
        if not self.watchers:
            return
        self._pending.append(event)
        if not self._scheduled:
            self._scheduled = True
            loop = asyncio.get_running_loop()
            wait = self._last_flush + _COALESCE_SECONDS - loop.time()
            if wait > 0:
                loop.call_later(wait, self._flush_scheduled)
            else:
                loop.call_soon(self._flush_scheduled)

    def _flush_scheduled(self) -> None:
        self._scheduled = False
        self._last_flush = asyncio.get_running_loop().time()
        self.flush()

    def flush(self) -> None:
        """Hand out what is pending now."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        self.dispatched += len(pending)
        for group, events in self._sort(pending):
            try:
                batch = group.batch(events)
                if batch is not None:
                    for watcher in list(group.watchers):
                        watcher.deliver(batch)
            except Exception:  # a form that cannot be encoded must not cost other watchers their events
                log.exception("Watchers ended, their events cannot be sent", selection=str(group.selection))
                for watcher in list(group.watchers):
                    watcher.end("broken")
        for event in pending:
            event.forget_frame()

    def _sort(self, pending: list[WatchEvent]) -> Iterable[tuple[Group, list[WatchEvent]]]:
        """Yield each group with the events that may concern it."""
        for name, values in list(self._routes.items()):
            if not name:
                for group in list(values[""]):
                    yield group, pending
                continue
            found: dict[Group, list[WatchEvent]] = {}
            for event in pending:
                value = event.entry.field(name)
                for group in values.get(value, ()):
                    found.setdefault(group, []).append(event)
                if event.previous is not None and (before := event.previous.field(name)) != value:
                    for group in values.get(before, ()):
                        found.setdefault(group, []).append(event)
            yield from found.items()

    def join(
        self,
        selection: Selection,
        encode: Encode | None,
        initial: Iterable[WatchEvent],
        *,
        revision: int,
        bookmarks: bool,
        most_unsent: int,
    ) -> Watcher:
        """Add a watcher that first gets `initial`, then every event from now on (events before have been flushed)."""
        key = (selection, encode)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(selection, encode)
            name, value = group.route
            self._routes.setdefault(name, {}).setdefault(value, []).append(group)
        joined = group

        def leave(watcher: Watcher) -> None:
            self._leave(key, joined, watcher)

        watcher = Watcher(
            _batches(initial, encode),
            leave,
            head=self._head,
            revision=revision,
            bookmarks=bookmarks,
            most_unsent=most_unsent,
        )
        group.watchers[watcher] = None
        self.watchers += 1
        return watcher

    def _leave(self, key: tuple[Selection, Encode | None], group: Group, watcher: Watcher) -> None:
        if group.watchers.pop(watcher, watcher) is watcher:
            return
        self.watchers -= 1
        if watcher.ended == "slow":
            self.terminated += 1
        if not group.watchers:
            del self._groups[key]
            name, value = group.route
            values = self._routes[name]
            values[value].remove(group)
            if not values[value]:
                del values[value]
            if not values:
                del self._routes[name]

    def bookmark(self, revision: int) -> None:
        """Tell the watchers that asked for it how far they have come."""
        self.flush()
        event = bookmark(self._head, revision)
        for group in list(self._groups.values()):
            batch = Batch([event], group.encode)
            for watcher in list(group.watchers):
                if watcher.bookmarks:
                    watcher.deliver(batch)

    def fail(self, event: WatchEvent) -> None:
        """End all watchers with an ERROR event."""
        self._pending.clear()
        for group in list(self._groups.values()):
            for watcher in list(group.watchers):
                watcher.fail(event)

    def close(self) -> None:
        """End all watchers in order."""
        self.flush()
        for group in list(self._groups.values()):
            for watcher in list(group.watchers):
                watcher.end("closed")


def _batches(events: Iterable[WatchEvent], encode: Encode | None) -> Iterator[Batch]:
    some: list[WatchEvent] = []
    for event in events:
        some.append(event)
        if len(some) >= _INITIAL_BATCH:
            yield Batch(some, encode)
            some = []
    if some:
        yield Batch(some, encode)


def added(entries: Iterable[Entry]) -> Iterator[WatchEvent]:
    """Yield what exists as ADDED events."""
    for entry in entries:
        yield WatchEvent("ADDED", entry.rev, entry)
