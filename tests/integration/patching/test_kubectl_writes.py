"""Field validation, patches, server-side apply and explain, through the real kubectl and a real API server."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.harness.control_plane import ControlPlane

NAMESPACE = "patching"


def manifest(**spec: Any) -> str:
    return json.dumps(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": NAMESPACE},
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {
                        "containers": [{"name": "web", "image": "web:1", "ports": [{"containerPort": 80}]}]
                    },
                },
                **spec,
            },
        }
    )


class Kubectl:
    """kubectl in the namespace of these tests."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self._control_plane = control_plane

    def __call__(self, *arguments: str, input: str | None = None) -> str:
        return self._control_plane.kubectl(f"--namespace={NAMESPACE}", *arguments, input=input)

    def refused(self, *arguments: str, input: str | None = None) -> str:
        done: subprocess.CompletedProcess[str] = self._control_plane.try_kubectl(
            f"--namespace={NAMESPACE}", *arguments, input=input
        )
        assert done.returncode != 0
        return done.stderr

    def spec(self) -> dict[str, Any]:
        spec: dict[str, Any] = json.loads(self("get", "deployment", "web", "-o", "json"))["spec"]
        return spec


@pytest.fixture
def kubectl(control_plane: ControlPlane) -> Iterator[Kubectl]:
    made = Kubectl(control_plane)
    made("apply", "-f", "-", input=json.dumps(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    ))  # fmt: skip
    yield made
    made("delete", "deployments", "--all", "--wait=false")


def test_unknown_and_wrong_fields_are_refused_by_name(kubectl: Kubectl) -> None:
    problem = kubectl.refused("create", "--validate=true", "-f", "-", input=manifest(nonsense=1))
    assert "nonsense" in problem
    problem = kubectl.refused("create", "--validate=false", "-f", "-", input=manifest(replicas="three"))
    assert (
        "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32" in problem
    )


def test_patches_of_all_types(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", input=manifest())
    sidecar = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "side:1"}]}}}}
    kubectl("patch", "deployment", "web", "-p", json.dumps(sidecar))
    containers = kubectl.spec()["template"]["spec"]["containers"]
    assert [c["name"] for c in containers] == ["side", "web"]
    kubectl("patch", "deployment", "web", "--type=merge", "-p", '{"spec":{"replicas":4}}')
    kubectl(
        "patch", "deployment", "web", "--type=json", "-p", '[{"op":"test","path":"/spec/replicas","value":4}]'
    )
    assert "the server rejected our request due to an error in our request" in kubectl.refused(
        "patch", "deployment", "web", "--type=json", "-p", '[{"op":"test","path":"/spec/replicas","value":5}]'
    )
    keyless = {"spec": {"template": {"spec": {"containers": [{"image": "side:2"}]}}}}
    assert "does not contain declared merge key: name" in kubectl.refused(
        "patch", "deployment", "web", "-p", json.dumps(keyless)
    )


def test_client_side_apply_removes_what_is_no_longer_stated(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", input=manifest(minReadySeconds=5))
    kubectl("apply", "-f", "-", input=manifest(paused=True))
    spec = kubectl.spec()
    assert "minReadySeconds" not in spec
    assert spec["paused"] is True
    assert "unchanged" in kubectl("apply", "-f", "-", input=manifest(paused=True))


def test_server_side_apply_conflicts_and_takes_over(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "--field-manager=first", "-f", "-", input=manifest())
    second = ("apply", "--server-side", "--field-manager=second", "-f", "-")
    problem = kubectl.refused(*second, input=manifest(replicas=5))
    assert 'Apply failed with 1 conflict: conflict with "first": .spec.replicas' in problem
    kubectl(*second, "--force-conflicts", input=manifest(replicas=5))
    assert kubectl.spec()["replicas"] == 5
    shown = json.loads(kubectl("get", "deployment", "web", "-o", "json", "--show-managed-fields"))
    owners = {e["manager"]: e["fieldsV1"]["f:spec"] for e in shown["metadata"]["managedFields"]}
    assert "f:replicas" not in owners["first"]
    assert "f:replicas" in owners["second"]


def test_server_side_apply_takes_over_from_client_side_apply(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", input=manifest())
    kubectl("apply", "--server-side", "-f", "-", input=manifest(replicas=6))
    assert kubectl.spec()["replicas"] == 6


def test_explain(kubectl: Kubectl) -> None:
    text = kubectl("explain", "deployment.spec.strategy", "--recursive")
    assert "DeploymentStrategy describes how to replace existing pods with new ones" in text
    assert "maxUnavailable" in text
