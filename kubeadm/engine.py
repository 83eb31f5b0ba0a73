"""The Docker engine, seen from outside: does it answer, how is it started, which of its containers are ours.

Speaks the engine's HTTP API over its socket with the standard library: a handful of requests, and the Docker SDK
belongs to the kubelet alone.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import os
import socket
import subprocess
import time
import urllib.parse
from pathlib import Path
from typing import Any

from kubeadm import packages
from kubeadm.daemons import Daemon
from kubeadm.errors import UserError

CLUSTER_LABEL = "skiff.dev/cluster"
DAEMON_NAME = "docker-engine"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def request(endpoint: str, method: str, path: str, timeout: float = 30) -> tuple[int, bytes]:
    """One request to the engine. Raises OSError where it does not answer."""
    connection = _UnixConnection(endpoint.removeprefix("unix://"), timeout)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()


def answers(endpoint: str) -> bool:
    try:
        return request(endpoint, "GET", "/_ping", timeout=5)[0] == 200
    except OSError:
        return False


def start_by_service_manager(endpoint: str) -> bool:
    """Starts the machine's own service where systemd runs; True where the engine then answers."""
    if not Path("/run/systemd/system").exists():
        return False
    subprocess.run(["systemctl", "start", "docker"], capture_output=True, check=False)
    return wait(endpoint, 30)


def wait(endpoint: str, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not answers(endpoint):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def daemon(endpoint: str) -> Daemon:
    """An engine of our own, for a machine without a service manager.

    It has no default bridge and touches no firewall: pods bring their own network, and nothing is left when
    it stops. Containers outlive a restart of it. Raises UserError where there is no dockerd.
    """
    binary = packages.find("dockerd")
    if binary is None:
        raise UserError(
            "There is no Docker engine on this machine: install docker.io, or start the one you have."
        )
    flags = ("--bridge=none", "--iptables=false", "--ip6tables=false", "--live-restore", "--log-level=warn")
    path = os.environ.get("PATH", "")
    return Daemon(
        DAEMON_NAME,
        (binary, f"--host={endpoint}", *flags),
        health=endpoint,
        env=(("PATH", f"{path}:/usr/sbin:/sbin"),),
        stop_seconds=30,
        first=True,
    )


def containers(endpoint: str, cluster: str | None = None, *, everything: bool = True) -> list[dict[str, Any]]:
    """Containers of a cluster (or all, with None); `everything` includes stopped ones."""
    query = {"all": "1" if everything else "0"}
    if cluster is not None:
        query["filters"] = json.dumps({"label": [f"{CLUSTER_LABEL}={cluster}"]})
    status, body = request(endpoint, "GET", f"/containers/json?{urllib.parse.urlencode(query)}")
    if status != 200:
        raise UserError(
            f"The Docker engine refused to list containers: {body.decode(errors='replace').strip()}"
        )
    found: list[dict[str, Any]] = json.loads(body)
    return found


def remove_containers(endpoint: str, cluster: str, node: str | None = None) -> int:
    """Kills and removes the cluster's containers (of one node, if named); returns how many there were."""
    found = containers(endpoint, cluster)
    if node is not None:
        found = [one for one in found if one["Labels"].get("skiff.dev/node") == node]

    def remove(identifier: str) -> None:
        with contextlib.suppress(TimeoutError):
            request(endpoint, "DELETE", f"/containers/{identifier}?force=1&v=1", timeout=60)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(remove, [one["Id"] for one in found]))
    return len(found)
