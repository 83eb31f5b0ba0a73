"""The cgroups above the containers: one per pod, below one per quality-of-service class.

The engine makes the containers' own groups inside them. Only the cgroupfs driver's layout is kept here; with systemd
the slices belong to systemd. A machine that lets us change nothing (a container without the tree) loses these limits,
not its pods: callers treat OSError as that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from kubelet.runtime.types import Resources

TREE = Path("/sys/fs/cgroup")
_UNLIMITED = -1


def unified(tree: Path = TREE) -> bool:
    """Whether this is cgroup v2."""
    return (tree / "cgroup.controllers").exists()


def weight(shares: int) -> int:
    """cpu.weight (1 to 10000) of cpu.shares (2 to 262144)."""
    return 1 + (max(2, min(shares, 262144)) - 2) * 9999 // 262142


def apply(resources: Resources, tree: Path = TREE) -> None:
    """Make the group `resources.cgroup_parent` with its values. Raises OSError."""
    parent = resources.cgroup_parent.lstrip("/")
    if unified(tree):
        for level in reversed(list(_levels(parent))):
            (tree / level).mkdir(exist_ok=True)
        directory = tree / parent
        quota = str(resources.cpu_quota) if resources.cpu_quota else "max"
        _write(directory / "cpu.weight", weight(resources.cpu_shares))
        _write(directory / "cpu.max", f"{quota} {resources.cpu_period}")
        _write(directory / "memory.max", resources.memory_limit or "max")
        return
    values = {
        "cpu": {
            "cpu.shares": resources.cpu_shares,
            "cpu.cfs_period_us": resources.cpu_period,
            "cpu.cfs_quota_us": resources.cpu_quota or _UNLIMITED,
        },
        "memory": {"memory.limit_in_bytes": resources.memory_limit or _UNLIMITED},
    }
    for controller, files in values.items():
        directory = tree / controller / parent
        directory.mkdir(parents=True, exist_ok=True)
        for name, value in files.items():
            _write(directory / name, value)


def remove(parent: str, tree: Path = TREE) -> None:
    """Remove a pod's empty groups; gone already is fine. Raises OSError while something still runs in one."""
    parent = parent.lstrip("/")
    roots = [tree] if unified(tree) else [entry for entry in tree.iterdir() if entry.is_dir()]
    for root in roots:
        group = root / parent
        if not group.is_dir():
            continue
        for directory, _, _ in os.walk(group, topdown=False):
            os.rmdir(directory)


def _levels(parent: str) -> Iterator[Path]:
    path = Path(parent)
    while path != Path("."):
        yield path
        path = path.parent


def _write(path: Path, value: int | str) -> None:
    path.write_text(f"{value}\n")
