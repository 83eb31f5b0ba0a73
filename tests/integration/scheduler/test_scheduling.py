"""The scheduler daemon against a real API server: pods get nodes, users read why they do not."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apimachinery import Object
from apimachinery.errors import StatusError
from apimachinery.resources import EVENTS, NAMESPACES, NODES, PODS, PRIORITY_CLASSES
from kube_client.client import Client
from tests.harness.control_plane import ControlPlane
from tests.harness.processes import Process, free_port

CONFIG = """
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: default-scheduler
- schedulerName: packer
  pluginConfig:
  - name: NodeResourcesFit
    args: {scoringStrategy: {type: MostAllocated}}
"""


class Daemon(Process):
    """The scheduler under test and where it answers."""

    port: int


@pytest.fixture(scope="module")
def scheduler(control_plane: ControlPlane) -> Iterator[Daemon]:
    directory = control_plane.directory
    config = directory / "scheduler.yaml"
    config.write_text(CONFIG)
    kubeconfig: Path = control_plane.kubeconfig_for("system:kube-scheduler")
    port = free_port()
    flags = [f"--config={config}", f"--kubeconfig={kubeconfig}", "--bind-address=127.0.0.1"]
    pair = [f"--tls-cert-file={control_plane.pki}/apiserver.crt"]
    pair += [f"--tls-private-key-file={control_plane.pki}/apiserver.key"]
    process = Daemon.module(
        "scheduler", [*flags, *pair, f"--secure-port={port}", "-v=4"], directory / "scheduler.log"
    )
    daemon = Daemon(process.argv, process.log)
    daemon.port = port
    daemon.start()
    daemon.wait_healthy(f"https://127.0.0.1:{port}/healthz", control_plane.ca_file)
    yield daemon
    daemon.stop()


class World:
    """A namespace, its nodes, and short words for what tests do."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client, self.namespace = client, namespace
        self.nodes: list[str] = []

    async def node(self, name: str, cpu: str = "2", **spec: Any) -> None:
        full = f"{self.namespace}-{name}"
        self.nodes.append(full)
        labels = {"world": self.namespace, "kubernetes.io/hostname": full}
        amounts = {"cpu": cpu, "memory": "4Gi", "pods": "110", "ephemeral-storage": "10Gi"}
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": full, "labels": labels},
            "spec": spec,
            "status": {
                "capacity": amounts,
                "allocatable": amounts,
                "conditions": [{"type": "Ready", "status": "True", "reason": "r", "message": "m"}],
            },
        }
        await self.client.create(NODES, node)
        created = await self.client.get(NODES, full)
        # Admission taints new nodes as not ready; here no controller will take the taint away.
        created["spec"]["taints"] = spec.get("taints", [])
        await self.client.update(NODES, created)

    async def pod(self, name: str, cpu: str = "100m", **spec: Any) -> None:
        resources = {"requests": {"cpu": cpu}}
        container = {"name": "c", "image": "i", "resources": resources}
        body = {"containers": [container], "nodeSelector": {"world": self.namespace}, **spec}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body}
        for _ in range(50):
            try:
                await self.client.create(PODS, pod, self.namespace)
                return
            except StatusError as error:
                if error.code != 403 or "serviceaccount" not in error.message:
                    raise
                await asyncio.sleep(0.1)

    async def get(self, name: str) -> Object:
        return await self.client.get(PODS, name, self.namespace)

    async def until(self, name: str, test: Callable[[Object], Any], timeout: float = 30) -> Object:
        deadline = time.monotonic() + timeout
        while True:
            pod = await self.get(name)
            if test(pod):
                return pod
            assert time.monotonic() < deadline, pod
            await asyncio.sleep(0.05)

    async def bound(self, name: str) -> str:
        pod = await self.until(name, lambda pod: pod["spec"].get("nodeName"))
        return str(pod["spec"]["nodeName"]).removeprefix(f"{self.namespace}-")

    async def event(self, name: str) -> tuple[str, str, str]:
        """The first event of a pod."""
        deadline = time.monotonic() + 20
        selector = f"involvedObject.name={name}"
        while time.monotonic() < deadline:
            found = await self.client.list(EVENTS, self.namespace, field_selector=selector)
            if found["items"]:
                event = found["items"][0]
                return event["type"], event["reason"], event["message"]
            await asyncio.sleep(0.1)
        raise AssertionError(f"no event about {name}")


@pytest.fixture
async def world(
    control_plane: ControlPlane, scheduler: Daemon, request: pytest.FixtureRequest
) -> AsyncIterator[World]:
    client = control_plane.client()
    name = request.node.name.replace("_", "-")[:40].strip("-")
    await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    control_plane.try_kubectl("create", "-n", name, "-f", "-", input=json.dumps(account))
    world = World(client, name)
    yield world
    await client.delete_collection(PODS, name, grace_period_seconds=0)
    for node in world.nodes:
        await client.delete(NODES, node)
    await client.aclose()


def is_unschedulable(pod: Object) -> Any:
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["reason"] == "Unschedulable":
            return condition
    return None


async def test_a_pod_is_bound_and_says_so(world: World) -> None:
    await world.node("a")
    await world.pod("p")
    assert await world.bound("p") == "a"
    pod = await world.until("p", lambda pod: pod["status"].get("conditions"))
    conditions = {c["type"]: c["status"] for c in pod["status"]["conditions"]}
    assert conditions["PodScheduled"] == "True"
    message = f"Successfully assigned {world.namespace}/p to {world.nodes[0]}"
    assert await world.event("p") == ("Normal", "Scheduled", message)


async def test_a_pod_that_fits_nowhere_waits_for_the_event_that_helps(world: World) -> None:
    await world.node("a", cpu="1")
    await world.node("b", taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}])
    await world.pod("p", cpu="3")
    pod = await world.until("p", is_unschedulable)
    message = is_unschedulable(pod)["message"]
    assert "1 Insufficient cpu" in message and "1 node(s) had untolerated taint {k: v}" in message
    assert await world.event("p") == ("Warning", "FailedScheduling", message)
    await world.node("c", cpu="4")
    assert await world.bound("p") == "c"


async def test_room_that_a_deleted_pod_leaves_is_used(world: World) -> None:
    await world.node("a", cpu="1")
    await world.pod("first", cpu="1")
    await world.bound("first")
    await world.pod("second", cpu="1")
    await world.until("second", is_unschedulable)
    await world.client.delete(PODS, "first", world.namespace, grace_period_seconds=0)
    assert await world.bound("second") == "a"


async def test_more_important_pods_take_the_place_of_lesser_ones(world: World) -> None:
    await world.client.create(
        PRIORITY_CLASSES,
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": "high"},
            "value": 1000,
        },
    )
    await world.node("a", cpu="1")
    await world.pod("low", cpu="1")
    await world.bound("low")
    await world.pod("high", cpu="1", priorityClassName="high")
    pod = await world.until("high", lambda pod: pod["status"].get("nominatedNodeName"))
    assert pod["status"]["nominatedNodeName"] == world.nodes[0]
    low = await world.until("low", lambda pod: pod["metadata"].get("deletionTimestamp"))
    assert any(c["type"] == "DisruptionTarget" for c in low["status"]["conditions"])
    await world.client.delete(PODS, "low", world.namespace, grace_period_seconds=0)
    assert await world.bound("high") == "a"


async def test_other_scheduler_names_have_other_rules_and_unknown_ones_are_left_alone(world: World) -> None:
    await world.node("a")
    await world.node("b")
    await world.pod("seed", cpu="500m", nodeName=world.nodes[1], nodeSelector={})
    await asyncio.sleep(0.5)
    await world.pod("packed", schedulerName="packer")
    await world.pod("spread")
    await world.pod("stranger", schedulerName="nobody")
    assert await world.bound("packed") == "b"
    assert await world.bound("spread") == "a"
    assert not (await world.get("stranger"))["spec"].get("nodeName")


async def test_gated_pods_wait_for_their_gates(world: World) -> None:
    await world.node("a")
    await world.pod("p", schedulingGates=[{"name": "example.com/g"}])
    await asyncio.sleep(0.5)
    assert not (await world.get("p"))["spec"].get("nodeName")
    await world.client.patch(PODS, "p", {"spec": {"schedulingGates": None}}, world.namespace)
    assert await world.bound("p") == "a"


async def test_killed_in_the_middle_it_loses_and_doubles_nothing(
    world: World, scheduler: Daemon, control_plane: ControlPlane
) -> None:
    for name in "abc":
        await world.node(name, cpu="4")
    count = 120

    async def create() -> None:
        for index in range(count):
            await world.pod(f"p{index}", cpu="100m")

    creating = asyncio.create_task(create())
    await world_pods(world, count // 3)
    scheduler.kill()
    scheduler.start()
    await creating
    pods = await world_pods(world, count)
    per_node = Counter(pod["spec"]["nodeName"] for pod in pods)
    assert sum(per_node.values()) == count and max(per_node.values()) <= 40


async def world_pods(world: World, bound: int) -> list[Object]:
    deadline = time.monotonic() + 60
    while True:
        items = (await world.client.list(PODS, world.namespace))["items"]
        done = [pod for pod in items if pod["spec"].get("nodeName")]
        if len(done) >= bound:
            return done
        assert time.monotonic() < deadline, f"{len(done)} of {bound} bound"
        await asyncio.sleep(0.05)


async def test_it_goes_on_after_the_api_server_was_away(
    world: World, scheduler: Daemon, control_plane: ControlPlane
) -> None:
    await world.node("a")
    await world.pod("before")
    assert await world.bound("before") == "a"
    control_plane.api_server.kill()
    await asyncio.sleep(2)
    control_plane.api_server.start()
    await asyncio.to_thread(control_plane.wait_ready)
    await world.pod("after")
    assert await world.bound("after") == "a"
    assert scheduler.running()


async def test_a_second_one_takes_over_at_once_when_the_first_ends_in_good_order(
    world: World, scheduler: Daemon, control_plane: ControlPlane
) -> None:
    second = Daemon([*scheduler.argv, f"--secure-port={free_port()}"], scheduler.log.with_suffix(".2"))
    second.start()
    try:
        await world.node("a")
        await world.pod("p")
        assert await world.bound("p") == "a"
        await asyncio.to_thread(scheduler.stop)
        await world.pod("q")
        assert await world.bound("q") == "a"
    finally:
        await asyncio.to_thread(second.stop)
        scheduler.start()
        url = f"https://127.0.0.1:{scheduler.port}/healthz"
        await asyncio.to_thread(scheduler.wait_healthy, url, control_plane.ca_file)


async def test_it_shows_health_and_official_metrics(scheduler: Daemon, control_plane: ControlPlane) -> None:
    context = ssl.create_default_context(cafile=str(control_plane.ca_file))
    url = f"https://127.0.0.1:{scheduler.port}"

    def get(path: str) -> str:
        with urllib.request.urlopen(url + path, context=context) as response:
            return str(response.read().decode())

    assert await asyncio.to_thread(get, "/readyz") == "ok"
    text = await asyncio.to_thread(get, "/metrics")
    for name in (
        "scheduler_schedule_attempts_total",
        "scheduler_pending_pods",
        "leader_election_master_status",
    ):
        assert name in text
