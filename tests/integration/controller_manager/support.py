"""A controller manager as a process, a node of words only that says its pods run, and patience."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from apimachinery import Object, meta, times
from apimachinery.errors import StatusError
from apimachinery.resources import LEASES, NODES, PODS
from kube_client.client import Client
from kube_client.errors import ApiUnavailable
from kube_client.informer import InformerFactory
from tests.harness.control_plane import ControlPlane
from tests.harness.processes import Process, free_port

NODE = "hollow-1"
LEASE_NAMESPACE = "kube-node-lease"


def controller_manager(control_plane: ControlPlane, directory: Path, *extra: str) -> Process:
    """The daemon as a process, with the identity that a cluster gives it."""
    kubeconfig = control_plane.kubeconfig_for("system:kube-controller-manager")
    return Process.module(
        "controller_manager",
        [
            f"--kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--secure-port={free_port()}",
            f"--root-ca-file={control_plane.ca_file}",
            f"--service-account-private-key-file={control_plane.pki / 'sa.key'}",
            "--cluster-cidr=10.244.0.0/16",
            "--leader-elect-lease-duration=8s",
            "--leader-elect-renew-deadline=7s",
            "--leader-elect-retry-period=500ms",
            "--node-monitor-grace-period=4s",
            *extra,
        ],
        directory / "controller-manager.log",
    )


class HollowNode:
    """Binds every pod to itself and reports it as running; lets go of what is being deleted."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.silent = False
        self.broken_images: set[str] = set()
        self._informers = InformerFactory(client)
        self._addresses = itertools.count(2)
        self._work: asyncio.Queue[str] = asyncio.Queue()
        self._pods = self._informers.informer(PODS)
        self._pods.add_handler(lambda kind, old, new: self._work.put_nowait(meta.key(new)))

    async def run(self) -> None:
        await self._register()
        self._informers.start()
        beat = asyncio.create_task(self._beat())
        try:
            while True:
                key = await self._work.get()
                pod = self._pods.get(key)
                if pod is not None and not self.silent:
                    try:
                        await self._tend(pod)
                    except (StatusError, ApiUnavailable):
                        asyncio.get_running_loop().call_later(0.2, self._work.put_nowait, key)
        finally:
            beat.cancel()
            await self._informers.stop()

    async def _register(self) -> None:
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        with contextlib.suppress(StatusError):
            await self.client.create(NODES, node)
        lease = {"metadata": {"name": NODE, "namespace": LEASE_NAMESPACE}, "spec": {"holderIdentity": NODE}}
        with contextlib.suppress(StatusError):
            await self.client.create(LEASES, lease)
        await self.report()

    async def report(self) -> None:
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "lastHeartbeatTime": times.now(),
            "lastTransitionTime": times.now(),
        }
        body = {"status": {"conditions": [ready]}}
        await self.client.patch(NODES, NODE, body, patch_type="strategic", subresource="status")

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(1)
            if not self.silent:
                with contextlib.suppress(StatusError, ApiUnavailable):
                    body = {"spec": {"renewTime": times.now_micro()}}
                    await self.client.patch(LEASES, NODE, body, LEASE_NAMESPACE)

    async def _tend(self, pod: Object) -> None:
        name, namespace = meta.name(pod), meta.namespace(pod)
        if meta.is_deleting(pod):
            await self.client.delete(PODS, name, namespace, grace_period_seconds=0)
        elif not pod["spec"].get("nodeName"):
            binding = {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": name},
                "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
            }
            await self.client.create(PODS, binding, namespace, subresource="binding", name=name)
        elif not (pod.get("status") or {}).get("podIP"):
            number = next(self._addresses)
            ip = f"10.244.{number // 250}.{number % 250}"
            images = {container["image"] for container in pod["spec"]["containers"]}
            ready = "False" if images & self.broken_images else "True"
            status = {
                "phase": "Running",
                "podIP": ip,
                "podIPs": [{"ip": ip}],
                "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": times.now()}],
            }
            await self.client.patch(
                PODS, name, {"status": status}, namespace, "strategic", subresource="status"
            )


class Cluster:
    """What a test works with: a client, kubectl, a namespace of its own, and patience."""

    def __init__(self, control_plane: ControlPlane, client: Client, node: HollowNode, namespace: str) -> None:
        self.control_plane, self.client, self.node = control_plane, client, node
        self.namespace = namespace

    async def kubectl(self, *arguments: str, input: str | None = None) -> str:
        return await asyncio.to_thread(
            self.control_plane.kubectl, f"--namespace={self.namespace}", *arguments, input=input
        )

    async def list(self, resource: Any, **selectors: Any) -> list[Object]:
        found = await self.client.list(resource, self.namespace, **selectors)
        return list(found["items"])


async def until(
    condition: Callable[[], Awaitable[object]], what: str = "the condition", seconds: float = 30
) -> Any:
    """Ask again until the answer is true; returns it."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    while True:
        try:
            answer = await condition()
        except (StatusError, ApiUnavailable):
            answer = None
        if answer:
            return answer
        assert clock() < end, f"waited {seconds} s in vain for {what}"
        await asyncio.sleep(0.05)
