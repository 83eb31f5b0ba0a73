"""Watches against real etcd."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from apimachinery.selectors import FieldSelector, LabelSelector
from apiserver.storage import Batch, ResourceStore, Watcher, WatchEvent
from tests.integration.storage.conftest import eventually, pod


async def take(watcher: Watcher, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Return the next `count` events as (type, object), parsed from the frames."""
    found: list[tuple[str, dict[str, Any]]] = []
    async with asyncio.timeout(15):
        while len(found) < count:
            batch = await anext(watcher)
            lines = batch.data.splitlines()
            assert len(lines) == len(batch.events)
            found += [(event["type"], event["object"]) for event in map(json.loads, lines)]
    assert len(found) == count
    return found


def names(events: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, str]]:
    return [(type, obj["metadata"]["name"]) for type, obj in events]


async def test_what_exists_then_what_changes(pods: ResourceStore) -> None:
    await pods.create("default", "b", pod("b"))
    await pods.create("default", "a", pod("a"))
    watcher = await pods.watch("default")
    assert names(await take(watcher, 2)) == [("ADDED", "a"), ("ADDED", "b")]
    await pods.update("default", "a", lambda e, o: o | {"x": 1})
    gone = await pods.delete("default", "a")
    events = await take(watcher, 2)
    assert names(events) == [("MODIFIED", "a"), ("DELETED", "a")]
    assert events[1][1]["x"] == 1
    assert events[1][1]["metadata"]["resourceVersion"] == str(gone.rev)


async def test_resuming_from_any_seen_revision_loses_and_repeats_nothing(pods: ResourceStore) -> None:
    first = await pods.watch(None, resource_version="0")
    for number in range(20):
        await pods.create("default", f"p{number:02}", pod(f"p{number:02}"))
    seen = await take(first, 20)
    for at in range(20):
        again = await pods.watch(None, resource_version=seen[at][1]["metadata"]["resourceVersion"])
        if at < 19:
            assert await take(again, 19 - at) == seen[at + 1 :]
        again.close()


async def test_selectors_turn_changes_into_added_and_deleted(pods: ResourceStore) -> None:
    labels = await pods.watch(None, label_selector=LabelSelector.parse("app=x"))
    fields = await pods.watch(None, field_selector=FieldSelector.parse("spec.nodeName=n1"))
    others = await pods.watch(None, field_selector=FieldSelector.parse("spec.nodeName=n2"))
    await pods.create("default", "a", pod("a", node="", app="y"))
    await pods.update("default", "a", lambda e, o: pod("a", node="n1", app="x"))
    await pods.update("default", "a", lambda e, o: pod("a", node="n2", app="y"))
    last = await pods.delete("default", "a")
    seen = await take(labels, 2)
    assert names(seen) == [("ADDED", "a"), ("DELETED", "a")]
    # A selector's DELETED shows the last matching state at the revision of the change.
    assert seen[1][1]["metadata"]["labels"] == {"app": "x"}
    assert int(seen[1][1]["metadata"]["resourceVersion"]) == last.rev - 1
    assert names(await take(fields, 2)) == [("ADDED", "a"), ("DELETED", "a")]
    assert names(await take(others, 2)) == [("ADDED", "a"), ("DELETED", "a")]


async def test_streaming_lists_end_with_the_annotated_bookmark(pods: ResourceStore) -> None:
    await pods.create("default", "a", pod("a"))
    watcher = await pods.watch(None, send_initial=True, bookmarks=True)
    (added, _), (bookmark, obj) = await take(watcher, 2)
    assert (added, bookmark) == ("ADDED", "BOOKMARK")
    assert (obj["kind"], obj["apiVersion"]) == ("Pod", "v1")
    assert obj["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert obj["metadata"]["resourceVersion"] == str((await pods.list()).revision)


async def test_bookmarks_come_by_the_clock(open_store: Callable[..., Any]) -> None:
    _, pods = await open_store(bookmark_interval=0.1)
    watcher = await pods.watch(None, bookmarks=True)
    quiet = await pods.watch(None)
    (type, obj), *_ = await take(watcher, 1)
    assert type == "BOOKMARK"
    assert int(obj["metadata"]["resourceVersion"]) >= 1
    await pods.create("default", "a", pod("a"))
    assert names(await take(quiet, 1)) == [("ADDED", "a")]


async def test_a_revision_older_than_the_cache_expires(open_store: Callable[..., Any]) -> None:
    _, first = await open_store()
    old = (await first.create("default", "a", pod("a"))).rev
    await first.create("default", "b", pod("b"))
    store, pods = await open_store()
    watcher = await pods.watch(None, resource_version=str(old))
    (type, status), *_ = await take(watcher, 1)
    assert (type, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
    assert status["message"] == f"too old resource version: {old} ({store.revision})"
    assert watcher.ended == "expired"


async def test_watchers_of_one_form_share_the_encoding(pods: ResourceStore) -> None:
    calls: list[str] = []

    def encode(event: WatchEvent) -> bytes:
        calls.append(event.type)
        return b'{"type":"%b"}\n' % event.type.encode()

    watchers = [await pods.watch(None, encode=encode) for _ in range(5)]
    await pods.create("default", "a", pod("a"))
    chunks = [(await anext(watcher)).http_chunk() for watcher in watchers]
    assert len({id(chunk) for chunk in chunks}) == 1
    assert chunks[0] == b'11\r\n{"type":"ADDED"}\n\r\n'
    assert calls == ["ADDED"]


async def test_pumping_into_a_sink_and_dropping_the_slow(pods: ResourceStore) -> None:
    await pods.create("default", "a", pod("a"))
    written: list[Batch] = []
    unsent = 0

    def sink(batch: Batch) -> int:
        written.append(batch)
        return unsent

    async def drain() -> None:
        await asyncio.sleep(0)

    watcher = await pods.watch(None, most_unsent=1000)
    pump = asyncio.create_task(watcher.pump(sink, drain))
    await pods.create("default", "b", pod("b"))
    await eventually(lambda: [e.entry.name for batch in written for e in batch.events] == ["a", "b"])
    unsent = 5000
    await pods.create("default", "c", pod("c"))
    assert await pump == "slow"


async def test_a_reader_that_does_not_read_is_dropped(pods: ResourceStore) -> None:
    watcher = await pods.watch(None, most_unsent=2000)
    for number in range(30):
        await pods.create("default", f"p{number}", pod(f"p{number}"))
    await eventually(lambda: watcher.ended == "slow")


async def test_all_watchers_see_the_same_order(open_store: Callable[..., Any]) -> None:
    stores = [(await open_store())[1] for _ in range(2)]
    watchers = [await store.watch(None) for store in stores for _ in range(2)]
    await asyncio.gather(
        *(stores[n % 2].create("default", f"p{n:03}", pod(f"p{n:03}")) for n in range(100)),
    )
    seen = [await take(watcher, 100) for watcher in watchers]
    assert seen.count(seen[0]) == 4
    revisions = [int(obj["metadata"]["resourceVersion"]) for _, obj in seen[0]]
    assert revisions == sorted(revisions)
