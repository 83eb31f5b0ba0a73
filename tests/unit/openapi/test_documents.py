"""The OpenAPI documents hold what kubectl looks for, in both versions and both encodings."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from apimachinery.resources import ALL
from apiserver.openapi import documents


@pytest.fixture(scope="module")
def apps() -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(documents.v3_document("apps/v1", ALL))
    return document


@pytest.fixture(scope="module")
def swagger() -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(documents.v2_json(ALL))
    return document


def test_the_index_lists_every_group_and_version_with_a_hash() -> None:
    index = orjson.loads(documents.v3_index(ALL))["paths"]
    assert set(index) == {f"apis/{r.group_version}" if r.group else f"api/{r.version}" for r in ALL}
    url = index["apis/apps/v1"]["serverRelativeURL"]
    assert url == f"/openapi/v3/apis/apps/v1?hash={documents.v3_hash('apps/v1', ALL)}"


def test_a_document_without_resources_does_not_exist() -> None:
    with pytest.raises(KeyError):
        documents.v3_document("nothing/v1", ALL)


@pytest.mark.parametrize("method", ["post", "put", "patch"])
def test_writes_offer_field_validation_and_dry_run(apps: dict[str, Any], method: str) -> None:
    base = "/apis/apps/v1/namespaces/{namespace}/deployments"
    operation = apps["paths"][base if method == "post" else f"{base}/{{name}}"][method]
    names = {p["name"] for p in operation["parameters"] if p["in"] == "query"}
    assert {"fieldValidation", "dryRun", "fieldManager"} <= names
    assert operation["x-kubernetes-action"] == method
    assert operation["x-kubernetes-group-version-kind"] == {
        "group": "apps",
        "version": "v1",
        "kind": "Deployment",
    }


def test_references_resolve_within_the_document(apps: dict[str, Any]) -> None:
    schemas = apps["components"]["schemas"]

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if "$ref" in value and isinstance(value["$ref"], str) else []
            return own + [r for v in value.values() for r in references(v)]
        return [r for v in value for r in references(v)] if isinstance(value, list) else []

    prefix = "#/components/schemas/"
    assert [r for r in references(apps) if r.removeprefix(prefix) not in schemas] == []


def test_descriptions_beside_references_use_all_of(apps: dict[str, Any]) -> None:
    spec = apps["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"]["properties"]["spec"]
    assert spec["allOf"] == [{"$ref": "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"}]
    assert spec["description"]


def test_special_types_in_both_dialects(apps: dict[str, Any], swagger: dict[str, Any]) -> None:
    name = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
    assert apps["components"]["schemas"][name]["oneOf"] == [{"type": "integer"}, {"type": "string"}]
    assert swagger["definitions"][name]["type"] == "string"
    assert swagger["definitions"][name]["format"] == "int-or-string"


def test_no_nullable_types_or_enums_remain(swagger: dict[str, Any]) -> None:
    replicas = swagger["definitions"]["io.k8s.api.apps.v1.DeploymentSpec"]["properties"]["replicas"]
    assert replicas["type"] == "integer"
    assert "enum" not in swagger["definitions"]["io.k8s.api.core.v1.Pod"]["properties"]["kind"]


def test_merge_metadata_survives(swagger: dict[str, Any]) -> None:
    containers = swagger["definitions"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert containers["x-kubernetes-list-map-keys"] == ["name"]


def test_operation_ids_are_unique(swagger: dict[str, Any]) -> None:
    ids = [o["operationId"] for item in swagger["paths"].values() for o in item.values()]
    assert len(set(ids)) == len(ids)
    assert "listCoreV1NamespacedPod" in ids
    assert "createAppsV1NamespacedDeployment" in ids
    assert "readCoreV1NamespacedPodStatus" in ids


def fields(message: bytes) -> list[tuple[int, int | bytes]]:
    """A protobuf message as (field number, value), one level deep."""
    out: list[tuple[int, int | bytes]] = []
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        if key & 7 == 0:
            out.append((key >> 3, varint()))
        else:
            assert key & 7 == 2
            size = varint()
            out.append((key >> 3, message[at : at + size]))
            at += size
    assert at == len(message)
    return out


def only(message: bytes, number: int) -> list[bytes]:
    return [value for field, value in fields(message) if field == number and isinstance(value, bytes)]


def test_the_protobuf_document_says_the_same_as_the_json_one(swagger: dict[str, Any]) -> None:
    message = documents.v2_protobuf(ALL)
    assert only(message, 1) == [b"2.0"]
    paths = {only(m, 1)[0].decode(): only(m, 2)[0] for m in only(only(message, 8)[0], 2)}
    assert set(paths) == set(swagger["paths"])
    definitions = {only(m, 1)[0].decode(): only(m, 2)[0] for m in only(only(message, 9)[0], 1)}
    assert set(definitions) == set(swagger["definitions"])
    pod = "/api/v1/namespaces/{namespace}/pods/{name}"
    patch = only(paths[pod], 8)[0]
    assert only(patch, 5) == [swagger["paths"][pod]["patch"]["operationId"].encode()]
    assert only(patch, 3) == [swagger["paths"][pod]["patch"]["description"].encode()]
    names = [
        name
        for item in only(patch, 8)
        for parameter in only(item, 1)
        for non_body in only(parameter, 2)
        for query in only(non_body, 3)
        for name in only(query, 4)
    ]
    assert b"dryRun" in names
    extensions = {only(e, 1)[0]: only(only(e, 2)[0], 2)[0] for e in only(patch, 13)}
    assert orjson.loads(extensions[b"x-kubernetes-group-version-kind"]) == {
        "group": "", "version": "v1", "kind": "Pod",
    }  # fmt: skip
