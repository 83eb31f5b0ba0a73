"""Handing out events: grouping, coalescing, isolation."""

from __future__ import annotations

import asyncio

from apimachinery.selectors import FieldSelector, LabelSelector
from apiserver.storage import codec, events
from apiserver.storage.cache import ResourceCache
from apiserver.storage.entry import Draft
from apiserver.storage.events import Batch, Encode, WatchEvent
from apiserver.storage.selection import Selection
from apiserver.storage.watcher import Watcher


def make_cache() -> ResourceCache:
    cache = ResourceCache(
        "pods",
        "",
        events.type_head("v1", "Pod"),
        "/registry/pods/",
        lambda obj: {"spec.nodeName": obj["node"]},
    )
    cache.load(iter(()), 1)
    return cache


def put(cache: ResourceCache, rev: int, key: str, node: str = "", **labels: str) -> None:
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": key, "labels": labels}, "node": node}
    cache.apply(key, Draft(key, codec.encode(obj), obj, cache.fields_of), rev)


def watch(cache: ResourceCache, selection: Selection | None = None, encode: Encode | None = None) -> Watcher:
    return cache.watch(
        selection or Selection(), encode, after=cache.last_change, revision=cache.last_change,
        initial_end=False, bookmarks=False, most_unsent=1 << 20,
    )  # fmt: skip


async def told(watcher: Watcher, seconds: float = 0.05) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    try:
        async with asyncio.timeout(seconds):
            async for batch in watcher:
                found += [(event.type, event.rev) for event in batch.events]
    except TimeoutError:
        pass
    return found


async def test_events_of_a_moment_are_one_batch_for_all() -> None:
    cache = make_cache()
    watchers = [watch(cache) for _ in range(3)]
    for rev in range(2, 12):
        put(cache, rev, "ns/a")
    batches = [await anext(watcher) for watcher in watchers]
    assert batches[0] is batches[1] is batches[2]
    assert [event.rev for event in batches[0].events] == list(range(2, 12))
    assert len(batches[0].frames()) == 10


async def test_only_those_concerned_are_visited() -> None:
    cache = make_cache()
    by_node = watch(cache, Selection.of(None, None, FieldSelector.parse("spec.nodeName=n1")))
    other = watch(cache, Selection.of(None, None, FieldSelector.parse("spec.nodeName=n2")))
    space = watch(cache, Selection.of("ns2", None, None))
    label = watch(cache, Selection.of("ns", LabelSelector.parse("app in (x,y)"), None))
    put(cache, 2, "ns/a", "n1", app="x")
    put(cache, 3, "ns2/a", "n1")
    put(cache, 4, "ns/a", "n2", app="z")
    cache.apply("ns2/a", None, 5)
    assert await told(by_node) == [("ADDED", 2), ("ADDED", 3), ("DELETED", 4), ("DELETED", 5)]
    assert await told(other) == [("ADDED", 4)]
    assert await told(space) == [("ADDED", 3), ("DELETED", 5)]
    assert await told(label) == [("ADDED", 2), ("DELETED", 4)]
    for watcher in (by_node, other, space, label):
        watcher.close()
        watcher.close()
    assert cache.hub.watchers == 0
    assert not cache.hub._routes


async def test_joining_late_misses_nothing_and_gets_nothing_twice() -> None:
    cache = make_cache()
    early = watch(cache)
    put(cache, 2, "ns/a")
    late = watch(cache)
    put(cache, 3, "ns/a")
    assert await told(early) == [("ADDED", 2), ("MODIFIED", 3)]
    assert await told(late) == [("MODIFIED", 3)]


async def test_a_form_that_fails_hurts_nobody_else() -> None:
    def encode(event: WatchEvent) -> bytes:
        raise KeyError("status")

    cache = make_cache()
    broken, whole = watch(cache, encode=encode), watch(cache)
    put(cache, 2, "ns/a")
    assert await told(whole) == [("ADDED", 2)]
    assert broken.ended == "broken"


async def test_http_chunks() -> None:
    batch = Batch([events.bookmark(events.type_head("v1", "Pod"), 7)])
    line = (
        b'{"type":"BOOKMARK","object":{"apiVersion":"v1","kind":"Pod",'
        b'"metadata":{"resourceVersion":"7","creationTimestamp":null}}}\n'
    )
    assert batch.data == line
    assert batch.http_chunk() == b"%x\r\n%b\r\n" % (len(line), line)
