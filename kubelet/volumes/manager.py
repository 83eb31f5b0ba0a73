"""Sets up, updates and takes down the volumes of pods.

Idempotent: setting up what is there changes nothing but outdated files. ConfigMaps and Secrets must have been
loaded (`ObjectCache.ensure`) before; this module never waits for the API but for tokens.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from apimachinery import Object, quantity
from kubelet.containers.downward import PodFacts
from kubelet.containers.environment import Sources
from kubelet.paths import PodPaths
from kubelet.volumes import atomic, mounts
from kubelet.volumes.payload import MountError, volume_files
from kubelet.volumes.tokens import TokenManager

PLUGINS = {
    "configMap": "kubernetes.io/configmap",
    "secret": "kubernetes.io/secret",
    "downwardAPI": "kubernetes.io/downward-api",
    "projected": "kubernetes.io/projected",
    "emptyDir": "kubernetes.io/empty-dir",
    "hostPath": "kubernetes.io/host-path",
}


class VolumeFailed(Exception):
    """One volume of the pod could not be set up; `volume` is its name."""

    def __init__(self, volume: str, reason: str) -> None:
        super().__init__(f'MountVolume.SetUp failed for volume "{volume}" : {reason}')
        self.volume = volume


def describe(error: OSError) -> str:
    """What went wrong and, where it is known, with which file."""
    text = error.strerror or str(error)
    return f"{error.filename}: {text.lower()}" if error.filename else text.lower()


class VolumeManager:
    """All volumes of this node's pods, below the kubelet's root directory."""

    def __init__(self, root: Path, sources: Sources, tokens: TokenManager) -> None:
        self._root, self._sources, self._tokens = root, sources, tokens

    async def set_up(self, pod: Object, facts: PodFacts) -> dict[str, Path]:
        """Paths of all volumes by name. Raises VolumeFailed for the first that cannot be set up."""
        result = {}
        for volume in pod["spec"].get("volumes") or ():
            name = volume["name"]
            try:
                await self._tokens.fetch(pod, volume)
                result[name] = self._set_up(pod, volume, facts)
            except MountError as error:
                raise VolumeFailed(name, str(error)) from error
            except OSError as error:
                raise VolumeFailed(name, describe(error)) from error
        return result

    def _set_up(self, pod: Object, volume: Object, facts: PodFacts) -> Path:
        kind = next((key for key in volume if key != "name"), "emptyDir")
        if kind not in PLUGINS:
            raise MountError("no volume plugin matched")
        path = PodPaths(self._root, pod["metadata"]["uid"]).volume(PLUGINS[kind], volume["name"])
        group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
        if kind == "hostPath":
            return host_path(volume["hostPath"])
        if kind == "emptyDir":
            return _empty_dir(path, volume.get("emptyDir") or {}, group)
        files = volume_files(pod, volume, self._sources, self._tokens, facts)
        atomic.write(path, files or {}, group)
        return path

    def next_refresh(self, pod: Object) -> float | None:
        """When a token in the pod's volumes is to be renewed (epoch seconds)."""
        return self._tokens.next_refresh(pod["metadata"]["uid"])

    async def tear_down(self, uid: str) -> None:
        """Unmount and remove everything of a pod; harmless when done already. Raises OSError."""
        self._tokens.forget(uid)
        await asyncio.to_thread(remove_pod_directory, self._root, uid)


def remove_pod_directory(root: Path, uid: str) -> None:
    """Blocking: unmount what is mounted below the pod's directory, then remove it."""
    directory = PodPaths(root, uid).directory
    if not directory.exists():
        return
    for point in mounts.mounted_below(directory):
        mounts.unmount(point)
    shutil.rmtree(directory)


def _empty_dir(path: Path, source: Object, group: int | None) -> Path:
    fresh = not path.exists()
    path.mkdir(parents=True, exist_ok=True)
    if source.get("medium") == "Memory" and not os.path.ismount(path):
        mounts.mount_tmpfs(path, quantity.value(source.get("sizeLimit", "0")))
        fresh = True
    if fresh:
        if group is not None:
            os.chown(path, -1, int(group))
        os.chmod(path, 0o2777 if group is not None else 0o777)
    return path


def host_path(source: Object) -> Path:
    """The node's path after the check that its type asks for. Raises MountError, OSError."""
    path, kind = Path(source["path"]), source.get("type") or ""
    if kind in ("", "DirectoryOrCreate") and not path.exists():
        path.mkdir(parents=True, mode=0o755)
    elif kind == "FileOrCreate" and not path.exists():
        path.touch(0o644)
    check, words = _CHECKS[kind]
    mode = path.stat().st_mode if path.exists() else 0
    if not check(mode):
        raise MountError(f"hostPath type check failed: {path} is not {words}")
    return path


_CHECKS: dict[str, tuple[Callable[[int], bool], str]] = {
    "": (lambda mode: True, ""),
    "Directory": (stat.S_ISDIR, "a directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "FileOrCreate": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


def sub_path(volume: Path, relative: str, *, create: bool) -> Path:
    """The real path of a subPath inside its volume; a missing directory is made when `create`.

    Raises MountError when it leads out of the volume.
    """
    base = Path(os.path.realpath(volume))
    if Path(relative).is_absolute() or ".." in Path(relative).parts:
        raise MountError(f'subPath "{relative}" must be a relative path without ".."')
    target = Path(os.path.realpath(base / relative))
    if not target.is_relative_to(base):
        raise MountError(f'subpath "{target}" not within volume path "{base}"')
    if not target.exists() and create:
        for directory in reversed(list(_missing(target, base))):
            directory.mkdir(mode=0o755)
            os.chmod(directory, base.stat().st_mode & 0o7777)
    return target


def _missing(target: Path, base: Path) -> Iterator[Path]:
    while target != base and not target.exists():
        yield target
        target = target.parent
