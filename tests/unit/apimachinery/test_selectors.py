"""Label and field selectors select what they say, and malformed ones are refused in the official words."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.selectors import FieldSelector, LabelSelector

LABELS = {"app": "web", "tier": "front", "n": "7"}


@pytest.mark.parametrize(
    ("query", "selected"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app=db", False),
        ("app!=db", True),
        ("missing!=x", True),
        ("app in (web, db)", True),
        ("app notin (web)", False),
        ("missing notin (web)", True),
        ("app", True),
        ("!app", False),
        ("!missing", True),
        ("n>5", True),
        ("n<5", False),
        ("app>5", False),
        ("app=web,tier=front", True),
        ("app=web,tier=back", False),
        ("missing=", False),
        ("in in (in)", False),
    ],
)
def test_label_queries(query: str, selected: bool) -> None:
    assert LabelSelector.parse(query).matches(LABELS) is selected


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("n>x", "values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer"),
        ("a=$", 'values[0][a]: Invalid value: "$": a valid label must be an empty string'),
    ],
)
def test_malformed_label_queries(query: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        LabelSelector.parse(query)
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
        ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "x", "operator": "Exists"}]}, False),
    ],
)
def test_label_selector_objects(selector: dict[str, Any] | None, selected: bool) -> None:
    assert LabelSelector.from_object(selector).matches(LABELS) is selected


def test_selector_objects_with_unknown_operators_are_refused() -> None:
    with pytest.raises(ValueError, match='"Like" is not a valid label selector operator'):
        LabelSelector.from_object({"matchExpressions": [{"key": "a", "operator": "Like"}]})


@pytest.mark.parametrize("query", ["a=b", "a in (x,y),!b,c", "a!=b,n>5"])
def test_a_selector_prints_what_it_was_parsed_from(query: str) -> None:
    parsed = LabelSelector.parse(query)
    assert LabelSelector.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("query", "selected"),
    [
        ("", True),
        ("status.phase=Running", True),
        ("status.phase==Running", True),
        ("status.phase!=Running", False),
        ("spec.nodeName=", True),
        ("metadata.name=a,status.phase=Running", True),
        ("metadata.name=b", False),
        (r"spec.note=a\,b\=c", True),
    ],
)
def test_field_queries(query: str, selected: bool) -> None:
    fields = {"status.phase": "Running", "metadata.name": "a", "spec.note": "a,b=c"}
    assert FieldSelector.parse(query).matches(fields) is selected


def test_malformed_field_queries() -> None:
    with pytest.raises(ValueError, match="invalid selector: 'x'; can't understand 'x'"):
        FieldSelector.parse("x")


def test_field_selectors_tell_exact_values() -> None:
    selector = FieldSelector.parse("spec.nodeName=node-1,status.phase!=Failed")
    assert selector.exact("spec.nodeName") == "node-1"
    assert selector.exact("status.phase") is None
