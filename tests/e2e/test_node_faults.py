"""Nodes in trouble: kubelets that die or stand still, an engine that does not answer, a full disk."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.harness.cluster import Cluster, eventually, is_ready
from tests.harness.pods import (
    FOREVER,
    Object,
    Pods,
    config_map,
    container,
    pod,
)

SECOND = "node-2"
ON_SECOND = {"nodeSelector": {"kubernetes.io/hostname": SECOND}}


def kubelet(cluster: Cluster, node: str = SECOND) -> int:
    """The process id of a node's kubelet."""
    pid: int = cluster.daemons()[f"kubelet-{node}"]["pid"]
    return pid


def node_condition(cluster: Cluster, node: str = SECOND) -> Object:
    """The node's Ready condition."""
    conditions = cluster.get("node", node)["status"]["conditions"]
    return next(dict(one) for one in conditions if one["type"] == "Ready")


def wait_ready(cluster: Cluster, node: str = SECOND) -> None:
    def good() -> bool:
        found = cluster.get("node", node)
        return is_ready(found) and not found["spec"].get("taints")

    eventually(good, 90, lambda: str(cluster.get("node", node)))


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The process stands still meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def test_a_killed_kubelet_adopts_its_containers(pods: Pods) -> None:
    cluster = pods.cluster
    ready = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    pods.create(
        pod("keeper", container(FOREVER, readinessProbe=ready), restartPolicy="Always", **ON_SECOND),
        pod("victim", container(FOREVER), restartPolicy="Always", **ON_SECOND),
        pod("leaver", container(FOREVER), terminationGracePeriodSeconds=5, **ON_SECOND),
        pod("forced", container(FOREVER), **ON_SECOND),
        pod("brief", container("while [ ! -f /tmp/end ]; do sleep 0.1; done; exit 3"), **ON_SECOND),
    )
    names = ("keeper", "victim", "leaver", "forced", "brief")
    pods.ready(*names)
    before = {name: pods.container(name) for name in names}
    ids = {name: pods.container_id(name) for name in names}

    # Killed: its supervisor starts another, which finds everything as it was.
    os.kill(kubelet(cluster), signal.SIGKILL)
    eventually(lambda: cluster.daemons()[f"kubelet-{SECOND}"]["health"] == "ok")
    pods.create(pod("fresh", container(FOREVER), **ON_SECOND))
    pods.ready("fresh")
    for name in names:
        assert pods.container(name) == before[name]
    assert pods.run("keeper", "echo here") == "here\n"

    # While it is away, its pods go on without it: one is killed, one ends, two are deleted.
    pid = kubelet(cluster)
    with stopped(pid):
        docker("kill", ids["victim"])
        docker("exec", ids["brief"], "touch", "/tmp/end")
        eventually(lambda: docker("inspect", "-f", "{{.State.Running}}", ids["brief"]) == "false")
        pods.kubectl("delete", "pod", "leaver", "--wait=false")
        pods.kubectl("delete", "pod", "forced", "--force", "--grace-period=0")
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: cluster.daemons()[f"kubelet-{SECOND}"]["pid"] not in (pid, 0, None))
    pods.restarted("victim")
    assert pods.container("victim")["lastState"]["terminated"]["exitCode"] == 137
    assert (
        pods.phase("brief", "Failed")["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"]
        == 3
    )
    pods.kubectl("wait", "--for=delete", "pod/leaver", "--timeout=60s")
    gone = (ids["leaver"], ids["forced"])
    eventually(lambda: not set(docker("ps", "-aq", "--no-trunc").split()) & set(gone))
    assert pods.container("keeper") == before["keeper"]


def test_a_node_that_falls_silent_loses_its_pods_and_comes_back(pods: Pods) -> None:
    cluster = pods.cluster
    unreachable = {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute"}
    pods.create(
        pod("patient", container(FOREVER), **ON_SECOND),
        pod(
            "hasty",
            container(FOREVER),
            tolerations=[{**unreachable, "tolerationSeconds": 1}],
            terminationGracePeriodSeconds=10,
            **ON_SECOND,
        ),
        pod("loyal", container(FOREVER), tolerations=[unreachable], **ON_SECOND),
    )
    pods.ready("patient", "hasty", "loyal")
    loyal = pods.container("loyal")
    with stopped(kubelet(cluster)):
        eventually(lambda: node_condition(cluster)["status"] == "Unknown", 120)
        condition = node_condition(cluster)
        assert condition["reason"] == "NodeStatusUnknown"
        assert condition["message"] == "Kubelet stopped posting node status."
        assert cluster.kubectl("get", "node", SECOND, "--no-headers").split()[1] == "NotReady"
        wanted = {
            ("node.kubernetes.io/unreachable", "NoSchedule"),
            ("node.kubernetes.io/unreachable", "NoExecute"),
        }

        def taints() -> set[tuple[str, str]]:
            found = cluster.get("node", SECOND)["spec"].get("taints") or []
            return {(one["key"], one["effect"]) for one in found}

        eventually(lambda: taints() == wanted, 30, lambda: str(taints()))
        eventually(lambda: not is_ready(pods.get("patient")), 30)
        eventually(lambda: "deletionTimestamp" in pods.get("hasty")["metadata"], 30)
        pods.event("hasty", "Normal", "TaintManagerEviction", "Marking for deletion Pod ")
        disruption = next(
            one for one in pods.get("hasty")["status"]["conditions"] if one["type"] == "DisruptionTarget"
        )
        assert disruption["reason"] == "DeletionByTaintManager"
        for name in ("patient", "loyal"):
            assert "deletionTimestamp" not in pods.get(name)["metadata"]
    wait_ready(cluster)
    eventually(lambda: is_ready(pods.get("patient")) and is_ready(pods.get("loyal")))
    assert pods.container("loyal") == loyal
    pods.kubectl("wait", "--for=delete", "pod/hasty", "--timeout=60s")


def engine() -> int:
    """The process id of the engine that answers on this machine."""
    return int(Path("/var/run/docker.pid").read_text())


def test_the_engine_falls_silent_and_comes_back(pods: Pods) -> None:
    cluster = pods.cluster
    pods.create(pod("keeper", container(FOREVER), restartPolicy="Always"))
    pods.ready("keeper")
    before = pods.container("keeper")
    own = cluster.daemons().get("docker-engine")
    with stopped(own["pid"] if own else engine()):
        eventually(lambda: node_condition(cluster)["status"] == "False", 60)
        condition = node_condition(cluster)
        assert condition["reason"] == "KubeletNotReady"
        assert "container runtime" in condition["message"]
        pods.create(pod("waiting", container(FOREVER), tolerations=[{"operator": "Exists"}]))
    for node in ("node-1", SECOND):
        wait_ready(cluster, node)
    pods.ready("keeper", "waiting")
    assert pods.container("keeper") == before


def test_the_engine_is_restarted(pods: Pods) -> None:
    cluster = pods.cluster
    if "docker-engine" not in cluster.daemons():
        pytest.skip("the engine of this machine is not the cluster's own")
    pods.create(pod("keeper", container(FOREVER), restartPolicy="Always"))
    pods.ready("keeper")
    before = pods.container("keeper")
    cluster.skiff("restart", "docker-engine")
    pods.create(pod("fresh", container(FOREVER)))
    pods.ready("keeper", "fresh")
    assert pods.container("keeper") == before
    assert pods.run("keeper", "echo here") == "here\n"


@contextmanager
def small_disk(directory: Path) -> Iterator[None]:
    """A full disk of its own for a directory that holds nothing yet; it is emptied at the end."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(directory)], check=True)
    try:
        with open(directory / "filler", "wb", buffering=0) as filler:
            while True:
                try:
                    filler.write(b"x" * 4096)
                except OSError:
                    break
        yield
        (directory / "filler").unlink()
    except BaseException:
        subprocess.run(["umount", "--lazy", str(directory)], check=False)
        raise


def test_a_full_disk_is_said_and_waited_for(pods: Pods) -> None:
    cluster = pods.cluster
    directory = cluster.data_dir / "nodes" / SECOND / "pods"
    eventually(lambda: not any(directory.iterdir()))
    volumes = [{"name": "map", "configMap": {"name": "settings"}}]
    mounts = [{"name": "map", "mountPath": "/map"}]
    hungry = pod("hungry", container("cat /map/*", volumeMounts=mounts), volumes=volumes, **ON_SECOND)
    try:
        with small_disk(directory):
            pods.create(config_map("settings", {"data": "x" * 20_000}), hungry)
            text = "no space left on device"
            eventually(
                lambda: any(
                    reason in ("FailedMount", "FailedCreatePodSandBox") and text in message
                    for _, reason, message in pods.events("hungry")
                ),
                60,
                lambda: str(pods.events("hungry")),
            )
            assert pods.get("hungry")["status"]["phase"] == "Pending"
        pods.phase("hungry", "Succeeded")
        assert len(pods.logs("hungry")) == 20_000
        pods.kubectl("delete", "pod", "hungry")
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=False)
