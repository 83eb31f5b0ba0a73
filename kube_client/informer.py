"""A local, indexed, always current copy of a resource, kept by one list and one watch.

All users of a resource in a process share one informer. Handlers are told of changes; readers get the stored
objects themselves and must never change them (copy first). There is no resync: handlers are level-triggered,
the copy never drifts. `observe` lets a writer put the server's answer to its own write into the copy at once,
so that a controller never acts on a state older than its own last action.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from typing import NamedTuple

from apimachinery import Object
from apimachinery.errors import StatusError
from apimachinery.resources import Resource
from component_base.daemon import Backoff
from component_base.logs import get_logger
from kube_client.client import Client
from kube_client.errors import ApiUnavailable
from kube_client.store import Indexer, Objects, Store, by_namespace, by_node_name, by_owner_uid, key_of

Handler = Callable[[str, Object | None, Object], None]

PAGE = 500
RETRY_FIRST, RETRY_LAST = 0.2, 5.0
HEALTHY_SECONDS = 10.0
WATCH_SECONDS = (300, 600)

__all__ = [
    "Handler",
    "Indexer",
    "Informer",
    "InformerFactory",
    "by_namespace",
    "by_node_name",
    "by_owner_uid",
    "key_of",
]

log = get_logger("informer")


class Informer:
    """One resource (perhaps narrowed by namespace or selectors). Made by an InformerFactory."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        namespace: str | None = None,
        field_selector: str | None = None,
        label_selector: str | None = None,
        metadata_only: bool = False,
        back: asyncio.Event | None = None,
    ) -> None:
        self.resource = resource
        self._back = back or asyncio.Event()
        self.metadata_only = metadata_only
        self._client = client
        self._scope = (namespace, label_selector, field_selector)
        self._store = Store()
        self._handlers: list[Handler] = []
        self._revision = 0
        self._outage = False
        self.restored_at = 0.0
        """When the last outage ended, on the event loop's clock: silence before then says nothing."""
        self._synced = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.add_index("namespace", by_namespace)

    @property
    def synced(self) -> bool:
        """True once the first list has been stored."""
        return self._synced.is_set()

    @property
    def outage(self) -> bool:
        """True while the server cannot be watched: the copy may be old."""
        return self._outage

    def add_index(self, name: str, indexer: Indexer) -> None:
        """Make `by_index(name, …)` possible; harmless when it exists already."""
        self._store.add_index(name, indexer)

    def add_handler(self, handler: Handler) -> None:
        """`handler(type, old, new)` for every change from now on; what is stored already comes as ADDED.

        For DELETED `new` is the last state. Handlers run inside the event loop: they must be short, must not
        raise, must not change the objects. A missed DELETED (seen by a relist) is delivered like any other.
        """
        self._handlers.append(handler)
        for obj in self._store.values():
            handler("ADDED", None, obj)

    def get(self, key: str) -> Object | None:
        """The object with key `namespace/name` (or `name`), or None. Not to be changed."""
        return self._store.get(key)

    def list(self, namespace: str | None = None) -> Objects:
        """All objects, or those of one namespace. Not to be changed."""
        if namespace is None:
            return self._store.values()
        return self._store.by_index("namespace", namespace)

    def by_index(self, name: str, value: str) -> Objects:
        """The objects that the index files under `value`. Raises KeyError for an unknown index."""
        return self._store.by_index(name, value)

    def index_size(self, name: str, value: str) -> int:
        """How many objects `by_index` would return; costs nothing."""
        return self._store.index_size(name, value)

    def observe(self, obj: Object) -> None:
        """Take in the server's answer to a write made by this process, unless the watch is already past it."""
        metadata = obj.get("metadata") or {}
        version = metadata.get("resourceVersion", "")
        if not version.isdigit() or int(version) <= self._revision or not self._synced.is_set():
            return
        self._put(self._trim(obj))

    def start(self) -> None:
        """Begin to list and watch in the background; harmless when begun already."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"informer {self.resource.plural}")

    async def wait_synced(self) -> None:
        """Return when the first list has been stored."""
        await self._synced.wait()

    async def stop(self) -> None:
        """End the watch; the store stays readable."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        backoff = Backoff(initial=RETRY_FIRST, factor=2.0, cap=RETRY_LAST, jitter=0.5)
        clock = asyncio.get_running_loop().time
        stale = True
        while True:
            began, before = clock(), self._revision
            try:
                if stale:
                    await self._relist()
                    stale = False
                await self._watch()
            except StatusError as error:
                # Expired, served no more, or a revision from before etcd was restored: only a list helps.
                stale = stale or error.code in (400, 404, 410, 504)
                if error.code != 410:
                    self._note_outage(error)
            except ApiUnavailable as error:
                self._note_outage(error)
            if self._revision != before or clock() - began > HEALTHY_SECONDS:
                backoff.reset()
            await self._pause(backoff.next())

    def _note_outage(self, error: Exception) -> None:
        """Once per outage: thousands of attempts say no more than the first."""
        if not self._outage:
            self._outage = True
            log.warning("Cannot list or watch", resource=self.resource.plural, error=str(error))

    def _note_open(self) -> None:
        if self._outage:
            self._outage = False
            self.restored_at = asyncio.get_running_loop().time()
            self._back.set()
            log.info("Watching again", resource=self.resource.plural)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not when another informer has just found the server back."""
        if not self._outage:
            await asyncio.sleep(seconds)
            return
        self._back.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._back.wait()

    async def _relist(self) -> None:
        namespace, label_selector, field_selector = self._scope
        items: Objects = []
        cont: str | None = None
        while True:
            page = await self._client.list(
                self.resource,
                namespace,
                label_selector,
                field_selector,
                limit=PAGE,
                cont=cont,
                metadata_only=self.metadata_only,
            )
            for obj in page.get("items") or ():
                # Items of a typed list carry neither kind nor apiVersion on the original's wire.
                obj.setdefault("apiVersion", self.resource.api_version)
                obj.setdefault("kind", self.resource.kind)
                items.append(self._trim(obj))
            metadata = page["metadata"]
            cont = metadata.get("continue")
            if not cont:
                break
        self._replace(items, int(metadata["resourceVersion"]))

    def _replace(self, items: Objects, revision: int) -> None:
        listed = {key_of(obj): obj for obj in items}
        # A consistent list behind what the watch has shown means that etcd went back in time (a restored
        # backup): then nothing newer is to be kept. Otherwise newer objects are our own, observed, writes.
        backwards = revision < self._revision
        for key in self._store.all_keys():
            stored = self._store.get(key)
            if stored is None:
                continue
            if backwards or (key not in listed and _revision(stored) <= revision):
                if key not in listed:
                    self._drop(key, stored)
                elif listed[key] != stored:
                    self._store.set(key, listed[key])
                    self._tell("MODIFIED", stored, listed[key])
        for obj in items:
            self._put(obj)
        self._revision = revision
        self._synced.set()

    async def _watch(self) -> None:
        namespace, label_selector, field_selector = self._scope
        events = self._client.watch(
            self.resource,
            namespace,
            str(self._revision),
            label_selector,
            field_selector,
            timeout_seconds=random.randint(*WATCH_SECONDS),
            metadata_only=self.metadata_only,
            on_open=self._note_open,
        )
        async with contextlib.aclosing(events):
            async for kind, obj in events:
                revision = _revision(obj)
                if kind == "DELETED":
                    self._drop(key_of(obj), self._trim(obj))
                elif kind != "BOOKMARK":
                    self._put(self._trim(obj))
                self._revision = max(self._revision, revision)

    def _put(self, obj: Object) -> None:
        key = key_of(obj)
        stored = self._store.get(key)
        if stored is not None:
            if _revision(stored) >= _revision(obj):
                return
            if stored["metadata"].get("uid") != obj["metadata"].get("uid"):
                # Deleted and made again while we did not look: two facts, not one change.
                self._drop(key, stored)
                stored = None
        self._store.set(key, obj)
        self._tell("ADDED" if stored is None else "MODIFIED", stored, obj)

    def _drop(self, key: str, last: Object) -> None:
        stored = self._store.get(key)
        if stored is None or stored["metadata"].get("uid") != last["metadata"].get("uid"):
            return
        self._store.remove(key)
        self._tell("DELETED", stored, last)

    def _tell(self, kind: str, old: Object | None, new: Object) -> None:
        for handler in self._handlers:
            try:
                handler(kind, old, new)
            except Exception:
                # One handler's fault must not stop the copy that all others read.
                log.exception("Handler failed", resource=self.resource.plural, key=key_of(new), type=kind)

    def _trim(self, obj: Object) -> Object:
        """Drop what no controller reads, to keep memory small; updates without managedFields keep the server's."""
        metadata = obj["metadata"]
        metadata.pop("managedFields", None)
        if self.metadata_only:
            kept = ("name", "namespace", "uid", "resourceVersion", "deletionTimestamp", "finalizers",
                    "ownerReferences")  # fmt: skip
            return {
                "apiVersion": self.resource.api_version,
                "kind": self.resource.kind,
                "metadata": {name: metadata[name] for name in kept if name in metadata},
            }
        return obj


class _Scope(NamedTuple):
    group: str
    version: str
    plural: str
    namespace: str | None
    field_selector: str | None
    label_selector: str | None


class InformerFactory:
    """Hands out one shared informer per resource and scope."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._informers: dict[_Scope, Informer] = {}
        self._back = asyncio.Event()
        self._started = False

    def informer(
        self,
        resource: Resource,
        namespace: str | None = None,
        field_selector: str | None = None,
        label_selector: str | None = None,
        indexers: Mapping[str, Indexer] | None = None,
        metadata_only: bool = False,
    ) -> Informer:
        """The shared informer; begins at once when the factory has been started.

        `metadata_only` is a wish to save memory: an informer of whole objects that exists already is used.
        """
        scope = _Scope(
            resource.group, resource.version, resource.plural, namespace, field_selector, label_selector
        )
        informer = self._informers.get(scope)
        if informer is None or (informer.metadata_only and not metadata_only):
            informer = Informer(
                self._client, resource, namespace, field_selector, label_selector, metadata_only, self._back
            )
            self._informers[scope] = informer
            if self._started:
                informer.start()
        for name, indexer in (indexers or {}).items():
            informer.add_index(name, indexer)
        return informer

    def start(self) -> None:
        """Start every informer, also those asked for later."""
        self._started = True
        for informer in self._informers.values():
            informer.start()

    async def wait_synced(self) -> None:
        """Return when every informer asked for so far has its first list."""
        for informer in list(self._informers.values()):
            await informer.wait_synced()

    async def forget(self, informer: Informer) -> None:
        """Stop one informer and drop it, for instance when its resource is gone."""
        self._informers = {scope: known for scope, known in self._informers.items() if known is not informer}
        await informer.stop()

    async def stop(self) -> None:
        """End every watch."""
        self._started = False
        await asyncio.gather(*(informer.stop() for informer in self._informers.values()))


def _revision(obj: Object) -> int:
    return int(obj["metadata"].get("resourceVersion") or 0)
