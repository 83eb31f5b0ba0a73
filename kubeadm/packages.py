"""Programs that a node needs and the Debian packages that bring them: what is missing, and how to install it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from kubeadm.errors import UserError

SEARCH_PATH = os.pathsep.join(
    [
        os.environ.get("PATH", ""),
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
    ]
)

# program → package; the engine is treated apart, because one that answers needs no package.
PROGRAMS = {
    "etcd": "etcd-server",
    "iptables-legacy": "iptables",
    "conntrack": "conntrack",
    "ipset": "ipset",
    "busybox": "busybox-static",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "kubectl": "kubernetes-client",
}


def find(program: str) -> str | None:
    """The program's path, also where root's PATH lacks the sbin directories."""
    return shutil.which(program, path=SEARCH_PATH)


def missing(*, engine_answers: bool, found: Callable[[str], str | None] = find) -> list[str]:
    """Names of the packages to install."""
    wanted = [package for program, package in PROGRAMS.items() if not found(program)]
    if not engine_answers and not found("dockerd"):
        wanted.append("docker.io")
    return wanted


def is_debian(os_release: Path = Path("/etc/os-release")) -> bool:
    """True on Debian, Ubuntu and what derives from them."""
    try:
        lines = os_release.read_text().splitlines()
    except OSError:
        return False
    values = dict(line.partition("=")[::2] for line in lines)
    family = f"{values.get('ID', '')} {values.get('ID_LIKE', '')}".replace('"', "").split()
    return "debian" in family or "ubuntu" in family


def install(packages: list[str]) -> None:
    """Installs with apt-get, without questions. Raises UserError with apt's own last words."""
    if not is_debian() or find("apt-get") is None:
        raise UserError(
            "This machine lacks "
            + ", ".join(packages)
            + "; they are installed by themselves only on Debian and Ubuntu."
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages]
    done = _run(command, environment)
    if done.returncode != 0:
        # The package lists of a fresh machine are empty or old.
        _run(["apt-get", "update", "--quiet"], environment)
        done = _run(command, environment)
    if done.returncode != 0:
        words = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise UserError(f"apt-get could not install {', '.join(packages)}: {words[-1]}")


def _run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
