"""The mount system calls that volumes need: tmpfs, unmount, and what is mounted below a directory."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_DETACH = 2


def mount_tmpfs(target: Path, size: int) -> None:
    """A tmpfs on an existing directory, at most `size` bytes (0: the kernel's default). Raises OSError."""
    options = f"size={size}" if size else ""
    if _libc.mount(b"tmpfs", os.fsencode(target), b"tmpfs", 0, options.encode()) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(target))


def unmount(target: Path) -> None:
    """Unmount, also while it is in use; not mounted is no error."""
    if _libc.umount2(os.fsencode(target), _DETACH) != 0 and (code := ctypes.get_errno()) not in (22, 2):
        raise OSError(code, os.strerror(code), str(target))


def mounted_below(directory: Path) -> list[Path]:
    """Mount points below a directory, innermost first."""
    prefix = str(directory) + "/"
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split(" ")[4].encode().decode("unicode_escape")
        if point.startswith(prefix):
            points.append(Path(point))
    return sorted(points, key=lambda point: len(point.parts), reverse=True)
