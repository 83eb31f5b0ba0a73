"""What a cluster's administrator decides and strategies need to know; made from the command line once."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Settings:
    """Cluster-wide values. `event_ttl` is in seconds; `node_ports` is inclusive at both ends."""

    service_networks: tuple[Network, ...] = field(
        default_factory=lambda: (ipaddress.ip_network("10.96.0.0/16"),)
    )
    node_ports: tuple[int, int] = (30000, 32767)
    event_ttl: int = 3600
