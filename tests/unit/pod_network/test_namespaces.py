"""Work in a namespace's thread: results, errors and order come back."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from pod_network.namespaces import NetworkThread, is_own, of_process


async def test_calls_run_in_order_in_one_thread_and_errors_come_back() -> None:
    thread = NetworkThread()
    seen: list[int] = []
    await asyncio.gather(*(thread.run(seen.append, number) for number in range(20)))
    assert seen == list(range(20))
    assert (
        await thread.run(threading.get_ident)
        == await thread.run(threading.get_ident)
        != threading.get_ident()
    )
    with pytest.raises(ZeroDivisionError):
        await thread.run(lambda: 1 // 0)
    thread.close()


async def test_a_process_of_our_own_namespace_is_known_as_such() -> None:
    thread = NetworkThread()
    assert await thread.run(is_own, os.getpid())

    def visit() -> bool:
        with of_process(os.getpid()):
            return is_own(os.getpid())

    assert await thread.run(visit)
    with pytest.raises(FileNotFoundError):
        await thread.run(is_own, 2**22 - 1)
    thread.close()


async def test_a_namespace_that_does_not_exist_is_an_error_not_a_hang() -> None:
    thread = NetworkThread("skt-does-not-exist")
    with pytest.raises(RuntimeError):
        await thread.run(os.getpid)
    thread.close()
