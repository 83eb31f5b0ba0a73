"""The kube-proxy process against a real API server, its rules in a namespace of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from apimachinery import Object
from apimachinery.resources import ENDPOINT_SLICES, NAMESPACES, SERVICES
from kube_client.client import Client
from pod_network.namespaces import NetworkThread
from tests.harness.control_plane import ControlPlane
from tests.integration.network.namespaces import Namespace, namespaces
from tests.integration.network.test_proxy_packets import eventually

REPOSITORY = Path(__file__).resolve().parents[3]
NAMESPACE = "proxy-daemon"


@contextlib.asynccontextmanager
async def loopback_bridge(space: Namespace, port: int) -> AsyncIterator[None]:
    """Connections to 127.0.0.1:`port` inside the namespace come out at the same address outside."""
    thread = NetworkThread(space.name)
    listener = await thread.run(socket.create_server, ("127.0.0.1", port))
    thread.close()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, upstream[1]), pump(upstream[0], writer))

    server = await asyncio.start_server(on_connection, sock=listener)
    try:
        yield
    finally:
        server.close()


class Daemon:
    def __init__(self, space: Namespace, kubeconfig: Path) -> None:
        self.space, self._kubeconfig = space, kubeconfig
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        flags = [
            f"--kubeconfig={self._kubeconfig}",
            "--hostname-override=node-1",
            "--cluster-cidr=10.244.0.0/16",
        ]
        flags += ["--service-cluster-ip-range=10.96.0.0/16", "--iptables-sync-period=1s"]
        command = ["ip", "netns", "exec", self.space.name, sys.executable, "-m", "kube_proxy", *flags]
        self._process = subprocess.Popen(command, cwd=REPOSITORY)

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self._process is not None
        os.kill(self._process.pid, number)
        return self._process.wait(20)

    def get(self, port: int, path: str) -> tuple[int, str]:
        script = (
            "import sys,urllib.request as r,urllib.error as e\n"
            "try:\n a=r.urlopen(sys.argv[1],timeout=3); print(a.status); print(a.read().decode())\n"
            "except e.HTTPError as x: print(x.code); print(x.read().decode())\n"
            "except OSError: print(0)\n"
        )
        command = ["ip", "netns", "exec", self.space.name, sys.executable, "-c", script]
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True
        )
        code, _, body = done.stdout.partition("\n")
        return int(code), body

    def rules(self) -> str:
        return self.space.run("iptables-legacy-save")


@pytest.fixture
def space() -> Iterator[Namespace]:
    with namespaces("proxy") as made:
        yield made[0]


def endpoint_slice(name: str, *addresses: str) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-1",
            "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 3000, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
    }


async def _service(client: Client, name: str) -> str:
    spec = {"ports": [{"port": 80, "targetPort": 3000, "protocol": "TCP"}]}
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }
    created = await client.create(SERVICES, body, namespace=NAMESPACE)
    await client.create(
        ENDPOINT_SLICES, endpoint_slice(name, "10.244.1.2", "10.244.1.3"), namespace=NAMESPACE
    )
    return str(created["spec"]["clusterIP"])


async def test_the_daemon_from_start_to_cleanup(control_plane: ControlPlane, space: Namespace) -> None:
    kubeconfig = control_plane.kubeconfig_for("system:kube-proxy")
    client = control_plane.client()
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    await client.create(NAMESPACES, namespace)
    first = await _service(client, "first")
    daemon = Daemon(space, kubeconfig)
    async with loopback_bridge(space, control_plane.port):
        daemon.start()
        await eventually(lambda: f"-d {first}/32" in daemon.rules(), 30)
        assert f"{NAMESPACE}/first -> 10.244.1.2:3000" in daemon.rules()
        await _health_and_metrics(daemon)

        # Killed, it leaves its rules; changes made meanwhile are caught up with.
        daemon.end(signal.SIGKILL)
        assert f"-d {first}/32" in daemon.rules()
        await client.delete(SERVICES, "first", namespace=NAMESPACE)
        await client.delete(ENDPOINT_SLICES, "first-1", namespace=NAMESPACE)
        second = await _service(client, "second")
        daemon.start()
        await eventually(lambda: f"-d {second}/32" in daemon.rules(), 30)
        assert "first" not in daemon.rules()
        assert daemon.end() == 0
        assert f"-d {second}/32" in daemon.rules()
    space.run("env PYTHONPATH=" + f"{REPOSITORY} {sys.executable} -m kube_proxy --cleanup")
    assert "KUBE-" not in daemon.rules()
    await client.delete(SERVICES, "second", namespace=NAMESPACE)
    await client.aclose()


async def _health_and_metrics(daemon: Daemon) -> None:
    code, body = await asyncio.to_thread(daemon.get, 10256, "/healthz")
    assert code == 200 and {"lastUpdated", "currentTime", "nodeEligible"} == set(json.loads(body))
    assert (await asyncio.to_thread(daemon.get, 10256, "/livez"))[0] == 200
    assert await asyncio.to_thread(daemon.get, 10249, "/proxyMode") == (200, "iptables\n")
    code, body = await asyncio.to_thread(daemon.get, 10249, "/metrics")
    assert code == 200
    for name in (
        "kubeproxy_sync_proxy_rules_duration_seconds_count",
        "kubeproxy_sync_proxy_rules_iptables_total",
        "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
    ):
        assert f'{name}{{ip_family="IPv4"' in body.replace('table="nat",', "").replace('table="filter",', "")
