"""`bench scheduler`: the decision alone at 1,000 and 5,000 nodes, then pods bound per second through the API.

Nodes are objects without kubelets; API server, etcd and scheduler share the machine, and the pods exist before
the scheduler starts, so that only scheduling is timed.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from pathlib import Path

from apimachinery import Object
from apimachinery.resources import NAMESPACES, NODES, PODS, SERVICE_ACCOUNTS
from benchmarks._report import Report, cpu_seconds, resident_mib
from kube_client.client import Client
from scheduler.config import ProfileConfiguration
from scheduler.decision import Placed, decide
from scheduler.framework.interface import Handle
from scheduler.framework.profile import Profile
from scheduler.node_table import NodeTable
from scheduler.pod_info import PodInfo
from tests.harness.control_plane import ControlPlane
from tests.harness.processes import Process, free_port

DECISIONS = 2000
BOUND_NODES, BOUND_PODS = 1000, 2000
NAMESPACE = "bench"


def node(index: int) -> Object:
    amounts = {"cpu": "64", "memory": "256Gi", "pods": "110", "ephemeral-storage": "100Gi"}
    labels = {"kubernetes.io/hostname": f"node-{index}", "topology.kubernetes.io/zone": f"zone-{index % 3}"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"node-{index}", "labels": labels},
        "spec": {},
        "status": {"capacity": amounts, "allocatable": amounts},
    }


def pod(index: int) -> Object:
    requests = {"cpu": "100m", "memory": "100Mi"}
    container = {"name": "c", "image": "registry.k8s.io/pause:3.10", "resources": {"requests": requests}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"pod-{index}", "namespace": NAMESPACE, "uid": f"uid-{index}"},
        "spec": {"schedulerName": "default-scheduler", "containers": [container]},
    }


def decisions(nodes: int) -> float:
    """Processor milliseconds per decision, reading the pod and counting it on its node included."""
    table = NodeTable()
    for index in range(nodes):
        table.set_node(node(index))
    profile = Profile(ProfileConfiguration(), Handle(None, table, {}))
    rng = random.Random(1)
    pods = [pod(index) for index in range(DECISIONS)]
    begun = time.process_time()
    for entry in pods:
        info = PodInfo(entry)
        placed = decide(profile, table, info, rng)
        assert isinstance(placed, Placed)
        table.add_pod(info, placed.row)
    return (time.process_time() - begun) / DECISIONS * 1e3


async def fill(client: Client) -> None:
    await client.create(
        NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    )
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    await client.create(SERVICE_ACCOUNTS, account, NAMESPACE)
    slots = asyncio.Semaphore(32)

    async def create_node(index: int) -> None:
        async with slots:
            await client.create(NODES, node(index))
            created = await client.get(NODES, f"node-{index}")
            created["spec"].pop("taints", None)  # no controller is there to see the node become ready
            await client.update(NODES, created)

    async def create_pod(index: int) -> None:
        async with slots:
            await client.create(PODS, pod(index), NAMESPACE)

    await asyncio.gather(*(create_node(index) for index in range(BOUND_NODES)))
    await asyncio.gather(*(create_pod(index) for index in range(BOUND_PODS)))


async def bound(client: Client, enough: int) -> None:
    """Return when `enough` pods have a node, told by a watch."""
    listed = await client.list(PODS, NAMESPACE)
    with_node = {entry["metadata"]["name"] for entry in listed["items"] if entry["spec"].get("nodeName")}
    if len(with_node) >= enough:
        return
    async for event in client.watch(PODS, NAMESPACE, listed["metadata"]["resourceVersion"]):
        if event.type != "BOOKMARK" and event.object["spec"].get("nodeName"):
            with_node.add(event.object["metadata"]["name"])
            if len(with_node) >= enough:
                return


async def through_the_api(report: Report, directory: Path) -> None:
    with ControlPlane(directory) as control_plane:
        client = control_plane.client()
        await fill(client)
        port = free_port()
        flags = [
            f"--kubeconfig={control_plane.kubeconfig_for('system:kube-scheduler')}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--tls-cert-file={control_plane.pki / 'apiserver.crt'}",
            f"--tls-private-key-file={control_plane.pki / 'apiserver.key'}",
        ]
        process = Process.module("scheduler", flags, directory / "scheduler.log")
        process.start()
        try:
            await bound(client, 1)
            begun, cpu = time.monotonic(), cpu_seconds(process.pid)
            await bound(client, BOUND_PODS)
            seconds = time.monotonic() - begun
            cpu = cpu_seconds(process.pid) - cpu
            report.add(f"bound, {BOUND_NODES} nodes", BOUND_PODS / seconds, "pods/s", aim="≥ 500 pods/s")
            report.add("scheduler CPU per pod", cpu / BOUND_PODS * 1e3, "ms")
            report.add("resident afterwards", resident_mib(process.pid), "MiB")
        finally:
            process.stop()
            await client.aclose()


def main() -> None:
    report = Report("bench scheduler")
    for nodes, aim in ((1000, "≤ 0.5 ms"), (5000, "≤ 1 ms")):
        report.add(f"decision, {nodes} nodes", decisions(nodes), "ms", aim=aim)
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(through_the_api(report, Path(directory)))
    report.print()


if __name__ == "__main__":
    main()
