"""The official Python client against our server, unchanged: typed objects, errors, watches, patches, scale, tokens."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from kubernetes import client, dynamic, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.utils import create_from_dict

from tests.integration.api.conftest import config_map, deployment, pod


@pytest.fixture
def core_v1(python_client: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(python_client)


@pytest.fixture
def apps_v1(python_client: client.ApiClient) -> client.AppsV1Api:
    return client.AppsV1Api(python_client)


def names(listed: Any) -> list[str]:
    return [item.metadata.name for item in listed.items]


def test_config_map_lifecycle(core_v1: client.CoreV1Api, namespace: str) -> None:
    body = client.V1ConfigMap(
        metadata=client.V1ObjectMeta(name="c", labels={"static": "true"}),
        data={"a": "1"},
        binary_data={"b": "AAEC"},
    )
    made = core_v1.create_namespaced_config_map(namespace, body)
    assert made.metadata.creation_timestamp.tzinfo is not None
    made.data["a"] = "2"
    assert core_v1.replace_namespaced_config_map("c", namespace, made).data == {"a": "2"}
    patched = core_v1.patch_namespaced_config_map("c", namespace, {"data": {"z": "3"}})
    assert patched.data == {"a": "2", "z": "3"}
    assert names(
        core_v1.list_config_map_for_all_namespaces(
            label_selector="static=true", field_selector=f"metadata.namespace={namespace}"
        )
    ) == ["c"]
    assert core_v1.delete_collection_namespaced_config_map(namespace, label_selector="static=true")
    with pytest.raises(ApiException) as gone:
        core_v1.read_namespaced_config_map("c", namespace)
    assert (gone.value.status, gone.value.reason) == (404, "Not Found")


def test_errors_carry_the_status(core_v1: client.CoreV1Api, namespace: str) -> None:
    body = config_map("c")
    core_v1.create_namespaced_config_map(namespace, body)
    with pytest.raises(ApiException) as refused:
        core_v1.create_namespaced_config_map(namespace, body)
    assert refused.value.status == 409
    assert '"reason":"AlreadyExists"' in refused.value.body


def test_watch_of_the_client(core_v1: client.CoreV1Api, namespace: str) -> None:
    start = core_v1.list_namespaced_config_map(namespace).metadata.resource_version

    def write() -> None:
        core_v1.create_namespaced_config_map(namespace, config_map("a"))
        core_v1.patch_namespaced_config_map("a", namespace, {"data": {"x": "1"}})
        core_v1.delete_namespaced_config_map("a", namespace)

    writer = threading.Thread(target=write)
    writer.start()
    stream = watch.Watch()
    seen = []
    for event in stream.stream(
        core_v1.list_namespaced_config_map, namespace, resource_version=start, timeout_seconds=20
    ):
        seen.append((event["type"], event["object"].metadata.name))
        if event["type"] == "DELETED":
            stream.stop()
    writer.join()
    assert seen == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert int(stream.resource_version) > int(start)


def test_paging(core_v1: client.CoreV1Api, namespace: str) -> None:
    for number in range(7):
        core_v1.create_namespaced_config_map(namespace, config_map(f"c{number}"))
    page = core_v1.list_namespaced_config_map(namespace, limit=3)
    found = names(page)
    assert page.metadata.remaining_item_count == 4
    while page.metadata._continue:
        page = core_v1.list_namespaced_config_map(namespace, limit=3, _continue=page.metadata._continue)
        found += names(page)
    assert found == [f"c{number}" for number in range(7)]


def test_deployment_lifecycle(apps_v1: client.AppsV1Api, namespace: str) -> None:
    made = apps_v1.create_namespaced_deployment(namespace, deployment("web"))
    assert made.spec.strategy.rolling_update.max_surge == "25%"
    made.spec.replicas = 3
    assert apps_v1.replace_namespaced_deployment("web", namespace, made).metadata.generation == 2
    scale = apps_v1.read_namespaced_deployment_scale("web", namespace)
    assert (scale.spec.replicas, scale.status.selector) == (3, "app=web")
    scale.spec.replicas = 4
    assert apps_v1.replace_namespaced_deployment_scale("web", namespace, scale).spec.replicas == 4
    assert (
        apps_v1.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 5}}).spec.replicas
        == 5
    )
    status = apps_v1.read_namespaced_deployment_status("web", namespace)
    status.status.replicas = 5
    assert apps_v1.replace_namespaced_deployment_status("web", namespace, status).status.replicas == 5
    answer = apps_v1.delete_namespaced_deployment("web", namespace, propagation_policy="Background")
    assert (answer["kind"], answer["status"]) == ("Status", "Success")


def test_replica_sets_pods_services(
    apps_v1: client.AppsV1Api, core_v1: client.CoreV1Api, namespace: str
) -> None:
    assert (
        apps_v1.create_namespaced_replica_set(namespace, deployment("r", "ReplicaSet")).status.replicas == 0
    )
    made = core_v1.create_namespaced_pod(namespace, pod("p"))
    assert (made.status.phase, made.spec.containers[0].image) == ("Pending", "busybox:1.36")
    status = core_v1.patch_namespaced_pod_status("p", namespace, {"status": {"message": "hello"}})
    assert status.status.message == "hello"
    binding = client.V1Binding(
        metadata=client.V1ObjectMeta(name="p"), target=client.V1ObjectReference(kind="Node", name="n")
    )
    core_v1.create_namespaced_pod_binding("p", namespace, binding, _preload_content=False)
    assert core_v1.read_namespaced_pod("p", namespace).spec.node_name == "n"
    leaving = core_v1.delete_namespaced_pod("p", namespace)
    assert leaving.metadata.deletion_grace_period_seconds == 30
    assert core_v1.delete_namespaced_pod("p", namespace, grace_period_seconds=0).metadata.name == "p"
    ports = [client.V1ServicePort(port=80, target_port="http")]
    service = core_v1.create_namespaced_service(namespace, client.V1Service(
        metadata=client.V1ObjectMeta(name="s"), spec=client.V1ServiceSpec(ports=ports)
    ))  # fmt: skip
    assert (service.spec.type, service.spec.ports[0].target_port) == ("ClusterIP", "http")
    assert core_v1.delete_namespaced_service("s", namespace).spec.cluster_ip == service.spec.cluster_ip
    assert core_v1.delete_namespaced_service_account("default", namespace).metadata.name == "default"


def test_events_leases_slices(python_client: client.ApiClient, namespace: str) -> None:
    leases = client.CoordinationV1Api(python_client)
    lease = client.V1Lease(metadata=client.V1ObjectMeta(name="l"), spec=client.V1LeaseSpec(
        holder_identity="me", lease_duration_seconds=15
    ))  # fmt: skip
    leases.create_namespaced_lease(namespace, lease)
    renewed = leases.patch_namespaced_lease(
        "l", namespace, {"spec": {"renewTime": "2026-01-01T00:00:00.000001Z"}}
    )
    assert renewed.spec.renew_time.microsecond == 1
    slices = client.DiscoveryV1Api(python_client)
    made = slices.create_namespaced_endpoint_slice(namespace, client.V1EndpointSlice(
        metadata=client.V1ObjectMeta(name="e"), address_type="IPv4",
        endpoints=[client.V1Endpoint(addresses=["10.0.0.1"])], ports=[client.DiscoveryV1EndpointPort(port=80)],
    ))  # fmt: skip
    assert made.endpoints[0].addresses == ["10.0.0.1"]


def test_tokens_and_reviews(
    python_client: client.ApiClient, core_v1: client.CoreV1Api, namespace: str
) -> None:
    request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(
        audiences=["https://kubernetes.default.svc.cluster.local"], expiration_seconds=600
    ))  # fmt: skip
    token = core_v1.create_namespaced_service_account_token("default", namespace, request).status.token
    reviews = client.AuthenticationV1Api(python_client)
    review = reviews.create_token_review({"spec": {"token": token}})
    assert review.status.user.username == f"system:serviceaccount:{namespace}:default"
    allowed = client.AuthorizationV1Api(python_client).create_self_subject_access_review(
        {"spec": {"resourceAttributes": {"verb": "create", "resource": "pods", "namespace": namespace}}}
    )
    assert allowed.status.allowed is True


def test_server_side_apply_and_dry_run(core_v1: client.CoreV1Api, namespace: str) -> None:
    applied = core_v1.patch_namespaced_config_map(
        "a", namespace, config_map("a", x="1"), field_manager="me", force=True,
        _content_type="application/apply-patch+yaml",
    )  # fmt: skip
    assert applied.metadata.managed_fields[0].operation == "Apply"
    core_v1.create_namespaced_config_map(namespace, config_map("dry"), dry_run="All")
    assert names(core_v1.list_namespaced_config_map(namespace)) == ["a"]


def test_discovery_and_version(python_client: client.ApiClient) -> None:
    version = client.VersionApi(python_client).get_code()
    assert (version.major.isdigit(), version.minor, version.git_version) == (True, "36", "v1.36.0")
    groups = client.ApisApi(python_client).get_api_versions().groups
    assert {"apps", "coordination.k8s.io", "discovery.k8s.io", "events.k8s.io"} <= {
        group.name for group in groups
    }
    resources = client.AppsV1Api(python_client).get_api_resources().resources
    assert {"deployments", "deployments/scale", "deployments/status"} <= {
        resource.name for resource in resources
    }


def test_the_dynamic_client(python_client: client.ApiClient, namespace: str, tmp_path: Any) -> None:
    found = dynamic.DynamicClient(python_client, cache_file=str(tmp_path / "cache"))
    maps = found.resources.get(api_version="v1", kind="ConfigMap")
    maps.create(body=config_map("d", x="1"), namespace=namespace)
    assert maps.get(name="d", namespace=namespace).data.x == "1"
    patched = maps.patch(
        body={"data": {"y": "2"}}, name="d", namespace=namespace, content_type="application/merge-patch+json"
    )
    assert patched.data.y == "2"
    events = found.watch(maps, namespace=namespace, timeout=1)
    assert [(event["type"], event["object"].metadata.name) for event in events] == [("ADDED", "d")]
    maps.delete(name="d", namespace=namespace)


def test_create_from_dict(python_client: client.ApiClient, namespace: str) -> None:
    create_from_dict(python_client, deployment("made"), namespace=namespace)
    assert client.AppsV1Api(python_client).read_namespaced_deployment("made", namespace).spec.replicas == 1


def test_quantities_of_any_spelling(core_v1: client.CoreV1Api, namespace: str) -> None:
    containers = [{"name": "c", "image": "x", "resources": {"requests": {"cpu": "0.5", "memory": "1024Ki"}}}]
    made = core_v1.create_namespaced_pod(namespace, pod("q", containers=containers))
    assert made.spec.containers[0].resources.requests == {"cpu": "500m", "memory": "1Mi"}
