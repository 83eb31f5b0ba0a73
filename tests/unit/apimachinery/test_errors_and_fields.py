"""Status errors and field errors read exactly like the originals: clients and users match on them."""

from __future__ import annotations

import pytest

from apimachinery import errors, field
from apimachinery.field import Path


@pytest.mark.parametrize(
    ("error", "code", "reason", "message"),
    [
        (errors.not_found("", "pods", "x"), 404, "NotFound", 'pods "x" not found'),
        (errors.not_found("apps", "deployments", "x"), 404, "NotFound", 'deployments.apps "x" not found'),
        (errors.already_exists("", "pods", "x"), 409, "AlreadyExists", 'pods "x" already exists'),
        (
            errors.conflict("", "pods", "x"),
            409,
            "Conflict",
            'Operation cannot be fulfilled on pods "x": the object has been modified; please apply your changes '
            "to the latest version and try again",
        ),
        (errors.forbidden("", "pods", "x", "no"), 403, "Forbidden", 'pods "x" is forbidden: no'),
        (errors.forbidden("", "pods", "", "no"), 403, "Forbidden", "pods is forbidden: no"),
        (errors.forbidden("", "", "", "no"), 403, "Forbidden", "forbidden: no"),
        (errors.unauthorized(), 401, "Unauthorized", "Unauthorized"),
        (
            errors.method_not_allowed("", "nodes", "create"),
            405,
            "MethodNotAllowed",
            'create is not supported on resources of kind "nodes"',
        ),
        (
            errors.too_large_resource_version(9, 5, 1),
            504,
            "Timeout",
            "Timeout: Too large resource version: 9, current: 5",
        ),
        (errors.internal_error("boom"), 500, "InternalError", "Internal error occurred: boom"),
        (
            errors.not_acceptable(["application/json"]),
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json",
        ),
    ],
)
def test_statuses(error: errors.StatusError, code: int, reason: str, message: str) -> None:
    status = error.status()
    assert (status["code"], status["reason"], status["message"]) == (code, reason, message)
    assert status["kind"] == "Status"
    assert status["status"] == "Failure"
    assert errors.StatusError.from_status(status).status() == status


def test_invalid_lists_one_cause_per_field_error() -> None:
    spec = Path("spec")
    error = errors.invalid(
        "apps",
        "Deployment",
        "web",
        [
            field.required(spec.child("selector")),
            field.invalid(spec.child("replicas"), -1, "must be greater than or equal to 0"),
        ],
    )
    assert error.code == 422
    assert error.message == (
        'Deployment.apps "web" is invalid: [spec.selector: Required value, spec.replicas: Invalid value: -1: '
        "must be greater than or equal to 0]"
    )
    assert error.details == {
        "name": "web",
        "group": "apps",
        "kind": "Deployment",
        "causes": [
            {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.selector"},
            {
                "reason": "FieldValueInvalid",
                "message": "Invalid value: -1: must be greater than or equal to 0",
                "field": "spec.replicas",
            },
        ],
    }


def test_a_single_field_error_has_no_brackets() -> None:
    error = errors.invalid("", "Pod", "p", [field.required(Path("spec", "containers"))])
    assert error.message == 'Pod "p" is invalid: spec.containers: Required value'


PORT = Path("spec").child("containers").index(0).child("ports").index(1)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (field.required(PORT, "say one"), "spec.containers[0].ports[1]: Required value: say one"),
        (field.invalid(PORT, "x", "bad"), 'spec.containers[0].ports[1]: Invalid value: "x": bad'),
        (field.invalid(PORT, True, "bad"), "spec.containers[0].ports[1]: Invalid value: true: bad"),
        (field.invalid(PORT, None, "bad"), "spec.containers[0].ports[1]: Invalid value: null: bad"),
        (field.invalid(PORT, {"a": 1}, "bad"), 'spec.containers[0].ports[1]: Invalid value: {"a":1}: bad'),
        (
            field.not_supported(Path("a"), "x", ["b", "c"]),
            'a: Unsupported value: "x": supported values: "b", "c"',
        ),
        (field.forbidden(Path("a"), "no"), "a: Forbidden: no"),
        (field.duplicate(Path("a"), "x"), 'a: Duplicate value: "x"'),
        (field.not_found(Path("a"), "x"), 'a: Not found: "x"'),
        (field.too_long(Path("a"), "x" * 9, 3), "a: Too long: may not be more than 3 bytes"),
        (field.too_many(Path("a"), 4, 3), "a: Too many: 4: must have at most 3 items"),
        (
            field.invalid(Path("metadata", "labels").key("k"), "v", "x"),
            'metadata.labels[k]: Invalid value: "v": x',
        ),
    ],
)
def test_field_errors(error: field.FieldError, message: str) -> None:
    assert error.message() == message
