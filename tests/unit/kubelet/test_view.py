"""The kubelet's picture of its containers notices an engine that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kubelet.pods import view
from kubelet.pods.view import RuntimeView
from kubelet.runtime.types import ContainerStatus, RuntimeEvent


class SilentRuntime:
    """An engine whose answers wait for `answers`."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()

    async def ping(self) -> None:
        await self.answers.wait()

    async def containers(self) -> list[ContainerStatus]:
        await self.answers.wait()
        return []

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        await asyncio.Event().wait()
        yield RuntimeEvent("", "")


async def healthy(watched: RuntimeView, wanted: bool) -> None:
    for _ in range(5000):
        if watched.healthy is wanted:
            return
        await asyncio.sleep(0.001)
    raise AssertionError(f"healthy is still {watched.healthy}")


async def test_an_engine_that_does_not_answer_is_unhealthy_until_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(view, "PING_SECONDS", 0.001)
    monkeypatch.setattr(view, "ANSWER_SECONDS", 0.001)
    runtime: Any = SilentRuntime()
    watched = RuntimeView(runtime, lambda uid: None)
    task = asyncio.create_task(watched.run())
    await healthy(watched, True)
    runtime.answers.clear()
    await healthy(watched, False)
    assert watched.last_error == "the container engine does not answer"
    runtime.answers.set()
    await healthy(watched, True)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
