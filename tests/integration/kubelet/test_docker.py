"""Pods on the real engine: what runs is what was asked for, and it outlives the kubelet."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from apimachinery import Object
from apimachinery.resources import CONFIG_MAPS, PODS
from kubelet.runtime.types import LogOptions

SLEEP = "trap 'exit 0' TERM; while :; do sleep 0.2; done"


def box(script: str = SLEEP, name: str = "c", **fields: Any) -> Object:
    return {"name": name, "image": "busybox:1.36", "command": ["sh", "-c", script], **fields}


def ready(pod: Object) -> bool:
    return any(
        one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ())
    )


def first(pod: Object) -> Object:
    found: Object = pod["status"]["containerStatuses"][0]
    return found


def container_id(pod: Object) -> str:
    return str(first(pod)["containerID"]).removeprefix("docker://")


async def output(node: Any, pod: Object, *command: str) -> str:
    result = await node.runtime.exec_sync(container_id(pod), command, 20)
    return str(result.output.decode())


async def test_environment_files_and_identity(docker_node: Any) -> None:
    await docker_node.create(
        "full",
        box(
            env=[
                {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}},
                {"name": "TEXT", "value": "is $(COLOR)"},
            ],
            securityContext={
                "runAsUser": 1000,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            },
            volumeMounts=[{"name": "data", "mountPath": "/data"}, {"name": "cfg", "mountPath": "/cfg"}],
        ),
        initContainers=[
            box("echo first > /data/init", "init", volumeMounts=[{"name": "data", "mountPath": "/data"}])
        ],
        securityContext={"fsGroup": 2000},
        volumes=[{"name": "data", "emptyDir": {}}, {"name": "cfg", "configMap": {"name": "settings"}}],
    )
    pod = await docker_node.until("full", ready)
    assert (await output(docker_node, pod, "sh", "-c", "echo $TEXT; id -u; cat /data/init; hostname")).split() == [
        "is", "red", "1000", "first", "full",
    ]  # fmt: skip
    assert "Kubernetes-managed hosts file" in await output(docker_node, pod, "cat", "/etc/hosts")
    assert "CapEff:\t0000000000000000" in await output(docker_node, pod, "cat", "/proc/self/status")
    assert "Read-only" in await output(docker_node, pod, "touch", "/x")
    await docker_node.client.patch(CONFIG_MAPS, "settings", {"data": {"color": "blue"}}, "default")
    for _ in range(100):
        if await output(docker_node, pod, "cat", "/cfg/color") == "blue":
            break
    else:
        raise AssertionError("the changed ConfigMap did not reach the file")
    await docker_node.client.patch(CONFIG_MAPS, "settings", {"data": {"color": "red"}}, "default")


async def test_restart_keeps_the_previous_log_and_message(docker_node: Any) -> None:
    await docker_node.create("dies", box("echo last words; echo why > /dev/termination-log; exit 3"))
    pod = await docker_node.until("dies", lambda pod: ready(pod) or first_restart(pod) >= 1)
    pod = await docker_node.until("dies", lambda pod: "CrashLoopBackOff" in str(pod["status"]))
    ended = first(pod)["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "why\n")
    chunks = [data async for _, data in docker_node.runtime.logs(container_id(pod), LogOptions())]
    assert b"".join(chunks) == b"last words\n"


def first_restart(pod: Object) -> int:
    statuses = pod["status"].get("containerStatuses") or [{"restartCount": 0}]
    return int(statuses[0]["restartCount"])


async def test_probes_restart_and_gate(docker_node: Any) -> None:
    live = {"exec": {"command": ["test", "-e", "/tmp/alive"]}, "periodSeconds": 1, "failureThreshold": 1}
    await docker_node.create(
        "probed",
        box("touch /tmp/alive; " + SLEEP, livenessProbe=live, readinessProbe={**live, "failureThreshold": 2}),
    )
    pod = await docker_node.until("probed", ready)
    await output(docker_node, pod, "rm", "/tmp/alive")
    await docker_node.until("probed", lambda pod: first_restart(pod) == 1)


async def test_pull_failures_read_as_users_know_them(docker_node: Any) -> None:
    await docker_node.create("pull", {"name": "c", "image": "registry.invalid/none:1"})
    await docker_node.create(
        "never", {"name": "c", "image": "registry.invalid/none:1", "imagePullPolicy": "Never"}
    )
    pod = await docker_node.until("pull", lambda pod: "ImagePullBackOff" in str(pod["status"]))
    message = first(pod)["state"]["waiting"]["message"]
    assert message.startswith('Back-off pulling image "registry.invalid/none:1": ErrImagePull: ')
    pod = await docker_node.until("never", lambda pod: "ErrImageNeverPull" in str(pod["status"]))
    assert first(pod)["state"]["waiting"]["message"].endswith("is not present with pull policy of Never")


async def test_a_restarted_kubelet_adopts_what_runs(docker_node: Any) -> None:
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 5}
    await docker_node.create("stays", box(readinessProbe=probe))
    await docker_node.create("goes", box())
    before = await docker_node.until("stays", ready)
    await docker_node.until("goes", ready)
    await docker_node.crash()
    await docker_node.client.delete(PODS, "goes", "default", 0)
    written = (await docker_node.client.get(PODS, "stays", "default"))["status"]
    await docker_node.start()
    await docker_node.create("after", box())
    await docker_node.until("after", ready)
    after = await docker_node.client.get(PODS, "stays", "default")
    assert container_id(after) == container_id(before)
    assert after["status"] == written
    for _ in range(200):
        left = [one for one in await docker_node.runtime.containers() if one.pod_name == "goes"]
        if not left:
            break
    assert left == []


async def test_pre_stop_runs_before_the_signal(docker_node: Any, tmp_path: Path) -> None:
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo stopping > /host/hook"]}}}
    await docker_node.create(
        "hooked",
        box(lifecycle=hook, volumeMounts=[{"name": "host", "mountPath": "/host"}]),
        volumes=[
            {"name": "host", "hostPath": {"path": str(tmp_path / "shared"), "type": "DirectoryOrCreate"}}
        ],
    )
    await docker_node.until("hooked", ready)
    await docker_node.client.delete(PODS, "hooked", "default", 5)
    await docker_node.until_gone("hooked")
    assert (tmp_path / "shared" / "hook").read_text() == "stopping\n"


def engine_limits(found: str) -> list[str]:
    form = "{{.HostConfig.Memory}} {{.HostConfig.CpuQuota}}"
    command = ["docker", "inspect", "-f", form, found]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def mounts() -> str:
    return Path("/proc/mounts").read_text()


async def test_memory_limit_and_memory_volume(docker_node: Any, tmp_path: Path) -> None:
    await docker_node.create(
        "small",
        box(
            resources={"limits": {"memory": "32Mi", "cpu": "500m"}},
            volumeMounts=[{"name": "mem", "mountPath": "/mem"}],
        ),
        volumes=[{"name": "mem", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}],
    )
    pod = await docker_node.until("small", ready)
    assert pod["status"]["qosClass"] == "Guaranteed"
    assert "tmpfs" in await output(docker_node, pod, "df", "/mem")
    assert engine_limits(container_id(pod)) == [str(32 << 20), "50000"]
    await docker_node.client.delete(PODS, "small", "default")
    await docker_node.until_gone("small")
    assert str(tmp_path) not in mounts()
