"""One node's kubelet, put together: what is made of what, and what tells whom. No decisions of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from apimachinery import Object
from apimachinery.resources import NODES, PODS, SERVICES
from component_base.logs import get_logger
from kube_client.client import Client
from kube_client.events import EventRecorder
from kube_client.informer import InformerFactory, by_namespace, key_of
from kubelet.configuration import KubeletConfiguration
from kubelet.images.manager import ImageManager
from kubelet.node import machine
from kubelet.node.keeper import NodeKeeper
from kubelet.objects import ObjectCache
from kubelet.pods.manager import PodManager
from kubelet.pods.status_writer import StatusWriter
from kubelet.pods.view import RuntimeView
from kubelet.runtime.interface import Runtime
from kubelet.runtime.types import RuntimeFailure
from kubelet.services import Services
from kubelet.volumes.manager import VolumeManager
from kubelet.volumes.tokens import TokenManager
from pod_network.agent import NetworkAgent
from pod_network.errors import NetworkError
from pod_network.wiring import PodNetwork, SandboxNetwork

NETWORK_RETRY_SECONDS = 2.0
NETWORK_CHECK_SECONDS = 30.0
log = get_logger("kubelet")


@dataclass(frozen=True)
class Options:
    """What the command line decides."""

    node_name: str
    node_ips: tuple[str, ...]
    root: Path
    pause_image: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Object] = ()


class Kubelet:
    """`network` replaces the built-in pod network (simulated nodes); then no routes are kept either."""

    def __init__(
        self,
        options: Options,
        config: KubeletConfiguration,
        client: Client,
        runtime: Runtime,
        network: SandboxNetwork | None = None,
    ) -> None:
        self.options, self.config, self.client, self.runtime = options, config, client, runtime
        (options.root / "pods").mkdir(parents=True, exist_ok=True, mode=0o750)
        self._given_network = network
        self._factory = InformerFactory(client)
        self._pods = self._factory.informer(PODS, field_selector=f"spec.nodeName={options.node_name}")
        self._nodes = self._factory.informer(NODES) if network is None else None
        self._services = self._factory.informer(SERVICES, indexers={"namespace": by_namespace})
        self.recorder = EventRecorder(client, "kubelet", options.node_name)
        self.view = RuntimeView(runtime, self._containers_changed)
        objects = ObjectCache(self._factory, self._sources_changed)
        self.writer = StatusWriter(client, lambda pod: self._pods.get(key_of(pod)), self._pods.observe)
        memory, _ = machine.memory_bytes()
        self.services = Services(
            node_name=options.node_name,
            node_ips=options.node_ips,
            root=options.root,
            config=config,
            pause_image=options.pause_image,
            client=client,
            runtime=runtime,
            view=self.view,
            objects=objects,
            volumes=VolumeManager(options.root, objects, TokenManager(client)),
            images=ImageManager(runtime),
            recorder=self.recorder,
            status=self.writer,
            services=self._services.list,
            memory_capacity=memory,
            cgroup_driver=config.cgroupDriver,
            host_network=machine.network_namespace(),
            network=network,
        )
        self.pods = PodManager(self.services, self._pods)
        self.keeper = NodeKeeper(
            client,
            runtime,
            self.recorder,
            config,
            options.node_name,
            options.node_ips,
            options.root,
            options.labels,
            options.taints,
            self._problems,
            self._on_node,
        )
        self.services.allocatable = self.keeper.allocatable
        self._pod_cidr = ""
        self._pod_cidr_known = asyncio.Event()

    # -- news --------------------------------------------------------------------------------------------

    def _containers_changed(self, uid: str) -> None:
        self.pods.poke(uid)

    def _sources_changed(self, uids: set[str]) -> None:
        self.pods.sources_changed(uids)

    def _on_node(self, node: Object) -> None:
        cidr = (node.get("spec") or {}).get("podCIDR") or ""
        if cidr and not self._pod_cidr:
            self._pod_cidr = cidr
            self._pod_cidr_known.set()

    def _problems(self) -> list[str]:
        """Why the node is not ready."""
        problems = []
        if not self.view.healthy:
            problems.append(f"container runtime is down: {self.view.last_error}")
        if self.services.network is None:
            problems.append(
                "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
                f"message:Network plugin returns error: {self.services.network_problem}"
            )
        return problems

    # -- life --------------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; containers keep running."""
        self._factory.start()
        if self._nodes is not None:
            name = self.options.node_name
            self._nodes.add_handler(
                lambda kind, _old, node: (
                    self._on_node(node) if kind != "DELETED" and node["metadata"]["name"] == name else None
                )
            )
        work = [
            self.view.run(),
            self.writer.run(),
            self.keeper.run(),
            self._watch_health(),
            self._bring_up_pods(),
        ]
        if self._nodes is not None:
            work.append(NetworkAgent(self.client, self.options.node_name, informer=self._nodes).run(stop))
        tasks = [asyncio.create_task(one) for one in work]
        tasks.append(asyncio.create_task(_until(stop)))
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.recorder.flush()
        await self._factory.stop()
        await self.runtime.close()
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _bring_up_pods(self) -> None:
        """Pods are started once the network is there; host-network pods need not wait for it."""
        await self._services.wait_synced()
        network = asyncio.create_task(self._bring_up_network()) if self._given_network is None else None
        try:
            await self.pods.run()
        finally:
            if network is not None:
                network.cancel()

    async def _bring_up_network(self) -> None:
        await self._pod_cidr_known.wait()
        await self.view.wait_synced()
        state = self.options.root / "network"
        state.mkdir(parents=True, exist_ok=True)
        network = PodNetwork(self._pod_cidr, state_dir=state)
        while True:
            try:
                await network.reconcile(self._sandboxes())
                break
            except NetworkError as error:
                self.services.network_problem = str(error)
                log.warning("Pod network is not ready", error=str(error))
                await asyncio.sleep(NETWORK_RETRY_SECONDS)
        self.services.network = network
        self.keeper.poke()
        self.pods.poke_all()
        while True:
            await asyncio.sleep(NETWORK_CHECK_SECONDS)
            try:
                await network.check()
            except NetworkError as error:
                log.warning("Pod network is not in order", error=str(error))

    def _sandboxes(self) -> dict[str, int]:
        return {
            sandbox.id: sandbox.pid
            for uid in self.view.uids()
            for sandbox in self.view.record(uid).sandboxes
            if sandbox.state == "running"
        }

    async def _watch_health(self) -> None:
        """Report at once when the engine goes or comes back."""
        was = False
        while True:
            await asyncio.sleep(0.5 if not self.view.healthy else 2.0)
            if self.view.healthy != was:
                was = self.view.healthy
                self.keeper.poke()
                if was:
                    await self._learn_engine()

    async def _learn_engine(self) -> None:
        with contextlib.suppress(RuntimeFailure):
            version = await self.runtime.version()
            self.services.cgroup_driver = version.cgroup_driver or self.services.cgroup_driver


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()
