"""The local copy is complete, indexed, current, and never behind our own writes."""

import asyncio
from collections.abc import Callable

from aiohttp import web

from apimachinery import Object
from apimachinery.resources import PODS
from kube_client import informer as informers
from kube_client.informer import Informer, InformerFactory, by_node_name, by_owner_uid
from tests.unit.kube_client.fake_server import FakeServer, fake_server


def pod(name: str, node: str = "", owner: str = "") -> Object:
    metadata: Object = {"name": name, "namespace": "default", "managedFields": [{"manager": "x"}]}
    if owner:
        metadata["ownerReferences"] = [{"uid": owner}]
    return {"metadata": metadata, "spec": {"nodeName": node} if node else {}}


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Recorder:
    def __init__(self, informer: Informer) -> None:
        self.events: list[tuple[str, str]] = []
        informer.add_handler(self.on_event)

    def on_event(self, kind: str, old: Object | None, new: Object) -> None:
        assert (old is None) == (kind == "ADDED")
        self.events.append((kind, new["metadata"]["name"]))


async def started(server: FakeServer) -> tuple[InformerFactory, Informer, Recorder]:
    factory = InformerFactory(server.client())
    informer = factory.informer(PODS, indexers={"node": by_node_name, "owner": by_owner_uid})
    recorder = Recorder(informer)
    factory.start()
    await factory.wait_synced()
    return factory, informer, recorder


async def test_lists_in_pages_then_watches(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(informers, "PAGE", 2)
    async with fake_server() as server:
        for number in range(5):
            await server.put(PODS, pod(f"p{number}"))
        factory, informer, recorder = await started(server)
        assert [kind for kind, _ in recorder.events] == ["ADDED"] * 5
        await server.put(PODS, pod("new", node="n1"))
        await server.remove(PODS, "default/p0")
        await until(lambda: len(recorder.events) == 7)
        assert recorder.events[5:] == [("ADDED", "new"), ("DELETED", "p0")]
        assert len(informer.list("default")) == 5
        stored = informer.get("default/new")
        assert stored is not None and "managedFields" not in stored["metadata"]
        assert (stored["kind"], stored["apiVersion"]) == ("Pod", "v1")
        await factory.stop()


async def test_indexes_follow_changes() -> None:
    async with fake_server() as server:
        factory, informer, recorder = await started(server)
        made = await server.put(PODS, pod("a", node="n1", owner="u1"))
        await until(lambda: recorder.events)
        assert informer.by_index("node", "n1") == informer.by_index("owner", "u1") != []
        await server.put(PODS, {**made, "spec": {"nodeName": "n2"}})
        await until(lambda: len(recorder.events) == 2)
        assert informer.by_index("node", "n1") == []
        assert informer.index_size("node", "n2") == informer.index_size("owner", "u1") == 1
        await server.remove(PODS, "default/a")
        await until(lambda: len(recorder.events) == 3)
        assert informer.by_index("owner", "u1") == []
        await factory.stop()


async def test_all_users_of_a_resource_share_one_informer_and_late_handlers_hear_what_is_there() -> None:
    async with fake_server() as server:
        await server.put(PODS, pod("a"))
        factory, informer, _ = await started(server)
        assert factory.informer(PODS) is informer
        assert factory.informer(PODS, metadata_only=True) is informer
        assert factory.informer(PODS, namespace="kube-system") is not informer
        assert Recorder(informer).events == [("ADDED", "a")]
        await factory.stop()


async def test_after_an_outage_the_watch_goes_on_from_where_it_was() -> None:
    async with fake_server() as server:
        await server.put(PODS, pod("a"))
        factory, informer, recorder = await started(server)
        await server.stop()
        await server.put(PODS, pod("b"))
        await server.start()
        await until(lambda: informer.get("default/b"))
        lists = [path for method, path in server.requests if "watch" not in path]
        assert len(lists) == 1
        assert recorder.events == [("ADDED", "a"), ("ADDED", "b")]
        await factory.stop()


async def test_after_410_the_list_is_read_anew_and_missed_deletions_are_told() -> None:
    async with fake_server() as server:
        await server.put(PODS, pod("a"))
        await server.put(PODS, pod("b"))
        factory, informer, recorder = await started(server)
        await server.stop()
        await server.remove(PODS, "default/a")
        await server.put(PODS, pod("c"))
        await server.compact()
        await server.start()
        await until(lambda: informer.get("default/c"))
        assert sorted(recorder.events[2:]) == [("ADDED", "c"), ("DELETED", "a")]
        assert informer.get("default/a") is None
        await factory.stop()


async def test_an_object_deleted_and_made_again_unseen_is_two_events() -> None:
    async with fake_server() as server:
        await server.put(PODS, pod("a"))
        factory, _, recorder = await started(server)
        await server.stop()
        await server.remove(PODS, "default/a")
        await server.put(PODS, pod("a"))
        await server.compact()
        await server.start()
        await until(lambda: len(recorder.events) == 3)
        assert recorder.events[1:] == [("DELETED", "a"), ("ADDED", "a")]
        await factory.stop()


async def test_refusals_are_retried_with_back_off() -> None:
    async with fake_server() as server:
        failures = 0

        def fault(request: web.Request) -> web.Response | None:
            nonlocal failures
            failures += 1
            return web.Response(status=500) if failures <= 2 else None

        server.fault = fault
        factory, informer, _ = await started(server)
        assert informer.synced and failures >= 3
        await factory.stop()


async def test_own_writes_are_seen_at_once_and_told_once() -> None:
    async with fake_server() as server:
        factory, informer, recorder = await started(server)
        made = await server.client().create(PODS, pod("a"))
        informer.observe(made)
        assert informer.get("default/a") is not None
        await server.put(PODS, pod("b"))
        await until(lambda: informer.get("default/b"))
        assert recorder.events == [("ADDED", "a"), ("ADDED", "b")]
        await factory.stop()


async def test_an_answer_that_comes_after_the_deletion_was_seen_is_no_ghost() -> None:
    async with fake_server() as server:
        factory, informer, recorder = await started(server)
        made = await server.put(PODS, pod("a"))
        await server.remove(PODS, "default/a")
        await until(lambda: len(recorder.events) == 2)
        informer.observe(made)
        assert informer.get("default/a") is None
        await factory.stop()


async def test_a_handler_that_fails_does_not_stop_the_others() -> None:
    async with fake_server() as server:
        factory = InformerFactory(server.client())
        informer = factory.informer(PODS)

        def broken(kind: str, old: Object | None, new: Object) -> None:
            raise RuntimeError("a bug")

        informer.add_handler(broken)
        recorder = Recorder(informer)
        factory.start()
        await server.put(PODS, pod("a"))
        await until(lambda: recorder.events)
        await factory.stop()


async def test_metadata_only_informers_keep_what_the_garbage_collector_needs() -> None:
    async with fake_server() as server:
        await server.put(PODS, pod("a", owner="u1"))
        factory = InformerFactory(server.client())
        informer = factory.informer(PODS, metadata_only=True)
        factory.start()
        await factory.wait_synced()
        stored = informer.get("default/a")
        assert stored is not None and set(stored) == {"apiVersion", "kind", "metadata"}
        assert stored["metadata"]["ownerReferences"] == [{"uid": "u1"}]
        await factory.stop()
