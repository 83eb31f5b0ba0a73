"""Volumes of pods: what containers find in them, with which modes and owners, and how changes arrive."""

from __future__ import annotations

import base64
import json
import os
import socket
from pathlib import Path

from tests.harness.cluster import eventually
from tests.harness.pods import (
    FOREVER,
    Object,
    Pods,
    config_map,
    container,
    pod,
    secret,
)


def mount(name: str, path: str, **fields: object) -> Object:
    return {"name": name, "mountPath": path, **fields}


def test_empty_directories_are_shared_and_kept(pods: Pods) -> None:
    volumes = [
        {"name": "disk", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}},
    ]
    mounts = [mount("disk", "/disk"), mount("memory", "/memory")]
    read_only = [mount("disk", "/disk", readOnly=True), mount("memory", "/memory/deep", subPath="deep/er")]
    pods.create(
        pod(
            "shared",
            container("echo written > /disk/file; " + FOREVER, "writer", volumeMounts=mounts),
            container(FOREVER, "reader", volumeMounts=read_only),
            restartPolicy="Always",
            terminationGracePeriodSeconds=10,
            volumes=volumes,
        )
    )
    pods.ready("shared")
    assert eventually(lambda: pods.run("shared", "cat /disk/file", "-c", "reader")) == "written\n"
    assert "Read-only file system" in pods.run("shared", "touch /disk/no 2>&1; true", "-c", "reader")
    assert pods.run("shared", "stat -c %a /disk", "-c", "writer") == "777\n"
    assert pods.run("shared", "df -T /memory | tail -1 | cut -d' ' -f1", "-c", "writer") == "tmpfs\n"
    full = "dd if=/dev/zero of=/memory/big bs=1M count=16 2>&1; rm /memory/big"
    assert "No space left on device" in pods.run("shared", full, "-c", "writer")
    pods.run("shared", "echo note > /memory/deep/er/note", "-c", "writer")
    assert pods.run("shared", "cat /memory/deep/note", "-c", "reader") == "note\n"

    # A restarted container finds what was there; only the end of the pod takes it away.
    pods.run("shared", "echo kept > /memory/kept; kill 1", "-c", "writer")
    pods.restarted("shared", "writer")
    assert pods.run("shared", "cat /memory/kept", "-c", "writer") == "kept\n"
    uid = pods.get("shared")["metadata"]["uid"]
    assert any(uid in line for line in Path("/proc/mounts").read_text().splitlines())
    pods.kubectl("delete", "pod", "shared")
    assert not any(uid in line for line in Path("/proc/mounts").read_text().splitlines())
    assert not list(pods.cluster.data_dir.glob(f"**/pods/{uid}"))


def test_host_paths_are_checked(pods: Pods, tmp_path: Path) -> None:
    os.chmod(tmp_path, 0o777)
    (tmp_path / "file").write_text("from the node")
    (tmp_path / "directory").mkdir()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "socket"))

    def uses(name: str, path: str, kind: str) -> Object:
        volume = {"name": "host", "hostPath": {"path": str(tmp_path / path), "type": kind}}
        script = "ls -ld /host; [ ! -f /host ] || cat /host"
        return pod(name, container(script, volumeMounts=[mount("host", "/host")]), volumes=[volume])

    good = {"any": "", "directory": "Directory", "made": "DirectoryOrCreate", "file": "File", "new": "FileOrCreate",
            "socket": "Socket"}  # fmt: skip
    wrong = {
        "no-directory": ("file", "Directory", "a directory"),
        "no-file": ("directory", "File", "a file"),
        "absent": ("absent", "File", "a file"),
        "no-socket": ("file", "Socket", "a socket file"),
        "no-device": ("file", "CharDevice", "a character device"),
        "no-block": ("file", "BlockDevice", "a block device"),
    }
    pods.create(
        *(uses(f"good-{path}", path, kind) for path, kind in good.items()),
        *(uses(name, path, kind) for name, (path, kind, _) in wrong.items()),
    )
    for path in good:
        pods.phase(f"good-{path}", "Succeeded")
    assert "from the node" in pods.logs("good-file")
    assert (tmp_path / "made").is_dir()
    assert (tmp_path / "new").is_file()
    for name, (path, _, words) in wrong.items():
        reason = f"hostPath type check failed: {tmp_path / path} is not {words}"
        pods.event(name, "Warning", "FailedMount", f'MountVolume.SetUp failed for volume "host" : {reason}')
        assert pods.status_column(name) == "ContainerCreating"


def test_files_from_the_api(pods: Pods) -> None:
    downward = [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}, "mode": 0o400},
        {
            "path": "cpu",
            "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu", "divisor": "1m"},
        },
    ]
    projected = [
        {"configMap": {"name": "settings", "items": [{"key": "color", "path": "map/color"}]}},
        {
            "secret": {
                "name": "hidden",
                "items": [{"key": "password", "path": "secret/password", "mode": 0o600}],
            }
        },
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        {"serviceAccountToken": {"path": "token", "audience": "vault", "expirationSeconds": 3600}},
    ]
    volumes = [
        {"name": "all", "configMap": {"name": "settings"}},
        {"name": "some", "configMap": {
            "name": "settings", "defaultMode": 0o440,
            "items": [{"key": "color", "path": "deep/color", "mode": 0o604}, {"key": "size", "path": "size"}],
        }},
        {"name": "secret", "secret": {"secretName": "hidden", "defaultMode": 0o400}},
        {"name": "optional", "configMap": {"name": "nobody", "optional": True}},
        {"name": "downward", "downwardAPI": {"items": downward}},
        {"name": "projected", "projected": {"sources": projected, "defaultMode": 0o444}},
    ]  # fmt: skip
    mounts = [
        *(mount(one["name"], f"/{one['name']}") for one in volumes),
        mount("all", "/etc/single/color.txt", subPath="color"),
        mount("all", "/expanded", subPathExpr="$(WHICH)"),
    ]
    main = container(
        FOREVER,
        volumeMounts=mounts,
        resources={"limits": {"cpu": "300m"}},
        env=[{"name": "WHICH", "value": "size"}],
    )
    group = pod("grouped", container(FOREVER, volumeMounts=[mount("secret", "/secret")]),
                securityContext={"runAsUser": 1000, "fsGroup": 2000},
                volumes=[{"name": "secret", "secret": {"secretName": "hidden", "defaultMode": 0o400}}])  # fmt: skip
    missing = [{"name": "gone", "configMap": {"name": "nobody"}}]
    missing_key = [{"name": "gone", "secret": {"secretName": "hidden", "items": [{"key": "k", "path": "k"}]}}]
    lone = container("exit 0", volumeMounts=[mount("gone", "/gone")])
    pods.create(
        config_map("settings", {"color": "red", "size": "big"}), secret("hidden", {"password": "tuna"}),
        pod("files", main, volumes=volumes), group,
        pod("no-map", lone, volumes=missing), pod("no-key", lone, volumes=missing_key),
    )  # fmt: skip
    pods.ready("files", "grouped")
    script = """
        for f in all/color all/size some/deep/color some/size secret/password downward/labels \
            downward/name downward/cpu projected/map/color projected/secret/password \
            projected/namespace etc/single/color.txt expanded; do
          echo "$f|$(stat -L -c %a /$f)|$(cat /$f)"
        done; ls /optional; ls /some"""
    assert pods.run("files", script).splitlines() == [
        "all/color|644|red", "all/size|644|big", "some/deep/color|604|red", "some/size|440|big",
        "secret/password|400|tuna", 'downward/labels|644|test="files"', "downward/name|400|files",
        "downward/cpu|644|300", "projected/map/color|444|red", "projected/secret/password|600|tuna",
        f"projected/namespace|444|{pods.namespace}", "etc/single/color.txt|644|red", "expanded|644|big",
        "deep", "size",
    ]  # fmt: skip
    assert "Read-only file system" in pods.run("files", "touch /all/new 2>&1; true")
    assert (
        pods.run("grouped", "stat -L -c '%a %g' /secret/password; cat /secret/password") == "440 2000\ntuna"
    )

    claims = token_claims(pods.run("files", "cat /projected/token"))
    assert claims["aud"] == ["vault"]
    assert 3500 <= claims["exp"] - claims["iat"] <= 3700
    claims = token_claims(pods.run("files", "cat /var/run/secrets/kubernetes.io/serviceaccount/token"))
    assert claims["sub"] == f"system:serviceaccount:{pods.namespace}:default"
    assert claims["kubernetes.io"]["namespace"] == pods.namespace
    assert claims["kubernetes.io"]["pod"] == {"name": "files", "uid": pods.get("files")["metadata"]["uid"]}
    assert claims["kubernetes.io"]["node"]["name"] == pods.get("files")["spec"]["nodeName"]
    ca = pods.run("files", "cat /var/run/secrets/kubernetes.io/serviceaccount/ca.crt")
    assert ca.startswith("-----BEGIN CERTIFICATE-----")

    text = 'MountVolume.SetUp failed for volume "gone" : '
    pods.event("no-map", "Warning", "FailedMount", text + 'configmap "nobody" not found')
    pods.event("no-key", "Warning", "FailedMount", text + "references non-existent secret key: k")

    # Changes reach the running pod; a file mounted by subPath stays as it was.
    pods.kubectl("patch", "configmap", "settings", "-p", '{"data":{"color":"blue","shape":"round"}}')
    pods.kubectl("patch", "secret", "hidden", "-p", '{"stringData":{"password":"salmon"}}')
    pods.kubectl("label", "pod", "files", "more=yes")
    pods.create(config_map("nobody", {"late": "arrived"}))
    changed = (
        "cat /all/color /all/shape /secret/password /projected/map/color /optional/late /downward/labels"
    )
    expected = 'blueroundsalmonbluearrivedmore="yes"\ntest="files"'
    eventually(lambda: pods.run("files", f"{changed}; true") == expected)
    assert pods.run("files", "cat /etc/single/color.txt") == "red"
    pods.phase("no-map", "Succeeded")


def token_claims(token: str) -> Object:
    """The payload of a JSON web token."""
    part = token.split(".")[1]
    claims: Object = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims
