"""Lists, tables, pages, watches, discovery, health."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import aiohttp

from tests.harness.control_plane import ControlPlane
from tests.integration.apiserver.conftest import Http, config_map, pod

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


async def test_lists_are_lists(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for name in ("b", "a"):
        await http("POST", path, config_map(name))
    listed = (await http("GET", path)).json
    assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a", "b"]
    assert int(listed["metadata"]["resourceVersion"]) >= int(
        listed["items"][0]["metadata"]["resourceVersion"]
    )
    everywhere = (await http("GET", "/api/v1/configmaps?fieldSelector=metadata.name=a")).json
    assert namespace in {item["metadata"]["namespace"] for item in everywhere["items"]}


async def test_pages(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for index in range(5):
        await http("POST", path, config_map(f"c{index}"))
    names, token = [], ""
    while True:
        page = (await http("GET", f"{path}?limit=2&continue={token}")).json
        names += [item["metadata"]["name"] for item in page["items"]]
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert names == [f"c{index}" for index in range(5)]


async def test_tables_and_metadata(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    await http("POST", path, pod("p"))
    table = (await http("GET", path, Accept=TABLE)).json
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [c["name"] for c in table["columnDefinitions"]][:5] == [
        "Name",
        "Ready",
        "Status",
        "Restarts",
        "Age",
    ]
    assert table["rows"][0]["cells"][:4] == ["p", "0/1", "Pending", "0"]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    form = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    listed = (await http("GET", path, Accept=form)).json
    assert listed["kind"] == "PartialObjectMetadataList"
    assert listed["items"][0].keys() == {"kind", "apiVersion", "metadata"}
    one = (
        await http("GET", f"{path}/p", Accept="application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")
    ).json
    assert one["kind"] == "PartialObjectMetadata"
    only_protobuf = await http("GET", path, Accept="application/x-unheard-of")
    assert only_protobuf.status == 406


async def test_large_lists_are_compressed(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for index in range(3):
        await http("POST", path, config_map(f"big{index}", x="y" * 100_000))
    connector = aiohttp.TCPConnector(ssl=http.session.connector._ssl)  # type: ignore[union-attr]
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        async with session.get(http.url + path, headers={"Accept-Encoding": "gzip"}) as response:
            assert response.headers["Content-Encoding"] == "gzip"
            assert len(json.loads(gzip.decompress(await response.read()))["items"]) == 3
        async with session.get(http.url + path, headers={"Accept-Encoding": "identity"}) as response:
            assert "Content-Encoding" not in response.headers


async def collect(http: Http, path: str, count: int, **headers: str) -> list[Any]:
    """The first `count` events of a watch."""
    events: list[Any] = []
    async with asyncio.timeout(10), http.session.get(http.url + path, headers=headers) as response:
        assert response.status == 200
        while len(events) < count:
            line = await response.content.readline()
            if not line:
                break
            events.append(json.loads(line))
    return events


async def test_watch_follows_a_list(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    await http("POST", path, config_map("before"))
    version = (await http("GET", path)).json["metadata"]["resourceVersion"]
    await http("POST", path, config_map("a"))
    await http.merge(f"{path}/a", {"data": {"x": "1"}})
    await http("DELETE", f"{path}/a")
    events = await collect(http, f"{path}?watch=true&resourceVersion={version}", 3)
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    assert events[1]["object"]["data"] == {"x": "1"}
    revisions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert revisions == sorted(revisions)


async def test_watch_by_label_sees_objects_come_and_go(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    version = (await http("GET", path)).json["metadata"]["resourceVersion"]
    await http("POST", path, config_map("a"))
    await http.merge(f"{path}/a", {"metadata": {"labels": {"on": "1"}}})
    await http.merge(f"{path}/a", {"metadata": {"labels": {"on": None}}})
    events = await collect(http, f"{path}?watch=1&labelSelector=on%3D1&resourceVersion={version}", 2)
    assert [event["type"] for event in events] == ["ADDED", "DELETED"]


async def test_watch_list(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    await http("POST", path, config_map("a"))
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    events = await collect(http, f"{path}?{query}", 2)
    assert [event["type"] for event in events] == ["ADDED", "BOOKMARK"]
    assert events[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    refused = await http("GET", f"{path}?watch=1&sendInitialEvents=true")
    assert refused.status == 422


async def test_watch_as_table(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    await http("POST", path, config_map("a", x="1"))
    (event,) = await collect(http, f"{path}?watch=1", 1, Accept=TABLE)
    assert (event["type"], event["object"]["kind"]) == ("ADDED", "Table")
    assert event["object"]["rows"][0]["cells"][:2] == ["a", 1]


async def test_watch_ends_after_its_time(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps?watch=1&timeoutSeconds=1"
    assert await collect(http, path, 99) == []


async def test_discovery(http: Http) -> None:
    assert (await http("GET", "/api")).json["versions"] == ["v1"]
    groups = (await http("GET", "/apis")).json
    assert "apps" in {group["name"] for group in groups["groups"]}
    core = (await http("GET", "/api/v1")).json
    by_name = {row["name"]: row for row in core["resources"]}
    assert by_name["pods"]["shortNames"] == ["po"]
    assert by_name["pods/exec"]["kind"] == "PodExecOptions"
    assert by_name["serviceaccounts/token"]["group"] == "authentication.k8s.io"
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    answer = await http("GET", "/apis", Accept=accept)
    assert (
        answer.headers["Content-Type"]
        == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    )
    assert answer.json["kind"] == "APIGroupDiscoveryList"
    unchanged = await http("GET", "/apis", Accept=accept, If_None_Match=answer.headers["ETag"])
    assert unchanged.status == 304


async def test_version_and_health(http: Http, stranger: Http) -> None:
    assert (await stranger("GET", "/version")).json["gitVersion"] == "v1.36.0"
    assert (await stranger("GET", "/livez")).body == b"ok"
    verbose = (await http("GET", "/readyz?verbose")).body.decode()
    assert "[+]etcd ok\n" in verbose
    assert verbose.endswith("readyz check passed\n")
    assert (await http("GET", "/healthz/etcd")).body == b"ok"
    metrics = (await http("GET", "/metrics")).body.decode()
    assert "apiserver_request_total{" in metrics
    assert "apiserver_request_duration_seconds_bucket{" in metrics
    assert "apiserver_longrunning_requests" in metrics


async def test_pretty(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    assert b'\n  "' in (await http("GET", f"{path}?pretty=true")).body
    assert b'\n  "' in (await http("GET", path, User_Agent="curl/8")).body
    assert b'\n  "' not in (await http("GET", path)).body


async def test_kubernetes_service_has_the_first_address(http: Http, control_plane: ControlPlane) -> None:
    service = (await http("GET", "/api/v1/namespaces/default/services/kubernetes")).json
    assert service["spec"]["clusterIP"] == "10.96.0.1"
    assert service["spec"]["ports"][0]["targetPort"] == control_plane.port
