"""A node that falls silent, a manager that is killed, a server that is away."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import urllib.request
from pathlib import Path

from apimachinery import meta
from apimachinery.errors import StatusError
from apimachinery.resources import DEPLOYMENTS, LEASES, NAMESPACES, NODES, PODS
from tests.harness.control_plane import ControlPlane
from tests.harness.processes import Process
from tests.integration.controller_manager.support import NODE, Cluster, HollowNode, controller_manager, until
from tests.integration.controller_manager.test_workloads import apply, has_pods, manifest, rolled_out


async def test_a_node_gets_its_pod_network_once(cluster: Cluster) -> None:
    async def given() -> str | None:
        node = await cluster.client.get(NODES, NODE)
        return node["spec"].get("podCIDR")

    cidr = await until(given, "the node's podCIDR")
    assert cidr.startswith("10.244.") and cidr.endswith("/24")
    await cluster.client.patch(NODES, NODE, {"metadata": {"labels": {"x": "y"}}})
    assert await given() == cidr


async def test_a_silent_node_is_unknown_its_pods_not_ready_and_all_is_well_again_when_it_speaks(
    cluster: Cluster,
) -> None:
    await apply(cluster, manifest(replicas=2))
    await rolled_out(cluster)
    cluster.node.silent = True

    async def given_up() -> bool:
        node = await cluster.client.get(NODES, NODE)
        taints = {(one["key"], one["effect"]) for one in node["spec"].get("taints") or ()}
        condition = meta.condition(node, "Ready")
        assert condition is not None
        return condition["status"] == "Unknown" and ("node.kubernetes.io/unreachable", "NoSchedule") in taints

    await until(given_up, "the node to be Unknown and tainted")

    async def unready() -> bool:
        found = await cluster.list(PODS)
        return bool(found) and not any(meta.condition_is_true(one, "Ready") for one in found)

    await until(unready, "its pods not to be ready")
    node = await cluster.client.get(NODES, NODE)
    assert not [
        one for one in node["spec"]["taints"] if one["effect"] == "NoExecute"
    ]  # the only node is spared
    cluster.node.silent = False
    await cluster.node.report()

    async def recovered() -> bool:
        node = await cluster.client.get(NODES, NODE)
        return not node["spec"].get("taints")

    await until(recovered, "the taints to be gone")


async def test_pods_are_evicted_from_a_node_with_a_taint_that_they_do_not_tolerate(cluster: Cluster) -> None:
    other = {"metadata": {"name": "other"}, "spec": {"taints": []}}
    with contextlib.suppress(StatusError):
        await cluster.client.create(NODES, other)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "victim", "namespace": cluster.namespace},
        "spec": {"nodeName": "other", "containers": [{"name": "c", "image": "x"}]},
    }
    cluster.node.silent = True  # so that the pod waits for its end
    await cluster.client.create(PODS, pod)
    body = {"spec": {"taints": [{"key": "out", "effect": "NoExecute"}]}}
    await cluster.client.patch(NODES, "other", body)

    async def evicted() -> bool:
        found = await cluster.client.get(PODS, "victim", cluster.namespace)
        condition = meta.condition(found, "DisruptionTarget")
        return meta.is_deleting(found) and condition is not None

    await until(evicted, "the pod to be deleted with its reason")
    found = await cluster.client.get(PODS, "victim", cluster.namespace)
    condition = meta.condition(found, "DisruptionTarget")
    assert condition is not None and condition["reason"] == "DeletionByTaintManager"
    await cluster.client.delete(PODS, "victim", cluster.namespace, grace_period_seconds=0)
    await cluster.client.delete(NODES, "other")


async def test_whoever_is_killed_no_pod_is_lost_or_doubled(
    private_control_plane: ControlPlane, tmp_path: Path
) -> None:
    control_plane = private_control_plane
    client = control_plane.client()
    node = HollowNode(client)
    task = asyncio.create_task(node.run())
    managers = [controller_manager(control_plane, tmp_path / name) for name in ("a", "b")]
    for name, manager in zip(("a", "b"), managers, strict=True):
        (tmp_path / name).mkdir()
        manager.start()
    try:
        await client.create(NAMESPACES, {"metadata": {"name": "faults"}})
        cluster = Cluster(control_plane, client, node, "faults")
        await apply(cluster, manifest(replicas=20))
        managers[0].kill()
        await until(lambda: has_pods(cluster, "meow:1", 20), "twenty pods", seconds=60)
        await client.patch(DEPLOYMENTS, "meow", {"spec": {"replicas": 40}}, "faults")
        await asyncio.sleep(0.05)
        control_plane.api_server.kill()
        await asyncio.sleep(1)
        control_plane.api_server.start()
        await asyncio.to_thread(control_plane.wait_ready)
        most = 0

        async def forty() -> bool:
            nonlocal most
            found = [one for one in await cluster.list(PODS) if not meta.is_deleting(one)]
            most = max(most, len(found))
            return len(found) == 40

        await until(forty, "forty pods", seconds=60)
        assert most == 40
        await rolled_out(cluster)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for manager in managers:
            manager.stop()
        await client.aclose()


async def test_health_metrics_and_the_lease(cluster: Cluster, manager: Process) -> None:
    port = next(flag.partition("=")[2] for flag in manager.argv if flag.startswith("--secure-port="))

    def read(path: str) -> str:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with urllib.request.urlopen(f"https://127.0.0.1:{port}{path}", context=context) as answer:
            return str(answer.read().decode())

    assert await asyncio.to_thread(read, "/healthz") == "ok"
    assert 'workqueue_adds_total{name="deployment"}' in await asyncio.to_thread(read, "/metrics")
    lease = await cluster.client.get(LEASES, "kube-controller-manager", "kube-system")
    assert lease["spec"]["holderIdentity"]
