"""The resource table agrees with the official schema and addresses objects as the official API does."""

from __future__ import annotations

import pytest

from apimachinery import resources
from apimachinery.resources import ALL, DEPLOYMENTS, NODES, PODS
from apimachinery.schema import definitions


def test_every_row_has_its_definitions() -> None:
    known = definitions.load()
    assert [r.definition for r in ALL if r.definition not in known] == []
    assert [r.list_definition for r in ALL if "list" in r.verbs and r.list_definition not in known] == []
    subresources = [s.definition for r in ALL for s in r.subresources if s.definition]
    assert [name for name in subresources if name not in known] == []


def test_no_two_rows_share_an_address_or_a_short_name_within_a_group() -> None:
    assert len({(r.group, r.version, r.plural) for r in ALL}) == len(ALL)
    short = [(r.group, r.version, name) for r in ALL for name in r.short_names]
    assert len(set(short)) == len(short)


def test_kinds_are_declared_by_the_definition_that_they_name() -> None:
    raw = definitions.raw()
    for row in ALL:
        declared = raw[row.definition]["x-kubernetes-group-version-kind"]
        assert {"group": row.group, "version": row.version, "kind": row.kind} in declared


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PODS.path(), "/api/v1/pods"),
        (PODS.path("n"), "/api/v1/namespaces/n/pods"),
        (PODS.path("n", "p", "log"), "/api/v1/namespaces/n/pods/p/log"),
        (DEPLOYMENTS.path("n", "d"), "/apis/apps/v1/namespaces/n/deployments/d"),
        (NODES.path(name="node-1"), "/api/v1/nodes/node-1"),
        (NODES.path("ignored", "node-1"), "/api/v1/nodes/node-1"),
    ],
)
def test_paths(path: str, expected: str) -> None:
    assert path == expected


def test_lookups() -> None:
    assert resources.by_kind("apps/v1", "Deployment") is DEPLOYMENTS
    assert resources.by_path("apps", "v1", "deployments") is DEPLOYMENTS
    assert resources.by_kind("apps/v1", "Pod") is None
    assert DEPLOYMENTS.group_resource == "deployments.apps"
    assert PODS.group_resource == "pods"
    assert DEPLOYMENTS.has_subresource("scale")
