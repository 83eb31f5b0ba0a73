"""`bench controllers`: what a Deployment of 300 pods costs the controller manager, from apply to Available and away.

The limit is the client library alone making the 300 pods: below that no controller of ours can be. Pods are
reported as running by a hollow node, so that neither scheduler nor engine is in the way.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from apimachinery import Object
from apimachinery.resources import DEPLOYMENTS, NAMESPACES, PODS, SERVICE_ACCOUNTS, SERVICES
from benchmarks._report import Report, cpu_seconds, resident_mib
from kube_client.client import Client
from tests.harness.control_plane import ControlPlane
from tests.integration.controller_manager.support import HollowNode, controller_manager, until

PODS_WANTED = 300
NAMESPACE = "bench"
LABELS = {"app": "bench"}
SPEC = {"containers": [{"name": "main", "image": "registry.k8s.io/pause:3.10"}]}


def deployment() -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "bench", "namespace": NAMESPACE},
        "spec": {
            "replicas": PODS_WANTED,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": SPEC},
        },
    }


async def bare(client: Client) -> float:
    """Processor seconds of this process for the same number of creates and nothing else."""
    began = time.process_time()
    for number in range(PODS_WANTED):
        pod = {"metadata": {"name": f"bare-{number}", "namespace": "default"}, "spec": SPEC}
        await client.create(PODS, pod)
    spent = time.process_time() - began
    await client.delete_collection(PODS, "default", grace_period_seconds=0)
    return spent


async def measure(control_plane: ControlPlane, pid: int) -> Report:
    report = Report("The controllers and a Deployment of 300 pods behind a Service")
    client = control_plane.client()
    await client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
    await until(lambda: client.get(SERVICE_ACCOUNTS, "default", "default"), "the default ServiceAccount")
    limit = await bare(client)
    node = asyncio.create_task(HollowNode(client).run())
    await asyncio.sleep(3)
    report.add("resident, idle", resident_mib(pid), "MiB", aim="≤ 60 MiB")
    before = cpu_seconds(pid)
    await asyncio.sleep(10)
    report.add("idle, of one core", (cpu_seconds(pid) - before) * 10, "%", aim="≤ 0.6 %")

    service = {"metadata": {"name": "bench", "namespace": NAMESPACE}, "spec": {"selector": LABELS}}
    service["spec"]["ports"] = [{"port": 80}]  # type: ignore[assignment]
    await client.create(SERVICES, service)
    before, began = cpu_seconds(pid), time.monotonic()
    await client.create(DEPLOYMENTS, deployment())

    async def available() -> bool:
        status = (await client.get(DEPLOYMENTS, "bench", NAMESPACE)).get("status") or {}
        return bool(status.get("availableReplicas") == PODS_WANTED)

    await until(available, "300 available pods", seconds=120)
    report.add("until all are available", time.monotonic() - began, "s")
    report.add("processor time", cpu_seconds(pid) - before, "s", limit=limit, aim="≤ 6 × making the pods")
    before, began = cpu_seconds(pid), time.monotonic()
    await client.delete(DEPLOYMENTS, "bench", NAMESPACE, propagation_policy="Background")

    async def gone() -> bool:
        return not (await client.list(PODS, NAMESPACE))["items"]

    await until(gone, "no pods", seconds=120)
    report.add("until all are gone", time.monotonic() - began, "s")
    report.add("processor time", cpu_seconds(pid) - before, "s", limit=limit, aim="≤ 3 × making the pods")
    report.add("resident, afterwards", resident_mib(pid), "MiB")
    node.cancel()
    await asyncio.gather(node, return_exceptions=True)
    await client.aclose()
    return report


def run() -> Report:
    """Start a control plane of its own and measure."""
    with tempfile.TemporaryDirectory(prefix="bench-controllers-") as name:
        directory = Path(name)
        with ControlPlane(directory) as control_plane:
            manager = controller_manager(control_plane, directory, "--node-monitor-grace-period=50s")
            manager.start()
            try:
                return asyncio.run(measure(control_plane, manager.pid))
            finally:
                manager.stop()


if __name__ == "__main__":
    run().print()
