"""A private cluster for a benchmark, and the plain HTTP requests with which it is driven."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kubeadm import api, control, settings
from kubeadm.daemons import REPOSITORY
from kubeadm.settings import Settings


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """An empty data directory; the cluster in it is purged at the end."""
    data_dir = Path(tempfile.mkdtemp(prefix="skiff-bench-"))
    try:
        yield data_dir
    finally:
        skiff("down", "--purge", data_dir=data_dir)
        shutil.rmtree(data_dir, ignore_errors=True)


def skiff(*arguments: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KUBECONFIG": str(data_dir.parent / f"{data_dir.name}.conf")}
    return subprocess.run(
        [str(REPOSITORY / "skiff"), *arguments, "--data-dir", str(data_dir)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )


@contextlib.contextmanager
def cluster(nodes: int = 1) -> Iterator[Settings]:
    """A cluster whose nodes are Ready."""
    with directory() as data_dir:
        done = skiff("up", "--nodes", str(nodes), data_dir=data_dir)
        if done.returncode != 0:
            raise RuntimeError(done.stdout + done.stderr)
        yield settings.require(data_dir)


def send(found: Settings, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """One request as administrator, with kubectl's certificate; (code, decoded body)."""
    import http.client
    import ssl

    context = ssl.create_default_context(cafile=str(found.pki / "ca.crt"))
    context.load_cert_chain(found.pki / "admin.crt", found.pki / "admin.key")
    connection = http.client.HTTPSConnection("127.0.0.1", found.api_server_port, timeout=30, context=context)
    headers = {"Content-Type": "application/json"}
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    response = connection.getresponse()
    raw = response.read()
    connection.close()
    return response.status, json.loads(raw) if raw else None


def daemon_pids(found: Settings) -> dict[str, int]:
    """Process ids of the cluster's daemons, by name."""
    answer = control.request(found, "status")
    assert answer is not None
    pids = {daemon["name"]: daemon["pid"] for daemon in answer["daemons"] if daemon["pid"]}
    return {**pids, "supervisor": answer["pid"]}


def pod(name: str, image: str = "registry.k8s.io/pause:3.10") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"bench": "yes"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": image, "imagePullPolicy": "IfNotPresent"}],
        },
    }


def wait_until(condition: Any, seconds: float = 120, interval: float = 0.02) -> float:
    """The monotonic time at which `condition` first held. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if condition():
                return time.monotonic()
        time.sleep(interval)
    raise TimeoutError("the benchmark waited in vain")


def ready(found: Settings) -> bool:
    return api.is_ready(found)
