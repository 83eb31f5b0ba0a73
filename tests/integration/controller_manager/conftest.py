"""A controller manager beside the shared control plane, and a namespace with a hollow node for each test."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from apimachinery.resources import NAMESPACES
from tests.harness.control_plane import ControlPlane
from tests.harness.processes import Process
from tests.integration.controller_manager.support import Cluster, HollowNode, controller_manager


@pytest.fixture(scope="module")
def manager(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    process = controller_manager(control_plane, tmp_path_factory.mktemp("controller-manager"))
    process.start()
    yield process
    process.stop()


_numbers = itertools.count(1)


@pytest.fixture
async def cluster(control_plane: ControlPlane, manager: Process) -> AsyncIterator[Cluster]:
    client = control_plane.client()
    namespace = f"kcm-{next(_numbers)}"
    await client.create(NAMESPACES, {"metadata": {"name": namespace}})
    node = HollowNode(client)
    task = asyncio.create_task(node.run())
    yield Cluster(control_plane, client, node, namespace)
    node.silent = False
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await client.delete(NAMESPACES, namespace)
    await client.aclose()
