"""Refusals: the official code, reason and message, and nothing is stored."""

from __future__ import annotations

import pytest

from tests.integration.apiserver.conftest import Http, config_map, deployment, pod


async def test_not_found(http: Http, namespace: str) -> None:
    answer = await http("GET", f"/api/v1/namespaces/{namespace}/configmaps/none")
    assert answer.status == 404
    assert answer.json == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": 'configmaps "none" not found', "reason": "NotFound",
        "details": {"name": "none", "kind": "configmaps"}, "code": 404,
    }  # fmt: skip


async def test_group_in_message_and_details(http: Http, namespace: str) -> None:
    answer = await http("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/none")
    assert answer.message == 'deployments.apps "none" not found'
    assert answer.json["details"] == {"name": "none", "group": "apps", "kind": "deployments"}


async def test_already_exists(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    assert (await http("POST", path, config_map("a"))).status == 201
    answer = await http("POST", path, config_map("a"))
    assert (answer.status, answer.json["reason"]) == (409, "AlreadyExists")
    assert answer.message == 'configmaps "a" already exists'


async def test_stale_resource_version(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    first = (await http("POST", path, config_map("a"))).json
    assert (await http("PUT", f"{path}/a", {**first, "data": {"x": "1"}})).status == 200
    answer = await http("PUT", f"{path}/a", {**first, "data": {"x": "2"}})
    assert (answer.status, answer.json["reason"]) == (409, "Conflict")
    assert answer.message == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to '
        "the latest version and try again"
    )
    assert (await http("GET", f"{path}/a")).json["data"] == {"x": "1"}


async def test_names_must_agree(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    await http("POST", path, config_map("a"))
    answer = await http("PUT", f"{path}/a", config_map("b"))
    assert answer.status == 400
    assert answer.message == "the name of the object (b) does not match the name on the URL (a)"
    other = config_map("c")
    other["metadata"]["namespace"] = "elsewhere"
    answer = await http("POST", path, other)
    assert answer.status == 400
    assert (
        answer.message
        == "the namespace of the provided object does not match the namespace sent on the request"
    )


async def test_missing_namespace(http: Http) -> None:
    answer = await http("POST", "/api/v1/namespaces/nowhere/configmaps", config_map("a"))
    assert (answer.status, answer.message) == (404, 'namespaces "nowhere" not found')


async def test_invalid_object(http: Http, namespace: str) -> None:
    answer = await http("POST", f"/api/v1/namespaces/{namespace}/configmaps", config_map("Not_A_Name"))
    assert (answer.status, answer.json["reason"]) == (422, "Invalid")
    start = 'ConfigMap "Not_A_Name" is invalid: metadata.name: Invalid value: "Not_A_Name": a '
    assert answer.message.startswith(start)
    assert answer.json["details"]["causes"][0]["field"] == "metadata.name"


async def test_selector_must_match_template(http: Http, namespace: str) -> None:
    wrong = deployment("web")
    wrong["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    answer = await http("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", wrong)
    assert answer.status == 422
    assert "`selector` does not match template `labels`" in answer.message


@pytest.mark.parametrize("body", [b"{", b"[]", b"nonsense", b'{"kind":'])
async def test_malformed_json(http: Http, namespace: str, body: bytes) -> None:
    answer = await http("POST", f"/api/v1/namespaces/{namespace}/configmaps", body)
    assert (answer.status, answer.json["reason"]) == (400, "BadRequest")


async def test_wrong_type(http: Http, namespace: str) -> None:
    wrong = deployment("web")
    wrong["spec"]["replicas"] = "many"
    answer = await http("POST", f"/apis/apps/v1/namespaces/{namespace}/deployments", wrong)
    assert answer.status == 400
    assert answer.message == (
        'Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct '
        "field DeploymentSpec.spec.replicas of type int32"
    )


async def test_unknown_fields(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    odd = {**config_map("a"), "colour": "red"}
    strict = await http("POST", f"{path}?fieldValidation=Strict", odd)
    assert strict.status == 400
    assert strict.message == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "colour"'
    )
    warned = await http("POST", f"{path}?fieldValidation=Warn&dryRun=All", odd)
    assert (warned.status, warned.headers["Warning"]) == (201, '299 - "unknown field \\"colour\\""')
    ignored = await http("POST", f"{path}?fieldValidation=Ignore&dryRun=All", odd)
    assert ignored.status == 201
    assert "Warning" not in ignored.headers
    assert (await http("GET", f"{path}/a")).status == 404


async def test_oversized_body(http: Http, namespace: str) -> None:
    answer = await http(
        "POST", f"/api/v1/namespaces/{namespace}/configmaps", config_map("big", x="y" * (3 * 1024 * 1024 + 1))
    )
    assert (answer.status, answer.json["reason"]) == (413, "RequestEntityTooLarge")
    assert answer.message == "Request entity too large: limit is 3145728"


async def test_content_types(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    answer = await http("POST", path, "x", Content_Type="text/plain")
    assert (answer.status, answer.json["reason"]) == (415, "UnsupportedMediaType")
    assert answer.message.startswith(
        "the body of the request was in an unknown format - accepted media types include: application/json"
    )
    answer = await http("PATCH", f"{path}/a", "{}", Content_Type="application/json")
    assert answer.status == 415
    assert answer.message == (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, "
        "application/apply-patch+yaml"
    )
    answer = await http("GET", path, Accept="image/png")
    assert (answer.status, answer.json["reason"]) == (406, "NotAcceptable")


async def test_methods_and_addresses(http: Http, namespace: str) -> None:
    answer = await http("POST", f"/api/v1/namespaces/{namespace}/configmaps/a", "{}")
    assert (answer.status, answer.json["reason"]) == (405, "MethodNotAllowed")
    assert answer.message == "the server does not allow this method on the requested resource"
    for path in (
        "/api/v1/nonsense",
        f"/api/v1/namespaces/{namespace}/nodes",
        "/apis/none.example/v1",
        "/nowhere",
    ):
        answer = await http("GET", path)
        assert (answer.status, answer.json["reason"]) == (404, "NotFound"), path
        assert answer.message == "the server could not find the requested resource"


async def test_namespace_rules(http: Http, namespace: str) -> None:
    answer = await http("DELETE", "/api/v1/namespaces/kube-system")
    assert (answer.status, answer.message) == (
        403, 'namespaces "kube-system" is forbidden: this namespace may not be deleted',
    )  # fmt: skip
    gone = await http("DELETE", f"/api/v1/namespaces/{namespace}")
    assert gone.json["status"]["phase"] == "Terminating"
    answer = await http("POST", f"/api/v1/namespaces/{namespace}/configmaps", config_map("late"))
    assert answer.status == 403
    assert answer.message == (
        f'configmaps "late" is forbidden: unable to create new content in namespace {namespace} because it is being '
        "terminated"
    )
    assert answer.json["details"]["causes"] == [{
        "reason": "NamespaceTerminating", "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }]  # fmt: skip


async def test_service_account_must_exist(http: Http, namespace: str) -> None:
    answer = await http("POST", f"/api/v1/namespaces/{namespace}/pods", pod("p", serviceAccountName="ghost"))
    assert answer.status == 403
    assert answer.message == (
        f'pods "p" is forbidden: error looking up service account {namespace}/ghost: serviceaccount "ghost" not found'
    )


async def test_bad_options(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    answer = await http("POST", f"{path}?dryRun=Some", config_map("a"))
    assert answer.status == 422
    assert "dryRun: Unsupported value" in answer.message
    answer = await http("GET", f"{path}?labelSelector=a%20in%20")
    assert answer.status == 400
    answer = await http("GET", f"{path}?fieldSelector=data.x=1")
    assert answer.message == (
        '"data.x" is not a known field selector: only "metadata.name", "metadata.namespace"'
    )
    answer = await http("GET", f"/api/v1/namespaces/{namespace}/pods?fieldSelector=spec.colour=red")
    assert answer.message == "field label not supported: spec.colour"
    answer = await http("GET", f"{path}?resourceVersion=abc")
    assert answer.status == 400
    answer = await http("GET", f"{path}?resourceVersionMatch=Exact")
    assert answer.status == 422
    answer = await http("DELETE", f"{path}/a", {"propagationPolicy": "Sometimes"})
    assert answer.status == 422
