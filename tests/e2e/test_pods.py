"""The life of pods, as kubectl and the official Python client show it: starts, probes, ends, placement."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import watch

from tests.harness.cluster import Cluster, eventually
from tests.harness.pods import (
    BUSYBOX,
    FOREVER,
    Object,
    Pods,
    condition,
    container,
    first,
    official_client,
    pod,
)


@pytest.fixture(scope="module", autouse=True)
def crashing(cluster: Cluster) -> Iterator[Pods]:
    """A pod that crashes again and again while the other tests run, so that nobody has to wait for it."""
    cluster.kubectl("create", "namespace", "crashing")
    pods = Pods(cluster, "crashing")
    pods.create(pod("always", container("echo attempt $(cat /proc/uptime); exit 3"), restartPolicy="Always"))
    yield pods
    cluster.kubectl("delete", "namespace", "crashing", "--wait=false")


def test_restart_policies(pods: Pods) -> None:
    once = "if [ -f /state/failed ]; then echo second; exit 0; fi; touch /state/failed; echo first; exit 4"
    state = {"volumes": [{"name": "state", "emptyDir": {}}]}
    mount = [{"name": "state", "mountPath": "/state"}]
    pods.create(
        pod("retried", container(once, volumeMounts=mount), restartPolicy="OnFailure", **state),
        pod("good", container("exit 0")),
        pod("bad", container("exit 7")),
        pod("mixed", container("exit 0"), container("exit 1", "second")),
        pod("late", container("exec sleep 600"), activeDeadlineSeconds=1),
    )
    good = pods.phase("good", "Succeeded")
    ended = first(good)["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
    assert condition(good, "Ready")["reason"] == "PodCompleted"
    assert condition(good, "Initialized")["status"] == "True"
    assert pods.status_column("good") == "Completed"

    bad = pods.phase("bad", "Failed")
    ended = first(bad)["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (7, "Error")
    assert condition(bad, "Ready")["reason"] == "PodFailed"
    assert pods.status_column("bad") == "Error"
    assert pods.phase("mixed")["status"]["phase"] == "Failed"

    retried = pods.phase("retried", "Succeeded")
    assert first(retried)["restartCount"] == 1
    assert pods.logs("retried") == "second\n"

    late = pods.phase("late", "Failed")["status"]
    assert late["reason"] == "DeadlineExceeded"
    assert late["message"] == "Pod was active on the node longer than the specified deadline"


def test_init_containers(pods: Pods) -> None:
    volume = {"volumes": [{"name": "shared", "emptyDir": {}}]}
    mount = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}

    def writes(word: str, name: str) -> Object:
        return container(f"echo {word} >> /shared/order", name, **mount)

    sidecar = container(FOREVER, "helper", restartPolicy="Always")
    pods.create(
        pod("ordered", container("cat /shared/order", **mount), initContainers=[
            writes("one", "first"), writes("two", "second"), writes("three", "third"),
        ], **volume),
        pod("stuck", container("exit 0"), initContainers=[container("exit 5", "init")]),
        pod("looping", container("exit 0"), restartPolicy="Always", initContainers=[container("exit 6", "init")]),
        pod("helped", container("exit 0"), initContainers=[sidecar]),
    )  # fmt: skip
    ordered = pods.phase("ordered", "Succeeded")
    assert pods.logs("ordered") == "one\ntwo\nthree\n"
    statuses = ordered["status"]["initContainerStatuses"]
    assert [one["name"] for one in statuses] == ["first", "second", "third"]
    assert all(one["ready"] and one["state"]["terminated"]["reason"] == "Completed" for one in statuses)

    stuck = pods.phase("stuck", "Failed")
    assert first(stuck, "initContainerStatuses")["state"]["terminated"]["exitCode"] == 5
    assert first(stuck)["state"]["waiting"]["reason"] == "PodInitializing"
    initialized = condition(stuck, "Initialized")
    assert (initialized["status"], initialized["reason"]) == ("False", "ContainersNotInitialized")
    assert initialized["message"] == "containers with incomplete status: [init]"
    assert pods.status_column("stuck") == "Init:Error"

    eventually(lambda: pods.status_column("looping") == "Init:CrashLoopBackOff")
    assert pods.get("looping")["status"]["phase"] == "Pending"
    helped = pods.phase("helped", "Succeeded")
    assert first(helped, "initContainerStatuses")["state"]["terminated"]["exitCode"] in (0, 137, 143)


def test_probes(pods: Pods) -> None:
    fast = {"periodSeconds": 1, "failureThreshold": 1}
    web = "mkdir -p /www; echo ok > /www/healthy; httpd -p 8080 -h /www; "

    def probed(name: str, script: str, **fields: Any) -> Object:
        return pod(name, container(script, **fields), restartPolicy="Always")

    pods.create(
        probed("alive", web + FOREVER,
               livenessProbe={"httpGet": {"path": "/healthy", "port": 8080}, **fast, "initialDelaySeconds": 1},
               readinessProbe={"exec": {"command": ["cat", "/tmp/ready"]}, **fast},
               startupProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1}),
        probed("exec-dies", "echo sick >&2; " + FOREVER,
               livenessProbe={"exec": {"command": ["sh", "-c", "echo not well; exit 1"]}, **fast}),
        probed("http-dies", web + FOREVER,
               livenessProbe={"httpGet": {"path": "/gone", "port": 8080}, **fast, "initialDelaySeconds": 1}),
        probed("tcp-dies", FOREVER, livenessProbe={"tcpSocket": {"port": 9}, **fast}),
        probed("never-starts", FOREVER, startupProbe={"httpGet": {"path": "/", "port": 9}, **fast},
               livenessProbe={"exec": {"command": ["true"]}}),
    )  # fmt: skip
    alive = pods.phase("alive", "Running")
    eventually(lambda: first(pods.get("alive"))["started"])
    pods.event(
        "alive", "Warning", "Unhealthy", "Readiness probe failed: cat: can't open '/tmp/ready': No such file"
    )
    assert condition(alive, "ContainersReady")["status"] == "False"
    assert condition(alive, "ContainersReady")["message"] == "containers with unready status: [main]"
    pods.run("alive", "touch /tmp/ready")
    pods.ready("alive")
    pods.run("alive", "rm /tmp/ready")
    eventually(lambda: condition(pods.get("alive"), "Ready")["status"] == "False")
    assert condition(pods.get("alive"), "Ready")["reason"] == "ContainersNotReady"
    assert first(pods.get("alive"))["restartCount"] == 0

    def restarted(name: str) -> bool:
        return first(pods.get(name))["restartCount"] > 0

    for name in ("exec-dies", "http-dies", "tcp-dies", "never-starts"):
        eventually(lambda name=name: restarted(name))
    address = pods.get("tcp-dies")["status"]["podIP"]
    refused = f"dial tcp {address}:9: connect: connection refused"
    pods.event("exec-dies", "Warning", "Unhealthy", "Liveness probe failed: not well")
    pods.event(
        "http-dies", "Warning", "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 404"
    )
    pods.event("tcp-dies", "Warning", "Unhealthy", f"Liveness probe failed: {refused}")
    address = pods.get("never-starts")["status"]["podIP"]
    refused = f'Get "http://{address}:9/": dial tcp {address}:9: connect: connection refused'
    pods.event("never-starts", "Warning", "Unhealthy", f"Startup probe failed: {refused}")
    for name, probe in (("exec-dies", "liveness"), ("never-starts", "startup")):
        text = f"Container main failed {probe} probe, will be restarted"
        pods.event(name, "Normal", "Killing", text)


def test_hooks_and_graceful_deletion(pods: Pods, tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o777)
    volume = {"volumes": [{"name": "host", "hostPath": {"path": str(tmp_path)}}]}
    mount = {"volumeMounts": [{"name": "host", "mountPath": "/host"}]}

    def says(name: str, word: str) -> Object:
        return {"exec": {"command": ["sh", "-c", f"echo {word} >> /host/{name}"]}}

    def polite(name: str) -> Object:
        script = f"trap 'echo term >> /host/{name}; exit 0' TERM; while true; do sleep 0.1; done"
        hooks = {"postStart": says(name, "started"), "preStop": says(name, "stopping")}
        return pod(
            name, container(script, lifecycle=hooks, **mount), terminationGracePeriodSeconds=30, **volume
        )

    stubborn = container("trap '' TERM; while true; do sleep 0.1; done")
    bad_hook = {"postStart": {"exec": {"command": ["sh", "-c", "echo broken; exit 9"]}}}
    pods.create(
        polite("polite"), polite("hurried"),
        pod("stubborn", stubborn, terminationGracePeriodSeconds=600),
        pod("forced", stubborn, terminationGracePeriodSeconds=600),
        pod("bad-hook", container(FOREVER, lifecycle=bad_hook), restartPolicy="Always"),
    )  # fmt: skip
    pods.ready("polite", "hurried", "stubborn", "forced")
    seen: list[Object] = []
    follower = threading.Thread(target=follow_to_the_end, args=(pods, "polite", seen))
    follower.start()
    eventually(lambda: seen)
    pods.kubectl("delete", "pod", "polite")
    assert (tmp_path / "polite").read_text().split() == ["started", "stopping", "term"]
    pods.event("polite", "Normal", "Killing", "Stopping container main")
    pods.kubectl("delete", "pod", "hurried", "--now")
    assert (tmp_path / "hurried").read_text().split() == ["started", "stopping", "term"]

    forced = first(pods.get("forced"))["containerID"].removeprefix("docker://")
    said = pods.cluster.try_kubectl(
        "-n", pods.namespace, "delete", "pod", "forced", "--force", "--grace-period=0"
    )
    assert "Immediate deletion does not wait" in said.stderr
    assert pods.cluster.try_kubectl("-n", pods.namespace, "get", "pod", "forced").returncode == 1
    eventually(lambda: forced not in containers())

    # A stop under way is shortened by a second, more impatient delete.
    pods.kubectl("delete", "pod", "stubborn", "--wait=false")
    assert pods.get("stubborn")["metadata"]["deletionGracePeriodSeconds"] == 600
    assert pods.status_column("stubborn") == "Terminating"
    pods.kubectl("delete", "pod", "stubborn", "--grace-period=1")

    pods.event("bad-hook", "Warning", "FailedPostStartHook", "PostStartHook failed: ")
    eventually(lambda: first(pods.get("bad-hook"))["restartCount"] > 0)
    follower.join()
    kinds = [event["type"] for event in seen]
    assert kinds[0] == "ADDED"
    assert kinds[-1] == "DELETED"
    assert set(kinds[1:-1]) == {"MODIFIED"}
    assert seen[-1]["object"].metadata.deletion_timestamp is not None
    assert seen[-1]["object"].status.container_statuses[0].state.terminated.exit_code == 0


def follow_to_the_end(pods: Pods, name: str, seen: list[Object]) -> None:
    """Collect the watch events of a pod until it is gone."""
    events = watch.Watch()
    listed = official_client(pods.cluster).list_namespaced_pod
    selector = f"metadata.name={name}"
    for event in events.stream(listed, pods.namespace, field_selector=selector, timeout_seconds=60):
        seen.append(event)
        if event["type"] == "DELETED":
            return


def containers() -> str:
    """Ids of all running containers of the machine."""
    return subprocess.run(
        ["docker", "ps", "-q", "--no-trunc"], capture_output=True, text=True, check=True
    ).stdout


def test_images(pods: Pods) -> None:
    def with_image(name: str, image: str, policy: str) -> Object:
        return pod(name, container("exit 0", image=image, imagePullPolicy=policy))

    absent = "localhost:1/nobody/nothing:1"
    pods.create(
        with_image("never", absent, "Never"),
        with_image("unpullable", absent, "IfNotPresent"),
        with_image("always", absent, "Always"),
        with_image("invalid", "Bad:::Name", "IfNotPresent"),
        with_image("present", BUSYBOX, "Never"),
    )
    pods.phase("present", "Succeeded")
    text = f'Container image "{BUSYBOX}" already present on machine and can be accessed by the pod'
    pods.event("present", "Normal", "Pulled", text)
    text = f'Container image "{absent}" is not present with pull policy of Never'
    assert pods.waiting("never", "ErrImageNeverPull") == text
    pods.event("never", "Warning", "ErrImageNeverPull", text)
    pods.event("never", "Warning", "Failed", "Error: ErrImageNeverPull")
    text = 'Failed to apply default image tag "Bad:::Name": couldn\'t parse image name "Bad:::Name": '
    assert pods.waiting("invalid", "InvalidImageName").startswith(text)
    pods.event("invalid", "Warning", "InspectFailed", text)
    pods.event("invalid", "Warning", "Failed", "Error: InvalidImageName")
    for name in ("unpullable", "always"):
        message = pods.waiting(name, "ImagePullBackOff")
        assert message.startswith(f'Back-off pulling image "{absent}": ErrImagePull: '), message
        pods.event(name, "Normal", "Pulling", f'Pulling image "{absent}"')
        pods.event(name, "Warning", "Failed", f'Failed to pull image "{absent}": ')
        pods.event(name, "Warning", "Failed", "Error: ErrImagePull")
        pods.event(name, "Normal", "BackOff", f'Back-off pulling image "{absent}"')
        pods.event(name, "Warning", "Failed", "Error: ImagePullBackOff")
    eventually(lambda: pods.status_column("always") in ("ErrImagePull", "ImagePullBackOff"))
    said = pods.cluster.try_kubectl("-n", pods.namespace, "logs", "unpullable")
    assert said.returncode == 1
    assert 'container "main" in pod "unpullable" is waiting to start: ' in said.stderr
    assert "trying and failing to pull image" in said.stderr


def test_termination_messages(pods: Pods) -> None:
    fallback = "FallbackToLogsOnError"
    pods.create(
        pod("file", container("printf DONE > /dev/termination-log; exit 2")),
        pod(
            "elsewhere", container("printf 'was here' > /tmp/message", terminationMessagePath="/tmp/message")
        ),
        pod("from-log", container("echo last words; exit 1", terminationMessagePolicy=fallback)),
        pod("good", container("echo nothing", terminationMessagePolicy=fallback)),
        pod("long", container("head -c 9000 /dev/zero | tr '\\0' x > /dev/termination-log")),
    )

    def message(name: str) -> str | None:
        text: str | None = first(pods.phase(name))["state"]["terminated"].get("message")
        return text

    assert message("file") == "DONE"
    assert message("elsewhere") == "was here"
    assert message("from-log") == "last words\n"
    assert message("good") is None
    assert message("long") == "x" * 4096


def test_placement(pods: Pods) -> None:
    cluster = pods.cluster
    pods.create(
        pod("huge", container("exit 0", resources={"requests": {"cpu": "1000"}})),
        pod("picky", container("exit 0"), nodeSelector={"shelf": "top"}),
        pod("second", container("exit 0"), nodeSelector={"kubernetes.io/hostname": "node-2"}),
    )
    assert pods.phase("second", "Succeeded")["spec"]["nodeName"] == "node-2"
    for name, text in {
        "huge": "0/2 nodes are available: 2 Insufficient cpu.",
        "picky": "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
    }.items():
        pods.event(name, "Warning", "FailedScheduling", text)
        scheduled = condition(pods.get(name), "PodScheduled")
        assert (scheduled["status"], scheduled["reason"]) == ("False", "Unschedulable")
        assert scheduled["message"].startswith(text)
        assert pods.status_column(name) == "Pending"
    cluster.kubectl("label", "node", "node-2", "shelf=top")
    try:
        assert pods.phase("picky", "Succeeded")["spec"]["nodeName"] == "node-2"
    finally:
        cluster.kubectl("label", "node", "node-2", "shelf-")


def test_cordon_and_drain(pods: Pods) -> None:
    cluster = pods.cluster
    on_second = {"nodeSelector": {"kubernetes.io/hostname": "node-2"}}
    pods.create(pod("resident", container(FOREVER), terminationGracePeriodSeconds=10, **on_second))
    pods.ready("resident")
    cluster.kubectl("cordon", "node-2")
    try:
        assert "Ready,SchedulingDisabled" in cluster.kubectl("get", "node", "node-2")
        pods.create(pod("refused", container("exit 0"), **on_second))
        text = "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, "
        text += "1 node(s) were unschedulable."
        pods.event("refused", "Warning", "FailedScheduling", text)
        refused = cluster.try_kubectl("drain", "node-2", "--pod-selector=test=resident")
        assert "cannot delete" in refused.stderr
        drained = cluster.kubectl(
            "drain", "node-2", "--force", "--pod-selector=test=resident", "--timeout=60s"
        )
        assert "pod/resident evicted" in drained or "node/node-2 drained" in drained
        assert cluster.try_kubectl("-n", pods.namespace, "get", "pod", "resident").returncode == 1
    finally:
        cluster.kubectl("uncordon", "node-2")
    pods.phase("refused", "Succeeded")


def test_back_off_grows(crashing: Pods) -> None:
    pods = crashing
    uid = pods.get("always")["metadata"]["uid"]
    where = f"restarting failed container=main pod=always_{pods.namespace}({uid})"
    waits = [f"back-off {wait} {where}" for wait in ("20s", "40s", "1m20s")]
    eventually(lambda: pods.waiting("always", "CrashLoopBackOff") in waits)
    status = first(pods.get("always"))
    assert status["restartCount"] >= 2
    assert status["lastState"]["terminated"]["exitCode"] == 3
    assert status["lastState"]["terminated"]["reason"] == "Error"
    assert pods.status_column("always") == "CrashLoopBackOff"
    assert pods.get("always")["status"]["phase"] == "Running"
    text = f"Back-off restarting failed container main in pod always_{pods.namespace}({uid})"
    pods.event("always", "Warning", "BackOff", text)
    assert pods.logs("always", "--previous") == pods.logs("always")
