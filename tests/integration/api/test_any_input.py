"""Objects of the right types but of any content: each is taken or refused in words, and none breaks the server."""

from __future__ import annotations

import random
from typing import Any

import pytest

from apimachinery.resources import ALL, Resource
from apimachinery.schema import definitions, types
from apimachinery.schema.types import Type
from tests.integration.api.conftest import APPLY, MERGE, STRATEGIC, Api, Object, apps, core, deployment, pod

STORED = [resource for resource in ALL if {"get", "create"} <= set(resource.verbs)]
STRINGS = (
    "",
    "a",
    "A_",
    "10.0.0.1",
    "::1",
    "NodePort",
    "Always",
    "TCP",
    "IPv4",
    "-1",
    "In",
    "a/b",
    "1.5",
    "é",
    "None",
)
OWNED = ("managedFields", "name", "namespace", "generateName", "resourceVersion", "uid")
OFFICIAL_500 = (
    "failed to create typed patch object", "does not contain declared merge key", "all elements of a list must be",
)  # fmt: skip
"""Refusals of patches that the original, too, answers with 500."""


class Chance:
    """Values of a type, the same ones for the same seed."""

    def __init__(self, seed: str) -> None:
        self.random = random.Random(seed)

    def value(self, node: Type, depth: int = 0) -> Any:
        pick = self.random.choice
        if self.random.random() < 0.04:
            return None
        match node.kind:
            case types.STRUCT:
                likely = 0.6 if depth < 2 else 0.25
                names = [name for name in node.fields or {} if depth < 9 and self.random.random() < likely]
                return {name: self.value(node.field(name), depth + 1) for name in names}
            case types.LIST:
                return [self.value(node.item, depth + 1) for _ in range(pick((0, 1, 1, 2)))]
            case types.MAP:
                keys = (pick(("a", "", "A b", "k8s.io/x", "cpu")) for _ in range(pick((0, 1, 2))))
                return {key: self.value(node.item, depth + 1) for key in keys}
            case types.ONE_OF:
                return self.value(pick(node.alternatives), depth)
        return pick({
            types.STRING: STRINGS, types.INTEGER: (0, 1, -1, 80, 70000, 2**31 - 1), types.NUMBER: (1.5, -1),
            types.BOOLEAN: (True, False), types.QUANTITY: ("0", "1", "-1", "1Gi", "100m", 2),
            types.INT_OR_STRING: (0, 1, "25%", "a", -1, 70000), types.TIME: ("2026-01-01T00:00:00Z",),
            types.MICRO_TIME: ("2026-01-01T00:00:00.000001Z",), types.BYTES: ("", "YQ==", "e30="),
        }.get(node.kind, ({}, {"a": 1})))  # fmt: skip

    def object(self, definition: str) -> Object:
        """An object without a name and what belongs to the server."""
        made = self.value(definitions.get(definition)) or {}
        metadata = {k: v for k, v in (made.get("metadata") or {}).items() if k not in OWNED}
        return {**{k: v for k, v in made.items() if k not in ("apiVersion", "kind")}, "metadata": metadata}


def served(api: Api, namespace: str) -> list[tuple[Resource, str]]:
    """The kinds that this server has, with the paths of their collections."""
    paths = [(row, row.path(namespace=namespace if row.namespaced else None)) for row in STORED]
    return [(row, path) for row, path in paths if api("GET", f"{path}?limit=1").status_code == 200]


def test_create(api: Api, namespace: str) -> None:
    kinds = served(api, namespace)
    assert len(kinds) >= 14
    for resource, path in kinds:
        chance = Chance(resource.kind)
        for number in range(12):
            made = chance.object(resource.definition)
            made["metadata"]["name"] = f"f{number}"
            answer = api("POST", f"{path}?dryRun=All", made)
            assert answer.status_code in (201, 403, 422), (answer.text, made)


@pytest.mark.parametrize("media", [MERGE, STRATEGIC, APPLY])
def test_patch(api: Api, namespace: str, media: str) -> None:
    api.make(core(namespace, "pods"), pod("v"))
    api.make(core(namespace, "services"), {"metadata": {"name": "v"}, "spec": {"ports": [{"port": 80}]}})
    api.make(apps(namespace, "deployments"), deployment("v"))
    api.make(apps(namespace, "replicasets"), deployment("v", "ReplicaSet"))
    for resource in STORED:
        if resource.plural not in ("pods", "services", "deployments", "replicasets"):
            continue
        chance, path = Chance(resource.kind + media), resource.path(namespace=namespace, name="v")
        for _ in range(10):
            patch = chance.object(resource.definition)
            query = "?dryRun=All"
            if media == APPLY:
                patch |= {"apiVersion": resource.api_version, "kind": resource.kind}
                query += "&fieldManager=me&force=true"
            for place in (path, f"{path}/status"):
                answer = api("PATCH", place + query, patch, media)
                if answer.status_code == 500:
                    assert any(words in answer.json()["message"] for words in OFFICIAL_500), (
                        answer.text,
                        patch,
                    )
                else:
                    assert answer.status_code in (200, 403, 409, 422), (answer.text, patch)
