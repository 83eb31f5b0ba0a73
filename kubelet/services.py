"""What every pod worker shares: the parts of the kubelet, handed around as one value."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from apimachinery import Object
from kube_client.client import Client
from kube_client.events import EventRecorder
from kubelet.configuration import KubeletConfiguration
from kubelet.images.manager import ImageManager
from kubelet.objects import ObjectCache
from kubelet.pods.backoff import BackoffTable
from kubelet.pods.status_writer import StatusWriter
from kubelet.pods.view import RuntimeView
from kubelet.runtime.interface import Runtime
from kubelet.volumes.manager import VolumeManager
from pod_network.wiring import SandboxNetwork


@dataclass
class Services:
    """`host_network` is what a host-network sandbox joins: "host", a namespace's path, or None where neither works.

    `network` is None until the node has a pod range.
    """

    node_name: str
    node_ips: tuple[str, ...]
    root: Path
    config: KubeletConfiguration
    pause_image: str
    client: Client
    runtime: Runtime
    view: RuntimeView
    objects: ObjectCache
    volumes: VolumeManager
    images: ImageManager
    recorder: EventRecorder
    status: StatusWriter
    services: Callable[[], Sequence[Object]]
    memory_capacity: int
    cgroup_driver: str = "cgroupfs"
    allocatable: dict[str, str] = field(default_factory=dict)
    host_network: str | None = "host"
    network: SandboxNetwork | None = None
    network_problem: str = "node has no pod range (spec.podCIDR) yet"
    network_ready: asyncio.Event = field(default_factory=asyncio.Event)
    restarts: BackoffTable = field(default_factory=BackoffTable)
