"""Resources, security, name files, back-off, durations, engine documents: values in, values out."""

from __future__ import annotations

from pathlib import Path

import pytest
from samples import container, pod

from kubelet.configuration import ConfigurationError, KubeletConfiguration
from kubelet.containers import names_files
from kubelet.containers.environment import ConfigError
from kubelet.containers.resources import cgroup_parent, container_resources, qos_class
from kubelet.containers.security import security
from kubelet.images.credentials import for_image, registry_of
from kubelet.node import cgroups
from kubelet.node import status as node_status
from kubelet.pods.backoff import BackoffTable
from kubelet.runtime.docker_client import Demultiplexer
from kubelet.runtime.docker_translate import (
    container_config,
    parse_reference,
    parse_time,
    status_from_inspect,
)
from kubelet.runtime.types import ContainerSpec, InvalidImageName, Resources, Security
from kubelet.server.authorization import subresource


def limited(cpu: str, memory: str) -> dict[str, dict[str, str]]:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}}


def test_quality_of_service() -> None:
    assert qos_class(pod()) == "BestEffort"
    assert qos_class(pod(container(resources=limited("1", "1Gi")))) == "Guaranteed"
    assert qos_class(pod(container(resources={"requests": {"cpu": "1"}}))) == "Burstable"


def test_cgroup_values() -> None:
    one = container(resources={"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"cpu": "200m"}})
    found = container_resources(pod(one), one, 10 << 30, "/kubepods/burstable/podx")
    assert (found.cpu_shares, found.cpu_quota, found.cpu_period) == (102, 20000, 100000)
    assert found.oom_score_adj == 900
    best = container()
    assert container_resources(pod(best), best, 1 << 30, "").cpu_shares == 2
    assert cgroup_parent("a-b", "Guaranteed", "cgroupfs") == "/kubepods/poda-b"
    assert cgroup_parent("a-b", "Burstable", "systemd") == "kubepods-burstable-poda_b.slice"


def test_run_as_non_root() -> None:
    one = container(securityContext={"runAsNonRoot": True})
    with pytest.raises(ConfigError, match="container has runAsNonRoot and image will run as root"):
        security(pod(one), one, "", Path("/"))
    with pytest.raises(ConfigError, match=r"non-numeric user \(web\)"):
        security(pod(one), one, "web", Path("/"))
    assert security(pod(one), one, "1000", Path("/")).user == ""
    root = container(securityContext={"runAsNonRoot": True, "runAsUser": 0})
    with pytest.raises(ConfigError, match="runAsUser breaks non-root policy"):
        security(pod(root), root, "", Path("/"))


def test_container_context_wins_over_the_pods() -> None:
    one = container(
        securityContext={"runAsUser": 5, "capabilities": {"add": ["CAP_SYS_TIME"], "drop": ["ALL"]}}
    )
    found = security(
        pod(one, securityContext={"runAsUser": 1, "runAsGroup": 2, "fsGroup": 3, "supplementalGroups": [4]}),
        one,
        "",
        Path("/"),
    )
    assert (found.user, found.groups, found.add_capabilities) == ("5:2", (4, 3), ("SYS_TIME",))
    assert found.seccomp == "unconfined"


def test_hosts_file() -> None:
    of = pod(hostname="h", subdomain="sub", hostAliases=[{"ip": "1.2.3.4", "hostnames": ["foo", "bar"]}])
    text = names_files.hosts_file(of, ["10.0.0.5"], "cluster.local", "")
    assert text.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert "10.0.0.5\th.sub.ns.svc.cluster.local\th\n" in text
    assert text.endswith("\n# Entries added by HostAliases.\n1.2.3.4\tfoo\tbar\n")


def test_resolver_policies() -> None:
    node = names_files.parse_resolver("nameserver 8.8.8.8\nsearch corp\noptions timeout:1\n")
    first = names_files.resolver(pod(), node, ["10.96.0.10"], "cluster.local")
    assert first.render() == (
        "search ns.svc.cluster.local svc.cluster.local cluster.local corp\n"
        "nameserver 10.96.0.10\noptions ndots:5\n"
    )
    assert names_files.resolver(pod(dnsPolicy="Default"), node, ["10.96.0.10"], "x").nameservers == (
        "8.8.8.8",
    )
    config = {"nameservers": ["1.1.1.1"], "options": [{"name": "ndots", "value": "2"}]}
    none = names_files.resolver(pod(dnsPolicy="None", dnsConfig=config), node, ["10.96.0.10"], "x")
    assert none.render() == "nameserver 1.1.1.1\noptions ndots:2\n"


def test_back_off_doubles_and_is_forgotten() -> None:
    table = BackoffTable()
    assert table.wait("k", 0.0) == 0.0
    assert [table.next("k", now, now) for now in (1.0, 2.0, 3.0)] == [10.0, 20.0, 40.0]
    for now in range(4, 9):
        table.next("k", float(now), float(now))
    assert table.wait("k", 9.0) == 300.0
    assert table.wait("k", 1000.0) == 0.0


def test_image_references() -> None:
    assert parse_reference("busybox") == ("busybox", "latest")
    assert parse_reference("host:5000/a/b:1") == ("host:5000/a/b", "1")
    digest = "sha256:" + "0" * 64
    assert parse_reference(f"a@{digest}") == ("a", digest)
    for bad in ("", "A:b:c", "a b", "-x"):
        with pytest.raises(InvalidImageName):
            parse_reference(bad)


def test_registry_credentials() -> None:
    assert registry_of("busybox") == "index.docker.io"
    assert registry_of("localhost:5000/a") == "localhost:5000"
    import base64
    import json

    login = base64.b64encode(b"me:pw").decode()
    document = base64.b64encode(json.dumps({"auths": {"localhost:5000": {"auth": login}}}).encode()).decode()
    secret = {"data": {".dockerconfigjson": document}}
    assert for_image("localhost:5000/a", [secret]) == {"username": "me", "password": "pw"}
    assert for_image("other/a", [secret]) is None


def test_a_command_hides_the_images_cmd() -> None:
    spec = ContainerSpec(
        "u", "p", "ns", "c", 0, "s", "i", command=("sh",), security=Security(privileged=True)
    )
    config = container_config(spec, {}, None)
    assert (config["Entrypoint"], config["Cmd"]) == (["sh"], [])
    assert config["HostConfig"]["Privileged"] is True
    limited_config = container_config(spec, {}, ["CHOWN"])["HostConfig"]
    assert "Privileged" not in limited_config and limited_config["CapAdd"] == ["CHOWN"]
    assert limited_config["MaskedPaths"] == []


def test_a_container_that_could_not_start_counts_as_ended() -> None:
    found = status_from_inspect(
        {
            "Id": "x",
            "Created": "2026-01-01T00:00:00.5Z",
            "Config": {"Labels": {}},
            "State": {"Status": "created", "ExitCode": 127, "Error": "no such file"},
        }
    )
    assert (found.state, found.exit_code, found.finished_at) == (
        "exited",
        127,
        parse_time("2026-01-01T00:00:00.5Z"),
    )


def test_engine_frames_are_taken_apart_wherever_they_are_cut() -> None:
    data = b"\x01\0\0\0\0\0\0\x02hi\x02\0\0\0\0\0\0\x03err"
    frames = Demultiplexer()
    found = [frame for index in range(len(data)) for frame in frames.feed(data[index : index + 1])]
    assert found == [(1, b"hi"), (2, b"err")]


def test_configuration_files(tmp_path: Path) -> None:
    path = tmp_path / "k.yaml"
    path.write_text("kind: KubeletConfiguration\nnodeStatusReportFrequency: 1m30s\nunknownField: 1\n")
    assert KubeletConfiguration.load(path).nodeStatusReportFrequency == 90.0
    path.write_text("port: many\n")
    with pytest.raises(ConfigurationError, match="port"):
        KubeletConfiguration.load(path)


def test_allocatable_leaves_room() -> None:
    total = node_status.capacity(4, 8 << 30, 100 << 30, 110)
    found = node_status.allocatable(
        total, [{"cpu": "500m"}, {"memory": "1Gi"}], {"memory.available": "100Mi", "nodefs.available": "10%"}
    )
    assert found["cpu"] == "3500m"
    assert found["memory"] == f"{((8 << 30) - (1 << 30) - (100 << 20)) // 1024}Ki"
    assert found["ephemeral-storage"] == str((100 << 30) - (10 << 30))


def test_conditions_use_the_official_words() -> None:
    facts = node_status.Facts("n", ["10.0.0.1"], {}, {}, {}, [], 10250, problems=["the engine is away"])
    ready = node_status.node_status(facts, "now", None)["conditions"][-1]
    assert (ready["status"], ready["reason"], ready["message"]) == (
        "False",
        "KubeletNotReady",
        "the engine is away",
    )
    facts = node_status.Facts("n", ["10.0.0.1"], {}, {}, {}, [], 10250, node_status.Pressure(disk=True))
    found = {one["type"]: one for one in node_status.node_status(facts, "now", None)["conditions"]}
    assert found["DiskPressure"]["reason"] == "KubeletHasDiskPressure"
    assert found["Ready"]["message"] == "kubelet is posting ready status"


def test_taints_and_subresources() -> None:
    assert node_status.parse_taint("a=b:NoSchedule") == {"key": "a", "value": "b", "effect": "NoSchedule"}
    with pytest.raises(ValueError, match="invalid taint spec"):
        node_status.parse_taint("a=b")
    assert [subresource(path) for path in ("/metrics", "/exec/a/b/c", "/pods")] == [
        "metrics",
        "proxy",
        "pods",
    ]


def test_pod_cgroups_of_both_versions(tmp_path: Path) -> None:
    values = Resources(cpu_shares=1024, cpu_quota=50000, cpu_period=100000, cgroup_parent="/kubepods/podx")
    v1 = tmp_path / "v1"
    (v1 / "cpu").mkdir(parents=True)
    cgroups.apply(values, v1)
    assert (v1 / "cpu/kubepods/podx/cpu.cfs_quota_us").read_text() == "50000\n"
    assert (v1 / "memory/kubepods/podx/memory.limit_in_bytes").read_text() == "-1\n"
    v2 = tmp_path / "v2"
    v2.mkdir()
    (v2 / "cgroup.controllers").write_text("cpu memory")
    cgroups.apply(values, v2)
    assert (v2 / "kubepods/podx/cpu.max").read_text() == "50000 100000\n"
    assert (v2 / "kubepods/podx/cpu.weight").read_text() == "39\n"
