"""Watches: what is seen, in which order, from where; as events, bookmarks, tables and streamed lists."""

from __future__ import annotations

import json
import threading

import httpx
import pytest

from tests.integration.api.conftest import (
    MERGE,
    TABLE,
    Api,
    Object,
    config_map,
    core,
    deployment,
    pod,
    refused,
)

METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
STREAMED = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"


def seen(events: list[Object]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"]["name"]) for event in events]


def version(obj: Object) -> str:
    found: str = obj["metadata"]["resourceVersion"]
    return found


def test_watchers_by_label_see_only_theirs(api: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    start = version(api.get(maps))
    a = api.make(maps, config_map("a", {"watch": "A"}))
    api.put(f"{maps}/a", {**a, "data": {"mutation": "1"}})
    api.make(maps, config_map("b", {"watch": "B"}))
    api("DELETE", f"{maps}/a")
    api("DELETE", f"{maps}/b")
    both = f"{maps}?watch=1&resourceVersion={start}"
    of_a = [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert seen(api.watch(f"{both}&labelSelector=watch%3DA", 3)) == of_a
    assert seen(api.watch(f"{both}&labelSelector=watch%3DB", 2)) == [("ADDED", "b"), ("DELETED", "b")]
    everything = [*of_a[:2], ("ADDED", "b"), ("DELETED", "a"), ("DELETED", "b")]
    assert seen(api.watch(f"{both}&labelSelector=watch+in+(A,B)", 5)) == everything
    assert seen(api.watch(f"{both}&fieldSelector=metadata.name%3Da", 3)) == of_a


def test_a_watch_starts_at_its_resource_version(api: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    made = api.make(maps, config_map("a"))
    first = api.put(f"{maps}/a", {**made, "data": {"mutation": "1"}})
    api.patch(f"{maps}/a", {"data": {"mutation": "2"}})
    api("DELETE", f"{maps}/a")
    events = api.watch(f"{maps}?watch=1&resourceVersion={version(first)}", 2)
    assert [(e["type"], e["object"]["data"]["mutation"]) for e in events] == [
        ("MODIFIED", "2"),
        ("DELETED", "2"),
    ]
    last = version(events[0]["object"])
    assert seen(api.watch(f"{maps}?watch=1&resourceVersion={last}", 1)) == [("DELETED", "a")]


def test_an_object_that_leaves_the_selector_is_deleted_for_it(api: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    start = version(api.get(maps))
    for step, label in enumerate(("on", "off", "off", "on")):
        if step == 0:
            api.make(maps, config_map("a", {"w": label}, step="0"))
        else:
            api.patch(f"{maps}/a", {"metadata": {"labels": {"w": label}}, "data": {"step": str(step)}})
    api("DELETE", f"{maps}/a")
    events = api.watch(f"{maps}?watch=1&labelSelector=w%3Don&resourceVersion={start}", 4)
    assert [(e["type"], e["object"]["data"]["step"]) for e in events] == [
        ("ADDED", "0"), ("DELETED", "0"), ("ADDED", "3"), ("DELETED", "3"),
    ]  # fmt: skip


def test_every_watch_sees_the_same_order(api: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    start = version(api.get(maps))

    def write(worker: int) -> None:
        for number in range(6):
            name = f"w{worker}-{number}"
            api.make(maps, config_map(name))
            api.patch(f"{maps}/{name}", {"data": {"a": "b"}})
            if number % 2:
                api("DELETE", f"{maps}/{name}")

    writers = [threading.Thread(target=write, args=(worker,)) for worker in range(3)]
    for writer in writers:
        writer.start()
    events = api.watch(f"{maps}?watch=1&resourceVersion={start}", 3 * 15)
    for writer in writers:
        writer.join()
    versions = [int(version(event["object"])) for event in events]
    assert versions == sorted(set(versions))
    for index in range(0, len(events) - 1, 11):
        again = api.watch(f"{maps}?watch=1&resourceVersion={versions[index]}", len(events) - index - 1)
        assert again == events[index + 1 :]


@pytest.mark.parametrize("start", ["", "&resourceVersion=0"])
def test_without_a_version_a_watch_begins_with_what_is_there(api: Api, namespace: str, start: str) -> None:
    maps = core(namespace, "configmaps")
    for name in ("b", "a"):
        api.make(maps, config_map(name))
    assert seen(api.watch(f"{maps}?watch=true{start}", 2)) == [("ADDED", "a"), ("ADDED", "b")]
    assert seen(api.watch(f"/api/v1/watch/namespaces/{namespace}/configmaps/b", 1)) == [("ADDED", "b")]


def test_a_named_object_is_got_not_watched(api: Api, namespace: str) -> None:
    api.make(core(namespace, "configmaps"), config_map("a"))
    assert api.get(core(namespace, "configmaps/a?watch=1"))["kind"] == "ConfigMap"


@pytest.mark.parametrize("floor", ["", "0", "now"])
def test_streamed_lists(api: Api, namespace: str, floor: str) -> None:
    maps = core(namespace, "configmaps")
    names = [f"m{number}" for number in range(5)]
    for name in names:
        made = api.make(maps, config_map(name, {"l": name}))
    given = version(made) if floor == "now" else floor
    events = api.watch(f"{maps}?{STREAMED}&resourceVersion={given}", 6)
    assert seen(events[:-1]) == [("ADDED", name) for name in names]
    end = events[-1]
    assert (end["type"], end["object"]["kind"], end["object"]["apiVersion"]) == (
        "BOOKMARK",
        "ConfigMap",
        "v1",
    )
    assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(version(end["object"])) >= int(version(made))
    picked = api.watch(f"{maps}?{STREAMED}&labelSelector=l%3Dm3", 2)
    assert [event["type"] for event in picked] == ["ADDED", "BOOKMARK"]
    api("DELETE", f"{maps}/m3")
    after = api.watch(f"{maps}?watch=1&resourceVersion={version(end['object'])}", 1)
    assert seen(after) == [("DELETED", "m3")]


def test_a_streamed_list_can_be_of_metadata_or_tables(api: Api, namespace: str) -> None:
    pods = core(namespace, "pods")
    api.make(pods, pod("p"))
    added, end = api.watch(f"{pods}?{STREAMED}", 2, Accept=METADATA)
    assert (added["object"]["kind"], added["object"]["apiVersion"]) == (
        "PartialObjectMetadata",
        "meta.k8s.io/v1",
    )
    assert added["object"].keys() == {"kind", "apiVersion", "metadata"}
    assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    added, end = api.watch(f"{pods}?{STREAMED}", 2, Accept=TABLE)
    assert added["object"]["kind"] == end["object"]["kind"] == "Table"
    assert added["object"]["rows"][0]["cells"][:3] == ["p", "0/1", "Pending"]
    row = end["object"]["rows"][0]["object"]
    assert row["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_a_table_names_its_columns(api: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    api.make(maps, config_map("a", x="1"))
    (first,) = api.watch(f"{maps}?watch=1", 1, Accept=TABLE)
    assert [column["name"] for column in first["object"]["columnDefinitions"]] == ["Name", "Data", "Age"]


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        (
            "sendInitialEvents=true",
            (
                "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            ),
        ),
        (
            "sendInitialEvents=true&resourceVersionMatch=Exact",
            ('resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"'),
        ),
        (
            "resourceVersionMatch=NotOlderThan",
            (
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is "
                "provided"
            ),
        ),
    ],
)
def test_options_that_do_not_go_together(api: Api, namespace: str, query: str, problem: str) -> None:
    answer = api("GET", f"{core(namespace, 'configmaps')}?watch=1&{query}")
    refused(answer, 422, "Invalid", f'ListOptions.meta.k8s.io "" is invalid: {problem}')


def test_versions_that_cannot_be_watched(api: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    answer = api("GET", f"{maps}?watch=1&resourceVersion=x")
    refused(
        answer,
        400,
        "BadRequest",
        (
            'invalid resource version: resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax'
        ),
    )


def test_a_watch_follows_deletion_with_finalizers(api: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    held = config_map("a")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    start = version(api.make(maps, held))
    api("DELETE", f"{maps}/a")
    api("PATCH", f"{maps}/a", {"metadata": {"finalizers": None}}, MERGE)
    marked, gone = api.watch(f"{maps}?watch=1&resourceVersion={start}", 2)
    assert (marked["type"], gone["type"]) == ("MODIFIED", "DELETED")
    assert marked["object"]["metadata"]["deletionTimestamp"]
    assert int(version(gone["object"])) > int(version(marked["object"]))


def test_watching_pods_by_their_fields(api: Api, namespace: str) -> None:
    pods = core(namespace, "pods")
    start = version(api.get(pods))
    api.make(pods, pod("p"))
    target = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": f"n-{namespace}"}}
    api.make(f"{pods}/p/binding", target)
    events = api.watch(
        f"/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dn-{namespace}&resourceVersion={start}", 1
    )
    assert seen(events) == [("ADDED", "p")]
    left = api.watch(
        f"/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3D,metadata.namespace%3D{namespace}"
        f"&resourceVersion={start}",
        2,
    )
    assert seen(left) == [("ADDED", "p"), ("DELETED", "p")]


def test_a_write_reaches_every_watcher(api: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    start = version(api.get(maps))
    with httpx.Client(
        base_url=api.client.base_url, verify=api.context, timeout=30, limits=httpx.Limits()
    ) as many:
        request = many.build_request("GET", f"{maps}?watch=1&resourceVersion={start}")
        streams = [many.send(request, stream=True) for _ in range(40)]
        api.make(maps, config_map("a"))
        for stream in streams:
            assert json.loads(next(stream.iter_lines()))["object"]["metadata"]["name"] == "a"
            stream.close()


def test_watch_of_deployments_as_tables(api: Api, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    api.make(path, deployment("d"))
    (event,) = api.watch(f"{path}?watch=1", 1, Accept=TABLE)
    assert event["object"]["rows"][0]["cells"][:4] == ["d", "0/1", 0, 0]
