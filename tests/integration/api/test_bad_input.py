"""What is refused: the official code, reason and words, and nothing is stored."""

from __future__ import annotations

import json
from typing import Any

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
    config_map,
    core,
    deployment,
    pod,
    refused,
)

SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
LABEL_1035 = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
UNRECOGNIZED = "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: "
AS_CONFIG_MAP = 'ConfigMap in version "v1" cannot be handled as a ConfigMap: '
AS_DEPLOYMENT = 'Deployment in version "v1" cannot be handled as a Deployment: '


@pytest.mark.parametrize(("body", "message"), [
    (b"{", UNRECOGNIZED + "unexpected end of JSON input ({)"),
    (b"nonsense", UNRECOGNIZED + "invalid character 'n' looking for beginning of value (6e6f6e73656e7365)"),
    (b'{"a":1} b', UNRECOGNIZED + "invalid character 'b' after top-level value ({\"a\":1} b)"),
    (b"[]", AS_CONFIG_MAP + "json: cannot unmarshal array into Go value of type v1.ConfigMap"),
    (b'{"metadata":[]}', AS_CONFIG_MAP + (
        "json: cannot unmarshal array into Go struct field ConfigMap.metadata of type v1.ObjectMeta"
    )),
    (b'{"data":{"k":5}}', AS_CONFIG_MAP + (
        "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"
    )),
    (b'{"binaryData":{"k":"***"}}', AS_CONFIG_MAP + "illegal base64 data at input byte 0"),
    (b'{"kind":"Secret","apiVersion":"v1"}', (
        'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): '
        "unknown conversion"
    )),
    (b'{"kind":"Deployment","apiVersion":"apps/v1"}', (
        "the API version in the data (apps/v1) does not match the expected API version (v1)"
    )),
    (b'{"kind":"ConfigMap","apiVersion":"v2"}', (
        'ConfigMap in version "v2" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered for version '
        '"v2" in scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'
    )),
])  # fmt: skip
def test_bodies_that_are_no_object(api: Api, namespace: str, body: bytes, message: str) -> None:
    refused(api("POST", core(namespace, "configmaps"), body), 400, "BadRequest", message)
    assert api.names(core(namespace, "configmaps")) == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("a: b: c", "line 1: mapping values are not allowed in this context"),
        ("data:\n\tk: v\n", "line 2: found character that cannot start any token"),
    ],
)
def test_yaml_that_is_none(api: Api, namespace: str, body: str, problem: str) -> None:
    answer = api("POST", core(namespace, "configmaps"), body, YAML)
    assert answer.status_code == 400
    assert f"{UNRECOGNIZED}error converting YAML to JSON: yaml: {problem}" in answer.json()["message"]


@pytest.mark.parametrize(("spec", "problem"), [
    ({"replicas": "3"}, "string into Go struct field DeploymentSpec.spec.replicas of type int32"),
    ({"replicas": 1.5}, "number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32"),
    ({"replicas": 99999999999}, "number 99999999999 into Go struct field DeploymentSpec.spec.replicas of type int32"),
    ({"paused": "yes"}, "string into Go struct field DeploymentSpec.spec.paused of type bool"),
    ({"selector": []}, "array into Go struct field DeploymentSpec.spec.selector of type v1.LabelSelector"),
    ({"template": "x"}, "string into Go struct field DeploymentSpec.spec.template of type v1.PodTemplateSpec"),
    ({"template": {"spec": {"containers": {}}}},
     "object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container"),
    ({"template": {"spec": {"containers": [{"ports": [{"containerPort": "80"}]}]}}},
     "string into Go struct field ContainerPort.spec.template.spec.containers.ports.containerPort of type int32"),
])  # fmt: skip
def test_wrong_types(api: Api, namespace: str, spec: Object, problem: str) -> None:
    wrong = deployment("w")
    wrong["spec"].update(spec)
    answer = api("POST", apps(namespace, "deployments"), wrong)
    refused(answer, 400, "BadRequest", f"{AS_DEPLOYMENT}json: cannot unmarshal {problem}")
    assert api.names(apps(namespace, "deployments")) == []


@pytest.mark.parametrize(
    ("plural", "kind", "name", "rule"),
    [
        ("configmaps", "ConfigMap", "Not_A_Name", SUBDOMAIN),
        ("configmaps", "ConfigMap", "..", SUBDOMAIN),
        ("pods", "Pod", "UPPER", SUBDOMAIN),
        ("services", "Service", "1st", LABEL_1035),
        ("secrets", "Secret", "-a", SUBDOMAIN),
        ("serviceaccounts", "ServiceAccount", "a_b", SUBDOMAIN),
    ],
)
def test_names_that_break_the_rules(
    api: Api, namespace: str, plural: str, kind: str, name: str, rule: str
) -> None:
    body = pod(name) if plural == "pods" else {"metadata": {"name": name}}
    if plural == "services":
        body["spec"] = {"ports": [{"port": 80}]}
    before = api.names(core(namespace, plural))
    details = refused(
        api("POST", core(namespace, plural), body), 422, "Invalid",
        f'{kind} "{name}" is invalid: metadata.name: Invalid value: "{name}": {rule}',
    )  # fmt: skip
    assert (details["kind"], details["name"], details["causes"][0]["reason"]) == (
        kind,
        name,
        "FieldValueInvalid",
    )
    assert api.names(core(namespace, plural)) == before


def test_names_of_namespaces_and_missing_names(api: Api, namespace: str) -> None:
    refused(
        api("POST", "/api/v1/namespaces", {"metadata": {"name": "A"}}), 422, "Invalid",
        f'Namespace "A" is invalid: metadata.name: Invalid value: "A": {LABEL}',
    )  # fmt: skip
    refused(
        api("POST", "/api/v1/namespaces", {"metadata": {"name": "a.b"}}), 422, "Invalid",
        'Namespace "a.b" is invalid: metadata.name: Invalid value: "a.b": must not contain dots',
    )  # fmt: skip
    refused(
        api("POST", core(namespace, "configmaps"), {}), 422, "Invalid",
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
    )  # fmt: skip
    long = "x" * 254
    answer = api("POST", core(namespace, "configmaps"), config_map(long))
    assert (answer.status_code, answer.json()["message"]) == (
        422,
        f'ConfigMap "{long}" is invalid: metadata.name: Invalid value: "{long}": must be no more than 253 characters',
    )  # fmt: skip


def test_metadata_is_checked(api: Api, namespace: str) -> None:
    def problem(**metadata: Any) -> str:
        body = config_map("m")
        body["metadata"].update(metadata)
        answer = api("POST", core(namespace, "configmaps"), body)
        assert answer.status_code == 422
        return str(answer.json()["message"]).removeprefix('ConfigMap "m" is invalid: ')

    assert problem(labels={"a b": "c"}).startswith(
        'metadata.labels: Invalid value: "a b": name part must consist of'
    )
    assert problem(labels={"a": "c d"}).startswith(
        'metadata.labels: Invalid value: "c d": a valid label must be'
    )
    assert problem(annotations={"k": "v" * 262144}) == (
        "metadata.annotations: Too long: may not be more than 262144 bytes"
    )
    assert problem(ownerReferences=[{"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": ""}]) == (
        'metadata.ownerReferences.uid: Invalid value: "": uid must not be empty'
    )
    assert problem(finalizers=["nonsense"]) == (
        'metadata.finalizers[0]: Invalid value: "nonsense": name is neither a standard finalizer name nor is it fully '
        "qualified"
    )
    assert api.names(core(namespace, "configmaps")) == []


@pytest.mark.parametrize("plural", ["configmaps", "secrets"])
def test_keys_of_data_must_not_be_empty(api: Api, namespace: str, plural: str) -> None:
    answer = api("POST", core(namespace, plural), {"metadata": {"name": "e"}, "data": {"": "dmFsdWU="}})
    assert answer.status_code == 422
    assert 'data[]: Invalid value: "": a valid config key must consist of' in answer.json()["message"]


def test_selector_must_match_the_template(api: Api, namespace: str) -> None:
    for kind in ("Deployment", "ReplicaSet"):
        wrong = deployment("w", kind)
        wrong["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
        refused(
            api("POST", apps(namespace, f"{kind.lower()}s"), wrong), 422, "Invalid",
            f'{kind}.apps "w" is invalid: spec.template.metadata.labels: Invalid value: {{"app":"other"}}: `selector` '
            "does not match template `labels`",
        )  # fmt: skip
        assert api.names(apps(namespace, f"{kind.lower()}s")) == []


def test_immutable_fields(api: Api, namespace: str) -> None:
    def problem(path: str, patch: Object) -> str:
        answer = api("PATCH", path, patch, MERGE)
        assert (answer.status_code, answer.json()["reason"]) == (422, "Invalid")
        return str(answer.json()["message"]).partition(" is invalid: ")[2]

    api.make(apps(namespace, "deployments"), deployment("d"))
    moved = {
        "spec": {"selector": {"matchLabels": {"x": "y"}}, "template": {"metadata": {"labels": {"x": "y"}}}}
    }
    assert problem(apps(namespace, "deployments/d"), moved) == (
        'spec.selector: Invalid value: {"matchLabels":{"app":"d","x":"y"}}: field is immutable'
    )
    maps = core(namespace, "configmaps")
    api.make(maps, {**config_map("c", a="b"), "immutable": True})
    rule = "Forbidden: field is immutable when `immutable` is set"
    assert problem(f"{maps}/c", {"data": {"a": "c"}}) == f"data: {rule}"
    assert problem(f"{maps}/c", {"immutable": False}) == f"immutable: {rule}"
    assert api.patch(f"{maps}/c", {"metadata": {"labels": {"may": "change"}}})["data"] == {"a": "b"}
    api.make(core(namespace, "secrets"), {"metadata": {"name": "s"}})
    assert (
        problem(core(namespace, "secrets/s"), {"type": "x"}) == 'type: Invalid value: "x": field is immutable'
    )
    api.make(core(namespace, "services"), {"metadata": {"name": "v"}, "spec": {"ports": [{"port": 80}]}})
    address = api.get(core(namespace, "services/v"))["spec"]["clusterIP"]
    assert problem(core(namespace, "services/v"), {"spec": {"clusterIP": "10.96.200.1"}}) == (
        'spec.clusterIPs[0]: Invalid value: ["10.96.200.1"]: may not change once set'
    )
    assert api.get(core(namespace, "services/v"))["spec"]["clusterIP"] == address
    api.make(core(namespace, "pods"), pod("p"))
    assert problem(core(namespace, "pods/p"), {"metadata": {"name": "q"}}) == (
        'metadata.name: Invalid value: "q": field is immutable'
    )
    assert problem(core(namespace, "pods/p"), {"spec": {"nodeName": "n"}}).startswith(
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
        "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
        "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
    )


def test_stale_duplicate_missing(api: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    first = api.make(maps, config_map("a", v="1"))
    details = refused(
        api("POST", maps, config_map("a", v="2")), 409, "AlreadyExists", 'configmaps "a" already exists'
    )
    assert details == {"name": "a", "kind": "configmaps"}
    api.put(f"{maps}/a", {**first, "data": {"v": "3"}})
    words = (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to '
        "the latest version and try again"
    )
    refused(api("PUT", f"{maps}/a", {**first, "data": {"v": "4"}}), 409, "Conflict", words)
    stale = {"metadata": {"resourceVersion": first["metadata"]["resourceVersion"]}, "data": {"v": "5"}}
    for media in (MERGE, STRATEGIC):
        refused(api("PATCH", f"{maps}/a", stale, media), 409, "Conflict", words)
    assert api.get(f"{maps}/a")["data"] == {"v": "3"}
    refused(
        api("POST", core("nowhere", "configmaps"), config_map("a")),
        404,
        "NotFound",
        'namespaces "nowhere" not found',
    )
    for method, body in (("GET", None), ("DELETE", None), ("PUT", config_map("none"))):
        refused(api(method, f"{maps}/none", body), 404, "NotFound", 'configmaps "none" not found')
    refused(api("PATCH", f"{maps}/none", {}, MERGE), 404, "NotFound", 'configmaps "none" not found')
    answer = api("POST", maps, {"metadata": {"name": "rv", "resourceVersion": "1"}})
    assert answer.json()["message"] == "resourceVersion should not be set on objects to be created"


def test_bodies_that_are_too_large(api: Api, namespace: str) -> None:
    maps, limit = core(namespace, "configmaps"), "Request entity too large: limit is 3145728"
    big = config_map("big", x="y" * (3 << 20))
    refused(api("POST", maps, big), 413, "RequestEntityTooLarge", limit)

    def chunks() -> Any:
        yield from (json.dumps(big)[i : i + 65536].encode() for i in range(0, 3 << 20, 65536))
        yield b'"}}'

    answer = api.client.post(maps, content=chunks(), headers={"Content-Type": "application/json"})
    refused(answer, 413, "RequestEntityTooLarge", limit)
    refused(
        api("POST", maps, config_map("big", x="y" * ((1 << 20) + 1))), 422, "Invalid",
        'ConfigMap "big" is invalid: : Too long: may not be more than 1048576 bytes',
    )  # fmt: skip
    refused(
        api("PATCH", f"{maps}/big", [{"op": "add", "path": "/data/x", "value": "y"}] * 10001, JSON_PATCH),
        413, "RequestEntityTooLarge",
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001",
    )  # fmt: skip
    assert api.names(maps) == []


def test_content_types(api: Api, namespace: str) -> None:
    maps = core(namespace, "configmaps")
    words = "the body of the request was in an unknown format - accepted media types include: "
    refused(
        api("POST", maps, "x", "text/plain"), 415, "UnsupportedMediaType",
        f"{words}application/json, {YAML}, application/vnd.kubernetes.protobuf",
    )  # fmt: skip
    refused(
        api("PATCH", f"{maps}/a", "{}", "application/json"), 415, "UnsupportedMediaType",
        words + ", ".join((JSON_PATCH, MERGE, STRATEGIC, APPLY)),
    )  # fmt: skip
    refused(
        api("GET", maps, Accept="image/png"), 406, "NotAcceptable",
        f"only the following media types are accepted: application/json, {YAML}",
    )  # fmt: skip


@pytest.mark.parametrize(("body", "media", "code", "message"), [
    ("{", MERGE, 400, "error decoding patch: unexpected end of JSON input"),
    ("[]", MERGE, 400, (
        "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
    )),
    ("{}", JSON_PATCH, 400, (
        "error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch"
    )),
    ('[{"op":"replace","path":"/none/x","value":1}]', JSON_PATCH, 422, (
        "the server rejected our request due to an error in our request"
    )),
    ("a: b", APPLY, 400, "invalid object type: apiVersion is required"),
    ("[1, 2", APPLY, 400, (
        "error decoding YAML: error converting YAML to JSON: yaml: line 2: did not find expected ',' or ']'"
    )),
])  # fmt: skip
def test_patches_that_are_none(
    api: Api, namespace: str, body: str, media: str, code: int, message: str
) -> None:
    maps = core(namespace, "configmaps")
    before = api.make(maps, config_map("a", v="1"))
    reason = "BadRequest" if code == 400 else "Invalid"
    query = "?fieldManager=me" if media == APPLY else ""
    refused(api("PATCH", f"{maps}/a{query}", body, media), code, reason, message)
    assert api.get(f"{maps}/a") == before
    scale = apps(namespace, "deployments/d/scale")
    api.make(apps(namespace, "deployments"), deployment("d"))
    assert api("PATCH", f"{scale}{query}", body, media).status_code in (400, 422)


def test_a_patch_whose_outcome_is_of_the_wrong_type(api: Api, namespace: str) -> None:
    api.make(apps(namespace, "deployments"), deployment("d"))
    patch = {"spec": {"replicas": "many"}}
    for path, plural in ((apps(namespace, "deployments/d"), "DeploymentSpec"), (
        apps(namespace, "deployments/d/scale"), "ScaleSpec"
    )):  # fmt: skip
        answer = api("PATCH", path, patch, MERGE)
        assert (answer.status_code, answer.json()["reason"]) == (422, "Invalid")
        assert answer.json()["message"].startswith(' "" is invalid: patch: Invalid value: "{')
        assert answer.json()["message"].endswith(
            f"json: cannot unmarshal string into Go struct field {plural}.spec.replicas of type int32"
        )


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (
            {"propagationPolicy": "Foo"},
            422,
            (
                'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Foo": supported values: '
                '"Foreground", "Background", "Orphan", "nil"'
            ),
        ),
        (
            {"orphanDependents": True, "propagationPolicy": "Orphan"},
            422,
            (
                'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": orphanDependents and '
                "deletionPropagation cannot be both set"
            ),
        ),
        (
            {"gracePeriodSeconds": "x"},
            400,
            (
                'DeleteOptions in version "v1" cannot be handled as a DeleteOptions: json: cannot unmarshal string into Go '
                "struct field DeleteOptions.gracePeriodSeconds of type int64"
            ),
        ),
        (
            {"preconditions": {"uid": 5}},
            400,
            (
                'DeleteOptions in version "v1" cannot be handled as a DeleteOptions: json: cannot unmarshal number into Go '
                "struct field Preconditions.preconditions.uid of type string"
            ),
        ),
    ],
)
def test_bad_delete_options(api: Api, namespace: str, body: Object, code: int, message: str) -> None:
    maps = core(namespace, "configmaps")
    api.make(maps, config_map("a"))
    for path in (f"{maps}/a", maps):
        refused(api("DELETE", path, body), code, "BadRequest" if code == 400 else "Invalid", message)
    assert api.names(maps) == ["a"]
    assert api("DELETE", f"{maps}/a", "gracePeriodSeconds: 0", YAML).status_code == 200


def test_across_all_namespaces_one_can_only_look(api: Api, namespace: str) -> None:
    api.make(core(namespace, "configmaps"), config_map("a"))
    words = "the server does not allow this method on the requested resource"
    refused(api("DELETE", "/api/v1/configmaps"), 405, "MethodNotAllowed", words)
    refused(api("POST", "/api/v1/configmaps", config_map("b")), 405, "MethodNotAllowed", words)
    refused(api("PUT", core(namespace, "configmaps"), config_map("b")), 405, "MethodNotAllowed", words)
    for method in ("GET", "PUT", "DELETE"):
        refused(
            api(method, "/api/v1/configmaps/a", config_map("a") if method == "PUT" else None), 404, "NotFound",
            "the server could not find the requested resource",
        )  # fmt: skip
    assert api.names(core(namespace, "configmaps")) == ["a"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "labelSelector=a+b",
            "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
        ),
        ("fieldSelector=a", "invalid selector: 'a'; can't understand 'a'"),
        (
            "fieldSelector=a%3Db",
            '"a" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        ("limit=x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("continue=x", "continue key is not valid: illegal base64 data"),
        (
            "resourceVersion=x",
            (
                'invalid resource version: resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax'
            ),
        ),
    ],
)
def test_bad_list_options(api: Api, namespace: str, query: str, message: str) -> None:
    answer = api("GET", f"{core(namespace, 'configmaps')}?{query}")
    refused(answer, 400, "BadRequest", message)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("fieldManager=" + "x" * 129, "fieldManager: Too long: may not be more than 128 bytes"),
        (
            "fieldManager=%07",
            'fieldManager: Invalid value: "\\u0007": should only contain printable characters',
        ),
        ("dryRun=some", 'dryRun: Unsupported value: ["some"]: supported values: "All"'),
        (
            "fieldValidation=Some",
            ('fieldValidation: Unsupported value: "Some": supported values: "Ignore", "Strict", "Warn"'),
        ),
    ],
)
def test_bad_write_options(api: Api, namespace: str, query: str, message: str) -> None:
    maps = core(namespace, "configmaps")
    prefix = 'CreateOptions.meta.k8s.io "" is invalid: '
    refused(api("POST", f"{maps}?{query}", config_map("a")), 422, "Invalid", prefix + message)
    assert api.names(maps) == []


def test_a_status_with_negative_counts(api: Api, namespace: str) -> None:
    for kind in ("Deployment", "ReplicaSet"):
        path = apps(namespace, f"{kind.lower()}s")
        api.make(path, deployment("n", kind))
        answer = api("PATCH", f"{path}/n/status", {"status": {"replicas": -1}}, MERGE)
        assert answer.status_code == 422
        assert (
            "status.replicas: Invalid value: -1: must be greater than or equal to 0"
            in answer.json()["message"]
        )
