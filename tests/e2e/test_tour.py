"""The five-minute tour of the README, step by step, as a newcomer would walk it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.harness.cluster import Cluster, eventually, fetch, wait_until_served
from tests.harness.processes import REPOSITORY

MEOW = str(REPOSITORY / "docs" / "tour" / "meow.yaml")


@pytest.fixture(scope="module")
def meow(cluster: Cluster) -> Iterator[str]:
    """The tour's application in a namespace of its own, rolled out."""
    cluster.kubectl("create", "namespace", "meow")
    cluster.kubectl("apply", "-n", "meow", "-f", MEOW)
    cluster.kubectl("rollout", "status", "-n", "meow", "deployment/meow", "--timeout=120s")
    wait_until_served(f"http://{addresses(cluster, 'meow')[0]}/", answers=2)
    yield "meow"
    cluster.kubectl("delete", "namespace", "meow", "--wait=false")


def addresses(cluster: Cluster, namespace: str) -> tuple[str, int]:
    """ClusterIP and node port of the tour's Service."""
    service = cluster.get("service", "meow-svc", "-n", namespace)
    return service["spec"]["clusterIP"], service["spec"]["ports"][0]["nodePort"]


def test_nodes_are_listed_as_kubectl_users_know_them(cluster: Cluster) -> None:
    lines = cluster.kubectl("get", "nodes", "-o", "wide").splitlines()
    assert re.split(r"\s{2,}", lines[0].strip())[:6] == [
        "NAME", "STATUS", "ROLES", "AGE", "VERSION", "INTERNAL-IP",
    ]  # fmt: skip
    assert [line.split()[:3] for line in lines[1:]] == [
        ["node-1", "Ready", "control-plane"],
        ["node-2", "Ready", "<none>"],
    ]
    assert "v1.36" in lines[1]


def test_a_deployment_answers_behind_its_service(cluster: Cluster, meow: str) -> None:
    cluster_ip, node_port = addresses(cluster, meow)
    answers = {fetch(f"http://{cluster_ip}/").strip() for _ in range(30)}
    names = {pod["metadata"]["name"] for pod in cluster.ready_pods("app=meow", meow)}
    assert answers == {f"meow from {name}" for name in names}
    assert len(names) == 2
    for address in ["127.0.0.1", *(node_address(cluster, name) for name in ("node-1", "node-2"))]:
        assert fetch(f"http://{address}:{node_port}/").startswith("meow from ")


def node_address(cluster: Cluster, name: str) -> str:
    addresses = cluster.get("node", name)["status"]["addresses"]
    found: str = next(one["address"] for one in addresses if one["type"] == "InternalIP")
    return found


def test_other_pods_reach_the_service_from_every_node(cluster: Cluster, meow: str) -> None:
    cluster_ip, node_port = addresses(cluster, meow)
    for node in ("node-1", "node-2"):
        node_url = f"http://{node_address(cluster, node)}:{node_port}/"
        command = f"wget -q -O - http://{cluster_ip}/ && wget -q -O - {node_url}"
        override = f'{{"spec":{{"nodeName":"{node}"}}}}'
        name = f"client-{node}"
        cluster.kubectl(
            "run", name, "-n", meow, "--image=busybox:1.36", "--restart=Never", f"--overrides={override}", "--",
            "sh", "-c", command,
        )  # fmt: skip
        eventually(
            lambda name=name: (
                cluster.get("pod", name, "-n", meow)["status"]["phase"] in ("Succeeded", "Failed")
            ),
            60,
        )
        assert cluster.kubectl("logs", name, "-n", meow).count("meow from ") == 2
        cluster.kubectl("delete", "pod", name, "-n", meow, "--now")


def test_pods_of_different_nodes_reach_each_other(cluster: Cluster, meow: str) -> None:
    for node, peer in (("node-1", "node-2"), ("node-2", "node-1")):
        for name, where, image_args in (
            (f"server-{peer}", peer, ["--", "-listen=:8080", "-text=hello"]),
            (f"caller-{node}", node, None),
        ):
            override = f'{{"spec":{{"nodeName":"{where}","terminationGracePeriodSeconds":0}}}}'
            image = "hashicorp/http-echo:1.0" if image_args else "busybox:1.36"
            cluster.kubectl(
                "run", name, "-n", meow, f"--image={image}", f"--overrides={override}", "--restart=Never",
                *(image_args or ["--", "sleep", "600"]),
            )  # fmt: skip
        cluster.kubectl(
            "wait", "-n", meow, "--for=condition=Ready", f"pod/server-{peer}", f"pod/caller-{node}"
        )
        address = cluster.get("pod", f"server-{peer}", "-n", meow)["status"]["podIP"]
        answer = cluster.kubectl(
            "exec",
            "-n",
            meow,
            f"caller-{node}",
            "--",
            "wget",
            "-q",
            "-O",
            "-",
            f"http://{address}:8080/",
        )
        assert answer == "hello\n"
        cluster.kubectl("delete", "pod", "-n", meow, f"server-{peer}", f"caller-{node}", "--now")


def test_configuration_arrives_as_environment_and_as_files(cluster: Cluster, meow: str) -> None:
    pod = cluster.ready_pods("app=meow", meow)[0]["metadata"]["name"]

    def run(*command: str) -> str:
        return cluster.kubectl("exec", "-n", meow, pod, "--", *command)

    assert run("sh", "-c", "echo $GREETING") == "meow\n"
    assert run("cat", "/etc/meow/motd.txt") == "Cats sleep for sixteen hours a day.\n"
    assert run("cat", "/etc/meow-secret/password") == "tuna"
    assert run("stat", "-L", "-c", "%a", "/etc/meow-secret/password") == "400\n"
    token = run("cat", "/var/run/secrets/kubernetes.io/serviceaccount/token")
    assert token.count(".") == 2
    assert run("cat", "/var/run/secrets/kubernetes.io/serviceaccount/namespace") == meow


def test_describe_tells_the_story_of_a_pod(cluster: Cluster, meow: str) -> None:
    pod = cluster.ready_pods("app=meow", meow)[0]["metadata"]["name"]
    text = cluster.kubectl("describe", "pod", pod, "-n", meow)
    for reason in ("Scheduled", "Pulled", "Created", "Started"):
        assert re.search(rf"Normal\s+{reason}\s", text), text
    assert f"Successfully assigned {meow}/{pod} to node-" in text
    assert "QoS Class:" in text
    assert "Burstable" in text


def test_logs_are_followed(cluster: Cluster, meow: str) -> None:
    pod = cluster.ready_pods("app=meow", meow)[0]["metadata"]["name"]
    assert cluster.kubectl("logs", pod, "-n", meow).splitlines()[0] == "server is listening on :3000"
    follower = subprocess.Popen(
        ["kubectl", f"--kubeconfig={cluster.kubeconfig}", "logs", "-f", "--tail=0", "-n", meow, pod],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert follower.stdout is not None
        address = cluster.get("pod", pod, "-n", meow)["status"]["podIP"]
        fetch(f"http://{address}:3000/")
        assert "response:200" in follower.stdout.readline()
    finally:
        follower.terminate()
        follower.wait(10)


def test_scaling_rolling_out_and_rolling_back(cluster: Cluster, meow: str) -> None:
    cluster.kubectl("scale", "-n", meow, "deployment/meow", "--replicas=5")
    cluster.kubectl("rollout", "status", "-n", meow, "deployment/meow", "--timeout=120s")
    assert len(cluster.ready_pods("app=meow", meow)) == 5

    cluster.kubectl("set", "image", "-n", meow, "deployment/meow", "echo=hashicorp/http-echo:0.2.3")
    said = cluster.kubectl("rollout", "status", "-n", meow, "deployment/meow", "--timeout=180s")
    assert 'deployment "meow" successfully rolled out' in said
    assert images(cluster, meow) == {"hashicorp/http-echo:0.2.3"}
    history = cluster.kubectl("rollout", "history", "-n", meow, "deployment/meow")
    assert re.findall(r"^(\d+)\s", history, re.MULTILINE) == ["1", "2"]

    cluster.kubectl("rollout", "undo", "-n", meow, "deployment/meow")
    cluster.kubectl("rollout", "status", "-n", meow, "deployment/meow", "--timeout=180s")
    assert images(cluster, meow) == {"hashicorp/http-echo:1.0"}
    history = cluster.kubectl("rollout", "history", "-n", meow, "deployment/meow")
    assert re.findall(r"^(\d+)\s", history, re.MULTILINE) == ["2", "3"]

    cluster.kubectl("scale", "-n", meow, "deployment/meow", "--replicas=2")
    eventually(lambda: len(cluster.get("pods", "-n", meow, "-l", "app=meow")["items"]) == 2)


def images(cluster: Cluster, namespace: str) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for pod in cluster.ready_pods("app=meow", namespace)}


def test_a_killed_container_is_restarted(cluster: Cluster, meow: str) -> None:
    pod = cluster.ready_pods("app=meow", meow)[0]
    name = pod["metadata"]["name"]
    container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("docker://")
    pid = subprocess.run(
        ["docker", "inspect", "-f", "{{.State.Pid}}", container], capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run(["kill", "-9", pid], check=True)

    def restarted() -> bool:
        status = cluster.get("pod", name, "-n", meow)["status"]["containerStatuses"][0]
        return status["restartCount"] == 1 and status["ready"]

    eventually(restarted, 60)
    status = cluster.get("pod", name, "-n", meow)["status"]["containerStatuses"][0]
    assert status["lastState"]["terminated"]["exitCode"] == 137


def test_a_deleted_pod_is_replaced(cluster: Cluster, meow: str) -> None:
    before = {pod["metadata"]["name"] for pod in cluster.ready_pods("app=meow", meow)}
    victim = sorted(before)[0]
    cluster.kubectl("delete", "pod", victim, "-n", meow)
    eventually(lambda: len(cluster.ready_pods("app=meow", meow)) == 2)
    after = {pod["metadata"]["name"] for pod in cluster.ready_pods("app=meow", meow)}
    assert victim not in after
    assert cluster.try_kubectl("get", "pod", victim, "-n", meow).returncode == 1
