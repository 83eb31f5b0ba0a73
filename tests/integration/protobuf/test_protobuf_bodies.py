"""Typed requests in the protobuf form: of kubectl (from 1.32 on it sends them), and bodies made by hand."""

from __future__ import annotations

import itertools
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.cluster import kubectls

if TYPE_CHECKING:
    from tests.harness.control_plane import ControlPlane

PROTOBUF = "application/vnd.kubernetes.protobuf"
_FOUND = kubectls() or ["kubectl"]
BINARIES = list(dict.fromkeys((_FOUND[0], _FOUND[-1])))
_numbers = itertools.count()


class Kubectl:
    """One kubectl in a namespace of its own."""

    def __init__(self, control_plane: ControlPlane, binary: str, namespace: str) -> None:
        self._control_plane, self._binary, self.namespace = control_plane, binary, namespace

    def __call__(self, *arguments: str, input: str | None = None) -> str:
        return self._control_plane.kubectl(
            f"--namespace={self.namespace}", *arguments, input=input, binary=self._binary
        )

    def get(self, *arguments: str) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self("get", *arguments, "-o", "json"))
        return loaded


@pytest.fixture(params=BINARIES, ids=lambda path: Path(path).name)
def kubectl(control_plane: ControlPlane, request: pytest.FixtureRequest) -> Kubectl:
    name = f"protobuf-{next(_numbers)}"
    made = Kubectl(control_plane, request.param, name)
    made("create", "namespace", name)
    return made


def test_config(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"\xff\x00")
    kubectl("create", "configmap", "c", "--from-literal=mode=fast", f"--from-file={tmp_path / 'blob'}")
    found = kubectl.get("configmap", "c")
    assert (found["data"], found["binaryData"]) == ({"mode": "fast"}, {"blob": "/wA="})
    kubectl("create", "secret", "generic", "s", "--from-literal=a=b")
    assert kubectl.get("secret", "s")["data"] == {"a": "Yg=="}
    kubectl("create", "secret", "docker-registry", "r", "--docker-username=u", "--docker-password=p")
    found = kubectl.get("secret", "r")
    assert (found["type"], list(found["data"])) == ("kubernetes.io/dockerconfigjson", [".dockerconfigjson"])
    kubectl("create", "serviceaccount", "robot")
    assert kubectl.get("serviceaccount", "robot")["metadata"]["name"] == "robot"
    assert kubectl("create", "token", "robot", "--duration=20m").count(".") == 2
    assert (
        kubectl("create", "configmap", "dry", "--dry-run=server")
        == "configmap/dry created (server dry run)\n"
    )
    kubectl("delete", "configmap", "c")
    assert [one["metadata"]["name"] for one in kubectl.get("configmaps")["items"]] == []


def test_a_tls_secret(kubectl: Kubectl, control_plane: ControlPlane) -> None:
    base = control_plane.pki / "apiserver"
    kubectl("create", "secret", "tls", "t", f"--cert={base}.crt", f"--key={base}.key")
    found = kubectl.get("secret", "t")
    assert (found["type"], sorted(found["data"])) == ("kubernetes.io/tls", ["tls.crt", "tls.key"])


def test_workloads(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "web", "--image=web:1", "--replicas=0", "--port=80")
    found = kubectl.get("deployment", "web")
    assert found["spec"]["replicas"] == 0
    template = found["spec"]["template"]
    assert template["metadata"] == {"labels": {"app": "web"}}
    container = template["spec"]["containers"][0]
    assert (container["ports"], container["resources"]) == ([{"containerPort": 80, "protocol": "TCP"}], {})
    kubectl("scale", "deployment", "web", "--replicas=2")
    assert kubectl.get("deployment", "web")["spec"]["replicas"] == 2
    kubectl("delete", "deployment", "web", "--wait=false")


def test_services(kubectl: Kubectl) -> None:
    kubectl("create", "service", "clusterip", "plain", "--tcp=80:http")
    kubectl("create", "service", "clusterip", "headless", "--clusterip=None")
    kubectl("create", "service", "nodeport", "open", "--tcp=80:8080")
    kubectl("create", "service", "externalname", "away", "--external-name=example.com")
    specs = {one["metadata"]["name"]: one["spec"] for one in kubectl.get("services")["items"]}
    assert specs["plain"]["ports"] == [
        {"name": "80-http", "port": 80, "protocol": "TCP", "targetPort": "http"}
    ]
    assert specs["headless"]["clusterIP"] == "None"
    assert specs["open"]["ports"][0]["nodePort"] >= 30000
    assert (specs["away"]["type"], "clusterIP" in specs["away"]) == ("ExternalName", False)


def test_reviews(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "create", "pods") == "yes\n"


def test_drain(kubectl: Kubectl) -> None:
    node = f"{kubectl.namespace}-node"
    document = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}}
    kubectl("create", "-f", "-", input=json.dumps(document))
    kubectl("create", "serviceaccount", "default")
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": kubectl.namespace},
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]},
    }  # fmt: skip
    kubectl("create", "-f", "-", input=json.dumps(pod))
    assert "evicted" in kubectl("drain", node, "--force", "--grace-period=0", "--timeout=60s")
    assert kubectl.get("pods")["items"] == []
    assert kubectl.get("node", node)["spec"]["unschedulable"] is True
    kubectl("delete", "node", node)


def varint(value: int) -> bytes:
    return bytes((value,)) if value < 128 else bytes((value & 0x7F | 0x80,)) + varint(value >> 7)


def field(number: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def body(api_version: str, kind: str, raw: bytes) -> bytes:
    return b"k8s\x00" + field(1, field(1, api_version) + field(2, kind)) + field(2, raw)


class Raw:
    """Requests made by hand, as administrator."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._url = control_plane.url
        self._tls = ssl.create_default_context(cafile=str(control_plane.ca_file))
        base = control_plane.pki / "kubernetes-admin"
        self._tls.load_cert_chain(f"{base}.crt", f"{base}.key")

    def __call__(
        self, method: str, path: str, data: bytes | None = None, accept: str = "*/*"
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Accept": accept, "Content-Type": PROTOBUF}
        request = urllib.request.Request(self._url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, context=self._tls, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@pytest.fixture
def raw(control_plane: ControlPlane) -> Raw:
    made = Raw(control_plane)
    made("POST", "/api/v1/namespaces", body("v1", "Namespace", field(1, field(1, "protobuf-raw"))))
    return made


MAPS = "/api/v1/namespaces/protobuf-raw/configmaps"


def test_create_update_delete(raw: Raw) -> None:
    metadata = field(1, field(1, "a"))
    entry = field(2, field(1, "k") + field(2, "v"))
    assert raw("POST", MAPS, body("v1", "ConfigMap", metadata + entry))[1]["data"] == {"k": "v"}
    code, found = raw("PUT", f"{MAPS}/a", body("v1", "ConfigMap", metadata))
    assert (code, "data" in found) == (200, False)
    wrong = body("v1", "DeleteOptions", field(2, field(1, "another")))
    code, found = raw("DELETE", f"{MAPS}/a", wrong)
    assert (code, found["reason"]) == (409, "Conflict")
    right = body("v1", "DeleteOptions", field(1, 0) + field(4, "Background"))
    assert raw("DELETE", f"{MAPS}/a", right)[0] == 200


def test_refusals(raw: Raw) -> None:
    code, found = raw("POST", MAPS, b"{}")
    assert (code, found["message"]) == (400, (
        "the object provided is unrecognized (must be of type ConfigMap): provided data does not appear to be a "
        "protobuf message, expected prefix [107 56 115 0] ({})"
    ))  # fmt: skip
    code, found = raw("POST", MAPS, body("v1", "ConfigMap", b"\x0a\x7f"))
    assert (code, found["message"]) == (
        400, 'ConfigMap in version "v1" cannot be handled as a ConfigMap: unexpected EOF',
    )  # fmt: skip
    code, found = raw("DELETE", f"{MAPS}/a", body("v1", "ConfigMap", b""))
    assert (code, found["reason"]) == (400, "BadRequest")
    code, found = raw("GET", MAPS, accept=PROTOBUF)
    assert (code, found["reason"]) == (406, "NotAcceptable")
    assert raw("GET", MAPS, accept=f"{PROTOBUF},application/json")[0] == 200
