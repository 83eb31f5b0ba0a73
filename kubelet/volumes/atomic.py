"""Files that change all at once: the `..data` symbolic link scheme of ConfigMap, Secret and projected volumes.

Readers see either the old set or the new one. A new set goes into a fresh time-stamped directory; one rename of the
`..data` link makes it current; user-visible names are links through `..data`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DATA, NEW_DATA = "..data", "..data_tmp"


@dataclass(frozen=True)
class File:
    """One projected file; `mode` as for chmod, `owner` a uid where the file must belong to the container's user."""

    content: bytes
    mode: int = 0o644
    owner: int | None = None


def write(directory: Path, files: Mapping[str, File], group: int | None = None) -> bool:
    """Make `directory` show exactly `files` (relative paths). Returns whether anything changed.

    `group` is the pod's fsGroup: files become readable by it. Raises OSError; what was there then stays.
    """
    files = {path: _for_group(file, group) for path, file in files.items()}
    directory.mkdir(parents=True, exist_ok=True)
    os.chmod(directory, 0o2777 & ~0o002 if group is not None else 0o777)
    current = directory / DATA
    old = Path(os.readlink(current)) if current.is_symlink() else None
    if old is not None and _same(directory / old, files):
        return False
    stamp = f"..{time.strftime('%Y_%m_%d_%H_%M_%S')}.{time.time_ns() % 10_000_000_000:010d}"
    fresh = directory / stamp
    try:
        _fill(fresh, files, group)
        link = directory / NEW_DATA
        link.unlink(missing_ok=True)
        link.symlink_to(stamp)
        os.replace(link, current)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    _link_names(directory, files)
    if old is not None and old.name.startswith(".."):
        shutil.rmtree(directory / old, ignore_errors=True)
    return True


def _for_group(file: File, group: int | None) -> File:
    if group is None:
        return file
    return File(file.content, file.mode | 0o440 if file.owner is None else 0o640, file.owner)


def _same(directory: Path, files: Mapping[str, File]) -> bool:
    present = {
        str(path.relative_to(directory)): path
        for path in directory.rglob("*")
        if path.is_file() or path.is_symlink()
    }
    if present.keys() != files.keys():
        return False
    for name, path in present.items():
        file = files[name]
        if path.stat().st_mode & 0o7777 != file.mode or path.read_bytes() != file.content:
            return False
    return True


def _fill(directory: Path, files: Mapping[str, File], group: int | None) -> None:
    directory.mkdir(mode=0o755)
    for name, file in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        path.write_bytes(file.content)
        os.chmod(path, file.mode)
        if file.owner is not None or group is not None:
            os.chown(path, file.owner if file.owner is not None else -1, group if group is not None else -1)


def _link_names(directory: Path, files: Mapping[str, File]) -> None:
    wanted = {Path(name).parts[0] for name in files}
    for entry in directory.iterdir():
        if entry.name.startswith("..") or entry.name in wanted:
            continue
        if entry.is_symlink() and os.readlink(entry).startswith(DATA + "/"):
            entry.unlink()
    for name in wanted:
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{name}")
