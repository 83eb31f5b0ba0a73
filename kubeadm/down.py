"""`skiff down`: stops the cluster and takes away everything of it that is outside its data directory.

Works on what it finds, also after a crash: processes by their recorded pid, containers by label, networks by
name, rules by the daemons' own clean-up, mounts and cgroups by path.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from kubeadm import control, daemons, engine, kubeconfig, preflight, settings
from kubeadm.errors import UserError
from kubeadm.progress import Progress
from kubeadm.settings import Settings
from kubeadm.supervisor import start_time


def run(data_dir: Path, purge: bool, progress: Progress) -> bool:
    """Returns False where there was no cluster. With `purge` the data go too, and the kubeconfig's entries."""
    preflight.require_root("down")
    found = settings.load(data_dir)
    if found is None:
        if purge:
            _purge_remains(data_dir)
        return False
    own_engine = (found.run / f"{engine.DAEMON_NAME}.pid").exists()
    with progress.step("Stopping the daemons"):
        _stop_daemons(found)
    with progress.step("Removing containers"):
        if engine.answers(found.engine_endpoint):
            engine.remove_containers(found.engine_endpoint, found.name)
        if own_engine:
            _stop_engine(found)
    with progress.step("Removing networks, rules and mounts"):
        _clean_up_node_one(found)
        from kubeadm import fabric

        fabric.remove(found)
        unmount_below(found.data_dir)
        remove_cgroups()
    if purge:
        with progress.step("Removing the data"):
            admin = f"{found.name}-admin"
            path = kubeconfig.user_path(dict(os.environ))
            kubeconfig.remove(path, context=found.name, cluster=found.name, user=admin)
            shutil.rmtree(found.data_dir)
    return True


def _stop_daemons(found: Settings) -> None:
    """Through the supervisor, where it lives; then whatever is left, by pid."""
    control.request(found, "stop", timeout=120, keep=[engine.DAEMON_NAME])
    names = [daemon.name for daemon in daemons.all_daemons(found)]
    for name in reversed(names):
        _end(found.run / f"{name}.pid")
    (found.run / "supervisor.sock").unlink(missing_ok=True)


def _stop_engine(found: Settings) -> None:
    """An engine that we started is stopped, unless somebody else's containers run on it."""
    if engine.answers(found.engine_endpoint) and engine.containers(found.engine_endpoint, everything=False):
        return
    _end(found.run / f"{engine.DAEMON_NAME}.pid", seconds=30)


def _end(pid_file: Path, seconds: float = 10) -> None:
    try:
        recorded = json.loads(pid_file.read_text())
    except (OSError, ValueError):
        return
    pid = int(recorded["pid"])
    end = time.monotonic() + seconds
    number = signal.SIGTERM
    while start_time(pid) == recorded["start"]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if time.monotonic() > end:
            number = signal.SIGKILL
        time.sleep(0.1)
    pid_file.unlink(missing_ok=True)


def _clean_up_node_one(found: Settings) -> None:
    """Rules, bridge and routes in the machine's own namespace; the other nodes' go with their namespaces."""
    for module in ("kube_proxy", "pod_network"):
        done = subprocess.run(
            [*daemons.python(module), "--cleanup"],
            cwd=daemons.REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            words = done.stderr.strip().splitlines() or ["no reason given"]
            raise UserError(f"{module} could not clean up: {words[-1]}")


def unmount_below(directory: Path) -> None:
    """Unmounts every mount point under `directory`, the deepest first."""
    prefix = f"{directory}/"
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if point.startswith(prefix):
            points.append(point)
    for point in sorted(points, key=len, reverse=True):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)


def remove_cgroups() -> None:
    """Removes the cgroups that the kubelets made for pods (both cgroup versions). One that still holds a process
    refuses, so that another kubelet's pods are never touched."""
    for root in [*Path("/sys/fs/cgroup").glob("*/kubepods"), Path("/sys/fs/cgroup/kubepods")]:
        for directory, _, _ in os.walk(root, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(directory)


def _purge_remains(data_dir: Path) -> None:
    """A start that failed before it wrote its settings leaves nothing but an empty or half-written directory."""
    known = {"pki", "kubeconfig", "config", "logs", "run", "nodes", "etcd", ".cluster.json.new"}
    try:
        entries = {entry.name for entry in data_dir.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return
    if entries <= known:
        shutil.rmtree(data_dir)
