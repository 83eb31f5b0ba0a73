"""The whole storage of one API server: opens the resources, follows etcd, keeps watches and etcd in order."""

import asyncio
import gc
from typing import Final

from apiserver.storage import events
from apiserver.storage.cache import ResourceCache
from apiserver.storage.compactor import INTERVAL_SECONDS, Compactor
from apiserver.storage.entry import FieldsOf
from apiserver.storage.etcd import Etcd, EtcdError
from apiserver.storage.feed import Feed
from apiserver.storage.freshness import Freshness
from apiserver.storage.history import History
from apiserver.storage.keys import storage_path
from apiserver.storage.leases import Leases
from apiserver.storage.metrics import StorageMetrics
from apiserver.storage.resource_store import ResourceStore, Ttl
from apiserver.storage.transaction import Writer
from component_base.logs import get_logger
from component_base.metrics import REGISTRY

_BOOKMARK_SECONDS: Final = 60.0

log = get_logger("storage")


class Store:
    """All resources of one etcd prefix. Make it inside a running event loop."""

    def __init__(
        self,
        etcd: Etcd,
        prefix: str = "/registry",
        *,
        compaction_interval: float = INTERVAL_SECONDS,
        read_timeout: float = 5.0,
        bookmark_interval: float = _BOOKMARK_SECONDS,
    ) -> None:
        """`prefix` as in --etcd-prefix; times in seconds (compaction 0: never)."""
        self.etcd = etcd
        self.prefix = "/" + prefix.strip("/") + "/"
        self._feed = Feed(etcd, self.prefix, on_loaded=self._on_loaded)
        self._freshness = Freshness(etcd, self._feed, timeout=read_timeout)
        self._writer = Writer(etcd, self._feed, self.prefix)
        self._leases = Leases(etcd)
        self._history = History(etcd)
        self._compactor = Compactor(etcd, compaction_interval)
        self._bookmark_interval = bookmark_interval
        self._loaded = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.caches: list[ResourceCache] = []
        self._metrics = StorageMetrics(self.caches, lambda: self.revision)
        etcd.observe = self._metrics.observe

    def resource(
        self,
        group: str,
        plural: str,
        namespaced: bool,
        fields: FieldsOf | None = None,
        ttl: Ttl | None = None,
        *,
        version: str = "v1",
        kind: str = "",
        path: str | None = None,
    ) -> ResourceStore:
        """Open a resource, before or after `start()`.

        `fields(obj)` gives the selectable fields beside metadata.name and metadata.namespace; `ttl(obj)` the
        seconds that an object lasts, or None. `version` and `kind` are what bookmarks show. `path` is where the
        objects are under the prefix; by default where the original keeps them (nodes in `minions`).
        """
        head = events.type_head(f"{group}/{version}" if group else version, kind)
        prefix = f"{self.prefix}{path or storage_path(group, plural)}/"
        cache = ResourceCache(plural, group, head, prefix, fields)
        self.caches.append(cache)
        self._feed.add(cache)
        return ResourceStore(
            cache,
            self._feed,
            self._freshness,
            self._writer,
            self._leases,
            self._history,
            namespaced=namespaced,
            ttl=ttl,
        )

    async def start(self, wait_seconds: float = 10.0) -> bool:
        """Begin to follow etcd; wait for the first load at most so long; return whether it is done (`ready`)."""
        REGISTRY.register(self._metrics)
        self._tasks = [
            asyncio.create_task(self._feed.run(), name="storage feed"),
            asyncio.create_task(self._compactor.run(), name="etcd compaction"),
            asyncio.create_task(self._bookmarks(), name="watch bookmarks"),
        ]
        try:
            async with asyncio.timeout(wait_seconds):
                await self._loaded.wait()
        except TimeoutError:
            log.warning("etcd has not answered yet", waited_seconds=wait_seconds)
        return self.ready

    async def stop(self) -> None:
        """End all watches and the connection to etcd."""
        if self._tasks:
            REGISTRY.unregister(self._metrics)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for cache in self.caches:
            cache.hub.close()
        await self.etcd.close()

    @property
    def ready(self) -> bool:
        """True when the caches have been loaded: reads can be answered."""
        return self._loaded.is_set()

    @property
    def revision(self) -> int:
        """Revision that the caches have reached."""
        return self._feed.revision

    async def current_revision(self) -> int:
        """Return etcd's revision now (linearizable); raises StatusError 504 when etcd is away."""
        return await self._freshness.current_revision()

    async def check(self, timeout: float = 2.0) -> None:
        """Raise EtcdError unless etcd answers within `timeout` seconds: the `etcd` check of /readyz and /livez."""
        if not self.etcd.connected and not self.ready:
            raise EtcdError(14, "etcd client connection not yet established")
        await self.etcd.current_revision(timeout)

    def _on_loaded(self) -> None:
        """Called after every load. What is loaded stays: keep the garbage collector off it."""
        self._loaded.set()
        gc.collect()
        gc.freeze()

    async def _bookmarks(self) -> None:
        while True:
            await asyncio.sleep(self._bookmark_interval)
            for cache in self.caches:
                cache.trim(asyncio.get_running_loop().time())
                if cache.hub.watchers:
                    cache.hub.bookmark(self._feed.revision)
                    await asyncio.sleep(0)
