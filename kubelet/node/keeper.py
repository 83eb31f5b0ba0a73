"""Keeps this node's Node object and Lease: registers it, reports its status, renews the lease.

https://kubernetes.io/docs/reference/node/node-status/#heartbeats : the lease every quarter of its duration; the
status is computed every 10 seconds, sent when it changed and at the latest every 5 minutes. The API server may be
away for any time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from apimachinery import Object, times
from apimachinery.errors import StatusError
from apimachinery.resources import LEASES, NODES
from component_base.daemon import Backoff
from component_base.logs import get_logger
from kube_client.client import Client
from kube_client.errors import ApiUnavailable
from kube_client.events import EventRecorder
from kubelet.configuration import KubeletConfiguration
from kubelet.node import machine, status
from kubelet.runtime.interface import Runtime
from kubelet.runtime.types import Image, RuntimeFailure

LEASE_NAMESPACE = "kube-node-lease"
LEASE_FRACTION = 0.25
PID_SHARE = 0.05
IMAGES_SECONDS = 300.0
ENGINE_SECONDS = 2.0
VERSION = "v1.36.0"
log = get_logger("node")


class NodeKeeper:
    """`problems()` tells what keeps the node from being ready; `on_node(obj)` is given every newer Node object."""

    def __init__(
        self,
        client: Client,
        runtime: Runtime,
        recorder: EventRecorder,
        config: KubeletConfiguration,
        name: str,
        addresses: Sequence[str],
        root: Path,
        labels: Mapping[str, str],
        taints: Sequence[Object],
        problems: Callable[[], list[str]],
        on_node: Callable[[Object], None],
    ) -> None:
        self._client, self._runtime, self._recorder, self._config = client, runtime, recorder, config
        self.name, self.addresses, self._root = name, tuple(addresses), root
        self._labels = status.labels(name, machine.architecture(), labels)
        self._taints, self._problems, self._on_node = list(taints), problems, on_node
        self._images: list[Image] = []
        self._images_at = 0.0
        self._runtime_version = "docker://Unknown"
        self._sent_at = 0.0
        self._last: Object | None = None
        self._wake = asyncio.Event()
        self.memory, _ = machine.memory_bytes()
        self.capacity = status.capacity(
            machine.cpus(), self.memory, machine.disk(root).capacity, config.maxPods
        )
        reserved = (config.systemReserved, config.kubeReserved)
        self.allocatable = status.allocatable(self.capacity, reserved, config.evictionHard)

    def poke(self) -> None:
        """Something that matters to the node's status has changed: report without waiting."""
        self._wake.set()

    async def run(self) -> None:
        """Register, then heartbeat until cancelled."""
        node = await self._register()
        self._recorder.event(self._reference(), "Normal", "Starting", "Starting kubelet.")
        async with asyncio.TaskGroup() as group:
            group.create_task(self._report_forever(node))
            group.create_task(self._renew_forever(node))

    # -- registration ------------------------------------------------------------------------------------

    async def _register(self) -> Object:
        backoff, failing = Backoff(0.1, 2.0, 7.0), False
        while True:
            try:
                return await self._ensure_node()
            except (StatusError, ApiUnavailable) as error:
                if not failing:
                    failing = True
                    log.warning("Unable to register node with API server", node=self.name, error=str(error))
                await backoff.wait()

    async def _ensure_node(self) -> Object:
        node: Object = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self.name,
                "labels": self._labels,
                "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
            },
            "spec": {"taints": self._taints} if self._taints else {},
            "status": await self._status(None),
        }
        try:
            created = await self._client.create(NODES, node)
            log.info("Successfully registered node", node=self.name)
        except StatusError as error:
            if error.code != 409:
                raise
            created = await self._client.get(NODES, self.name)
            have = created["metadata"].get("labels") or {}
            missing = {key: value for key, value in self._labels.items() if have.get(key) != value}
            if missing:
                created = await self._client.patch(NODES, self.name, {"metadata": {"labels": missing}})
        self._take(created)
        return created

    def _take(self, node: Object) -> None:
        self._last = node.get("status") or {}
        self._on_node(node)

    def _reference(self) -> Object:
        return {"kind": "Node", "name": self.name, "uid": self.name}

    # -- status ------------------------------------------------------------------------------------------

    async def _report_forever(self, node: Object) -> None:
        failing = False
        while True:
            self._wake.clear()
            wait = self._config.nodeStatusUpdateFrequency
            try:
                await self._report()
                failing = False
            except (StatusError, ApiUnavailable) as error:
                if isinstance(error, StatusError) and error.code == 404:
                    await self._register()
                    continue
                if not failing:
                    failing = True
                    log.warning("Unable to update node status", error=str(error))
                wait = min(wait, 2.0)
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _report(self) -> None:
        # Others write to the status too: a node given up by the controller has to say that it is back.
        self._take(await self._client.get(NODES, self.name, resource_version="0"))
        fresh = await self._status(self._last)
        due = time.monotonic() - self._sent_at >= self._config.nodeStatusReportFrequency
        if not due and self._last is not None and not status.differs(self._last, fresh):
            return
        self._announce(self._last or {}, fresh)
        answer = await self._client.patch(
            NODES,
            self.name,
            {"status": _patch(self._last or {}, fresh)},
            patch_type="strategic",
            subresource="status",
        )
        self._sent_at = time.monotonic()
        self._take(answer)

    def _announce(self, old: Object, new: Object) -> None:
        """An event for every condition that has changed, as NodeReady or NodeHasDiskPressure."""
        before = {one["type"]: one["status"] for one in old.get("conditions") or ()}
        for one in new["conditions"]:
            kind, value = one["type"], one["status"]
            if before.get(kind) == value:
                continue
            if kind == "Ready":
                reason = "NodeReady" if value == "True" else "NodeNotReady"
            else:
                reason = one["reason"].replace("Kubelet", "Node")
            self._recorder.event(
                self._reference(), "Normal", reason, f"Node {self.name} status is now: {reason}"
            )

    async def _status(self, old: Object | None) -> Object:
        try:
            if time.monotonic() - self._images_at > IMAGES_SECONDS or not self._images_at:
                async with asyncio.timeout(ENGINE_SECONDS):
                    version = await self._runtime.version()
                    self._runtime_version = f"{version.name}://{version.version}"
                    self._images = await self._runtime.images()
                self._images_at = time.monotonic()
        except (RuntimeFailure, TimeoutError) as error:
            log.debug("Images not listed", error=str(error))
        facts = status.Facts(
            hostname=self.name,
            addresses=self.addresses,
            capacity=self.capacity,
            allocatable=self.allocatable,
            node_info=machine.node_info(self._runtime_version, VERSION),
            images=self._images,
            port=self._config.port,
            pressure=self._pressure(),
            problems=self._problems(),
        )
        return status.node_status(facts, times.now(), old)

    def _pressure(self) -> status.Pressure:
        """Scarcity by the hard eviction thresholds."""
        limits = self._config.evictionHard
        total, available = machine.memory_bytes()
        disk = machine.disk(self._root)
        running, most = machine.processes()
        scarce_disk = disk.available < status.threshold(limits.get("nodefs.available", "0"), disk.capacity)
        scarce_inodes = disk.inodes > 0 and disk.inodes_free < status.threshold(
            limits.get("nodefs.inodesFree", "0"), disk.inodes
        )
        return status.Pressure(
            memory=available < status.threshold(limits.get("memory.available", "0"), total),
            disk=scarce_disk or scarce_inodes,
            pids=running > most * (1 - PID_SHARE),
        )

    # -- lease -------------------------------------------------------------------------------------------

    async def _renew_forever(self, node: Object) -> None:
        duration = self._config.nodeLeaseDurationSeconds
        lease: Object | None = None
        failing = False
        while True:
            wait = duration * LEASE_FRACTION
            try:
                lease = await self._renew(lease, node, duration)
                failing = False
            except (StatusError, ApiUnavailable) as error:
                lease = None
                wait = min(wait, 2.0)
                if not failing:
                    failing = True
                    log.warning("Failed to update lease", error=str(error))
            await asyncio.sleep(wait)

    async def _renew(self, lease: Object | None, node: Object, duration: int) -> Object:
        spec = {
            "holderIdentity": self.name,
            "leaseDurationSeconds": duration,
            "renewTime": times.now_micro(),
        }
        if lease is not None:
            return await self._client.update(LEASES, {**lease, "spec": {**lease["spec"], **spec}})
        try:
            lease = await self._client.get(LEASES, self.name, LEASE_NAMESPACE)
            return await self._client.update(LEASES, {**lease, "spec": {**lease["spec"], **spec}})
        except StatusError as error:
            if error.code != 404:
                raise
        owner = {"apiVersion": "v1", "kind": "Node", "name": self.name, "uid": node["metadata"]["uid"]}
        fresh: Object = {
            "apiVersion": LEASES.api_version,
            "kind": "Lease",
            "metadata": {"name": self.name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]},
            "spec": spec,
        }
        return await self._client.create(LEASES, fresh)


def _patch(old: Object, new: Object) -> Object:
    """What of the status to send: conditions always (their heartbeats), the rest where it differs."""
    patch: Object = {"conditions": new["conditions"]}
    for key, value in new.items():
        if key == "conditions" or old.get(key) == value:
            continue
        if key == "addresses" and old.get(key):
            patch[key] = [{"$patch": "replace"}, *value]
        else:
            patch[key] = value
    return patch
