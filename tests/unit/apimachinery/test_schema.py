"""Decoding a body: given these bytes, that object or that refusal comes out."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from apimachinery import errors, schema
from apimachinery.resources import (
    CONFIG_MAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    DEPLOYMENTS,
    LEASES,
    PODS,
    SECRETS,
    Resource,
)
from apimachinery.schema import definitions, types
from apimachinery.schema.compiler import Compiler
from apimachinery.schema.decode import Decoder


def refusal(target: Resource | str, raw: bytes, **options: Any) -> str:
    with pytest.raises(errors.StatusError) as raised:
        schema.check(target, raw, **options)
    assert raised.value.code == 400
    assert raised.value.reason == "BadRequest"
    return raised.value.message


def test_the_pinned_package_has_the_layout_that_is_relied_upon() -> None:
    raw = definitions.raw()
    assert len(raw) == 771
    ports = raw["io.k8s.api.core.v1.Container"]["properties"]["ports"]
    assert ports["x-kubernetes-list-map-keys"] == ["containerPort", "protocol"]
    assert ports["x-kubernetes-patch-merge-key"] == "containerPort"
    assert raw["io.k8s.api.core.v1.Pod"]["x-kubernetes-group-version-kind"] == [
        {"group": "", "kind": "Pod", "version": "v1"}
    ]


def test_every_definition_compiles_and_takes_an_empty_object() -> None:
    compiler = Compiler()
    for node in definitions.load().values():
        if node.kind == types.STRUCT:
            assert compiler.compile(node).validate_json(b"{}") == {}


def test_quantities_times_and_identity_come_out_canonical() -> None:
    raw = orjson.dumps(
        {
            "metadata": {"creationTimestamp": "2026-01-01T02:00:00+02:00"},
            "spec": {
                "containers": [{"name": "c", "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}}}]
            },
        }
    )
    assert schema.check(PODS, raw).object == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}]},
    }
    lease = schema.check(LEASES, b'{"spec":{"renewTime":"2026-01-01T00:00:00Z"}}').object
    assert lease["spec"]["renewTime"] == "2026-01-01T00:00:00.000000Z"


def test_null_is_the_zero_value() -> None:
    raw = b"""{"metadata":{"creationTimestamp":null,"labels":{"a":null}},
               "spec":{"containers":[{"name":"c","args":["x",null],"env":null}]},"status":{}}"""
    assert schema.check(PODS, raw).object == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"labels": {"a": ""}},
        "spec": {"containers": [{"name": "c", "args": ["x", ""]}]},
        "status": {},
    }


def test_null_stays_where_there_is_no_schema() -> None:
    raw = b'{"spec":{"versions":[{"schema":{"openAPIV3Schema":{"default":{"a":null},"enum":[null]}}}]}}'
    crd = schema.check(CUSTOM_RESOURCE_DEFINITIONS, raw).object
    assert crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == {"default": {"a": None}, "enum": [None]}


def test_numbers_stay_as_they_are() -> None:
    raw = b'{"spec":{"versions":[{"schema":{"openAPIV3Schema":{"maximum":1,"minimum":0.5}}}]}}'
    crd = schema.check(CUSTOM_RESOURCE_DEFINITIONS, raw).object
    limits = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert orjson.dumps(limits) == b'{"maximum":1,"minimum":0.5}'
    assert "of type float64" in refusal(CUSTOM_RESOURCE_DEFINITIONS, raw.replace(b"0.5", b'"0.5"'))


PLACES = 'Deployment in version "v1" cannot be handled as a Deployment: '


@pytest.mark.parametrize(
    ("target", "body", "message"),
    [
        (
            DEPLOYMENTS,
            {"spec": {"replicas": "3"}},
            PLACES
            + "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            DEPLOYMENTS,
            {"spec": {"replicas": 3.5}},
            PLACES + "json: cannot unmarshal number 3.5 into Go struct field DeploymentSpec.spec.replicas "
            "of type int32",
        ),
        (
            DEPLOYMENTS,
            {"spec": {"replicas": 2**31}},
            PLACES + "json: cannot unmarshal number 2147483648 into Go struct field "
            "DeploymentSpec.spec.replicas of type int32",
        ),
        (
            DEPLOYMENTS,
            {"spec": {"template": {"spec": {"containers": [{"ports": [{"containerPort": "x"}]}]}}}},
            PLACES + "json: cannot unmarshal string into Go struct field "
            "ContainerPort.spec.template.spec.containers.ports.containerPort of type int32",
        ),
        (
            PODS,
            {"metadata": {"labels": {"a": 1}}},
            'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field '
            "ObjectMeta.metadata.labels of type string",
        ),
        (
            PODS,
            {"spec": "x"},
            'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field '
            "Pod.spec of type v1.PodSpec",
        ),
        (
            PODS,
            {"spec": {"containers": {}}},
            'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal object into Go struct field '
            "PodSpec.spec.containers of type []v1.Container",
        ),
        (
            PODS,
            {"spec": {"containers": [{"resources": {"limits": {"cpu": "lots"}}}]}},
            'Pod in version "v1" cannot be handled as a Pod: quantities must match the regular expression '
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            SECRETS,
            {"data": {"a": "b"}},
            'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0',
        ),
        (
            PODS,
            {"apiVersion": "v1", "kind": "Service"},
            'Service in version "v1" cannot be handled as a Pod: converting (v1.Service) to (core.Pod): '
            "unknown conversion",
        ),
        (
            PODS,
            {"apiVersion": "apps/v1", "kind": "Deployment"},
            "the API version in the data (apps/v1) does not match the expected API version (v1)",
        ),
        (
            PODS,
            {"apiVersion": "v1", "kind": "Foo"},
            'Foo in version "v1" cannot be handled as a Pod: no kind "Foo" is registered for version "v1" in scheme '
            '"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"',
        ),
    ],
)
def test_wrong_bodies(target: Resource, body: dict[str, Any], message: str) -> None:
    assert refusal(target, orjson.dumps(body)) == message


@pytest.mark.parametrize("raw", [b"", b'{"kind":"Pod"', b"{]", b"not json"])
def test_bodies_that_are_not_json(raw: bytes) -> None:
    assert "json parse error" in refusal(PODS, raw)


SLOPPY = b"""{"spec":{"foo":1,"paused":true,"paused":false,"template":{"spec":{"containers":[
  {"image":"a","image":"b","nested":1,"nested":2}]}}}}"""
OBJECTIONS = [
    'unknown field "spec.foo"',
    'duplicate field "spec.paused"',
    'duplicate field "spec.template.spec.containers[0].image"',
    'unknown field "spec.template.spec.containers[0].nested"',
]


def test_strict_refuses_unknown_and_duplicate_fields_in_document_order() -> None:
    assert refusal(DEPLOYMENTS, SLOPPY) == f"{PLACES}strict decoding error: {', '.join(OBJECTIONS)}"


def test_warn_lists_them_and_takes_the_last_value() -> None:
    checked = schema.check(DEPLOYMENTS, SLOPPY, "warn")
    assert checked.messages == OBJECTIONS
    assert checked.unknown == ["spec.foo", "spec.template.spec.containers[0].nested"]
    assert checked.duplicates == ["spec.paused", "spec.template.spec.containers[0].image"]
    assert checked.object["spec"] == {
        "paused": False,
        "template": {"spec": {"containers": [{"image": "b"}]}},
    }


def test_fields_are_case_sensitive() -> None:
    assert schema.check(PODS, b'{"Metadata":{"name":"x"}}', "warn").unknown == ["Metadata"]


def test_duplicates_are_found_in_maps_and_behind_spaces() -> None:
    raw = b'{"data" : {"a" : "1", "a" : "2"}}'
    assert schema.check(CONFIG_MAPS, raw, "warn").duplicates == ["data.a"]
    compact = b'{"data":{"a":"1","a":"2"}}'
    assert schema.check(CONFIG_MAPS, compact, "warn").duplicates == ["data.a"]


def test_strings_that_look_like_keys_are_no_duplicates() -> None:
    raw = orjson.dumps({"data": {"a": '{"x":1,"x":2}', "b": " :"}})
    assert schema.check(CONFIG_MAPS, raw).messages == []


def test_yaml_bodies() -> None:
    raw = b"""
metadata:
  name: x
  labels: {a: "1"}
spec:
  containers:
  - name: c
    ports:
    - containerPort: 0x50
    env:
    - {name: A, value: 1:30}
  terminationGracePeriodSeconds: 1e1
  hostNetwork: yes
"""
    checked = schema.check(PODS, raw, content_type="application/yaml")
    assert checked.object["spec"] == {
        "containers": [
            {"name": "c", "ports": [{"containerPort": 80}], "env": [{"name": "A", "value": "1:30"}]}
        ],
        "terminationGracePeriodSeconds": 10,
        "hostNetwork": True,
    }


def test_yaml_duplicates_are_named_with_their_line() -> None:
    raw = b"metadata:\n  name: a\n  name: b\n"
    checked = schema.check(PODS, raw, "warn", content_type="application/yaml")
    assert checked.messages == ['line 3: key "name" already set in map']
    assert "already set in map" in refusal(PODS, raw, content_type="application/yaml")


def test_parsed_values_and_other_kinds_are_checked_too() -> None:
    value = {"spec": {"replicas": 2}}
    checked = schema.check("io.k8s.api.autoscaling.v1.Scale", value)
    assert checked.object == {"spec": {"replicas": 2}}
    assert checked.object is not value
    options = schema.check(
        "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions", b'{"kind":"DeleteOptions","apiVersion":"v1"}'
    )
    assert options.object == {"kind": "DeleteOptions", "apiVersion": "v1"}


def test_static_defaults_fill_absent_fields_with_fresh_values() -> None:
    name = "io.k8s.api.core.v1.Container"
    reader = Decoder(definitions.get(name), Compiler({name: {"resources": dict}}))
    first, second = reader.decode_json(b"{}").object, reader.decode_json(b"{}").object
    assert first == {"resources": {}}
    assert first["resources"] is not second["resources"]
