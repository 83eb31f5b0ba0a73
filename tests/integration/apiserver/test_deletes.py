"""Deletion: grace, finalizers, propagation, preconditions, collections."""

from __future__ import annotations

from tests.integration.apiserver.conftest import Http, config_map, deployment, pod


async def test_a_plain_object_is_gone_at_once(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    uid = (await http("POST", path, config_map("a"))).json["metadata"]["uid"]
    answer = await http("DELETE", f"{path}/a")
    assert answer.json == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": "a", "kind": "configmaps", "uid": uid},
    }  # fmt: skip
    assert (await http("DELETE", f"{path}/a")).status == 404


async def test_finalizers_hold_an_object(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    held = config_map("a")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await http("POST", path, held)
    going = await http("DELETE", f"{path}/a")
    assert going.json["metadata"]["deletionTimestamp"]
    assert going.json["metadata"]["deletionGracePeriodSeconds"] == 0
    more = await http.merge(
        f"{path}/a", {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}
    )
    assert more.status == 422
    duplicate = await http("POST", path, config_map("a"))
    assert duplicate.message == 'object is being deleted: configmaps "a" already exists'
    released = await http.merge(f"{path}/a", {"metadata": {"finalizers": None}})
    assert released.status == 200
    assert (await http("GET", f"{path}/a")).status == 404


async def test_pods_have_grace(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    await http("POST", path, pod("p"))
    assert (await http("DELETE", f"{path}/p")).status == 200
    assert (await http("GET", f"{path}/p")).status == 404, "a pod without a node goes at once"
    await http("POST", path, pod("q", nodeName="node-1"))
    going = (await http("DELETE", f"{path}/q")).json["metadata"]
    assert going["deletionGracePeriodSeconds"] == 30
    assert going["generation"] == 2
    shorter = (await http("DELETE", f"{path}/q?gracePeriodSeconds=5")).json["metadata"]
    assert shorter["deletionGracePeriodSeconds"] == 5
    assert shorter["deletionTimestamp"] < going["deletionTimestamp"]
    longer = (await http("DELETE", f"{path}/q?gracePeriodSeconds=60")).json["metadata"]
    assert longer["deletionGracePeriodSeconds"] == 5
    await http("DELETE", f"{path}/q", {"gracePeriodSeconds": 0})
    assert (await http("GET", f"{path}/q")).status == 404


async def test_propagation(http: Http, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    for policy, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
        name = policy.lower()
        await http("POST", path, deployment(name))
        going = await http("DELETE", f"{path}/{name}", {"propagationPolicy": policy})
        assert going.json["metadata"]["finalizers"] == [finalizer]
        assert going.json["metadata"]["deletionTimestamp"]
    await http("POST", path, deployment("background"))
    assert (await http("DELETE", f"{path}/background")).json["status"] == "Success"


async def test_preconditions(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    made = (await http("POST", path, config_map("a"))).json["metadata"]
    wrong = await http("DELETE", f"{path}/a", {"preconditions": {"uid": "other"}})
    assert wrong.status == 409
    assert wrong.message == (
        'Operation cannot be fulfilled on configmaps "a": the UID in the precondition (other) does not match the UID '
        f"in record ({made['uid']}). The object might have been deleted and then recreated"
    )
    wrong = await http("DELETE", f"{path}/a", {"preconditions": {"resourceVersion": "1"}})
    assert wrong.status == 409
    right = {"preconditions": {"uid": made["uid"], "resourceVersion": made["resourceVersion"]}}
    assert (await http("DELETE", f"{path}/a", right)).status == 200


async def test_collections(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for index in range(4):
        labelled = config_map(f"c{index}")
        labelled["metadata"]["labels"] = {"half": str(index % 2)}
        await http("POST", path, labelled)
    answer = await http("DELETE", f"{path}?labelSelector=half=1")
    assert answer.json["kind"] == "ConfigMapList"
    left = [item["metadata"]["name"] for item in (await http("GET", path)).json["items"]]
    assert left == ["c0", "c2"]


async def test_eviction_deletes(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    await http("POST", path, pod("p"))
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": "p", "namespace": namespace},
    }
    assert (await http("POST", f"{path}/p/eviction", eviction)).json["status"] == "Success"
    assert (await http("GET", f"{path}/p")).status == 404


async def test_namespaces_end_with_finalize(http: Http, namespace: str) -> None:
    going = (await http("DELETE", f"/api/v1/namespaces/{namespace}")).json
    assert going["spec"]["finalizers"] == ["kubernetes"]
    going["spec"]["finalizers"] = []
    done = await http("PUT", f"/api/v1/namespaces/{namespace}/finalize", going)
    assert done.status == 200, done.body
    assert (await http("GET", f"/api/v1/namespaces/{namespace}")).status == 404
