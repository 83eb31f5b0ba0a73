"""Lists: pages that stay consistent, what resourceVersion and its match mean, expiry, tables, metadata alone."""

from __future__ import annotations

import base64
import json
import urllib.request

import pytest

from tests.harness.control_plane import ControlPlane
from tests.integration.api.conftest import TABLE, Api, Object, config_map, core, deployment, pod, refused

METADATA_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
NUMBER = 24


@pytest.fixture
def maps(api: Api, namespace: str) -> str:
    """The path of a collection of `NUMBER` ConfigMaps c00, c01 …"""
    path = core(namespace, "configmaps")
    for number in range(NUMBER):
        api.make(path, config_map(f"c{number:02}", {"even": str(number % 2 == 0)}))
    return path


def names(page: Object) -> list[str]:
    return [item["metadata"]["name"] for item in page["items"]]


def test_pages_show_one_moment_while_objects_change(api: Api, maps: str) -> None:
    page = api.get(f"{maps}?limit=7")
    first, found = page["metadata"], names(page)
    assert first["remainingItemCount"] == NUMBER - 7
    api("DELETE", f"{maps}/c10")
    api.make(maps, config_map("c105"))
    changed = api.patch(f"{maps}/c12", {"data": {"new": "1"}})
    while token := page["metadata"].get("continue"):
        page = api.get(f"{maps}?limit=7&continue={token}")
        assert page["metadata"]["resourceVersion"] == first["resourceVersion"]
        assert len(page["items"]) <= 7
        for item in page["items"]:
            assert "new" not in item.get("data", {})
        found += names(page)
        assert page["metadata"].get("remainingItemCount", 0) == NUMBER - len(found)
    assert found == [f"c{number:02}" for number in range(NUMBER)]
    everything = api.get(f"{maps}?limit=500")
    assert "continue" not in everything["metadata"]
    assert "remainingItemCount" not in everything["metadata"]
    assert int(everything["metadata"]["resourceVersion"]) >= int(changed["metadata"]["resourceVersion"])
    assert "c105" in names(everything)
    assert "c10" not in names(everything)


def test_pages_of_a_selection_do_not_count_the_rest(api: Api, maps: str) -> None:
    page = api.get(f"{maps}?limit=5&labelSelector=even%3DTrue")
    assert "remainingItemCount" not in page["metadata"]
    found = names(page)
    while token := page["metadata"].get("continue"):
        page = api.get(f"{maps}?limit=5&labelSelector=even%3DTrue&continue={token}")
        found += names(page)
    assert found == [f"c{number:02}" for number in range(0, NUMBER, 2)]


def test_what_resource_versions_mean(api: Api, maps: str) -> None:
    early = api.get(f"{maps}/c05")["metadata"]["resourceVersion"]
    now = api.get(maps)["metadata"]["resourceVersion"]

    def run(query: str) -> tuple[str, int]:
        page = api.get(f"{maps}?{query}")
        return page["metadata"]["resourceVersion"], len(page["items"])

    assert run("resourceVersion=0")[1] == NUMBER
    assert run("resourceVersion=0&limit=3")[1] == NUMBER, "the cache answers, which has no pages"
    assert run(f"resourceVersion={early}")[1] == NUMBER
    assert run(f"resourceVersion={early}&resourceVersionMatch=NotOlderThan")[1] == NUMBER
    assert int(run(f"resourceVersion={early}&resourceVersionMatch=NotOlderThan&limit=3")[0]) >= int(now)
    assert run(f"resourceVersion={early}&resourceVersionMatch=Exact") == (early, 6)
    assert run(f"resourceVersion={early}&resourceVersionMatch=Exact&limit=3") == (early, 3)
    assert run(f"resourceVersion={early}&limit=3") == (early, 3), "the old form of Exact"
    page = api.get(f"{maps}?resourceVersion={early}&limit=4")
    rest = api.get(f"{maps}?limit=4&continue={page['metadata']['continue']}")
    assert (names(rest), rest["metadata"]["resourceVersion"]) == (["c04", "c05"], early)


def test_versions_of_the_future(api: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    now = api.get(maps)["metadata"]["resourceVersion"]
    future = int(now) + 1_000_000
    answer = api("GET", f"{maps}?resourceVersion={future}&resourceVersionMatch=Exact")
    assert (answer.status_code, answer.json()["reason"]) == (504, "Timeout")
    assert answer.json()["message"].startswith(f"Timeout: Too large resource version: {future}, current: ")
    assert answer.json()["details"]["causes"] == [
        {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    ]
    assert answer.headers["retry-after"] == str(answer.json()["details"]["retryAfterSeconds"])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "resourceVersionMatch=Exact",
            (
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
            ),
        ),
        (
            "resourceVersionMatch=Foo&resourceVersion=1",
            ('resourceVersionMatch: Unsupported value: "Foo": supported values: "Exact", "NotOlderThan", ""'),
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=0",
            (
                'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            ),
        ),
        ("sendInitialEvents=true", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
    ],
)
def test_options_that_do_not_go_together(api: Api, namespace: str, query: str, message: str) -> None:
    answer = api("GET", f"{core(namespace, 'configmaps')}?{query}")
    refused(answer, 422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: {message}')


def test_continue_tokens_are_checked(api: Api, maps: str) -> None:
    def token(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    for made, problem in (
        (token('{"v":"v9","rv":1,"start":"a"}'), 'server does not recognize this encoded version "v9"'),
        (
            token('{"v":"meta.k8s.io/v1","rv":0,"start":"a"}'),
            ("incorrect encoded start resourceVersion (version meta.k8s.io/v1)"),
        ),
        (
            token('{"v":"meta.k8s.io/v1","rv":1,"start":""}'),
            "encoded start key empty (version meta.k8s.io/v1)",
        ),
    ):
        refused(
            api("GET", f"{maps}?continue={made}"), 400, "BadRequest", f"continue key is not valid: {problem}"
        )
    good = api.get(f"{maps}?limit=1")["metadata"]["continue"]
    refused(
        api("GET", f"{maps}?continue={good}&resourceVersion=1"), 400, "BadRequest",
        "specifying resource version is not allowed when using continue",
    )  # fmt: skip


def compact(plane: ControlPlane, revision: str) -> None:
    """Make etcd forget what was before a revision."""
    body = json.dumps({"revision": revision, "physical": True}).encode()
    with urllib.request.urlopen(f"{plane.etcd.url}/v3/kv/compaction", body, timeout=10) as response:
        assert response.status == 200


def test_lists_and_watches_of_what_is_forgotten(private_control_plane: ControlPlane) -> None:
    api = Api(private_control_plane)
    maps = core("default", "configmaps")
    for number in range(10):
        made = api.make(maps, config_map(f"c{number}"))
    old = api.get(f"{maps}/c0")["metadata"]["resourceVersion"]
    page = api.get(f"{maps}?limit=4")
    api("DELETE", f"{maps}/c5")
    made = api.make(maps, config_map("c95"))
    compact(private_control_plane, made["metadata"]["resourceVersion"])
    private_control_plane.api_server.stop()  # what a server still has in memory it may go on showing
    private_control_plane.api_server.start()
    private_control_plane.wait_ready()
    expired = api("GET", f"{maps}?limit=4&continue={page['metadata']['continue']}")
    assert (expired.status_code, expired.json()["reason"]) == (410, "Expired")
    assert expired.json()["message"].startswith(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results."
    )
    token = expired.json()["metadata"]["continue"]
    rest = api.get(f"{maps}?limit=4&continue={token}")
    assert names(rest) == ["c4", "c6", "c7", "c8"], "goes on at the same place, but in today's objects"
    assert int(rest["metadata"]["resourceVersion"]) >= int(made["metadata"]["resourceVersion"])
    last = api.get(f"{maps}?limit=4&continue={rest['metadata']['continue']}")
    assert (names(last), last["metadata"]["resourceVersion"]) == (
        ["c9", "c95"],
        rest["metadata"]["resourceVersion"],
    )
    refused(
        api("GET", f"{maps}?resourceVersion={old}&resourceVersionMatch=Exact"), 410, "Expired",
        "The resourceVersion for the provided list is too old.",
    )  # fmt: skip
    (event,) = api.watch(f"{maps}?watch=1&resourceVersion={old}", 1)
    assert (event["type"], event["object"]["kind"], event["object"]["code"]) == ("ERROR", "Status", 410)
    assert event["object"]["reason"] == "Expired"
    assert event["object"]["message"].startswith(f"too old resource version: {old} (")
    api.client.close()


def test_tables(api: Api, maps: str) -> None:
    page = api.get(f"{maps}?limit=2", Accept=TABLE)
    assert (page["kind"], page["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [row["cells"][:2] for row in page["rows"]] == [["c00", 0], ["c01", 0]]
    assert [row["object"]["kind"] for row in page["rows"]] == ["PartialObjectMetadata"] * 2
    assert page["metadata"]["remainingItemCount"] == NUMBER - 2
    rest = api.get(f"{maps}?limit=2&continue={page['metadata']['continue']}", Accept=TABLE)
    assert [row["cells"][0] for row in rest["rows"]] == ["c02", "c03"]
    one = api.get(f"{maps}/c07", Accept=TABLE)
    assert [row["cells"][0] for row in one["rows"]] == ["c07"]
    assert one["metadata"]["resourceVersion"] == api.get(f"{maps}/c07")["metadata"]["resourceVersion"]
    for include, kind in (("None", None), ("Metadata", "PartialObjectMetadata"), ("Object", "ConfigMap")):
        row = api.get(f"{maps}?limit=1&includeObject={include}", Accept=TABLE)["rows"][0]
        assert (row.get("object") or {}).get("kind") == kind
    old = api.get(maps, Accept="application/json;as=Table;v=v1beta1;g=meta.k8s.io")
    assert old["apiVersion"] == "meta.k8s.io/v1beta1"
    made = api("POST", maps, config_map("t"), Accept=TABLE)
    assert (made.status_code, made.json()["kind"]) == (201, "Table")


def test_the_columns_of_every_kind_match_its_rows(api: Api, namespace: str) -> None:
    api.make(core(namespace, "pods"), pod("p"))
    api.make(f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment("d"))
    api.make(core(namespace, "services"), {"metadata": {"name": "v"}, "spec": {"ports": [{"port": 80}]}})
    tables = 0
    for root in ("/api/v1", "/apis/apps/v1", "/apis/discovery.k8s.io/v1", "/apis/coordination.k8s.io/v1"):
        for resource in api.get(root)["resources"]:
            if "/" in resource["name"] or "list" not in resource["verbs"]:
                continue
            found = api.get(f"{root}/{resource['name']}", Accept=TABLE)
            assert (
                "Name" in {column["name"] for column in found["columnDefinitions"]}
                or "events" in resource["name"]
            )
            for column in found["columnDefinitions"]:
                assert column.keys() == {"name", "type", "format", "description", "priority"}
            for row in found["rows"]:
                assert len(row["cells"]) == len(found["columnDefinitions"]), resource["name"]
            tables += 1
    assert tables >= 12


def test_forms_that_are_not_served(api: Api, namespace: str) -> None:
    words = "only the following media types are accepted: application/json, application/yaml"
    for accept in (
        "application/json;as=Table;v=v2;g=meta.k8s.io", "application/json;as=Table;v=v1;g=other", METADATA,
        "application/vnd.kubernetes.protobuf",
    ):  # fmt: skip
        answer = api("GET", core(namespace, "configmaps"), Accept=accept)
        if accept.endswith("protobuf"):
            assert answer.status_code == 406
        else:
            refused(answer, 406, "NotAcceptable", words)
    review = {"spec": {"resourceAttributes": {"namespace": "default", "verb": "get", "resource": "pods"}}}
    answer = api("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review, Accept=TABLE)
    refused(answer, 406, "NotAcceptable", words)
    fallback = api.get(
        core(namespace, "configmaps"), Accept=f"application/vnd.kubernetes.protobuf,{TABLE},*/*"
    )
    assert fallback["kind"] == "Table"


def test_metadata_alone(api: Api, maps: str) -> None:
    page = api.get(f"{maps}?limit=2", Accept=METADATA_LIST)
    assert (page["kind"], page["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    assert page["metadata"]["remainingItemCount"] == NUMBER - 2
    whole = api.get(f"{maps}/c00")
    one = api.get(f"{maps}/c00", Accept=METADATA)
    assert one == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": whole["metadata"],
    }
    assert page["items"][0] == one
