"""The kinds through the API server and etcd: what is stored, claimed, refused and shown."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from apimachinery import Object
from apimachinery.errors import StatusError
from apimachinery.resources import (
    BINDINGS,
    DEPLOYMENTS,
    EVENTS,
    EVENTS_V1,
    IP_ADDRESSES,
    NAMESPACES,
    NODES,
    PODS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
)
from kube_client.client import Client
from tests.harness.control_plane import ControlPlane
from tests.unit.kinds.manifests import deployment, merged, pod, service


@pytest.fixture
async def client(control_plane: ControlPlane) -> AsyncIterator[Client]:
    client = control_plane.client()
    try:
        yield client
    finally:
        await client.aclose()


@pytest.fixture
async def namespace(client: Client) -> str:
    name = f"kinds-{uuid.uuid4().hex[:8]}"
    await client.create(NAMESPACES, {"metadata": {"name": name}})
    await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default"}}, namespace=name)
    return name


async def refusal(request: Any) -> StatusError:
    with pytest.raises(StatusError) as refused:
        await request
    return refused.value


async def test_a_pod_is_pending_and_not_changed_by_an_empty_update(client: Client, namespace: str) -> None:
    made = await client.create(PODS, pod(), namespace=namespace)
    assert (made["status"]["phase"], made["status"]["qosClass"]) == ("Pending", "BestEffort")
    assert made["metadata"]["generation"] == 1
    again = await client.update(PODS, made)
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_a_bound_pod_waits_for_its_kubelet_when_deleted(client: Client, namespace: str) -> None:
    await client.create(PODS, pod(), namespace=namespace)
    binding = {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "node-1"}}
    await client.create(PODS, binding, namespace=namespace, name="web", subresource="binding")
    bound = await client.get(PODS, "web", namespace=namespace)
    assert bound["spec"]["nodeName"] == "node-1"
    error = await refusal(client.create(BINDINGS, binding, namespace=namespace))
    assert (error.code, error.message) == (
        409,
        'Operation cannot be fulfilled on pods/binding "web": pod web is already assigned to node "node-1"',
    )
    await client.delete(PODS, "web", namespace=namespace)
    leaving = await client.get(PODS, "web", namespace=namespace)
    assert leaving["metadata"]["deletionGracePeriodSeconds"] == 30
    await client.delete(PODS, "web", namespace=namespace, grace_period_seconds=0)
    assert (await refusal(client.get(PODS, "web", namespace=namespace))).code == 404


async def test_pods_are_selected_by_their_fields(client: Client, namespace: str) -> None:
    await client.create(PODS, pod({"nodeName": "node-7"}), namespace=namespace)
    found = await client.list(
        PODS, namespace=namespace, field_selector="spec.nodeName=node-7,status.phase=Pending"
    )
    assert [p["metadata"]["name"] for p in found["items"]] == ["web"]
    found = await client.list(PODS, namespace=namespace, field_selector="spec.nodeName!=node-7")
    assert found["items"] == []
    error = await refusal(client.list(PODS, namespace=namespace, field_selector="spec.foo=a"))
    assert (error.code, error.message) == (400, "field label not supported: spec.foo")


async def test_an_invalid_object_is_refused_and_not_stored(client: Client, namespace: str) -> None:
    wrong = deployment(selector={"matchLabels": {"app": "purr"}})
    error = await refusal(client.create(DEPLOYMENTS, wrong, namespace=namespace))
    assert (error.code, error.reason) == (422, "Invalid")
    assert error.message == (
        'Deployment.apps "meow" is invalid: spec.template.metadata.labels: Invalid value: {"app":"meow"}: `selector` '
        "does not match template `labels`"
    )
    assert error.details["causes"][0]["field"] == "spec.template.metadata.labels"
    assert (await refusal(client.get(DEPLOYMENTS, "meow", namespace=namespace))).code == 404


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"containers": [{}]}, "spec.containers[0].name: Required value"),
        (
            {"containers": [{"name": "a", "image": "b", "ports": [{}]}]},
            "ports[0].containerPort: Required value",
        ),
        ({"containers": [{"name": "a", "image": "b"}] * 2}, 'spec.containers[1].name: Duplicate value: "a"'),
        ({}, "spec.containers: Required value"),
    ],
)
async def test_what_lacks_its_key_is_refused_by_name(
    client: Client, namespace: str, spec: dict[str, Any], expected: str
) -> None:
    bad = {"metadata": {"name": "bad"}, "spec": spec}
    error = await refusal(client.create(PODS, bad, namespace=namespace))
    assert error.code == 422
    assert expected in error.message


async def test_a_cluster_ip_belongs_to_one_service(client: Client, namespace: str) -> None:
    first = await client.create(SERVICES, service(), namespace=namespace)
    address = first["spec"]["clusterIP"]
    held = await client.get(IP_ADDRESSES, address)
    assert held["spec"]["parentRef"]["name"] == "meow-svc"
    second = merged(service(clusterIP=address), {"metadata": {"name": "other"}})
    error = await refusal(client.create(SERVICES, second, namespace=namespace))
    assert error.code == 422
    assert "provided IP is already allocated" in error.message
    await client.delete(SERVICES, "meow-svc", namespace=namespace)
    assert (await refusal(client.get(IP_ADDRESSES, address))).code == 404
    await client.create(SERVICES, second, namespace=namespace)


async def test_a_node_port_is_given_back_with_the_type(client: Client, namespace: str) -> None:
    made = await client.create(SERVICES, service(type="NodePort"), namespace=namespace)
    port = made["spec"]["ports"][0]["nodePort"]
    rival = merged(
        service(type="NodePort", ports=[{"port": 80, "nodePort": port}]), {"metadata": {"name": "rival"}}
    )
    error = await refusal(client.create(SERVICES, rival, namespace=namespace))
    assert error.message == (
        f'Service "rival" is invalid: spec.ports[0].nodePort: Invalid value: {port}: provided port is already allocated'
    )
    await client.patch(SERVICES, "meow-svc", {"spec": {"type": "ClusterIP"}}, namespace=namespace)
    await client.create(SERVICES, rival, namespace=namespace)


async def test_many_services_at_once_never_share_an_address(client: Client, namespace: str) -> None:
    async def create(i: int) -> Object:
        return await client.create(
            SERVICES, merged(service(), {"metadata": {"name": f"s{i}"}}), namespace=namespace
        )

    made = await asyncio.gather(*(create(i) for i in range(60)))
    assert len({s["spec"]["clusterIP"] for s in made}) == 60


async def test_secrets_fold_string_data(client: Client, namespace: str) -> None:
    made = await client.create(
        SECRETS, {"metadata": {"name": "s"}, "stringData": {"a": "b"}}, namespace=namespace
    )
    assert (made["data"], made["type"], "stringData" in made) == ({"a": "Yg=="}, "Opaque", False)


async def test_an_event_is_read_in_both_versions(client: Client, namespace: str) -> None:
    event = {
        "metadata": {"name": "e"},
        "reason": "Pulled",
        "message": "done",
        "type": "Normal",
        "involvedObject": {"kind": "Pod", "namespace": namespace, "name": "web"},
    }
    await client.create(EVENTS, event, namespace=namespace)
    new = await client.get(EVENTS_V1, "e", namespace=namespace)
    assert (new["apiVersion"], new["note"], new["regarding"]["name"]) == ("events.k8s.io/v1", "done", "web")
    found = await client.list(EVENTS, namespace=namespace, field_selector="involvedObject.name=web")
    assert len(found["items"]) == 1


async def test_a_namespace_stays_until_it_is_finalized(client: Client, namespace: str) -> None:
    await client.delete(NAMESPACES, namespace)
    leaving = await client.get(NAMESPACES, namespace)
    assert leaving["status"]["phase"] == "Terminating"
    error = await refusal(client.create(PODS, pod(), namespace=namespace))
    assert error.code == 403
    assert "because it is being terminated" in error.message
    leaving["spec"]["finalizers"] = []
    await client.update(NAMESPACES, leaving, subresource="finalize")
    assert (await refusal(client.get(NAMESPACES, namespace))).code == 404


async def test_a_node_registers_with_its_status(client: Client) -> None:
    name = f"node-{uuid.uuid4().hex[:6]}"
    made = await client.create(NODES, {"metadata": {"name": name}, "status": {"capacity": {"cpu": "4"}}})
    assert made["status"]["allocatable"] == {"cpu": "4"}
    await client.delete(NODES, name)


def test_what_kubectl_shows(control_plane: ControlPlane) -> None:
    name = f"kinds-{uuid.uuid4().hex[:8]}"
    kubectl = control_plane.kubectl
    kubectl(
        "apply",
        "-f",
        "-",
        input=json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
    )
    documents = [service(type="NodePort", ports=[{"port": 80, "nodePort": 31999}]), deployment(replicas=2)]
    kubectl(
        "apply",
        "-n",
        name,
        "-f",
        "-",
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}),
    )
    shown = kubectl("get", "svc,deploy", "-n", name, "-o", "wide")
    assert "80:31999/TCP" in shown
    assert "deployment.apps/meow   0/2     0            0" in shown
    again = kubectl(
        "apply",
        "-n",
        name,
        "-f",
        "-",
        input=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}),
    )
    assert again == "service/meow-svc unchanged\ndeployment.apps/meow unchanged\n"
