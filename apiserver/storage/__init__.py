"""Storage: etcd, the watch cache, and everything between them. The only package that knows etcd.

    etcd = Etcd(["http://127.0.0.1:2379"])                  # or https://… with ca_file, cert_file, key_file; unix:…
    store = Store(etcd, prefix="/registry")
    pods = store.resource("", "pods", True, fields=pod_fields, kind="Pod")
    await store.start()

    entry = await pods.create("default", "web", obj)        # AlreadyExists, ClaimTaken, StatusError 504
    entry = await pods.get("default", "web")                # consistent; KeyError when there is none
    entry.encoded(), entry.decode(), entry.rev, entry.labels

    def scale(entry, obj):                                  # may be async; called again after a conflict
        if entry is None:
            raise errors.not_found("", "pods", "web")
        obj["spec"]["replicas"] = 3
        return obj                                          # or Change(obj, claims=…, releases=…), Remove(), UNCHANGED
    entry = await pods.update("default", "web", scale)

    page = await pods.list("default", label_selector=…, limit=500)
    body = page.document(b'{…,"items":[', b"]}")            # joined bytes, nothing is encoded again

    watcher = await pods.watch("default", resource_version="17", bookmarks=True)
    try:
        async for batch in watcher:                         # Batch: .data, .http_chunk(), .frames(), .events
            await send(batch.http_chunk())
    finally:
        watcher.close()

For many watchers, `await watcher.pump(sink, drain)` writes into connections without waking a task each; `sink`
writes `batch.http_chunk()` and returns the bytes still unsent. Expiry arrives as a last ERROR event; a slow
reader is ended (`watcher.ended == "slow"`). Table watchers pass `encode`, one function object per form.

What an update function or precondition raises is only believed after etcd confirmed that the cached object was
current. Reads with resourceVersion "0" and watches go on while etcd is away; everything else fails with
StatusError 504 in bounded time.
"""

from apiserver.storage.entry import Entry
from apiserver.storage.etcd import Etcd, EtcdError
from apiserver.storage.events import Batch, Encode, WatchEvent
from apiserver.storage.resource_store import (
    UNCHANGED,
    AlreadyExists,
    Change,
    ListResult,
    Remove,
    ResourceStore,
    Unchanged,
)
from apiserver.storage.store import Store
from apiserver.storage.transaction import Claim, ClaimTaken
from apiserver.storage.watcher import Watcher

__all__ = [
    "UNCHANGED",
    "AlreadyExists",
    "Batch",
    "Change",
    "Claim",
    "ClaimTaken",
    "Encode",
    "Entry",
    "Etcd",
    "EtcdError",
    "ListResult",
    "Remove",
    "ResourceStore",
    "Store",
    "Unchanged",
    "WatchEvent",
    "Watcher",
]
