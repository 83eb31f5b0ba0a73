"""Kernel settings of the calling thread's network namespace."""

from __future__ import annotations

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
