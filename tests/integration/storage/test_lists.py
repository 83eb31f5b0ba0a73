"""Lists and pages at present and past revisions."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from apimachinery.errors import StatusError
from apiserver.storage import ListResult, ResourceStore
from tests.integration.storage.conftest import pod


async def fill(pods: ResourceStore, count: int = 10) -> None:
    for number in range(count):
        await pods.create("default", f"p{number}", pod(f"p{number}"))


def names(page: ListResult) -> list[str]:
    return [entry.name for entry in page.entries]


async def test_pages_show_the_state_of_the_first_page(pods: ResourceStore) -> None:
    await fill(pods)
    first = await pods.list("default", limit=4)
    assert names(first) == ["p0", "p1", "p2", "p3"]
    assert first.remaining == 6
    token = json.loads(base64.urlsafe_b64decode(first.cont + "=="))
    assert token == {"v": "meta.k8s.io/v1", "rv": first.revision, "start": "p3\x00"}
    await pods.delete("default", "p5")
    await pods.create("default", "p55", pod("p55"))
    second = await pods.list("default", limit=4, cont=first.cont)
    assert (names(second), second.remaining) == (["p4", "p5", "p6", "p7"], 2)
    assert second.revision == first.revision
    third = await pods.list("default", limit=4, cont=second.cont)
    assert (names(third), third.cont, third.remaining) == (["p8", "p9"], None, None)


async def test_an_expired_token_comes_back_with_one_for_the_rest(open_store: Callable[..., Any]) -> None:
    store, pods = await open_store()
    await fill(pods)
    first = await pods.list(limit=4)
    await pods.delete("default", "p6")
    await store.etcd.compact(store.revision)
    with pytest.raises(StatusError) as caught:
        await pods.list(limit=4, cont=first.cont)
    status = caught.value.status()
    assert (status["code"], status["reason"]) == (410, "Expired")
    assert status["message"].startswith(
        "The provided continue parameter is too old to display a consistent list"
    )
    rest = await pods.list(limit=4, cont=status["metadata"]["continue"])
    assert names(rest) == ["p4", "p5", "p7", "p8"]


async def test_exact_and_not_older_than(open_store: Callable[..., Any]) -> None:
    store, pods = await open_store()
    await fill(pods, 3)
    then = store.revision
    await pods.delete("default", "p1")
    exact = await pods.list(resource_version=str(then), match="Exact")
    assert (names(exact), exact.revision) == (["p0", "p1", "p2"], then)
    legacy = await pods.list(resource_version=str(then), limit=2)
    assert (names(legacy), legacy.remaining) == (["p0", "p1"], 1)
    assert names(await pods.list(resource_version=str(then), match="NotOlderThan")) == ["p0", "p2"]
    assert names(await pods.list(resource_version="0", limit=1)) == ["p0", "p2"]
    await store.etcd.compact(store.revision)
    with pytest.raises(StatusError) as caught:
        await pods.list(resource_version=str(then), match="Exact")
    assert caught.value.reason == "Expired"


async def test_revisions_of_the_future_and_bad_ones(open_store: Callable[..., Any]) -> None:
    store, pods = await open_store()
    with pytest.raises(StatusError) as caught:
        await pods.list(resource_version="1000000")
    assert caught.value.code == 504
    assert caught.value.message == f"Timeout: Too large resource version: 1000000, current: {store.revision}"
    with pytest.raises(StatusError) as caught:
        await pods.get("default", "a", resource_version="-1")
    assert caught.value.code == 400


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("%%", "continue key is not valid: "),
        ("e30", 'continue key is not valid: server does not recognize this encoded version ""'),
        (
            base64.urlsafe_b64encode(b'{"v":"meta.k8s.io/v1","start":"a"}').decode(),
            "continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
        ),
    ],
)
async def test_bad_tokens(pods: ResourceStore, token: str, message: str) -> None:
    with pytest.raises(StatusError) as caught:
        await pods.list(cont=token)
    assert (caught.value.code, caught.value.reason) == (400, "BadRequest")
    assert caught.value.message.startswith(message)


async def test_items_are_objects_without_types(pods: ResourceStore) -> None:
    assert (await pods.list()).document(b"[", b"]") == b"[]"
    await fill(pods, 2)
    items = json.loads((await pods.list()).document(b"[", b"]"))
    assert [item["metadata"]["name"] for item in items] == ["p0", "p1"]
    assert "kind" not in items[0]
