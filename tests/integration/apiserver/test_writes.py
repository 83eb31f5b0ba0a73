"""Create, update, the four patches, dry run, generation, managed fields."""

from __future__ import annotations

import asyncio

from tests.integration.apiserver.conftest import Http, config_map, deployment, pod


async def test_create_sets_what_is_the_servers(http: Http, namespace: str) -> None:
    sent = config_map("a", x="1")
    sent["metadata"] |= {
        "uid": "mine",
        "creationTimestamp": "2001-01-01T00:00:00Z",
        "selfLink": "/x",
        "generation": 7,
    }
    answer = await http("POST", f"/api/v1/namespaces/{namespace}/configmaps?fieldManager=me", sent)
    metadata = answer.json["metadata"]
    assert answer.status == 201
    assert metadata["uid"] != "mine"
    assert metadata["creationTimestamp"] > "2020"
    assert metadata["namespace"] == namespace
    assert "selfLink" not in metadata
    assert "generation" not in metadata
    assert int(metadata["resourceVersion"]) > 0
    (managed,) = metadata["managedFields"]
    assert (managed["manager"], managed["operation"], managed["fieldsType"]) == ("me", "Update", "FieldsV1")
    assert managed["fieldsV1"] == {"f:data": {".": {}, "f:x": {}}}


async def test_generated_names(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}}
    names = {(await http("POST", path, body)).json["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("x-") and len(name) == 7 for name in names)


async def test_yaml_bodies(http: Http, namespace: str) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\ndata: {k: v}\n"
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    answer = await http("POST", path, text, Content_Type="application/yaml", Accept="application/yaml")
    assert answer.headers["Content-Type"] == "application/yaml"
    assert b"name: y" in answer.body


async def test_dry_run_stores_nothing(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    assert (await http("POST", f"{path}?dryRun=All", config_map("a"))).status == 201
    assert (await http("GET", f"{path}/a")).status == 404
    await http("POST", path, config_map("a", x="1"))
    changed = await http("PUT", f"{path}/a?dryRun=All", config_map("a", x="2"))
    assert changed.json["data"] == {"x": "2"}
    assert (await http("DELETE", f"{path}/a?dryRun=All")).status == 200
    assert (await http("GET", f"{path}/a")).json["data"] == {"x": "1"}
    assert (await http("POST", f"{path}?dryRun=All", config_map("a"))).status == 409


async def test_an_update_that_changes_nothing_writes_nothing(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    first = (await http("POST", path, config_map("a", x="1"))).json
    again = (await http("PUT", f"{path}/a", first)).json
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


async def test_generation_counts_the_spec_only(http: Http, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    assert (await http("POST", path, deployment("web"))).json["metadata"]["generation"] == 1
    labelled = await http.merge(
        f"{path}/web", {"metadata": {"labels": {"a": "b"}}, "status": {"replicas": 5}}
    )
    assert labelled.json["metadata"]["generation"] == 1
    assert "replicas" not in labelled.json.get("status", {})
    scaled = await http.merge(f"{path}/web", {"spec": {"replicas": 3}})
    assert scaled.json["metadata"]["generation"] == 2
    status = await http.merge(f"{path}/web/status", {"status": {"replicas": 3}, "spec": {"replicas": 9}})
    assert status.json["status"]["replicas"] == 3
    assert status.json["spec"]["replicas"] == 3
    assert status.json["metadata"]["generation"] == 2


async def test_scale(http: Http, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    await http("POST", path, deployment("web", 2))
    scale = (await http("GET", f"{path}/web/scale")).json
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert scale["spec"] == {"replicas": 2}
    assert scale["status"]["selector"] == "app=web"
    scale["spec"]["replicas"] = 4
    assert (await http("PUT", f"{path}/web/scale", scale)).json["spec"]["replicas"] == 4
    web = (await http("GET", f"{path}/web")).json
    assert (web["spec"]["replicas"], web["metadata"]["generation"]) == (4, 2)
    assert {"manager", "operation", "subresource"} <= web["metadata"]["managedFields"][-1].keys()
    negative = await http.merge(f"{path}/web/scale", {"spec": {"replicas": -1}})
    assert negative.status == 422
    stale = await http("PUT", f"{path}/web/scale", scale)
    assert stale.status == 409


async def test_json_patch(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    await http("POST", path, config_map("a", x="1"))
    kind = "application/json-patch+json"
    operations = [
        {"op": "test", "path": "/data/x", "value": "1"},
        {"op": "add", "path": "/data/y", "value": "2"},
    ]
    answer = await http("PATCH", f"{path}/a", operations, Content_Type=kind)
    assert answer.json["data"] == {"x": "1", "y": "2"}
    failed = await http(
        "PATCH", f"{path}/a", [{"op": "test", "path": "/data/x", "value": "9"}], Content_Type=kind
    )
    assert (failed.status, failed.json["reason"]) == (422, "Invalid")


async def test_strategic_merge_patch(http: Http, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    await http("POST", path, deployment("web"))
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "busybox:1.36"}]}}}}
    kind = "application/strategic-merge-patch+json"
    answer = await http("PATCH", f"{path}/web", patch, Content_Type=kind)
    names = [c["name"] for c in answer.json["spec"]["template"]["spec"]["containers"]]
    assert sorted(names) == ["c", "side"]


async def test_patch_with_old_version_conflicts(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    first = (await http("POST", path, config_map("a", x="1"))).json
    await http.merge(f"{path}/a", {"data": {"x": "2"}})
    old = {"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}, "data": {"x": "3"}}
    assert (await http.merge(f"{path}/a", old)).status == 409


async def test_server_side_apply(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps/a"
    created = await http.apply(path, config_map("a", x="1"), "one")
    assert created.status == 201
    assert created.json["metadata"]["managedFields"][0]["operation"] == "Apply"
    conflict = await http.apply(path, config_map("a", x="2"), "two")
    assert conflict.status == 409
    assert conflict.message == 'Apply failed with 1 conflict: conflict with "one": .data.x'
    assert (await http.apply(path, config_map("a", x="2"), "two", force=True)).json["data"] == {"x": "2"}
    assert (await http.apply(path, config_map("a", y="3"), "two")).json["data"] == {"y": "3"}
    nameless = await http("PATCH", path, config_map("a"), Content_Type="application/apply-patch+yaml")
    assert nameless.status == 422
    assert "fieldManager: Required value: is required for apply patch" in nameless.message


async def test_concurrent_patches_all_count(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    await http("POST", path, config_map("a"))
    answers = await asyncio.gather(*(http.merge(f"{path}/a", {"data": {f"k{i}": "v"}}) for i in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert len((await http("GET", f"{path}/a")).json["data"]) == 20


async def test_pods_get_account_token_tolerations_and_priority(http: Http, namespace: str) -> None:
    spec = (await http("POST", f"/api/v1/namespaces/{namespace}/pods", pod("p"))).json["spec"]
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
    (volume,) = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-")
    assert volume["projected"]["sources"][0] == {
        "serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}
    }
    assert spec["containers"][0]["volumeMounts"] == [{
        "name": volume["name"], "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
    }]  # fmt: skip
    assert {t["key"]: t["tolerationSeconds"] for t in spec["tolerations"]} == {
        "node.kubernetes.io/not-ready": 300, "node.kubernetes.io/unreachable": 300,
    }  # fmt: skip
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    refused = await http("POST", f"/api/v1/namespaces/{namespace}/pods", pod("q", priorityClassName="none"))
    assert refused.message == 'pods "q" is forbidden: no PriorityClass with name none was found'


async def test_binding(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    await http("POST", path, pod("p"))
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"name": "node-9"}}
    answer = await http("POST", f"{path}/p/binding", binding)
    assert (answer.status, answer.json["status"]) == (201, "Success")
    bound = (await http("GET", f"{path}/p")).json
    assert bound["spec"]["nodeName"] == "node-9"
    assert any(c["type"] == "PodScheduled" and c["status"] == "True" for c in bound["status"]["conditions"])
    again = await http("POST", f"{path}/p/binding", binding)
    assert again.status == 409
    assert 'is already assigned to node "node-9"' in again.message


async def test_events_in_both_versions(http: Http, namespace: str) -> None:
    event = {
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"}, "reason": "Tested",
        "eventTime": "2026-01-01T00:00:00.000000Z", "action": "Test", "type": "Normal", "note": "hello",
        "reportingController": "tests.example/t", "reportingInstance": "t-1",
        "regarding": {"kind": "Pod", "apiVersion": "v1", "name": "p", "namespace": namespace},
    }  # fmt: skip
    created = await http("POST", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", event)
    assert created.status == 201, created.body
    assert created.json["note"] == "hello"
    core = (await http("GET", f"/api/v1/namespaces/{namespace}/events/e")).json
    assert (core["apiVersion"], core["message"], core["involvedObject"]["name"]) == ("v1", "hello", "p")
    listed = (await http("GET", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")).json
    assert listed["kind"] == "EventList"
    assert listed["items"][0]["note"] == "hello"
