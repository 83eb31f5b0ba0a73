"""Objects through real etcd: create, read, update, delete, claims, as several API servers see them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from apimachinery.errors import StatusError
from apimachinery.selectors import FieldSelector, LabelSelector
from apiserver.storage import UNCHANGED, AlreadyExists, Change, Claim, ClaimTaken, Remove, ResourceStore
from tests.integration.storage.conftest import pod


async def test_what_is_created_can_be_read_at_once(pods: ResourceStore) -> None:
    created = await pods.create("default", "a", pod("a", app="x"))
    for version in (None, "", "0", str(created.rev)):
        entry = await pods.get("default", "a", resource_version=version)
        assert entry.rev == created.rev
    obj = entry.decode()
    assert obj["metadata"]["resourceVersion"] == str(created.rev)
    assert list(obj) == ["apiVersion", "kind", "metadata", "spec"]
    assert entry.encoded() == created.encoded()


async def test_creating_twice_names_the_one_that_is_there(pods: ResourceStore) -> None:
    first = await pods.create("default", "a", pod("a"))
    with pytest.raises(AlreadyExists) as caught:
        await pods.create("default", "a", pod("a"))
    assert caught.value.entry.rev == first.rev


async def test_a_missing_object_is_a_key_error(pods: ResourceStore) -> None:
    with pytest.raises(KeyError):
        await pods.get("default", "nothing")
    with pytest.raises(KeyError):
        await pods.delete("default", "nothing")


async def test_updates_of_many_writers_are_all_kept(open_store: Callable[..., Any]) -> None:
    _, one = await open_store()
    _, two = await open_store()
    await one.create("default", "a", pod("a"))

    def add(entry: Any, obj: dict[str, Any]) -> dict[str, Any]:
        obj["spec"]["count"] = obj["spec"].get("count", 0) + 1
        return obj

    await asyncio.gather(*(store.update("default", "a", add) for store in (one, two) for _ in range(25)))
    for store in (one, two):
        assert (await store.get("default", "a")).decode()["spec"]["count"] == 50


async def test_an_update_that_changes_nothing_is_not_written(pods: ResourceStore) -> None:
    created = await pods.create("default", "a", pod("a"))
    assert (await pods.update("default", "a", lambda entry, obj: obj)).rev == created.rev
    assert (await pods.update("default", "a", lambda entry, obj: UNCHANGED)).rev == created.rev


async def test_an_update_with_an_old_resource_version_conflicts(pods: ResourceStore) -> None:
    created = await pods.create("default", "a", pod("a"))
    await pods.update("default", "a", lambda entry, obj: obj | {"x": 1})
    with pytest.raises(StatusError) as caught:
        await pods.update("default", "a", lambda entry, obj: obj | {"x": 2}, expect_rv=str(created.rev))
    assert caught.value.reason == "Conflict"
    assert 'Operation cannot be fulfilled on pods "a"' in caught.value.message


async def test_refusals_on_account_of_a_stale_cache_are_not_believed(open_store: Callable[..., Any]) -> None:
    _, one = await open_store()
    store, two = await open_store()
    await one.create("default", "a", pod("a"))
    await two.get("default", "a")
    cache = store.caches[0]
    stale = cache.entries["default/a"]
    await one.update("default", "a", lambda entry, obj: obj | {"ready": True})
    await two.get("default", "a")
    cache.entries["default/a"], fresh = stale, cache.entries["default/a"]

    async def refuse_unless_ready(entry: Any, obj: dict[str, Any]) -> dict[str, Any]:
        if not obj.get("ready"):
            cache.entries["default/a"] = fresh
            raise ValueError("not ready")
        return obj | {"done": True}

    assert (await two.update("default", "a", refuse_unless_ready)).decode()["done"]


async def test_deleting_asks_the_precondition_and_returns_the_last_state(pods: ResourceStore) -> None:
    created = await pods.create("default", "a", pod("a"))

    def refuse(entry: Any) -> None:
        raise ValueError("keep it")

    with pytest.raises(ValueError, match="keep it"):
        await pods.delete("default", "a", precondition=refuse)
    gone = await pods.delete("default", "a", expect_rev=created.rev)
    assert gone.rev > created.rev
    assert gone.decode()["metadata"]["resourceVersion"] == str(gone.rev)
    with pytest.raises(KeyError):
        await pods.get("default", "a")


async def test_the_last_finalizer_removes_the_object(pods: ResourceStore) -> None:
    await pods.create("default", "a", pod("a"))
    assert (await pods.update("default", "a", lambda entry, obj: Remove())).rev
    with pytest.raises(KeyError):
        await pods.get("default", "a")


async def test_a_claim_is_held_once_and_can_be_released(open_store: Callable[..., Any]) -> None:
    _, one = await open_store()
    _, two = await open_store()
    claim = Claim("ranges/ports/30080")
    await one.create("default", "a", pod("a"), claims=[claim])
    with pytest.raises(ClaimTaken) as caught:
        await two.create("default", "b", pod("b"), claims=[Claim("ranges/ports/30081"), claim])
    assert caught.value.key == claim.key
    with pytest.raises(KeyError):
        await two.get("default", "b")
    await two.update("default", "a", lambda e, o: Change(o | {"x": 1}, releases=[claim.key]))
    await two.create("default", "b", pod("b"), claims=[claim])


async def test_a_claimed_object_appears_in_its_own_resource(open_store: Callable[..., Any]) -> None:
    store, pods = await open_store()
    addresses = store.resource("networking.k8s.io", "ipaddresses", False, kind="IPAddress")
    address = {"apiVersion": "networking.k8s.io/v1", "kind": "IPAddress", "metadata": {"name": "10.96.0.7"}}
    await pods.create("default", "a", pod("a"), claims=[Claim("ipaddresses/10.96.0.7", address)])
    assert (await addresses.get("", "10.96.0.7")).decode()["kind"] == "IPAddress"
    await pods.delete("default", "a", releases=["ipaddresses/10.96.0.7"])
    with pytest.raises(KeyError):
        await addresses.get("", "10.96.0.7")


async def test_selectors(pods: ResourceStore) -> None:
    for number in range(100):
        obj = pod(f"p{number:03}", f"ns{number % 3}", f"node-{number % 7}", app=f"app-{number % 5}")
        await pods.create(f"ns{number % 3}", f"p{number:03}", obj)
    label, field = LabelSelector.parse("app=app-1"), FieldSelector.parse("spec.nodeName=node-2")
    for _ in range(2):  # the second time an index answers, kept up to date by the write between
        page = await pods.list(label_selector=label, field_selector=field)
        assert [e.key for e in page.entries] == sorted(f"ns{n % 3}/p{n:03}" for n in (16, 51, 86))
        page = await pods.list("ns0", label_selector=label)
        assert [e.name for e in page.entries] == [f"p{n:03}" for n in range(100) if n % 3 == 0 and n % 5 == 1]
        page = await pods.list(field_selector=FieldSelector.parse("metadata.name=p007"))
        assert [e.key for e in page.entries] == ["ns1/p007"]
        await pods.update("ns0", "p000", lambda e, o: o | {"spec": {"nodeName": "node-9"}})
    moved = await pods.list(field_selector=FieldSelector.parse("spec.nodeName=node-9"))
    assert [e.name for e in moved.entries] == ["p000"]


async def test_a_resource_opened_late_is_loaded(open_store: Callable[..., Any]) -> None:
    store, _ = await open_store()
    maps = store.resource("", "configmaps", True, kind="ConfigMap")
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}}
    await maps.create("default", "a", obj)
    later, _ = await open_store()
    again = later.resource("", "configmaps", True, kind="ConfigMap")
    assert (await again.get("default", "a")).name == "a"


async def test_objects_with_a_ttl_share_a_lease_and_vanish(open_store: Callable[..., Any]) -> None:
    _, pods = await open_store()
    await pods.create("default", "short", pod("short"), ttl=1)
    await pods.create("default", "short-too", pod("short-too"), ttl=1)
    watcher = await pods.watch("default", resource_version=str((await pods.list()).revision))
    gone: list[str] = []
    async with asyncio.timeout(20):
        async for batch in watcher:
            gone += [event.entry.name for event in batch.events if event.type == "DELETED"]
            if len(gone) == 2:
                break
    watcher.close()
    assert sorted(gone) == ["short", "short-too"]
