"""One leads; the others take over when it stops or falls silent."""

import asyncio

from apimachinery.resources import LEASES
from kube_client.leader_election import LeaderElector
from tests.unit.kube_client.fake_server import FakeServer, fake_server, status


def elector(server: FakeServer, identity: str, duration: float = 1.0) -> LeaderElector:
    return LeaderElector(
        server.client(), "kube-system", "test", identity, duration, renew_deadline=0.6, retry_period=0.1
    )


def holder(server: FakeServer) -> str:
    lease = server.get(LEASES, "kube-system/test")
    return str(lease["spec"].get("holderIdentity", "")) if lease else ""


async def lead(one: LeaderElector, log: list[str], stop: asyncio.Event) -> bool:
    async def work() -> None:
        log.append(one.identity)
        await asyncio.Event().wait()

    return await one.run(work, stop)


async def until_length(log: list[str], length: int) -> None:
    async with asyncio.timeout(10):
        while len(log) < length:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_the_second_waits_and_takes_over_when_the_first_stops() -> None:
    async with fake_server() as server:
        log: list[str] = []
        stops = [asyncio.Event(), asyncio.Event()]
        first = asyncio.create_task(lead(elector(server, "a", 15), log, stops[0]))
        await until_length(log, 1)
        second = asyncio.create_task(lead(elector(server, "b", 15), log, stops[1]))
        await asyncio.sleep(0.3)
        assert (log, holder(server)) == (["a"], "a")
        stops[0].set()
        assert await first is True
        await until_length(log, 2)
        lease = server.get(LEASES, "kube-system/test")
        assert lease is not None
        assert lease["spec"]["holderIdentity"] == "b"
        assert lease["spec"]["leaseTransitions"] == 1
        stops[1].set()
        assert await second is True
        assert holder(server) == ""


async def test_a_silent_leader_is_replaced_when_its_lease_has_expired() -> None:
    async with fake_server() as server:
        log: list[str] = []
        first = asyncio.create_task(lead(elector(server, "a"), log, asyncio.Event()))
        await until_length(log, 1)
        first.cancel()
        lease = server.get(LEASES, "kube-system/test")
        assert lease is not None
        await asyncio.gather(first, return_exceptions=True)
        await server.put(LEASES, {**lease, "spec": {**lease["spec"], "leaseDurationSeconds": 1}})
        stop = asyncio.Event()
        second = asyncio.create_task(lead(elector(server, "b"), log, stop))
        await until_length(log, 2)
        assert holder(server) == "b"
        stop.set()
        await second


async def test_a_leader_that_cannot_renew_stops_working() -> None:
    async with fake_server() as server:
        log: list[str] = []
        first = asyncio.create_task(lead(elector(server, "a"), log, asyncio.Event()))
        await until_length(log, 1)
        server.fault = lambda request: status(500, "InternalError", "no")
        assert await first is False


async def test_a_failure_of_the_work_ends_the_run() -> None:
    async with fake_server() as server:

        async def work() -> None:
            raise ValueError("broken")

        try:
            await elector(server, "a").run(work, asyncio.Event())
        except ValueError as error:
            assert str(error) == "broken"
        else:
            raise AssertionError("the failure was swallowed")
        assert holder(server) == ""


async def test_a_deleted_lease_is_made_again_by_its_holder() -> None:
    async with fake_server() as server:
        log: list[str] = []
        stop = asyncio.Event()
        first = asyncio.create_task(lead(elector(server, "a"), log, stop))
        await until_length(log, 1)
        await server.remove(LEASES, "kube-system/test")
        async with asyncio.timeout(10):
            while holder(server) != "a":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        stop.set()
        assert await first is True
