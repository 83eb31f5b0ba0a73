"""What every controller is given: the client, the shared informers, the event recorder, the options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from kube_client.client import Client
from kube_client.events import EventRecorder
from kube_client.informer import InformerFactory


@dataclass(frozen=True)
class Options:
    """The flags that controllers read. Durations are in seconds."""

    cluster_cidrs: tuple[str, ...] = ()
    node_cidr_mask_sizes: tuple[int, int] = (24, 64)
    node_monitor_grace_period: float = 50.0
    node_startup_grace_period: float = 60.0
    node_eviction_rate: float = 0.1
    secondary_node_eviction_rate: float = 0.01
    large_cluster_size_threshold: int = 50
    unhealthy_zone_threshold: float = 0.55
    terminated_pod_gc_threshold: int = 12500
    namespace_delay: float = 0.5
    max_endpoints_per_slice: int = 100
    service_account_private_key_file: str = ""
    root_ca_file: str = ""
    workers: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ControllerContext:
    """Shared by all controllers of the process; informers are asked for before the factory starts."""

    client: Client
    informers: InformerFactory
    events: EventRecorder
    options: Options


class Runnable(Protocol):
    """A controller that has connected itself to its informers and now only needs to work."""

    async def run(self) -> None:
        """Work until cancelled."""
