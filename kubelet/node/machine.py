"""Facts about the machine, read from /proc, /etc and the file system. Nothing here is cached or changed."""

from __future__ import annotations

import os
import platform
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


@dataclass(frozen=True)
class Disk:
    """Bytes and inodes of the file system that holds a directory."""

    capacity: int
    available: int
    inodes: int
    inodes_free: int


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def memory_bytes() -> tuple[int, int]:
    """(total, available)."""
    values = {}
    for line in _read("/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        values[name] = int(rest.split()[0]) * 1024
    total = values.get("MemTotal", 0)
    return total, values.get("MemAvailable", total)


def cpus() -> int:
    """CPUs that are online."""
    return os.cpu_count() or 1


def disk(path: Path) -> Disk:
    """The file system below `path`. Raises OSError."""
    usage, status = shutil.disk_usage(path), os.statvfs(path)
    return Disk(usage.total, usage.free, status.f_files, status.f_favail)


def processes() -> tuple[int, int]:
    """(running now, at most)."""
    limit = _read("/proc/sys/kernel/pid_max")
    running = _read("/proc/loadavg").split()
    return int(running[3].partition("/")[2]) if len(running) > 3 else 0, int(limit) if limit else 32768


def os_image() -> str:
    """PRETTY_NAME of /etc/os-release."""
    for line in _read("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip().strip('"')
    return platform.system()


def node_info(runtime_version: str, kubelet_version: str) -> dict[str, str]:
    """status.nodeInfo."""
    return {
        "machineID": _read("/etc/machine-id") or _read("/var/lib/dbus/machine-id"),
        "systemUUID": _read("/sys/class/dmi/id/product_uuid") or _read("/etc/machine-id"),
        "bootID": _read("/proc/sys/kernel/random/boot_id"),
        "kernelVersion": platform.release(),
        "osImage": os_image(),
        "containerRuntimeVersion": runtime_version,
        "kubeletVersion": kubelet_version,
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": architecture(),
    }


def architecture() -> str:
    """In the words of Go: amd64, arm64 …"""
    machine = platform.machine()
    return ARCHITECTURES.get(machine, machine)


def primary_address() -> str:
    """The address from which this machine reaches others; loopback where it reaches nobody."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def network_namespace() -> str | None:
    """What a host-network sandbox has to join so that it shares this process's network.

    "host" where that is the machine's own namespace; the path under /run/netns of a named one; None otherwise.
    """
    own = os.stat("/proc/self/ns/net").st_ino
    try:
        if os.stat("/proc/1/ns/net").st_ino == own:
            return "host"
    except OSError:
        return "host"
    for directory in ("/run/netns", "/var/run/netns"):
        if os.path.isdir(directory):
            for name in sorted(os.listdir(directory)):
                if os.stat(f"{directory}/{name}").st_ino == own:
                    return f"{directory}/{name}"
    return None
