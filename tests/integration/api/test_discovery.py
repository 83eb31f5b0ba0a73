"""Discovery in both forms, the documents and the addresses that are no resource."""

from __future__ import annotations

from tests.integration.api.conftest import TABLE, Api, Object, refused

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
BUILT_IN = {
    "": {"bindings", "configmaps", "endpoints", "events", "namespaces", "nodes", "pods", "secrets", "serviceaccounts",
         "services"},
    "apps": {"controllerrevisions", "deployments", "replicasets"},
    "coordination.k8s.io": {"leases"},
    "discovery.k8s.io": {"endpointslices"},
    "events.k8s.io": {"events"},
}  # fmt: skip


def aggregated(api: Api, path: str, accept: str = AGGREGATED) -> dict[str, Object]:
    found = api.get(path, Accept=accept)
    assert found["kind"] == "APIGroupDiscoveryList"
    return {item["metadata"].get("name", ""): item for item in found["items"]}


def test_every_group_has_a_preferred_version_and_resources(api: Api) -> None:
    groups = api.get("/apis")["groups"]
    assert set(BUILT_IN) - {""} <= {group["name"] for group in groups}
    for group in groups:
        assert group["preferredVersion"] in group["versions"]
        assert api.get(f"/apis/{group['name']}") == {"kind": "APIGroup", "apiVersion": "v1", **group}
        for version in group["versions"]:
            assert version["groupVersion"] == f"{group['name']}/{version['version']}"
            resources = api.get(f"/apis/{version['groupVersion']}")
            assert (resources["kind"], resources["groupVersion"]) == (
                "APIResourceList",
                version["groupVersion"],
            )
            assert resources["resources"]


def test_aggregated_and_plain_say_the_same(api: Api) -> None:
    found = {**aggregated(api, "/api"), **aggregated(api, "/apis")}
    for group, wanted in BUILT_IN.items():
        assert wanted <= {row["resource"] for row in found[group]["versions"][0]["resources"]}
    for name, item in found.items():
        for version in item["versions"]:
            root = f"/apis/{name}/{version['version']}" if name else "/api/v1"
            plain = {row["name"]: row for row in api.get(root)["resources"]}
            assert version["freshness"] == "Current"
            for row in version["resources"]:
                same = plain.pop(row["resource"])
                assert (row["responseKind"]["kind"], row["singularResource"]) == (
                    same["kind"],
                    same["singularName"],
                )
                assert (row["scope"] == "Namespaced", row["verbs"]) == (same["namespaced"], same["verbs"])
                for sub in row.get("subresources", []):
                    assert plain.pop(f"{row['resource']}/{sub['subresource']}")["verbs"] == sub["verbs"]
            assert not plain


def test_accept_headers_of_aggregated_discovery(api: Api) -> None:
    for path in ("/api", "/apis"):
        old = AGGREGATED.replace("v=v2;", "v=v2beta1;")
        for accept, kind in (
            (AGGREGATED, "APIGroupDiscoveryList"),
            (old, "APIGroupDiscoveryList"),
            (f"{AGGREGATED},{old},application/json", "APIGroupDiscoveryList"),
            ("application/json", {"/api": "APIVersions", "/apis": "APIGroupList"}[path]),
            (
                f"application/json;g=apidiscovery.k8s.io;v=v1;as=APIGroupDiscoveryList,{old}",
                "APIGroupDiscoveryList",
            ),
        ):
            answer = api("GET", path, Accept=accept)
            assert answer.json()["kind"] == kind, accept
            assert "Accept" in answer.headers["vary"]
        tagged = api("GET", path, Accept=AGGREGATED)
        again = api("GET", path, Accept=AGGREGATED, If_None_Match=tagged.headers["etag"])
        assert (again.status_code, again.content) == (304, b"")


def test_a_resource_that_is_listed_answers(api: Api) -> None:
    for group in api.get("/apis")["groups"]:
        root = f"/apis/{group['preferredVersion']['groupVersion']}"
        for row in api.get(root)["resources"]:
            if "list" in row["verbs"] and "/" not in row["name"]:
                listed = api.get(f"{root}/{row['name']}")
                assert listed["kind"] == f"{row['kind']}List"
                assert api.get(f"{root}/{row['name']}", Accept=TABLE)["kind"] == "Table"


def test_the_root_lists_the_paths(api: Api) -> None:
    paths = api.get("/")["paths"]
    assert paths == sorted(paths)
    assert {"/api/v1", "/apis/apps", "/apis/apps/v1", "/healthz", "/openapi/v3", "/version"} <= set(paths)
    for path in paths:
        assert api("GET", path).status_code == 200, path


def test_version(api: Api) -> None:
    version = api.get("/version")
    assert version["major"].isdigit()
    assert version["minor"].isdigit()
    assert version["gitVersion"].startswith(f"v{version['major']}.{version['minor']}.")


def test_what_is_not_there(api: Api) -> None:
    for path in ("/api/v2", "/apis/foo", "/apis/apps/v2", "/api/v1/foo", "/apis/apps/v1/foo", "/nope"):
        refused(api("GET", path), 404, "NotFound", "the server could not find the requested resource")


def test_openapi_knows_every_listed_group_version(api: Api) -> None:
    paths = api.get("/openapi/v3")["paths"]
    for group in api.get("/apis")["groups"]:
        for version in group["versions"]:
            address = paths[f"apis/{version['groupVersion']}"]["serverRelativeURL"]
            assert api.get(address)["openapi"].startswith("3.")
