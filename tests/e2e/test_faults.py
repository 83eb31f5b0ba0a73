"""Any daemon may die at any moment: requests through a Service go on, nothing is lost, everything comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from tests.harness.cluster import Cluster, eventually, fetch, wait_until_served
from tests.harness.processes import REPOSITORY

NAMESPACE = "faults"


class Requests:
    """A steady loop of requests to one URL from the machine, until told to stop; counts what was lost."""

    def __init__(self, url: str) -> None:
        self.sent = 0
        self.lost: list[str] = []
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.sent += 1
            try:
                answer = fetch(self._url)
            except OSError as error:
                answer = str(error)
            if not answer.startswith("meow from"):
                self.lost.append(f"{time.strftime('%X')} {answer}")
            self._stop.wait(0.03)

    def __enter__(self) -> Requests:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture(scope="module")
def url(cluster: Cluster) -> Iterator[str]:
    """The URL of the tour's Service in a namespace of its own."""
    cluster.kubectl("create", "namespace", NAMESPACE)
    cluster.kubectl("apply", "-n", NAMESPACE, "-f", str(REPOSITORY / "docs" / "tour" / "meow.yaml"))
    cluster.kubectl("rollout", "status", "-n", NAMESPACE, "deployment/meow", "--timeout=120s")
    service = cluster.get("service", "meow-svc", "-n", NAMESPACE)
    address = f"http://{service['spec']['clusterIP']}/"
    wait_until_served(address, answers=2)
    yield address
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def container_ids(cluster: Cluster) -> set[str]:
    pods = cluster.ready_pods("app=meow", NAMESPACE)
    return {pod["status"]["containerStatuses"][0]["containerID"] for pod in pods}


def test_each_daemon_is_killed_and_no_request_is_lost(cluster: Cluster, url: str) -> None:
    before = container_ids(cluster)
    assert len(before) == 2
    with Requests(url) as requests:
        for name, record in cluster.daemons().items():
            if name == "docker-engine":
                continue
            os.kill(record["pid"], signal.SIGKILL)
            eventually(lambda name=name: cluster.daemons()[name]["restarts"] >= 1, 30)
        cluster.wait_all_healthy()
    assert requests.sent > 50
    assert requests.lost == []
    eventually(lambda: container_ids(cluster) == before, 60)

    # And the cluster works, not only its old rules: a change goes all the way through every daemon.
    cluster.kubectl("scale", "-n", NAMESPACE, "deployment/meow", "--replicas=4")
    cluster.kubectl("rollout", "status", "-n", NAMESPACE, "deployment/meow", "--timeout=120s")
    eventually(lambda: len(container_ids(cluster)) == 4)
    cluster.kubectl("scale", "-n", NAMESPACE, "deployment/meow", "--replicas=2")
    cluster.kubectl("rollout", "status", "-n", NAMESPACE, "deployment/meow", "--timeout=120s")


def test_etcd_stops_for_twenty_seconds_and_all_recovers(cluster: Cluster, url: str) -> None:
    before = container_ids(cluster)
    pid = cluster.daemons()["etcd"]["pid"]
    with Requests(url) as requests:
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(20)
            failed = cluster.try_kubectl(
                "create", "configmap", "while-away", "-n", NAMESPACE, "--request-timeout=30s"
            )
        finally:
            os.kill(pid, signal.SIGCONT)
        assert failed.returncode != 0
        eventually(
            lambda: (
                cluster.try_kubectl("create", "configmap", "afterwards", "-n", NAMESPACE).returncode == 0
                or cluster.try_kubectl("get", "configmap", "afterwards", "-n", NAMESPACE).returncode == 0
            ),
            60,
        )
        cluster.wait_all_healthy()
    assert requests.lost == []
    eventually(lambda: container_ids(cluster) >= before, 60)
    nodes = cluster.kubectl("wait", "nodes", "--all", "--for=condition=Ready", "--timeout=90s")
    assert nodes.count("condition met") == 2


def test_the_supervisor_is_replaced_and_adopts_what_runs(cluster: Cluster, url: str) -> None:
    pids = {name: record["pid"] for name, record in cluster.daemons().items()}
    done = subprocess.run(
        ["pgrep", "-f", f"kubeadm.supervisor {cluster.data_dir}"], capture_output=True, text=True, check=True
    )
    os.kill(int(done.stdout.split()[0]), signal.SIGKILL)
    cluster.up()
    assert {name: record["pid"] for name, record in cluster.daemons().items()} == pids
