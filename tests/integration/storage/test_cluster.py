"""An etcd cluster of three: any one member may go, and nothing acknowledged is lost."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from apimachinery.errors import StatusError
from apiserver.storage import AlreadyExists, Etcd, Store
from tests.integration.storage.conftest import eventually, pod, pod_fields

BASE = 23890


class Members:
    """Three etcd processes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.urls = [f"http://127.0.0.1:{BASE + 2 * n}" for n in range(3)]
        self.peers = [f"http://127.0.0.1:{BASE + 2 * n + 1}" for n in range(3)]
        self.processes: list[subprocess.Popen[bytes]] = [self.start(n) for n in range(3)]

    def start(self, number: int) -> subprocess.Popen[bytes]:
        cluster = ",".join(f"m{n}={peer}" for n, peer in enumerate(self.peers))
        return subprocess.Popen(
            [
                "etcd", "--name", f"m{number}", "--data-dir", str(self.directory / f"m{number}"),
                "--listen-client-urls", self.urls[number], "--advertise-client-urls", self.urls[number],
                "--listen-peer-urls", self.peers[number], "--initial-advertise-peer-urls", self.peers[number],
                "--initial-cluster", cluster, "--log-level", "error",
            ],
            stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def kill(self, number: int) -> None:
        self.processes[number].kill()
        self.processes[number].wait()


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Members]:
    running = Members(tmp_path)
    yield running
    for number in range(3):
        running.kill(number)


async def test_members_may_be_killed_in_turn(members: Members) -> None:
    store = Store(Etcd(members.urls))
    pods = store.resource("", "pods", True, fields=pod_fields, kind="Pod")
    assert await store.start(30)
    watcher = await pods.watch(None, most_unsent=1 << 30)
    acknowledged: list[str] = []
    stop = False

    async def write(worker: int) -> None:
        number = 0
        while not stop:
            number += 1
            name = f"w{worker}-{number}"
            try:
                await pods.create("default", name, pod(name))
                acknowledged.append(name)
            except (StatusError, AlreadyExists):
                await asyncio.sleep(0.01)

    workers = [asyncio.create_task(write(worker)) for worker in range(4)]
    for number in (0, 1, 2, 0):
        await asyncio.sleep(0.3)
        members.kill(number)
        before = len(acknowledged)
        await eventually(lambda: len(acknowledged) > before + 20, 40)  # noqa: B023
        members.processes[number] = members.start(number)
        await asyncio.sleep(1.5)
    stop = True
    await asyncio.gather(*workers)
    stored = {entry.name for entry in (await pods.list()).entries}
    assert set(acknowledged) <= stored
    assert watcher.ended == "", "a member that lags behind is no lost history"
    seen: list[str] = []
    async with asyncio.timeout(10):
        while len(seen) < len(stored):
            seen += [event.entry.name for event in (await anext(watcher)).events]
    assert sorted(seen) == sorted(stored)
    await store.stop()
