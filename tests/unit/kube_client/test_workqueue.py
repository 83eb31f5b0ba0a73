"""The queue hands a key to one worker at a time, once, and later after failures."""

import asyncio

import pytest
import uvloop

from kube_client.workqueue import WorkQueue


async def test_a_key_added_twice_is_handed_out_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    queue.add("a")
    assert await queue.get() == "a"
    assert len(queue) == 0


async def test_a_key_added_while_it_is_worked_on_comes_again_after_done() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert len(queue) == 1


async def test_the_back_off_doubles_until_the_key_is_forgotten() -> None:
    queue: WorkQueue[str] = WorkQueue()
    assert [queue.back_off("a") for _ in range(4)] == [0.005, 0.01, 0.02, 0.04]
    assert queue.failures("a") == 4
    queue.forget("a")
    assert queue.back_off("a") == 0.005
    for _ in range(100):
        last = queue.back_off("a")
    assert last == 1000.0


async def test_delayed_keys_come_in_the_order_of_their_delays_and_the_earliest_wins() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("late", 0.05)
    queue.add_after("early", 0.01)
    queue.add_after("moved", 5)
    queue.add_after("moved", 0.02)
    queue.add_after("early", 5)
    assert [await queue.get() for _ in range(3)] == ["early", "moved", "late"]
    for key in ("early", "moved", "late"):
        queue.done(key)
    assert len(queue) == 0
    queue.close()


def test_a_key_that_is_due_already_shares_the_timer_on_every_loop() -> None:
    async def use() -> list[str]:
        queue: WorkQueue[str] = WorkQueue()
        for key in ("a", "b", "c"):
            queue.add_after(key, 1e-9)
        return sorted([await queue.get() for _ in range(3)])

    for loop in (asyncio.new_event_loop, uvloop.new_event_loop):
        with asyncio.Runner(loop_factory=loop) as runner:
            assert runner.run(use()) == ["a", "b", "c"]


async def test_no_timer_runs_while_nothing_is_delayed() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add_after("a", 0.001)
    await queue.get()
    assert queue._timer is None


async def test_a_cancelled_waiter_passes_its_turn_on() -> None:
    queue: WorkQueue[str] = WorkQueue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await second == "a"


async def test_a_key_that_was_costly_rests_however_it_comes_back() -> None:
    queue: WorkQueue[str] = WorkQueue()
    clock = asyncio.get_running_loop().time
    queue.add("during")
    queue.add("after")
    for _ in range(2):
        await queue.get()
    queue.add("during")
    began = clock()
    queue.done("during", rest=0.05)
    queue.done("after", rest=0.05)
    queue.add("after")
    queue.add("other")
    assert await queue.get() == "other"
    assert {await queue.get(), await queue.get()} == {"during", "after"}
    assert clock() - began >= 0.049
    queue.done("after")
    queue.add("after")
    assert len(queue) == 1
    queue.close()
