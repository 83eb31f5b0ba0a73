"""A real etcd for each test that asks, on ports and in a directory of its own."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apiserver.storage import Etcd, ResourceStore, Store

_ports = itertools.count(23790 + 2 * (os.getpid() % 40), 2)


class EtcdServer:
    """An etcd process that can be stopped, killed, frozen and started again with its data."""

    def __init__(self, directory: Path, *, tls: dict[str, Path] | None = None, unix: bool = False) -> None:
        self.directory = directory
        self.tls = tls
        while True:
            self.port = 23790 + (next(_ports) - 23790) % 108
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) != 0:
                    break
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        if unix:
            self.url = f"unix://localhost:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        peer = f"http://127.0.0.1:{self.port + 1}"
        command = [
            "etcd", "--data-dir", str(self.directory / "etcd"), "--name", "test",
            "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"test={peer}",
            "--log-level", "error",
        ]  # fmt: skip
        if self.tls:
            command += ["--cert-file", str(self.tls["cert"]), "--key-file", str(self.tls["key"])]
            command += ["--client-cert-auth", "--trusted-ca-file", str(self.tls["ca"])]
        self.process = subprocess.Popen(command, cwd=self.directory, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def etcd_server(tmp_path: Path) -> Iterator[EtcdServer]:
    server = EtcdServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def open_store(etcd_server: EtcdServer) -> AsyncIterator[Callable[..., Any]]:
    """Returns a function that starts one more API server's storage: `store, pods = await open_store()`."""
    stores: list[Store] = []

    async def open_one(prefix: str = "/registry", **options: Any) -> tuple[Store, ResourceStore]:
        store = Store(Etcd([etcd_server.url], timeout=5), prefix, **options)
        stores.append(store)
        pods = store.resource("", "pods", True, fields=pod_fields, kind="Pod")
        assert await store.start()
        return store, pods

    yield open_one
    for store in stores:
        await store.stop()


@pytest.fixture
async def pods(open_store: Callable[..., Any]) -> ResourceStore:
    opened: tuple[Store, ResourceStore] = await open_store()
    return opened[1]


def pod_fields(obj: dict[str, Any]) -> dict[str, str]:
    return {"spec.nodeName": obj["spec"].get("nodeName", ""), "status.phase": "Pending"}


def pod(name: str, namespace: str = "default", node: str = "", **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"nodeName": node},
    }


async def eventually(condition: Callable[[], bool], seconds: float = 15) -> None:
    import asyncio

    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.02)
