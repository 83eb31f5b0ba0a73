"""Unknown and repeated fields under fieldValidation Strict, Warn and Ignore, in every way of writing."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.integration.api.conftest import (
    APPLY,
    JSON_PATCH,
    MERGE,
    STRATEGIC,
    YAML,
    Api,
    Object,
    apps,
    core,
    deployment,
    refused,
)

FOUND = [
    'unknown field "metadata.unknownMeta"',
    'unknown field "spec.unknown1"',
    'duplicate field "spec.replicas"',
    'unknown field "spec.template.spec.containers[0].unknownNested"',
    'duplicate field "spec.template.spec.containers[0].imagePullPolicy"',
]


def odd(name: str) -> str:
    """A Deployment with two kinds of mistakes; JSON by hand, because a dict cannot repeat itself."""
    body = deployment(name)
    body["metadata"]["unknownMeta"] = "x"
    spec: Object = {"unknown1": "x"}
    spec |= body["spec"]
    body["spec"] = spec
    body["spec"]["template"]["spec"]["containers"][0] |= {"unknownNested": "x", "imagePullPolicy": "Always"}
    text = json.dumps(body)
    text = text.replace('"replicas": 1', '"replicas": 1, "replicas": 2')
    return text.replace(
        '"imagePullPolicy": "Always"', '"imagePullPolicy": "Always", "imagePullPolicy": "Never"'
    )


def warnings(answer: httpx.Response) -> list[str]:
    """The texts of the Warning headers."""
    found = answer.headers.get_list("warning")
    assert all(text.startswith('299 - "') and text.endswith('"') for text in found)
    return [text[7:-1].replace('\\"', '"') for text in found]


def test_create_strictly(api: Api, namespace: str) -> None:
    path = apps(namespace, "deployments")
    refused(
        api("POST", f"{path}?fieldValidation=Strict", odd("a")), 400, "BadRequest",
        'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: ' + ", ".join(FOUND),
    )  # fmt: skip
    assert api.names(path) == []


@pytest.mark.parametrize("query", ["?fieldValidation=Warn", ""])
def test_create_with_warnings(api: Api, namespace: str, query: str) -> None:
    answer = api("POST", apps(namespace, "deployments") + query, odd("a"))
    assert (answer.status_code, warnings(answer)) == (201, FOUND)
    made = answer.json()
    assert made["spec"]["replicas"] == 2, "the last one wins"
    assert "unknown1" not in made["spec"]
    assert "unknownMeta" not in made["metadata"]
    assert "unknown" not in api("GET", apps(namespace, "deployments/a")).text


def test_create_without_a_word(api: Api, namespace: str) -> None:
    answer = api("POST", apps(namespace, "deployments?fieldValidation=Ignore"), odd("a"))
    assert (answer.status_code, warnings(answer)) == (201, [])


def test_update(api: Api, namespace: str) -> None:
    path = apps(namespace, "deployments/a")
    api.make(apps(namespace, "deployments"), deployment("a"))
    strict = api("PUT", f"{path}?fieldValidation=Strict", odd("a"))
    assert (strict.status_code, strict.json()["message"].partition("error: ")[2]) == (400, ", ".join(FOUND))
    assert warnings(api("PUT", f"{path}?fieldValidation=Warn", odd("a"))) == FOUND
    assert api("PUT", f"{path}?fieldValidation=Ignore", odd("a")).status_code == 200


def test_metadata_of_the_template(api: Api, namespace: str) -> None:
    body = deployment("a")
    body["spec"]["template"]["metadata"]["nope"] = 1
    answer = api("POST", apps(namespace, "deployments?fieldValidation=Strict"), body)
    assert answer.json()["message"].endswith(
        'strict decoding error: unknown field "spec.template.metadata.nope"'
    )


@pytest.mark.parametrize("media", [MERGE, STRATEGIC])
def test_patches(api: Api, namespace: str, media: str) -> None:
    path = apps(namespace, "deployments/a")
    before = api.make(apps(namespace, "deployments"), deployment("a"))
    patch = '{"spec":{"unknown1":"x","paused":true,"paused":false,"replicas":3}}'
    found = ['duplicate field "spec.paused"', 'unknown field "spec.unknown1"']
    strict = api("PATCH", f"{path}?fieldValidation=Strict", patch, media)
    assert (strict.status_code, strict.json()["reason"]) == (422, "Invalid")
    assert strict.json()["message"].endswith(": strict decoding error: " + ", ".join(found))
    assert api.get(path) == before
    assert warnings(api("PATCH", f"{path}?fieldValidation=Warn&dryRun=All", patch, media)) == found
    assert warnings(api("PATCH", f"{path}?dryRun=All", patch, media)) == found
    quiet = api("PATCH", f"{path}?fieldValidation=Ignore", patch, media)
    assert (quiet.json()["spec"]["replicas"], warnings(quiet)) == (3, [])


def test_json_patches(api: Api, namespace: str) -> None:
    path = apps(namespace, "deployments/a")
    api.make(apps(namespace, "deployments"), deployment("a"))
    patch = (
        '[{"op":"add","path":"/spec/unknown1","value":"x","foo":"bar"},'
        '{"op":"add","path":"/spec/nope","path":"/spec/replicas","value":4}]'
    )
    found = [
        'json patch unknown field "[0].foo"', 'json patch duplicate field "[1].path"', 'unknown field "spec.unknown1"',
    ]  # fmt: skip
    strict = api("PATCH", f"{path}?fieldValidation=Strict", patch, JSON_PATCH)
    assert strict.status_code == 422
    assert strict.json()["message"].endswith(": strict decoding error: " + ", ".join(found))
    warned = api("PATCH", f"{path}?fieldValidation=Warn", patch, JSON_PATCH)
    assert (warned.json()["spec"]["replicas"], warnings(warned)) == (4, found)


def test_yaml(api: Api, namespace: str) -> None:
    path = core(namespace, "configmaps")
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\nfoo: 3\ndata: {k: a}\ndata: {k: b}\n"
    refused(
        api("POST", f"{path}?fieldValidation=Strict", text, YAML), 400, "BadRequest",
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal errors:\n'
        '  line 6: key "data" already set in map, unknown field "foo"',
    )  # fmt: skip
    warned = api("POST", path, text, YAML)
    assert warnings(warned) == ['line 6: key "data" already set in map', 'unknown field "foo"']
    assert warned.json()["data"] == {"k": "b"}


def test_apply(api: Api, namespace: str) -> None:
    path = core(namespace, "configmaps/a?fieldManager=me")
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: a}\ndata: {k: b}\n"
    refused(
        api("PATCH", f"{path}&fieldValidation=Strict", text, APPLY), 400, "BadRequest",
        "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n"
        '  line 5: key "data" already set in map',
    )  # fmt: skip
    assert api.names(core(namespace, "configmaps")) == []
    warned = api("PATCH", f"{path}&fieldValidation=Warn", text, APPLY)
    assert (warned.status_code, warnings(warned)) == (201, ['line 5: key "data" already set in map'])
    assert warnings(api("PATCH", f"{path}&fieldValidation=Ignore", text, APPLY)) == []
    for mode in ("Strict", "Warn", "Ignore"):
        unknown = api("PATCH", f"{path}&fieldValidation={mode}", text[:50] + "foo: bar\n", APPLY)
        assert unknown.status_code >= 400, mode


def test_an_apply_never_takes_unknown_fields(api: Api, namespace: str) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: u}\nfoo: bar\n"
    answer = api("PATCH", core(namespace, "configmaps/u?fieldManager=me&fieldValidation=Ignore"), text, APPLY)
    assert answer.json()["message"] == (
        f"failed to create typed patch object ({namespace}/u; v1, Kind=ConfigMap): .foo: field not declared in schema"
    )
    assert api.names(core(namespace, "configmaps")) == []
