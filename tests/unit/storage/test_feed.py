"""The order of changes, from two sources, without etcd."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from apiserver.storage import codec, events
from apiserver.storage.cache import ResourceCache
from apiserver.storage.entry import Draft
from apiserver.storage.feed import Feed
from apiserver.storage.selection import Selection

PREFIX = "/registry/"


def feed() -> tuple[Feed, ResourceCache]:
    made = Feed(cast(Any, None), PREFIX, on_loaded=lambda: None)
    cache = ResourceCache(
        "services", "", events.type_head("v1", "Service"), "/registry/services/specs/", None
    )
    made.add(cache)
    cache.load(iter(()), 10)
    made.revision = 10
    return made, cache


def draft(name: str, size: int = 0) -> Draft:
    obj = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "size": size}
    return Draft(f"ns/{name}", codec.encode(obj), obj, None)


def key(name: str) -> str:
    return f"/registry/services/specs/ns/{name}"


def watched(name: str, revision: int, value: bytes | None) -> Any:
    kv = SimpleNamespace(key=key(name).encode(), value=value or b"", mod_revision=revision)
    return SimpleNamespace(type=0 if value is not None else 1, kv=kv)


async def test_own_writes_wait_for_what_came_before() -> None:
    made, cache = feed()
    made.wrote(12, [(key("b"), draft("b"))])
    assert not cache.entries
    made.wrote(11, [(key("a"), draft("a"))])
    assert {k: e.rev for k, e in cache.entries.items()} == {"ns/a": 11, "ns/b": 12}
    assert made.revision == 12


async def test_the_watch_fills_gaps_and_echoes_are_passed_over() -> None:
    made, cache = feed()
    made.wrote(13, [(key("own"), draft("own"))])
    echo = watched("own", 13, draft("own").value)
    made._take([watched("x", 11, draft("x").value), watched("x", 12, None), echo])
    made._take([echo])
    assert list(cache.entries) == ["ns/own"]
    assert [event.type for event in cache.since(10)] == ["ADDED", "DELETED", "ADDED"]


async def test_an_announced_write_is_not_parsed_again() -> None:
    made, cache = feed()
    own = draft("own")
    made.expect(key("own"), own)
    made._take([watched("own", 11, bytes(bytearray(own.value)))])
    assert cache.entries["ns/own"].labels is own.labels
    made.settle(key("own"), own)
    assert not made._expected


async def test_keys_of_others_only_move_the_revision() -> None:
    made, cache = feed()
    for revision, name in (
        (11, b"/registry/unknown/a"),
        (12, b"zzz"),
        (13, b"/registry/services/endpoints/ns/a"),
    ):
        kv = SimpleNamespace(key=name, value=b"?", mod_revision=revision)
        made._take([SimpleNamespace(type=0, kv=kv)])
    assert (made.revision, cache.entries) == (13, {})


async def test_waiting_for_a_revision() -> None:
    made, _ = feed()
    waits = [asyncio.create_task(made.reach(revision, 5)) for revision in (11, 12)]
    late = asyncio.create_task(made.reach(99, 0.01))
    await asyncio.sleep(0)
    made.wrote(11, [(key("a"), draft("a"))])
    assert await waits[0]
    assert not waits[1].done()
    made.wrote(12, [(key("b"), draft("b"))])
    assert await waits[1]
    assert not await late


async def test_the_ring_forgets_the_oldest_and_knows_it() -> None:
    _, cache = feed()
    for revision in range(11, 11 + 30_000):
        cache.apply("ns/a", draft("a", revision), revision)
    assert cache.capacity == 10_000
    assert cache.floor == 20_010
    assert cache.since(cache.floor)[0].rev == cache.floor + 1
    assert len(cache.since(cache.floor)) == 10_000
    assert cache.select(Selection())[0].rev == 30_010
    later = asyncio.get_running_loop().time() + 1000
    cache.trim(later)
    assert cache.capacity == 1_000
