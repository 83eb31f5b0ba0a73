"""The loop calls again after failures, after a while, and after changes; never two at a time for one key."""

import asyncio

from apimachinery.errors import StatusError
from kube_client.controller import Controller, Result
from kube_client.errors import ApiUnavailable


async def run_until(controller: Controller, finished: asyncio.Event) -> None:
    task = asyncio.create_task(controller.run())
    async with asyncio.timeout(10):
        await finished.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_every_kind_of_failure_is_tried_again() -> None:
    errors = [StatusError(409, "Conflict", "x"), StatusError(500, "", "y"), ApiUnavailable("z"), ValueError()]
    calls, finished = 0, asyncio.Event()

    async def reconcile(key: str) -> None:
        nonlocal calls
        calls += 1
        if errors:
            raise errors.pop()
        finished.set()

    controller = Controller("test", reconcile)
    controller.enqueue("a")
    await run_until(controller, finished)
    assert calls == 5
    assert controller.queue.failures("a") == 0


async def test_the_server_decides_how_long_to_wait_when_it_says_so() -> None:
    waits: list[float] = []

    async def reconcile(key: str) -> None:
        raise StatusError(429, "TooManyRequests", "later", {"retryAfterSeconds": 7})

    controller = Controller("test", reconcile, workers=1)
    controller.queue.add_after = lambda key, delay: waits.append(delay)  # type: ignore[method-assign]
    await controller._attempt("a")
    assert waits == [7.0]


async def test_a_result_asks_for_another_look() -> None:
    calls, finished = 0, asyncio.Event()

    async def reconcile(key: str) -> Result | None:
        nonlocal calls
        calls += 1
        if calls == 3:
            finished.set()
            return None
        return Result(requeue_after=0.001)

    controller = Controller("test", reconcile)
    controller.enqueue("a")
    await run_until(controller, finished)


async def test_one_key_is_never_worked_on_twice_at_once() -> None:
    active, most, calls, finished = 0, 0, 0, asyncio.Event()

    async def reconcile(key: str) -> None:
        nonlocal active, most, calls
        active += 1
        calls += 1
        most = max(most, active)
        controller.enqueue(key)
        await asyncio.sleep(0.001)
        active -= 1
        if calls == 5:
            finished.set()

    controller = Controller("test", reconcile, workers=4)
    controller.enqueue("a")
    await run_until(controller, finished)
    assert most == 1
