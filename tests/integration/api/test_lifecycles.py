"""Every kind from birth to death as the conformance tests ask it: create, patch, list, update, status, collection."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.api.conftest import (
    JSON_PATCH,
    MERGE,
    STRATEGIC,
    Api,
    Object,
    apps,
    config_map,
    core,
    deployment,
    pod,
)

SLICE = {
    "addressType": "IPv4", "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}],
    "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
}  # fmt: skip
ENDPOINTS = {"subsets": [{"addresses": [{"ip": "10.0.0.24"}], "ports": [{"name": "http", "port": 80}]}]}
LEASE = {"spec": {
    "holderIdentity": "holder", "leaseDurationSeconds": 30, "leaseTransitions": 0,
    "acquireTime": "2026-01-01T00:00:00.123456Z", "renewTime": "2026-01-01T00:00:05.000000Z",
}}  # fmt: skip
EVENT = {
    "involvedObject": {"kind": "Event", "name": "about", "namespace": "NS"}, "type": "Normal", "reason": "Test",
    "message": "this is a test event", "source": {"component": "tests"},
}  # fmt: skip
NEW_EVENT = {
    "regarding": {"kind": "Event", "name": "about", "namespace": "NS"}, "type": "Normal", "reason": "Test",
    "note": "a test event", "action": "Do", "eventTime": "2026-01-01T00:00:00.123456Z",
    "reportingController": "tests.example/c", "reportingInstance": "c-1",
}  # fmt: skip
REVISION = {"data": {"spec": {"template": {}}}, "revision": 1}

KINDS: list[tuple[str, str, Object, Object, Any]] = [
    ("/api/v1", "configmaps", {"data": {"a": "1"}}, {"data": {"a": "2"}}, lambda o: o["data"]["a"] == "2"),
    ("/api/v1", "secrets", {"data": {"k": "dmFsdWU="}}, {"stringData": {"k": "w"}}, lambda o: o["data"]["k"] == "dw=="),
    ("/api/v1", "serviceaccounts", {}, {"automountServiceAccountToken": False},
     lambda o: o["automountServiceAccountToken"] is False),
    ("/api/v1", "services", {"spec": {"ports": [{"port": 80}]}}, {"spec": {"sessionAffinity": "ClientIP"}},
     lambda o: o["spec"]["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"] == 10800),
    ("/api/v1", "endpoints", ENDPOINTS, {"subsets": [{"addresses": [{"ip": "10.0.0.25"}], "ports": [{"port": 81}]}]},
     lambda o: o["subsets"][0]["addresses"][0]["ip"] == "10.0.0.25"),
    ("/api/v1", "pods", pod("x"), {"spec": {"activeDeadlineSeconds": 5}}, lambda o: o["metadata"]["generation"] == 2),
    ("/api/v1", "events", EVENT, {"message": "patched"}, lambda o: o["message"] == "patched"),
    ("/apis/events.k8s.io/v1", "events", NEW_EVENT,
     {"series": {"count": 2, "lastObservedTime": "2026-01-01T00:00:09.000001Z"}}, lambda o: o["series"]["count"] == 2),
    ("/apis/apps/v1", "deployments", deployment("x"), {"spec": {"replicas": 3}},
     lambda o: (o["spec"]["replicas"], o["metadata"]["generation"]) == (3, 2)),
    ("/apis/apps/v1", "replicasets", deployment("x", "ReplicaSet"), {"spec": {"replicas": 3}},
     lambda o: (o["spec"]["replicas"], o["metadata"]["generation"]) == (3, 2)),
    ("/apis/apps/v1", "controllerrevisions", REVISION, {"revision": 2}, lambda o: o["revision"] == 2),
    ("/apis/discovery.k8s.io/v1", "endpointslices", SLICE, {"ports": [{"name": "http", "port": 81}]},
     lambda o: o["ports"][0]["port"] == 81),
    ("/apis/coordination.k8s.io/v1", "leases", LEASE, {"spec": {"leaseTransitions": 1}},
     lambda o: (o["spec"]["leaseTransitions"], o["spec"]["holderIdentity"]) == (1, "holder")),
]  # fmt: skip


def body(namespace: str, name: str, manifest: Object, label: str) -> Object:
    about = {
        key: {**manifest[key], "namespace": namespace}
        for key in ("involvedObject", "regarding")
        if key in manifest
    }
    return {**manifest, **about, "metadata": {"name": name, "labels": {"test": label}}}


@pytest.mark.parametrize("case", KINDS, ids=lambda case: f"{case[0].rsplit('/', 2)[-2]}-{case[1]}")
def test_a_life(api: Api, namespace: str, case: tuple[str, str, Object, Object, Any]) -> None:
    root, plural, manifest, patch, changed = case
    path = f"{root}/namespaces/{namespace}/{plural}"
    start = api.get(path)["metadata"]["resourceVersion"]
    first = api.make(path, body(namespace, "first", manifest, "a"))
    api.make(path, body(namespace, "second", manifest, "b"))
    assert first["metadata"]["uid"] != api.get(f"{path}/second")["metadata"]["uid"]
    assert api.get(f"{path}/first") == first
    assert api.names(f"{path}?labelSelector=test%3Da") == ["first"]
    everywhere = api.get(
        f"{root}/{plural}?labelSelector=test%3Da&fieldSelector=metadata.namespace%3D{namespace}"
    )
    assert [item["metadata"]["name"] for item in everywhere["items"]] == ["first"]
    patched = api.patch(f"{path}/first", {**patch, "metadata": {"labels": {"patched": "yes"}}}, STRATEGIC)
    assert changed(patched), patched
    assert patched["metadata"]["labels"] == {"test": "a", "patched": "yes"}
    patched["metadata"]["annotations"] = {"updated": "true"}
    updated = api.put(f"{path}/first", patched)
    assert updated["metadata"]["annotations"] == {"updated": "true"}
    assert updated["metadata"]["creationTimestamp"] == first["metadata"]["creationTimestamp"]
    by_operations = api.patch(f"{path}/first", [
        {"op": "test", "path": "/metadata/annotations/updated", "value": "true"},
        {"op": "replace", "path": "/metadata/annotations/updated", "value": "again"},
    ], JSON_PATCH)  # fmt: skip
    assert by_operations["metadata"]["annotations"] == {"updated": "again"}
    removed = api("DELETE", f"{path}?labelSelector=test%3Da")
    assert removed.status_code == 200, removed.text
    assert [item["metadata"]["name"] for item in removed.json()["items"]] == ["first"]
    assert "first" not in api.names(path)
    assert "second" in api.names(path)
    assert api("DELETE", f"{path}/second", {"gracePeriodSeconds": 0}).status_code == 200
    assert api("GET", f"{path}/second").status_code == 404
    events = api.watch(f"{path}?watch=1&resourceVersion={start}&labelSelector=test%3Da", 5)
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED", "DELETED"]
    assert events[-1]["object"]["metadata"]["annotations"] == {"updated": "again"}


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet"])
def test_status_of_workloads(api: Api, namespace: str, kind: str) -> None:
    path = apps(namespace, f"{kind.lower()}s")
    api.make(path, deployment("d", kind))
    status = api.get(f"{path}/d/status")
    assert status["kind"] == kind
    condition = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from an e2e test"}
    status["status"]["conditions"] = [condition]
    status["spec"]["replicas"] = 9
    stored = api.put(f"{path}/d/status", status)
    assert stored["status"]["conditions"][0]["reason"] == "E2E"
    assert (stored["spec"]["replicas"], stored["metadata"]["generation"]) == (1, 1)
    patched = api.patch(
        f"{path}/d/status", {"status": {"conditions": [{"type": "Patched", "status": "True"}]}}
    )
    assert [found["type"] for found in patched["status"]["conditions"]] == ["Patched"]
    assert api.get(f"{path}/d")["status"] == patched["status"]
    plain = api.patch(f"{path}/d", {"status": {"conditions": None}})
    assert plain["status"] == patched["status"], "the object's own path does not touch its status"


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet"])
def test_scale(api: Api, namespace: str, kind: str) -> None:
    path = apps(namespace, f"{kind.lower()}s")
    api.make(path, deployment("d", kind))
    scale = api.get(f"{path}/d/scale")
    assert (scale["kind"], scale["apiVersion"], scale["spec"]) == ("Scale", "autoscaling/v1", {"replicas": 1})
    scale["metadata"]["resourceVersion"] = ""
    scale["spec"]["replicas"] = 2
    assert api.put(f"{path}/d/scale", scale)["spec"] == {"replicas": 2}
    for number, media in enumerate((MERGE, STRATEGIC), start=4):
        assert api.patch(f"{path}/d/scale", {"spec": {"replicas": number}}, media)["spec"] == {
            "replicas": number
        }
    workload = api.get(f"{path}/d")
    assert (workload["spec"]["replicas"], workload["metadata"]["generation"]) == (5, 4)


def test_namespaces(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}"
    assert api.get(path)["status"] == {"phase": "Active"}
    assert api.get(path)["metadata"]["labels"] == {"kubernetes.io/metadata.name": namespace}
    patched = api.patch(path, {"metadata": {"labels": {"testLabel": "testValue"}}}, STRATEGIC)
    assert patched["metadata"]["labels"]["testLabel"] == "testValue"
    condition = {
        "type": "StatusPatch",
        "status": "True",
        "reason": "E2E",
        "message": "Patched by an e2e test",
    }
    patch = {"metadata": {"annotations": {"x": "y"}}, "status": {"conditions": [condition]}}
    status = api.patch(f"{path}/status", patch)
    assert status["status"]["phase"] == "Active"
    assert status["status"]["conditions"][0]["type"] == "StatusPatch"
    status["status"]["conditions"].append({**condition, "type": "StatusUpdate"})
    assert len(api.put(f"{path}/status", status)["status"]["conditions"]) == 2
    found = api.get(path)
    found["spec"]["finalizers"].append("e2e.example.com/fake")
    assert "e2e.example.com/fake" in api.put(f"{path}/finalize", found)["spec"]["finalizers"]
    found = api.get(path)
    found["spec"]["finalizers"].remove("e2e.example.com/fake")
    assert api.put(f"{path}/finalize", found)["spec"]["finalizers"] == ["kubernetes"]


def test_pod_status(api: Api, namespace: str) -> None:
    pods = core(namespace, "pods")
    api.make(pods, pod("p", {"test": "pod-static"}))
    patched = api.patch(f"{pods}/p/status", {"status": {"message": "Patched", "reason": "E2E"}})
    assert (patched["status"]["message"], patched["status"]["reason"]) == ("Patched", "E2E")
    patched["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
    patched["spec"]["activeDeadlineSeconds"] = 3
    stored = api.put(f"{pods}/p/status", patched)
    assert [found["type"] for found in stored["status"]["conditions"]] == ["Ready"]
    assert "activeDeadlineSeconds" not in stored["spec"]
    assert stored["metadata"]["generation"] == 1
    image = api.patch(f"{pods}/p", {"spec": {"containers": [{"name": "c", "image": "busybox:2"}]}}, STRATEGIC)
    assert image["spec"]["containers"][0]["image"] == "busybox:2"
    assert image["metadata"]["generation"] == 2
    gone = api("DELETE", f"{pods}?labelSelector=test%3Dpod-static", {"gracePeriodSeconds": 0})
    assert gone.json()["kind"] == "PodList"
    assert api.names(pods) == []


def test_a_pods_generation_grows_with_graceful_deletion(api: Api, namespace: str) -> None:
    pods = core(namespace, "pods")
    custom = pod("p", nodeName="somewhere")
    custom["metadata"]["generation"] = 100
    assert api.make(pods, custom)["metadata"]["generation"] == 1
    assert api("DELETE", f"{pods}/p").json()["metadata"]["generation"] == 2
    api("DELETE", f"{pods}/p", {"gracePeriodSeconds": 0})


@pytest.mark.parametrize(
    ("resources", "qos"),
    [
        (
            {"requests": {"cpu": "100m", "memory": "100Mi"}, "limits": {"cpu": "100m", "memory": "100Mi"}},
            "Guaranteed",
        ),
        ({"requests": {"cpu": "100m"}}, "Burstable"),
        ({}, "BestEffort"),
    ],
)
def test_qos_class(api: Api, namespace: str, resources: Object, qos: str) -> None:
    containers = [{"name": "c", "image": "x", "resources": resources}]
    made = api.make(core(namespace, "pods"), pod("p", containers=containers))
    assert made["status"]["qosClass"] == qos


def test_nodes(api: Api, namespace: str) -> None:
    name = f"node-{namespace}"
    path = f"/api/v1/nodes/{name}"
    made = api.make("/api/v1/nodes", {"metadata": {"name": name, "labels": {"of": namespace}}})
    assert "namespace" not in made["metadata"]
    assert api.patch(path, {"metadata": {"labels": {name: "patched"}}}, STRATEGIC)["metadata"]["labels"][name]
    assert api.names(f"/api/v1/nodes?labelSelector=of%3D{namespace}") == [name]
    found = api.get(path)
    found["metadata"]["labels"][name] = "updated"
    assert api.put(path, found)["metadata"]["labels"][name] == "updated"
    status = api.patch(f"{path}/status", {"status": {"capacity": {"example.com/dongle": "4"}}}, STRATEGIC)
    assert status["status"]["capacity"]["example.com/dongle"] == "4"
    assert api("DELETE", f"/api/v1/nodes?labelSelector=of%3D{namespace}").status_code == 200
    assert api("GET", path).status_code == 404


def test_services(api: Api, namespace: str) -> None:
    services = core(namespace, "services")
    service = {"metadata": {"name": "s", "labels": {"test": "x"}}, "spec": {
        "type": "LoadBalancer", "ports": [{"port": 80, "name": "http"}, {"port": 81, "name": "other"}],
    }}  # fmt: skip
    made = api.make(services, service)
    ports = [port["nodePort"] for port in made["spec"]["ports"]]
    assert len(set(ports)) == 2
    status = api.patch(
        f"{services}/s/status", {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}}
    )
    assert status["spec"] == made["spec"]
    assert status["status"]["loadBalancer"]["ingress"][0]["ip"] == "203.0.113.1"
    internal = api.patch(f"{services}/s", {"spec": {"type": "ClusterIP"}})
    assert not any("nodePort" in port for port in internal["spec"]["ports"])
    external = api.patch(
        f"{services}/s", {"spec": {"type": "ExternalName", "externalName": "foo.example.com"}}
    )
    assert not external["spec"].get("clusterIP")
    back = api.patch(f"{services}/s", {"spec": {"type": "ClusterIP", "externalName": None}})
    assert back["spec"]["clusterIP"].startswith("10.96.")
    assert api("DELETE", f"{services}?labelSelector=test%3Dx").json()["items"][0]["metadata"]["name"] == "s"


def test_core_and_new_events_are_the_same(api: Api, namespace: str) -> None:
    path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
    api.make(path, body(namespace, "e", NEW_EVENT, "a"))
    old = api.get(core(namespace, "events/e"))
    assert (old["message"], old["involvedObject"]["name"], old["reportingComponent"]) == (
        "a test event", "about", "tests.example/c",
    )  # fmt: skip
    selected = "involvedObject.kind=Event,reason=Test,type=Normal,involvedObject.name=about"
    assert api.names(f"{core(namespace, 'events')}?fieldSelector={selected}") == ["e"]
    assert api.names(f"{path}?fieldSelector=regarding.name=about,reportingController=tests.example/c") == [
        "e"
    ]
    assert api("DELETE", f"{core(namespace, 'events')}?labelSelector=test%3Da").status_code == 200
    assert api.names(path) == []


def test_generated_names(api: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    prefix = {"metadata": {"generateName": "x-"}}
    made = {api.make(maps, prefix)["metadata"]["name"] for _ in range(20)}
    assert len(made) == 20
    assert all(len(name) == 7 and set(name[2:]) <= set("bcdfghjklmnpqrstvwxz2456789") for name in made)
    long = api.make(maps, {"metadata": {"generateName": "y" * 250}})
    assert len(long["metadata"]["name"]) == 63, "the base is cut so that the name stays a label"
    both = api.make(maps, {"metadata": {"generateName": "x-", "name": "mine"}})
    assert (both["metadata"]["name"], both["metadata"]["generateName"]) == ("mine", "x-")
    dry = api("POST", f"{maps}?dryRun=All", prefix)
    assert dry.json()["metadata"]["name"].startswith("x-")
    assert len(api.names(maps)) == 22


def test_service_account_opts_out_of_tokens(api: Api, namespace: str) -> None:
    accounts = core(namespace, "serviceaccounts")
    api.make(accounts, {"metadata": {"name": "mount"}, "automountServiceAccountToken": True})
    api.make(accounts, {"metadata": {"name": "nomount"}, "automountServiceAccountToken": False})
    for account, account_says in (("default", None), ("mount", True), ("nomount", False)):
        for pod_says in (None, True, False):
            name = f"{account}-{pod_says}".lower()
            spec = {} if pod_says is None else {"automountServiceAccountToken": pod_says}
            made = api.make(core(namespace, "pods"), pod(name, serviceAccountName=account, **spec))
            wanted = account_says is not False if pod_says is None else pod_says
            mounts = made["spec"]["containers"][0].get("volumeMounts", [])
            assert bool(mounts) is wanted, name


def test_config_maps_of_all_namespaces(api: Api, namespace: str) -> None:
    api.make(core(namespace, "configmaps"), config_map("test", {"only": namespace}))
    listed = api.get(f"/api/v1/configmaps?labelSelector=only%3D{namespace}")
    assert [item["metadata"]["namespace"] for item in listed["items"]] == [namespace]
