"""The stored form, and the entry made of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.storage import codec
from apiserver.storage.entry import Draft, draft_of_value

POD = {
    "kind": "Pod",
    "spec": {"nodeName": "n1"},
    "metadata": {"name": "a", "resourceVersion": "7", "labels": {"app": "x"}, "uid": "u"},
    "apiVersion": "v1",
}


def test_type_and_metadata_come_first_and_the_revision_is_left_out() -> None:
    assert codec.encode(POD) == (
        b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"app":"x"},"uid":"u"},'
        b'"spec":{"nodeName":"n1"}}'
    )
    assert POD["metadata"]["resourceVersion"] == "7", "the caller's object is not changed"


def test_the_revision_is_spliced_in() -> None:
    assert codec.splice(codec.encode(POD), 42).startswith(
        b'{"apiVersion":"v1","kind":"Pod","metadata":{"resourceVersion":"42","name":"a",'
    )
    assert codec.splice(b'{"apiVersion":"v1","kind":"X","metadata":{}}', 1) == (
        b'{"apiVersion":"v1","kind":"X","metadata":{"resourceVersion":"1"}}'
    )


def test_json_of_another_writer_is_put_in_order() -> None:
    raw = json.dumps(POD, indent=1).encode()
    assert codec.split(raw)[0] == b'{"apiVersion":"v1","kind":"Pod",'
    assert json.loads(codec.splice(raw, 9))["metadata"]["resourceVersion"] == "9"


@pytest.mark.parametrize(
    "raw", [b"", b"k8s\x00\x0a", b"[]", b'{"metadata":{}}', b'{"spec":{"metadata":{"a":1}}}']
)
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        codec.split(raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.dictionaries(st.text(), json_values, max_size=4),
    st.dictionaries(st.text(), json_values, max_size=4),
    st.integers(1, 2**62),
)
def test_any_object_survives(metadata: dict[str, object], rest: dict[str, object], revision: int) -> None:
    metadata = {k: v for k, v in metadata.items() if k not in ("labels", "uid")}
    obj = rest | {"apiVersion": "v1", "kind": "Thing", "metadata": metadata}
    entry = Draft("ns/name", codec.encode(obj), obj, None).entry(revision)
    expected = obj | {"metadata": metadata | {"resourceVersion": str(revision)}}
    assert entry.decode() == expected
    assert json.loads(b"{" + entry.body) == {
        k: v for k, v in expected.items() if k not in ("apiVersion", "kind")
    }
    later = entry.at(revision + 1)
    assert later.decode()["metadata"]["resourceVersion"] == str(revision + 1)
    assert later.at(revision).encoded() == entry.encoded()


def test_an_entry_knows_what_selectors_ask_for() -> None:
    draft = draft_of_value("ns/a", codec.encode(POD), lambda obj: {"spec.nodeName": "n1", "empty": ""})
    entry = draft.entry(3)
    assert (entry.namespace, entry.name, entry.uid, entry.rev) == ("ns", "a", "u", 3)
    assert entry.labels == {"app": "x"}
    assert [entry.field(f) for f in ("spec.nodeName", "metadata.name", "metadata.namespace", "empty")] == [
        "n1", "a", "ns", "",
    ]  # fmt: skip
    assert draft.same_as(entry)
    assert draft.entry(4).labels is entry.labels


def test_the_order_of_members_is_no_change() -> None:
    entry = draft_of_value("ns/a", codec.encode(POD), None).entry(3)
    turned = dict(reversed(POD.items())) | {"metadata": dict(reversed(POD["metadata"].items()))}
    assert Draft("ns/a", codec.encode(turned), turned, None).same_as(entry)
    other = POD | {"spec": {"nodeName": "n2"}}
    assert not Draft("ns/a", codec.encode(other), other, None).same_as(entry)
