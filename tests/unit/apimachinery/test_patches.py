"""JSON, merge and strategic merge patch: given this object and that patch, this comes out."""

from __future__ import annotations

from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apimachinery import errors
from apimachinery.patch import json_patch, merge_patch, strategic

DEPLOYMENT = "io.k8s.api.apps.v1.Deployment"
SERVICE = "io.k8s.api.core.v1.Service"
POD = "io.k8s.api.core.v1.Pod"

Json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab/~", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
Maps = st.dictionaries(st.text("abc", min_size=1, max_size=2), Json, max_size=3)


@given(Json, Json)
def test_json_patch_agrees_with_the_reference_library(old: Any, new: Any) -> None:
    operations = jsonpatch.JsonPatch.from_diff(old, new).patch
    assert json_patch.apply(old, operations) == new


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([{"op": "add", "path": "/a", "value": 1}], {"a": 1, "l": [1, 2]}),
        ([{"op": "add", "path": "/l/-", "value": 3}], {"l": [1, 2, 3]}),
        ([{"op": "add", "path": "/l/0", "value": 0}], {"l": [0, 1, 2]}),
        ([{"op": "replace", "path": "/l/-1", "value": 9}], {"l": [1, 9]}),
        ([{"op": "remove", "path": "/l"}], {}),
        ([{"op": "copy", "from": "/l", "path": "/m"}], {"l": [1, 2], "m": [1, 2]}),
        ([{"op": "test", "path": "/l/0", "value": 1}], {"l": [1, 2]}),
        ([{"op": "test", "path": "/missing", "value": None}], {"l": [1, 2]}),
    ],
)
def test_json_patch_operations(operations: list[dict[str, Any]], expected: Any) -> None:
    original = {"l": [1, 2]}
    assert json_patch.apply(original, operations) == expected
    assert original == {"l": [1, 2]}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/missing"},
        {"op": "replace", "path": "/missing", "value": 1},
        {"op": "add", "path": "/a/b", "value": 1},
        {"op": "add", "path": "/l/9", "value": 1},
        {"op": "test", "path": "/l/0", "value": True},
        {"op": "nonsense", "path": "/l"},
        {"op": "add", "path": "l", "value": 1},
    ],
)
def test_json_patches_that_do_not_fit_are_unprocessable(operation: dict[str, Any]) -> None:
    with pytest.raises(errors.StatusError) as raised:
        json_patch.apply({"l": [1, 2]}, [operation])
    assert raised.value.code == 422
    assert raised.value.message == "the server rejected our request due to an error in our request"


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"a": None}, {"b": {"c": 1}}),
        ({"b": {"d": 2}}, {"a": 1, "b": {"c": 1, "d": 2}}),
        ({"b": {"c": None}}, {"a": 1, "b": {}}),
        ({"b": [1]}, {"a": 1, "b": [1]}),
        ({"n": {"x": None, "y": 1}}, {"a": 1, "b": {"c": 1}, "n": {"y": 1}}),
    ],
)
def test_merge_patch(patch: dict[str, Any], expected: Any) -> None:
    assert merge_patch.apply({"a": 1, "b": {"c": 1}}, patch) == expected


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return value


@given(Maps, Maps)
def test_a_merge_patch_made_of_two_objects_leads_from_one_to_the_other(old: Any, new: Any) -> None:
    old, new = _without_nulls(old), _without_nulls(new)
    assert merge_patch.apply(old, merge_patch.difference(old, new)) == new


def deployment(*containers: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": list(containers)}}}}


def patched(obj: Any, patch: Any, definition: str = DEPLOYMENT) -> list[Any]:
    result: list[Any] = strategic.apply(obj, patch, definition)["spec"]["template"]["spec"]["containers"]
    return result


A, B, C = {"name": "a", "image": "1"}, {"name": "b", "image": "1"}, {"name": "c", "image": "1"}


def test_keyed_lists_are_merged_by_key() -> None:
    assert patched(deployment(A, B), deployment({"name": "b", "image": "2"})) == [
        A,
        {"name": "b", "image": "2"},
    ]


def test_new_items_are_added_and_the_patch_gives_the_order_of_what_it_names() -> None:
    assert patched(deployment(A, B), deployment(C, {"name": "a"})) == [C, A, B]


def test_items_are_deleted_by_directive() -> None:
    assert patched(deployment(A, B), deployment({"name": "a", "$patch": "delete"})) == [B]


def test_lists_are_replaced_by_directive() -> None:
    assert patched(deployment(A, B), deployment(C, {"$patch": "replace"})) == [C]


def test_set_element_order() -> None:
    patch = deployment({"name": "c", "image": "1"})
    patch["spec"]["template"]["spec"]["$setElementOrder/containers"] = [{"name": "c"}, {"name": "a"}]
    assert [c["name"] for c in patched(deployment(A, B), patch)] == ["c", "a", "b"]
    order_only = {
        "spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}}
    }
    assert [c["name"] for c in patched(deployment(A, B), order_only)] == ["b", "a"]


def test_an_order_that_contradicts_the_list_is_refused() -> None:
    patch = deployment(A, B)
    patch["spec"]["template"]["spec"]["$setElementOrder/containers"] = [{"name": "b"}, {"name": "a"}]
    with pytest.raises(errors.StatusError, match="The order in patch list"):
        strategic.apply(deployment(A, B), patch, DEPLOYMENT)


def test_an_item_without_its_merge_key_is_refused() -> None:
    with pytest.raises(errors.StatusError) as raised:
        strategic.apply(deployment(A), deployment({"image": "2"}), DEPLOYMENT)
    assert raised.value.message == "map: map[image:2] does not contain declared merge key: name"


def test_merge_keys_other_than_name() -> None:
    live = {"spec": {"ports": [{"port": 80, "targetPort": 8080}, {"port": 443}]}}
    patch = {"spec": {"ports": [{"port": 80, "targetPort": 9090}]}}
    assert strategic.apply(live, patch, SERVICE)["spec"]["ports"] == [
        {"port": 80, "targetPort": 9090},
        {"port": 443},
    ]


def test_lists_without_a_strategy_are_replaced() -> None:
    live = {"spec": {"containers": [{"name": "a", "args": ["1", "2"]}]}}
    patch = {"spec": {"containers": [{"name": "a", "args": ["3"]}]}}
    assert strategic.apply(live, patch, POD)["spec"]["containers"][0]["args"] == ["3"]


def test_primitive_lists_are_merged_and_deleted_from() -> None:
    live = {"metadata": {"finalizers": ["a", "b"]}}
    added = strategic.apply(live, {"metadata": {"finalizers": ["c"]}}, POD)
    assert added["metadata"]["finalizers"] == ["c", "a", "b"]
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}
    assert strategic.apply(live, patch, POD)["metadata"]["finalizers"] == ["b"]


def test_retain_keys_drops_the_others() -> None:
    live = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic.apply(live, patch, DEPLOYMENT) == {"spec": {"strategy": {"type": "Recreate"}}}
    wrong = {"spec": {"strategy": {"$retainKeys": [], "type": "Recreate"}}}
    with pytest.raises(errors.StatusError, match="invalid patch format of retainKeys"):
        strategic.apply(live, wrong, DEPLOYMENT)


def test_maps_are_replaced_or_emptied_by_directive() -> None:
    live = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    replace = {"metadata": {"labels": {"$patch": "replace", "c": "3"}}}
    assert strategic.apply(live, replace, POD) == {"metadata": {"labels": {"c": "3"}}}
    assert strategic.apply(live, {"metadata": {"labels": {"$patch": "delete"}}}, POD) == {
        "metadata": {"labels": {}}
    }
    with pytest.raises(errors.StatusError, match="unknown patch type found: x in map"):
        strategic.apply(live, {"metadata": {"labels": {"$patch": "x"}}}, POD)


def test_null_removes_and_leaves_the_original_untouched() -> None:
    live = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    assert strategic.apply(live, {"metadata": {"labels": {"a": None}}}, POD) == {
        "metadata": {"labels": {"b": "2"}}
    }
    assert live == {"metadata": {"labels": {"a": "1", "b": "2"}}}
