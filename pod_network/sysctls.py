"""Kernel settings of the calling thread's network namespace."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

from pod_network.errors import NetworkError


def set_sysctl(name: str, value: str) -> None:
    """Write `/proc/sys/{name}` unless it has the value already. Raises NetworkError."""
    path = Path("/proc/sys", name)
    try:
        if path.read_text().strip() != value:
            path.write_text(value)
    except OSError as error:
        raise NetworkError(f"cannot set {name} to {value}: {error.strerror}") from error


def set_bridge_netfilter() -> None:
    """Let iptables see packets that cross a bridge, loading the kernel's module for it if need be.

    Packets between pods of one node are bridged, not routed; services need to translate them. Raises NetworkError.
    """
    name = "net/bridge/bridge-nf-call-iptables"
    if not Path("/proc/sys", name).exists():
        with suppress(FileNotFoundError):  # a container without modprobe: the machine must have loaded it
            subprocess.run(["modprobe", "br_netfilter"], check=False, capture_output=True)
    set_sysctl(name, "1")
