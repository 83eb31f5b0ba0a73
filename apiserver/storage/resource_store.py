"""The objects of one resource: reads from the watch cache, writes through to etcd.

Semantics of resourceVersion, resourceVersionMatch, limit and continue follow
https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions. Texts for missing or existing
objects are the caller's: KeyError and AlreadyExists carry no words for users.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from apimachinery import Object, errors
from apimachinery.selectors import FieldSelector, LabelSelector
from apiserver.storage import codec, paging
from apiserver.storage.cache import ResourceCache
from apiserver.storage.entry import Draft, Entry, draft_of_value
from apiserver.storage.etcd import EtcdError
from apiserver.storage.events import Encode
from apiserver.storage.feed import Feed
from apiserver.storage.freshness import Freshness, parse_revision, unavailable
from apiserver.storage.history import History
from apiserver.storage.leases import Leases
from apiserver.storage.selection import Selection
from apiserver.storage.transaction import Claim, Outcome, Writer
from apiserver.storage.watcher import DEFAULT_MOST_UNSENT, Watcher


class Unchanged:
    """An update function's answer when there is nothing to write."""


UNCHANGED: Final = Unchanged()


@dataclass(frozen=True)
class Change:
    """An update function's answer when more than the object changes."""

    obj: Object
    claims: Sequence[Claim] = ()
    releases: Sequence[str] = ()
    ttl: int | None = None


@dataclass(frozen=True)
class Remove:
    """An update function's answer when the object shall go (its last finalizer was taken away)."""

    releases: Sequence[str] = ()


Entries = list[Entry]
Answer = Object | Change | Remove | Unchanged
Update = Callable[[Entry | None, Object], Answer | Awaitable[Answer]]
Precondition = Callable[[Entry], None]
Ttl = Callable[[Object], int | None]


class AlreadyExists(Exception):
    """Create found an object of this name: `entry`."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(f"{entry.key} already exists")
        self.entry = entry


@dataclass(frozen=True)
class ListResult:
    """A page: `revision` for the list's resourceVersion, `cont` and `remaining` for its metadata where not None."""

    entries: list[Entry]
    revision: int
    cont: str | None = None
    remaining: int | None = None

    def document(self, before: bytes, after: bytes) -> bytes:
        """Return `before`, the items as they are in lists of the API (without apiVersion and kind), and `after`."""
        return b"".join(self.pieces(before, after))

    def length(self, before: bytes, after: bytes) -> int:
        """Return the length of `document` in bytes."""
        count = len(self.entries)
        return (
            len(before)
            + len(after)
            + sum([len(entry.body) for entry in self.entries])
            + max(2 * count - 1, 0)
        )

    def pieces(self, before: bytes, after: bytes, size: int = 1 << 18) -> Iterator[bytes]:
        """Yield `document` in pieces of about `size` bytes: a large list need not be in memory twice."""
        entries = self.entries
        if not entries:
            yield before + after
            return
        step = max(size * len(entries) // self.length(before, after), 1)
        for start in range(0, len(entries), step):
            bodies = [entry.body for entry in entries[start : start + step]]
            bodies[0] = b"".join((b",{" if start else before + b"{", bodies[0]))
            if start + step >= len(entries):
                bodies[-1] += after
            yield b",{".join(bodies)


class ResourceStore:
    """See `apiserver.storage` for an example. `namespace` is "" for cluster-scoped kinds."""

    def __init__(
        self,
        cache: ResourceCache,
        feed: Feed,
        freshness: Freshness,
        writer: Writer,
        leases: Leases,
        history: History,
        *,
        namespaced: bool,
        ttl: Ttl | None,
    ) -> None:
        self._cache = cache
        self._feed = feed
        self._freshness = freshness
        self._writer = writer
        self._leases = leases
        self._history = history
        self._namespaced = namespaced
        self._ttl = ttl

    # --- reading ----------------------------------------------------------------------------------------

    def peek(self, namespace: str, name: str) -> Entry | None:
        """Return what the cache holds at this moment, without waiting and without any promise of freshness."""
        return self._cache.entries.get(self._key(namespace, name))

    def select(
        self,
        namespace: str | None = None,
        *,
        label_selector: LabelSelector | None = None,
        field_selector: FieldSelector | None = None,
    ) -> list[Entry]:
        """Return what the cache holds at this moment, like `peek`."""
        return self._cache.select(Selection.of(namespace, label_selector, field_selector))

    def count(self) -> int:
        """Return how many objects there are."""
        return len(self._cache.entries)

    @property
    def last_change(self) -> int:
        """The revision of the latest change that the cache has seen: while it stays, so does what `select` returns."""
        return self._cache.last_change

    async def get(self, namespace: str, name: str, *, resource_version: str | None = None) -> Entry:
        """Return an object: as it is now (None or ""), as the cache has it ("0"), or not older than a revision.

        Raises KeyError when there is none; StatusError 400 for a bad resource_version, 504 when etcd is away or the
        revision does not come.
        """
        wanted = parse_revision(resource_version)
        if not self._cache.loaded.is_set():
            await self._freshness.loaded(self._cache.loaded)
        if wanted is None:
            await self._freshness.consistent()
        elif wanted:
            await self._freshness.not_older_than(wanted)
        return self._cache.entries[self._key(namespace, name)]

    async def list(
        self,
        namespace: str | None = None,
        *,
        label_selector: LabelSelector | None = None,
        field_selector: FieldSelector | None = None,
        resource_version: str | None = None,
        match: str | None = None,
        limit: int = 0,
        cont: str | None = None,
    ) -> ListResult:
        """Return a list or a page of it; `match` is resourceVersionMatch, `cont` the continue token.

        Raises StatusError: 400 for bad parameters, 410 for a revision or token that is too old, 504 as `get`.
        """
        selection = Selection.of(namespace, label_selector, field_selector)
        limit = limit or 0
        if not self._cache.loaded.is_set():
            await self._freshness.loaded(self._cache.loaded)
        if cont:
            return await self._continue(selection, limit, cont, resource_version)
        wanted = parse_revision(resource_version)
        if wanted and (match == "Exact" or (limit and not match)):
            return await self._exact(selection, wanted, limit)
        if wanted is None:
            await self._freshness.consistent()
        elif wanted:
            await self._freshness.not_older_than(wanted)
        else:
            limit = 0  # the cache ignores limits for resourceVersion "0", as the original does
        return self._page(selection, "", limit)

    async def _exact(self, selection: Selection, revision: int, limit: int) -> ListResult:
        await self._freshness.not_older_than(revision)
        if self._unchanged_since(revision):
            return self._page(selection, "", limit, revision)
        page = await self._history.page(self._cache, selection, "", limit, revision)
        if page is None:
            raise errors.resource_expired(paging.EXACT_TOO_OLD)
        return self._result(selection, page[0], page[1], revision, page[2])

    async def _continue(
        self, selection: Selection, limit: int, token: str, resource_version: str | None
    ) -> ListResult:
        if resource_version and resource_version != "0":
            raise errors.bad_request("specifying resource version is not allowed when using continue")
        position = paging.decode(token)
        start = self._prefix(selection) + position.start
        if position.revision < 0:
            await self._freshness.consistent()
            return self._page(selection, start, limit)
        await self._freshness.not_older_than(position.revision)
        if self._unchanged_since(position.revision):
            return self._page(selection, start, limit, position.revision)
        page = await self._history.page(self._cache, selection, start, limit, position.revision)
        if page is None:
            raise paging.expired(position.start)
        return self._result(selection, page[0], page[1], position.revision, page[2])

    def _unchanged_since(self, revision: int) -> bool:
        return self._cache.last_change <= revision

    def _page(self, selection: Selection, start: str, limit: int, revision: int | None = None) -> ListResult:
        """Return a page of what the cache holds; one more than the limit is read to see whether there is more."""
        entries = self._cache.select(selection, start, limit + 1 if limit else 0)
        more = bool(limit) and len(entries) > limit
        remaining = None
        if more:
            del entries[limit:]
            if not selection.has_selectors:
                remaining = self._cache.count(selection.namespace, entries[-1].key + "\x00")
        return self._result(selection, entries, more, revision or self._feed.revision, remaining)

    def _result(
        self, selection: Selection, entries: Entries, more: bool, revision: int, remaining: int | None
    ) -> ListResult:
        if not more:
            return ListResult(entries, revision)
        start = entries[-1].key[len(self._prefix(selection)) :] + "\x00"
        return ListResult(entries, revision, paging.encode(paging.Position(start, revision)), remaining)

    async def watch(
        self,
        namespace: str | None = None,
        *,
        label_selector: LabelSelector | None = None,
        field_selector: FieldSelector | None = None,
        resource_version: str | None = None,
        bookmarks: bool = False,
        send_initial: bool | None = None,
        encode: Encode | None = None,
        most_unsent: int = DEFAULT_MOST_UNSENT,
    ) -> Watcher:
        """Begin a watch; close the Watcher when done.

        `send_initial` is sendInitialEvents: True lists what exists first and ends that with the annotated bookmark,
        False does not list; None lists only where resource_version is unset or "0" (the legacy rule). Otherwise
        events after resource_version follow. `encode` makes the frames of Table and metadata watchers (see
        `events.Encode`). A resource_version that is too old ends the watch with an ERROR event 410, in the stream,
        as the original does. Raises StatusError as `get`.
        """
        wanted = parse_revision(resource_version)
        if not self._cache.loaded.is_set():
            await self._freshness.loaded(self._cache.loaded)
        if wanted is None:
            await self._freshness.consistent()
        elif wanted:
            await self._freshness.not_older_than(wanted)
        revision = self._feed.revision
        listing = send_initial if send_initial is not None else not wanted
        after = None if listing else (wanted or revision)
        return self._cache.watch(
            Selection.of(namespace, label_selector, field_selector),
            encode,
            after=after,
            revision=revision,
            initial_end=bool(send_initial) and bookmarks,
            bookmarks=bookmarks,
            most_unsent=most_unsent,
        )

    # --- writing ----------------------------------------------------------------------------------------

    async def create(
        self,
        namespace: str,
        name: str,
        obj: Object,
        *,
        claims: Sequence[Claim] = (),
        ttl: int | None = None,
    ) -> Entry:
        """Store a new object; `ttl` in seconds overrides the resource's own.

        Raises AlreadyExists, ClaimTaken, StatusError 504 when etcd is away (the object may then exist all the same).
        """
        draft = self._draft(self._key(namespace, name), obj)
        outcome = await self._write(
            draft.key, draft, 0, claims, (), ttl if ttl is not None else self._ttl_of(obj)
        )
        if not outcome.revision:
            raise AlreadyExists(self._entry(draft.key, outcome.kv))
        return self._written(draft, outcome.revision)

    async def update(
        self,
        namespace: str,
        name: str,
        fn: Update,
        *,
        expect_rv: str | None = None,
        claims: Sequence[Claim] = (),
        releases: Sequence[str] = (),
    ) -> Entry:
        """Change an object by `fn(entry, obj) -> new object`, again and again until nobody came between.

        `fn` gets the stored entry and its object as a fresh dict (None and {} where there is none: returning an
        object then creates it, so raise if that is not meant) and may be a coroutine function. It returns the new
        object, a Change, Remove or UNCHANGED. The first guess is the cache's object; whatever `fn` raises on its
        account is raised only after etcd confirmed that the guess was current. An object equal to the stored one
        is not written. `expect_rv` demands this resourceVersion, else StatusError 409. Returns the entry as stored
        (for Remove: its last state with the revision of the deletion). Raises what `fn` raises, ClaimTaken,
        StatusError as `create`.
        """
        key = self._key(namespace, name)
        if not self._cache.loaded.is_set():
            await self._freshness.loaded(self._cache.loaded)
        wanted = parse_revision(expect_rv)
        current, certain = self._cache.entries.get(key), False
        while True:
            try:
                if wanted and (current is None or current.rev != wanted):
                    raise errors.conflict(self._cache.group, self._cache.resource, name)
                answer = fn(current, current.decode() if current is not None else {})
                if inspect.isawaitable(answer):
                    answer = await answer
            except Exception:
                if certain or (fresh := await self._confirm(key, current)) is current:
                    raise
                current, certain = fresh, True
                continue
            if isinstance(answer, Remove):
                draft, change = None, Change({}, releases=answer.releases)
            elif isinstance(answer, Unchanged):
                draft, change = None, Change({})
            else:
                change = answer if isinstance(answer, Change) else Change(answer)
                draft = self._draft(key, change.obj)
            if current is not None and (
                isinstance(answer, Unchanged) or (draft is not None and draft.same_as(current))
            ):
                if certain or (fresh := await self._confirm(key, current)) is current:
                    return current
                current, certain = fresh, True
                continue
            if current is None and draft is None:
                raise KeyError(key)
            outcome = await self._write(
                key,
                draft,
                current.rev if current is not None else 0,
                (*claims, *change.claims),
                (*releases, *change.releases),
                change.ttl if change.ttl is not None else self._ttl_of(change.obj),
            )
            if outcome.revision:
                if draft is not None:
                    return self._written(draft, outcome.revision)
                assert current is not None
                return current.at(outcome.revision)
            current, certain = self._live(key, outcome.kv), True

    async def delete(
        self,
        namespace: str,
        name: str,
        *,
        precondition: Precondition | None = None,
        expect_rev: int | None = None,
        releases: Sequence[str] = (),
    ) -> Entry:
        """Remove an object and return its last state, with the revision of the deletion.

        `precondition(entry)` raises what shall keep the object; it is asked again when the object has changed.
        `expect_rev` demands this revision, else StatusError 409. Raises KeyError when there is none, StatusError as
        `create`.
        """

        def remove(entry: Entry | None, obj: Object) -> Answer:
            if entry is None:
                raise KeyError(self._key(namespace, name))
            if precondition is not None:
                precondition(entry)
            return Remove()

        expected = str(expect_rev) if expect_rev else None
        return await self.update(namespace, name, remove, expect_rv=expected, releases=releases)

    async def _confirm(self, key: str, guess: Entry | None) -> Entry | None:
        """Return `guess` itself when it is what etcd holds now, else what it holds."""
        await self._freshness.consistent()
        return self._cache.entries.get(key)

    async def _write(
        self,
        key: str,
        draft: Draft | None,
        seen: int,
        claims: Sequence[Claim],
        releases: Sequence[str],
        ttl: int | None,
    ) -> Outcome:
        try:
            return await self._writer.write(
                self._cache.prefix + key,
                draft,
                seen,
                lease=await self._leases.get(ttl) if ttl and draft is not None else 0,
                claims=claims,
                releases=releases,
                resource=self._cache.resource,
            )
        except EtcdError as problem:
            raise unavailable(problem) from None

    # --- small things -----------------------------------------------------------------------------------

    def _key(self, namespace: str, name: str) -> str:
        return f"{namespace}/{name}" if self._namespaced else name

    def _prefix(self, selection: Selection) -> str:
        return f"{selection.namespace}/" if selection.namespace is not None else ""

    def _draft(self, key: str, obj: Object) -> Draft:
        return Draft(key, codec.encode(obj), obj, self._cache.fields_of)

    def _ttl_of(self, obj: Object) -> int | None:
        return self._ttl(obj) if self._ttl is not None and obj else None

    def _written(self, draft: Draft, revision: int) -> Entry:
        """Return the entry of an own write: the cache's, when it has got there already."""
        entry = self._cache.entries.get(draft.key)
        return entry if entry is not None and entry.rev == revision else draft.entry(revision)

    def _live(self, key: str, kv: Any) -> Entry | None:
        return None if kv is None else self._entry(key, kv)

    def _entry(self, key: str, kv: Any) -> Entry:
        return draft_of_value(key, kv.value, self._cache.fields_of).entry(kv.mod_revision)
