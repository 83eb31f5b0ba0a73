"""The kubelet's own behaviour, with simulated containers."""

from __future__ import annotations

from typing import Any

from apimachinery import Object
from apimachinery.resources import CONFIG_MAPS, LEASES, NODES, PODS

BOX: Object = {"name": "c", "image": "hollow:latest"}


def phase(wanted: str) -> Any:
    return lambda pod: pod["status"].get("phase") == wanted


def ready(pod: Object) -> bool:
    return any(
        one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ())
    )


async def test_the_node_registers_and_holds_its_lease(hollow_node: Any) -> None:
    await hollow_node.create("first", BOX)
    await hollow_node.until("first", ready)
    node = await hollow_node.client.get(NODES, hollow_node.name)
    assert node["metadata"]["labels"]["kubernetes.io/hostname"] == hollow_node.name
    assert node["status"]["capacity"]["pods"] == "110"
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.36.0"
    lease = await hollow_node.client.get(LEASES, hollow_node.name, "kube-node-lease")
    assert lease["spec"]["holderIdentity"] == hollow_node.name


async def test_a_pod_runs_and_is_deleted_gracefully(hollow_node: Any) -> None:
    await hollow_node.create("runs", BOX)
    pod = await hollow_node.until("runs", ready)
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["podIP"].startswith("10.200.")
    assert pod["status"]["qosClass"] == "BestEffort"
    await hollow_node.client.delete(PODS, "runs", "default")
    await hollow_node.until_gone("runs")
    assert [one for one in await hollow_node.runtime.containers() if one.pod_name == "runs"] == []


async def test_jobs_end_as_their_containers_do(hollow_node: Any) -> None:
    await hollow_node.create("good", {**BOX, "command": ["sh", "-c", "exit 0"]}, restartPolicy="Never")
    await hollow_node.create("bad", {**BOX, "command": ["sh", "-c", "exit 3"]}, restartPolicy="Never")
    await hollow_node.until("good", phase("Succeeded"))
    bad = await hollow_node.until("bad", phase("Failed"))
    assert bad["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3


async def test_a_crashing_container_backs_off(hollow_node: Any) -> None:
    await hollow_node.create("crash", {**BOX, "command": ["sh", "-c", "exit 1"]})
    pod = await hollow_node.until(
        "crash",
        lambda pod: "CrashLoopBackOff" in str(pod["status"].get("containerStatuses")),
    )
    one = pod["status"]["containerStatuses"][0]
    assert one["restartCount"] == 1
    start = "back-off 10s restarting failed container=c pod=crash_default("
    assert one["state"]["waiting"]["message"].startswith(start)


async def test_a_missing_config_map_holds_the_container_until_it_comes(hollow_node: Any) -> None:
    await hollow_node.create("waits", {**BOX, "envFrom": [{"configMapRef": {"name": "later"}}]})
    pod = await hollow_node.until(
        "waits", lambda pod: "CreateContainerConfigError" in str(pod["status"].get("containerStatuses"))
    )
    assert (
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"] == 'configmap "later" not found'
    )
    await hollow_node.client.create(
        CONFIG_MAPS,
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "later", "namespace": "default"}},
    )
    await hollow_node.until("waits", ready)


async def test_active_deadline(hollow_node: Any) -> None:
    await hollow_node.create("slow", BOX, activeDeadlineSeconds=1)
    pod = await hollow_node.until("slow", phase("Failed"))
    assert pod["status"]["reason"] == "DeadlineExceeded"


async def test_init_containers_come_first(hollow_node: Any) -> None:
    init = [
        {"name": f"i{number}", "image": "hollow:latest", "command": ["sh", "-c", "exit 0"]}
        for number in (1, 2)
    ]
    await hollow_node.create("inits", BOX, initContainers=init)
    pod = await hollow_node.until("inits", ready)
    assert [one["state"]["terminated"]["reason"] for one in pod["status"]["initContainerStatuses"]] == [
        "Completed"
    ] * 2


async def test_a_hundred_pods(hollow_node: Any) -> None:
    for number in range(100):
        await hollow_node.create(f"many-{number}", BOX)
    for number in range(100):
        await hollow_node.until(f"many-{number}", ready)
