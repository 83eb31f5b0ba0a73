"""Deletion: collections, grace, finalizers, propagation, preconditions, dry runs."""

from __future__ import annotations

import pytest

from tests.integration.api.conftest import MERGE, Api, apps, config_map, core, deployment, pod, refused


def test_collections_by_selector(api: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    for number in range(6):
        api.make(maps, config_map(f"c{number}", {"half": str(number % 2)}))
    dry = api("DELETE", f"{maps}?labelSelector=half%3D0&dryRun=All")
    assert len(dry.json()["items"]) == 3
    assert len(api.names(maps)) == 6
    assert api("DELETE", f"{maps}?labelSelector=half%3D9").json()["items"] == []
    assert api("DELETE", f"{maps}?labelSelector=half%3D0").json()["kind"] == "ConfigMapList"
    assert api.names(maps) == ["c1", "c3", "c5"]
    api("DELETE", f"{maps}?fieldSelector=metadata.name%3Dc3")
    assert api.names(maps) == ["c1", "c5"]
    api("DELETE", maps)
    assert api.names(maps) == []


def test_a_collection_with_grace_and_finalizers(api: Api, namespace: str) -> None:
    pods = core(namespace, "pods")
    held = pod("held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    api.make(pods, held)
    api.make(pods, pod("bound", nodeName="n"))
    api.make(pods, pod("free"))
    api("DELETE", pods, {"gracePeriodSeconds": 7})
    left = {item["metadata"]["name"]: item["metadata"] for item in api.get(pods)["items"]}
    assert left.keys() == {"held", "bound"}
    assert left["bound"]["deletionGracePeriodSeconds"] == 7
    assert left["held"]["deletionTimestamp"]
    api("DELETE", pods, {"gracePeriodSeconds": 0})
    api("PATCH", f"{pods}/held", {"metadata": {"finalizers": None}}, MERGE)
    assert api.names(pods) == []


@pytest.mark.parametrize(
    ("options", "finalizers"),
    [
        ({"propagationPolicy": "Foreground"}, ["foregroundDeletion"]),
        ({"propagationPolicy": "Orphan"}, ["orphan"]),
        ({"orphanDependents": True}, ["orphan"]),
    ],
)
def test_propagation_by_finalizers(
    api: Api, namespace: str, options: dict[str, object], finalizers: list[str]
) -> None:
    path = apps(namespace, "deployments")
    api.make(path, deployment("d"))
    going = api("DELETE", f"{path}/d", options).json()
    assert going["metadata"]["finalizers"] == finalizers
    assert going["metadata"]["deletionTimestamp"]
    api.patch(f"{path}/d", {"metadata": {"finalizers": None}})
    assert api.names(path) == []


def test_propagation_by_query_and_status_202(api: Api, namespace: str) -> None:
    path = apps(namespace, "deployments")
    for name in ("a", "b", "c"):
        api.make(path, deployment(name))
    api("DELETE", f"{path}/a?propagationPolicy=Foreground")
    assert api.get(f"{path}/a")["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert api("DELETE", f"{path}/b?propagationPolicy=Background").json()["status"] == "Success"
    assert api("DELETE", f"{path}/c", {"orphanDependents": False}).status_code == 200, "gone at once: not 202"
    held = deployment("h")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    api.make(path, held)
    assert api("DELETE", f"{path}/h", {"orphanDependents": False}).status_code == 202


def test_preconditions(api: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    made = api.make(maps, config_map("a"))["metadata"]
    words = 'Operation cannot be fulfilled on configmaps "a": '
    refused(api("DELETE", f"{maps}/a", {"preconditions": {"uid": "x"}}), 409, "Conflict", words + (
        f"the UID in the precondition (x) does not match the UID in record ({made['uid']}). The object might have been "
        "deleted and then recreated"
    ))  # fmt: skip
    refused(api("DELETE", f"{maps}/a", {"preconditions": {"resourceVersion": "1"}}), 409, "Conflict", words + (
        "the ResourceVersion in the precondition (1) does not match the ResourceVersion in record "
        f"({made['resourceVersion']}). The object might have been modified"
    ))  # fmt: skip
    both = {"uid": made["uid"], "resourceVersion": made["resourceVersion"]}
    assert api("DELETE", f"{maps}/a", {"preconditions": both}).status_code == 200


def test_finalizers_hold_and_may_only_become_fewer(api: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    held = config_map("a")
    held["metadata"]["finalizers"] = ["example.com/one", "example.com/two"]
    api.make(maps, held)
    first = api("DELETE", f"{maps}/a").json()
    again = api("DELETE", f"{maps}/a").json()
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"], (
        "nothing new, nothing written"
    )
    more = {"metadata": {"finalizers": ["example.com/one", "example.com/two", "example.com/three"]}}
    refused(api("PATCH", f"{maps}/a", more, MERGE), 422, "Invalid", (
        'ConfigMap "a" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is '
        'being deleted, found new finalizers []string{"example.com/three"}'
    ))  # fmt: skip
    undone = api.patch(f"{maps}/a", {"metadata": {"deletionTimestamp": None}})
    assert undone["metadata"]["deletionTimestamp"] == first["metadata"]["deletionTimestamp"]
    refused(
        api("POST", maps, config_map("a")), 409, "AlreadyExists",
        'object is being deleted: configmaps "a" already exists',
    )  # fmt: skip
    api.patch(f"{maps}/a", {"metadata": {"finalizers": ["example.com/two"]}})
    assert api.get(f"{maps}/a")["metadata"]["finalizers"] == ["example.com/two"]
    api.patch(f"{maps}/a", {"metadata": {"finalizers": []}})
    assert api.names(maps) == []
    api.make(maps, config_map("a"))


def test_namespaces_wait_for_their_finalizer(api: Api, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}"
    going = api("DELETE", path).json()
    assert (going["status"]["phase"], going["spec"]["finalizers"]) == ("Terminating", ["kubernetes"])
    answer = api("POST", core(namespace, "configmaps"), config_map("late"))
    details = refused(answer, 403, "Forbidden", (
        f'configmaps "late" is forbidden: unable to create new content in namespace {namespace} because it is being '
        "terminated"
    ))  # fmt: skip
    assert details["causes"][0]["reason"] == "NamespaceTerminating"
    going["spec"]["finalizers"] = []
    api.put(f"{path}/finalize", going)
    assert api("GET", path).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_dry_run_stores_nothing_and_tells_nobody(api: Api, namespace: str, method: str) -> None:
    maps = core(namespace, "configmaps")
    before = api.make(maps, config_map("a", x="1"))
    answer = {
        "POST": lambda: api("POST", f"{maps}?dryRun=All", config_map("b")),
        "PUT": lambda: api("PUT", f"{maps}/a?dryRun=All", config_map("a", x="2")),
        "PATCH": lambda: api("PATCH", f"{maps}/a?dryRun=All", {"data": {"x": "3"}}, MERGE),
        "DELETE": lambda: api("DELETE", f"{maps}/a", {"dryRun": ["All"]}),
    }[method]()
    assert answer.status_code in (200, 201), answer.text
    assert api.get(f"{maps}/a") == before
    assert api.names(maps) == ["a"]
    api.patch(f"{maps}/a", {"data": {"x": "4"}})
    (event,) = api.watch(f"{maps}?watch=1&resourceVersion={before['metadata']['resourceVersion']}", 1)
    assert event["object"]["data"] == {"x": "4"}


def test_a_dry_run_of_a_service_takes_no_address(api: Api, namespace: str) -> None:
    services = core(namespace, "services")
    spec = {"clusterIP": "10.96.99.99", "ports": [{"port": 80}]}
    dry = api("POST", f"{services}?dryRun=All", {"metadata": {"name": "a"}, "spec": spec})
    assert dry.status_code == 201
    api.make(services, {"metadata": {"name": "b"}, "spec": spec})
