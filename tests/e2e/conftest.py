"""One cluster of two nodes for all end-to-end tests; each test uses a namespace of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeadm import engine, testing
from tests.harness.cluster import Cluster, eventually, kubectls, machine_state, traces
from tests.harness.pods import Pods


def end_engine_of_the_test_run() -> None:
    """Ends the engine that `skiff test` started, where it did: the cluster then has to start its own."""
    pid = os.environ.get("SKIFF_TEST_ENGINE_PID")
    if pid is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(pid), signal.SIGTERM)
    eventually(lambda: not engine.answers(testing.ENDPOINT), 30)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """When all tests are done, `down --purge` must leave the machine as it was: that is asserted here."""
    running = Cluster(tmp_path_factory.mktemp("cluster"), nodes=2)
    end_engine_of_the_test_run()
    before = machine_state()
    try:
        running.up()
        yield running
    finally:
        running.purge()
    assert traces(running.data_dir, running.name) == {
        "processes": [], "containers": [], "mounts": [], "cgroups": [], "files": [],
    }  # fmt: skip
    assert machine_state() == before


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace with its default service account, removed with all that is in it."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    try:
        eventually(
            lambda: cluster.try_kubectl("get", "serviceaccount", "default", "-n", name).returncode == 0
        )
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def pods(cluster: Cluster, namespace: str) -> Pods:
    """The pods of a namespace of the test's own."""
    return Pods(cluster, namespace)


@pytest.fixture(scope="session")
def oldest_kubectl(tmp_path_factory: pytest.TempPathFactory) -> str:
    """kubectl 1.20 of Debian 12, unpacked without touching what is installed."""
    directory = tmp_path_factory.mktemp("kubectl-1.20")
    os.chmod(directory, 0o755)
    script = "apt-get download -q kubernetes-client || (apt-get update -q && apt-get download -q kubernetes-client)"
    subprocess.run(["sh", "-c", script], cwd=directory, check=True, capture_output=True)
    package = next(Path(directory).glob("kubernetes-client*.deb"))
    subprocess.run(["dpkg", "-x", str(package), str(directory)], check=True, capture_output=True)
    return str(directory / "usr" / "bin" / "kubectl")


@pytest.fixture(scope="session")
def every_kubectl(oldest_kubectl: str) -> list[str]:
    """kubectl 1.20 and all those that lie on this machine."""
    return [oldest_kubectl, *(path for path in kubectls() if path != oldest_kubectl)]
