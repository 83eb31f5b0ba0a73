"""Where the kubelet keeps things below its root directory, in the official layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PodPaths:
    """The files of one pod: `<root>/pods/<uid>/…`."""

    root: Path
    uid: str

    @property
    def directory(self) -> Path:
        return self.root / "pods" / self.uid

    @property
    def volumes(self) -> Path:
        return self.directory / "volumes"

    @property
    def etc_hosts(self) -> Path:
        return self.directory / "etc-hosts"

    @property
    def resolv_conf(self) -> Path:
        return self.directory / "resolv-conf"

    def volume(self, plugin: str, name: str) -> Path:
        """`plugin` as kubernetes.io/configmap."""
        return self.volumes / plugin.replace("/", "~") / name

    def termination_log(self, container: str, attempt: int) -> Path:
        """The file mounted at the container's terminationMessagePath."""
        return self.directory / "containers" / container / f"{attempt}-termination-log"


def pod_uids(root: Path) -> list[str]:
    """Uids of all pods that have a directory here."""
    directory = root / "pods"
    return [entry.name for entry in directory.iterdir() if entry.is_dir()] if directory.is_dir() else []
