"""The one stream of changes that all caches follow, in the order of etcd's revisions without a gap.

Two sources: the etcd watch, and this server's own transactions, whose answers say the revision before the watch
does. A change is applied when the revision before it has been: own writes in a quiet moment at once, others when
the watch has filled the gap. Because the watch covers every key of etcd, `revision` says exactly how far all
caches have come. When etcd's history no longer reaches back to `revision`, everything is loaded anew and
watchers start again.
"""

import asyncio
import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from apiserver.storage.cache import ResourceCache
from apiserver.storage.entry import Draft, draft_of_value
from apiserver.storage.etcd import Etcd, EtcdError, RevisionCompacted
from component_base.logs import get_logger

_PAGE: Final = 1_000
_PUT: Final = 0
_FIRST_BACKOFF: Final = 0.05
_LONGEST_BACKOFF: Final = 2.0

Change = tuple[str, Draft | None]
"""An etcd key and its new state; None for a deletion or for a value that no cache holds."""

log = get_logger("storage")


class Feed:
    """Follows etcd for all caches. `run()` does the work; the rest may be called at any time."""

    def __init__(self, etcd: Etcd, prefix: str, *, on_loaded: Callable[[], None]) -> None:
        """`prefix` is the etcd key that all our keys begin with, ending in a slash."""
        self._etcd = etcd
        self._prefix = prefix
        self._on_loaded = on_loaded
        self._caches: dict[str, ResourceCache] = {}
        self._late: list[ResourceCache] = []
        self._ahead: dict[int, Sequence[Change]] = {}
        self._expected: dict[str, list[Draft]] = {}
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._waits = 0
        self._cluster = 0
        self._must_load = True
        self._wake_late = asyncio.Event()
        self.revision = 0
        self.watching = False

    # --- caches -----------------------------------------------------------------------------------------

    def add(self, cache: ResourceCache) -> None:
        """Feed one more cache; one added after the start is loaded soon (see its `loaded`).

        Raises ValueError where another cache holds the same keys: it would never be loaded.
        """
        if cache.prefix in self._caches:
            raise ValueError(f"two caches for {cache.prefix}")
        self._caches[cache.prefix] = cache
        if not self._must_load:
            self._late.append(cache)
            self._wake_late.set()

    def cache_of(self, key: str) -> ResourceCache | None:
        """Return the cache that an etcd key belongs to."""
        first = key.find("/", len(self._prefix)) + 1
        cache = self._caches.get(key[:first])
        if cache is None and first:
            second = key.find("/", first) + 1
            cache = self._caches.get(key[:second])
        return cache

    # --- own writes -------------------------------------------------------------------------------------

    def expect(self, key: str, draft: Draft) -> None:
        """Announce an own write, so that its echo need not be parsed if it comes before the answer."""
        self._expected.setdefault(key, []).append(draft)

    def settle(self, key: str, draft: Draft) -> None:
        """Withdraw an announcement."""
        drafts = self._expected.get(key)
        if drafts is not None:
            drafts.remove(draft)
            if not drafts:
                del self._expected[key]

    def wrote(self, revision: int, changes: Sequence[Change]) -> None:
        """Take an own transaction that etcd has answered with `revision`."""
        if revision == self.revision + 1:
            self._advance(revision, changes)
        elif revision > self.revision:
            self._ahead[revision] = changes

    # --- waiting ----------------------------------------------------------------------------------------

    async def reach(self, revision: int, timeout: float) -> bool:
        """Wait until the caches have seen everything up to `revision`; False when `timeout` seconds passed."""
        if self.revision >= revision:
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waits += 1
        heapq.heappush(self._waiters, (revision, self._waits, future))
        try:
            async with asyncio.timeout(timeout):
                await future
        except TimeoutError:
            return False
        return True

    def _advance(self, revision: int, changes: Iterable[Change]) -> None:
        while True:
            self.revision = revision
            for key, draft in changes:
                cache = self.cache_of(key)
                if cache is not None:
                    cache.apply(key[len(cache.prefix) :], draft, revision)
            revision += 1
            if not self._ahead:
                break
            following = self._ahead.pop(revision, None)
            if following is None:
                break
            changes = following
        waiters = self._waiters
        while waiters and waiters[0][0] <= self.revision:
            future = heapq.heappop(waiters)[2]
            if not future.done():
                future.set_result(None)

    # --- following etcd ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Load, watch, and begin again after trouble, until cancelled."""
        backoff = _FIRST_BACKOFF
        late = asyncio.create_task(self._load_late())
        try:
            while True:
                try:
                    if self._must_load:
                        await self._load()
                    backoff = _FIRST_BACKOFF
                    error = await self._watch()
                except EtcdError as problem:
                    error = problem
                self.watching = False
                if isinstance(error, RevisionCompacted):
                    log.warning("Revision no longer in etcd, loading anew", revision=self.revision)
                    self._must_load = True
                elif error is not None:
                    log.warning("Watch of etcd ended, trying again", error=str(error), revision=self.revision)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, _LONGEST_BACKOFF)
        finally:
            late.cancel()

    async def _watch(self) -> EtcdError | None:
        """Follow the watch until it ends; return why."""
        ended: asyncio.Future[EtcdError | None] = asyncio.get_running_loop().create_future()

        def on_end(error: EtcdError | None) -> None:
            if not ended.done():
                ended.set_result(error)

        def on_response(response: Any) -> None:
            if not ended.done():
                self._take(response.events)

        await self._check_history()
        stream = await self._etcd.watch(self.revision + 1, on_response, on_end)
        self.watching = True
        try:
            return await ended
        finally:
            stream.cancel()

    async def _check_history(self) -> None:
        """Raise RevisionCompacted when etcd is another one than before, or was restored from an older state."""
        header = await self._etcd.current()
        if header.revision < self.revision or header.cluster_id != self._cluster:
            log.error("etcd lost revisions that it had acknowledged", had=self.revision, has=header.revision)
            raise RevisionCompacted

    def _take(self, watched: Sequence[Any]) -> None:
        """Apply the events of one watch answer, revision by revision."""
        at, size = 0, len(watched)
        while at < size:
            revision = watched[at].kv.mod_revision
            end = at + 1
            while end < size and watched[end].kv.mod_revision == revision:
                end += 1
            if revision > self.revision:
                changes = self._ahead.pop(revision, None)
                if changes is None:
                    changes = [self._change(event) for event in watched[at:end]]
                self._advance(revision, changes)
            at = end

    def _change(self, event: Any) -> Change:
        key = event.kv.key.decode("utf-8", "replace")
        if event.type != _PUT:
            return key, None
        cache = self.cache_of(key)
        if cache is None:
            return key, None
        value = event.kv.value
        for draft in self._expected.get(key, ()):
            if draft.value == value:
                return key, draft
        return key, _draft(cache, key, value)

    async def _load(self) -> None:
        """Read everything under the prefix at one revision, and start all caches with it."""
        caches = dict(self._caches)
        self._late.clear()
        drafts: dict[str, list[tuple[Draft, int]]] = {prefix: [] for prefix in caches}
        revision = await self._read(self._prefix, drafts)
        self._must_load = False
        self._ahead.clear()
        self.revision = revision
        for prefix, cache in caches.items():
            cache.load(iter(drafts.pop(prefix)), revision)
        self._late.extend(cache for prefix, cache in self._caches.items() if prefix not in caches)
        self._wake_late.set()
        self._advance(revision, ())
        self._on_loaded()
        log.info("Watch cache loaded", revision=revision, resources=len(caches))

    async def _load_late(self) -> None:
        """Load caches that were added after the start."""
        while True:
            await self._wake_late.wait()
            self._wake_late.clear()
            while self._late:
                cache = self._late[0]
                drafts: dict[str, list[tuple[Draft, int]]] = {cache.prefix: []}
                try:
                    revision = await self._read(cache.prefix, drafts)
                    reached = await self.reach(revision, _LONGEST_BACKOFF)
                except EtcdError as problem:
                    log.warning("Cannot load a resource, trying again", key=cache.prefix, error=str(problem))
                    await asyncio.sleep(_LONGEST_BACKOFF)
                    continue
                # Changes after `revision` may have been applied meanwhile: only a quiet moment is exact.
                if reached and self._late and self._late[0] is cache and cache.last_change <= revision:
                    self._late.pop(0)
                    cache.load(iter(drafts[cache.prefix]), revision)

    async def _read(self, prefix: str, into: dict[str, list[tuple[Draft, int]]]) -> int:
        """Read all keys of a prefix at one revision, page by page; return the revision."""
        start, end = prefix.encode(), prefix.encode()[:-1] + b"0"
        revision = 0
        while True:
            try:
                page = await self._etcd.range(start, end, limit=_PAGE, revision=revision)
            except RevisionCompacted:
                start, revision = prefix.encode(), 0
                for drafts in into.values():
                    drafts.clear()
                continue
            revision = revision or page.header.revision
            self._cluster = page.header.cluster_id
            for kv in page.kvs:
                key = kv.key.decode("utf-8", "replace")
                cache = self.cache_of(key)
                if cache is None or cache.prefix not in into:
                    continue
                draft = _draft(cache, key, kv.value)
                if draft is not None:
                    into[cache.prefix].append((draft, kv.mod_revision))
            if not page.more:
                return revision
            start = page.kvs[-1].key + b"\x00"
            await asyncio.sleep(0)


def _draft(cache: ResourceCache, key: str, value: bytes) -> Draft | None:
    try:
        return draft_of_value(key[len(cache.prefix) :], value, cache.fields_of)
    except (ValueError, KeyError, TypeError, AttributeError) as problem:  # also what `fields_of` trips over
        log.error("Unreadable object in etcd is left out", key=key, error=str(problem))
        return None
