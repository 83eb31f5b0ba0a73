"""A kubelet against a real API server, with simulated containers or on the real engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apimachinery import Object
from apimachinery.errors import StatusError
from apimachinery.resources import CONFIG_MAPS, PODS, SERVICE_ACCOUNTS
from kube_client.client import Client
from kubelet.configuration import KubeletConfiguration
from kubelet.kubelet import Kubelet, Options
from kubelet.runtime.docker_engine import DockerRuntime
from kubelet.runtime.hollow import HollowNetwork, HollowRuntime
from kubelet.runtime.interface import Runtime
from tests.harness.control_plane import ControlPlane

PAUSE = "registry.k8s.io/pause:3.10"
IMAGE = "busybox:1.36"
ENGINE = "unix:///var/run/docker.sock"
CLUSTER = f"kubelet-test-{os.getpid()}"
PATIENCE = 60.0


@pytest.fixture(scope="package")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("kubelet-plane")) as made:
        yield made


@pytest.fixture(scope="package", autouse=True)
def no_containers_left() -> Iterator[None]:
    yield
    found = subprocess.run(
        ["docker", "ps", "-aq", "--filter", f"label=skiff.dev/cluster={CLUSTER}"],
        capture_output=True, text=True, check=False,
    ).stdout.split()  # fmt: skip
    if found:
        subprocess.run(["docker", "rm", "-f", *found], capture_output=True, check=False)


class Node:
    """A kubelet inside the test's own event loop, and an administrator's client."""

    def __init__(self, plane: ControlPlane, name: str, root: Path, runtime: Callable[[], Runtime]) -> None:
        self.name, self._root, self._make_runtime, self._plane = name, root, runtime, plane
        self.client: Client = plane.client()
        self._network = HollowNetwork()  # as the real one, it outlives the kubelet
        self.kubelet: Kubelet | None = None
        self._task: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self.runtime: Any = None

    async def start(self) -> None:
        self.runtime = self._make_runtime()
        options = Options(self.name, ("127.0.0.1",), self._root, PAUSE)
        config = KubeletConfiguration()
        self.kubelet = Kubelet(options, config, self._plane.client(), self.runtime, self._network)
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(self.kubelet.run(self._stop))

    async def stop(self) -> None:
        if self._task is not None and self.kubelet is not None:
            self._stop.set()
            await self._task
            await self.kubelet.client.aclose()
            self._task = None

    async def crash(self) -> None:
        """End without any good order."""
        assert self._task is not None and self.kubelet is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self.runtime.close()
        await self.kubelet.client.aclose()
        self._task = None

    async def create(self, name: str, *containers: Object, **spec: Any) -> Object:
        body: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "nodeName": self.name,
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 1,
                "containers": list(containers),
                **spec,
            },
        }
        return await self.client.create(PODS, body)

    async def until(self, name: str, holds: Callable[[Object], object]) -> Object:
        """The pod once `holds(pod)`; fails with its status otherwise."""
        pod: Object = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while True:
                    pod = await self.client.get(PODS, name, "default")
                    if holds(pod):
                        return pod
                    await asyncio.sleep(0.05)
        raise AssertionError(f"pod {name} is {pod.get('status')}")

    async def until_gone(self, name: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await self.client.get(PODS, name, "default")
                except StatusError as error:
                    assert error.code == 404
                    return
                await asyncio.sleep(0.05)


async def _prepare(client: Client) -> None:
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": "default"},
    }
    with contextlib.suppress(StatusError):
        await client.create(SERVICE_ACCOUNTS, account)
    settings = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "default"},
        "data": {"color": "red"},
    }
    with contextlib.suppress(StatusError):
        await client.create(CONFIG_MAPS, settings)


@pytest.fixture
async def hollow_node(plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Node]:
    node = Node(plane, "hollow-1", tmp_path, HollowRuntime)
    async for started in _life(node):
        yield started


@pytest.fixture
async def docker_node(plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Node]:
    node = Node(plane, "docker-1", tmp_path, lambda: DockerRuntime(ENGINE, CLUSTER, "docker-1"))
    async for started in _life(node):
        yield started


async def _life(node: Node) -> AsyncIterator[Node]:
    await _prepare(node.client)
    await node.start()
    try:
        yield node
    finally:
        pods = (await node.client.list(PODS, "default", field_selector=f"spec.nodeName={node.name}"))["items"]
        for pod in pods:
            with contextlib.suppress(StatusError):
                await node.client.delete(PODS, pod["metadata"]["name"], "default", 0)
            await node.until_gone(pod["metadata"]["name"])
        await node.stop()
        await node.client.aclose()
