"""Bodies in the protobuf form: what kubectl really sends, the values with a wire form of their own, and damage."""

from __future__ import annotations

import base64
import random
import struct
from typing import Any

import pytest

from apimachinery import resources
from apimachinery.errors import StatusError
from apimachinery.protobuf import field_numbers, message
from apimachinery.schema import check, definitions

PROTOBUF = "application/vnd.kubernetes.protobuf"
CORE = "io.k8s.api.core.v1."

# As kubectl 1.33 sends them: create deployment web --image=nginx --replicas=0 --port=80, and so on.
DEPLOYMENT = base64.b64decode(
    "azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50ErgBCh8KA3dlYhIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEoYBCAASDAoKCgNhcHASA3dl"
    "YhpsChwKABIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEkwSLgoFbmdpbngSBW5naW54KgAyCgoAEAAYUCIAKgBCAGoAcgCAAQCIAQCQAQCi"
    "AQAaADIAQgBKAFIAWABgAGgAggEAigEAmgEAwgEAIgIKACgAOAAaDAgAEAAYACAAKAA4ABoAIgA="
)
SERVICE = base64.b64decode(
    "azhzAAoNCgJ2MRIHU2VydmljZRJrCh8KA3dlYhIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEkQKHgoHODAtaHR0cBIDVENQGFAiCggBEAAa"
    "BGh0dHAoABIKCgNhcHASA3dlYhoAIghOb2RlUG9ydDoAQgBSAFoAYABoABoCCgAaACIA"
)
SECRET = base64.b64decode("azhzAAoMCgJ2MRIGU2VjcmV0Eh0KEQoBcxIAGgAiACoAMgA4AEIAEgYKAWESAWIaABoAIgA=")


def varint(value: int) -> bytes:
    value &= 2**64 - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def field(number: int, value: int | float | bytes | str) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def body(api_version: str, kind: str, raw: bytes) -> bytes:
    return b"k8s\x00" + field(1, field(1, api_version) + field(2, kind)) + field(2, raw)


def read(resource: resources.Resource, raw: bytes) -> Any:
    return check(resource, body(resource.api_version, resource.kind, raw), content_type=PROTOBUF).object


def refusal(resource: resources.Resource, raw: bytes) -> str:
    with pytest.raises(StatusError) as caught:
        check(resource, raw, content_type=PROTOBUF)
    assert caught.value.code == 400
    return caught.value.message


def test_a_deployment_of_kubectl() -> None:
    assert check(resources.DEPLOYMENTS, DEPLOYMENT, content_type=PROTOBUF).object == {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"labels": {"app": "web"}, "name": "web"},
        "spec": {
            "replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "strategy": {},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [
                    {"image": "nginx", "name": "nginx", "ports": [{"containerPort": 80}], "resources": {}}
                ]},
            },
        },
        "status": {},
    }  # fmt: skip


def test_a_service_and_a_secret_of_kubectl() -> None:
    assert check(resources.SERVICES, SERVICE, content_type=PROTOBUF).object["spec"] == {
        "ports": [{"name": "80-http", "port": 80, "protocol": "TCP", "targetPort": "http"}],
        "selector": {"app": "web"}, "type": "NodePort",
    }  # fmt: skip
    assert check(resources.SECRETS, SECRET, content_type=PROTOBUF).object == {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "Yg=="},
    }  # fmt: skip


def test_times_and_raw_json() -> None:
    moment = field(1, 1_700_000_000) + field(2, 123_456_789)
    managed = field(1, "kubectl") + field(4, moment) + field(7, field(1, b'{"f:data":{}}'))
    raw = field(1, field(1, "a") + field(8, b"") + field(9, moment) + field(10, 0) + field(17, managed))
    metadata = read(resources.CONFIG_MAPS, raw)["metadata"]
    assert metadata == {
        "name": "a", "deletionTimestamp": "2023-11-14T22:13:20Z", "deletionGracePeriodSeconds": 0,
        "managedFields": [
            {"manager": "kubectl", "time": "2023-11-14T22:13:20Z", "fieldsV1": {"f:data": {}}}
        ],
    }  # fmt: skip
    lease = read(resources.LEASES, field(2, field(1, "me") + field(3, moment)))
    assert lease["spec"] == {"holderIdentity": "me", "acquireTime": "2023-11-14T22:13:20.123456Z"}


def test_quantities_flat_members_and_signs() -> None:
    quantity = field(1, field(1, "cpu") + field(2, field(1, "0.5")))
    probe = field(1, field(2, field(1, "/healthz") + field(2, field(1, 0) + field(2, 8080)))) + field(3, 5)
    key = field(3, field(1, field(1, "settings")) + field(2, "mode") + field(3, 0))
    container = (
        field(1, "app") + field(7, field(1, "MODE") + field(3, key)) + field(8, quantity) + field(10, probe)
        + field(15, field(4, 0) + field(5, 0))
    )  # fmt: skip
    volume = field(1, "tmp") + field(2, field(2, field(1, "")))
    toleration = field(1, "k") + field(5, -1)
    spec = (
        field(1, volume)
        + field(2, container)
        + field(4, 0)
        + field(11, 0)
        + field(22, toleration)
        + field(30, 0)
    )
    assert read(resources.PODS, field(2, spec))["spec"] == {
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "containers": [{
            "name": "app",
            "env": [{
                "name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "mode", "optional": False}}
            }],
            "resources": {"limits": {"cpu": "500m"}},
            "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "timeoutSeconds": 5},
            "securityContext": {"runAsUser": 0, "runAsNonRoot": False},
        }],
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{"key": "k", "tolerationSeconds": -1}],
        "enableServiceLinks": False,
    }  # fmt: skip


def test_numbers_one_by_one_or_packed() -> None:
    one_by_one, packed = field(4, 1) + field(4, 2), field(4, varint(1) + varint(2))
    for groups in (one_by_one, packed):
        spec = read(resources.PODS, field(2, field(14, groups)))["spec"]
        assert spec["securityContext"] == {"supplementalGroups": [1, 2]}


def test_maps_of_lists() -> None:
    extra = field(1, "scopes") + field(2, field(1, "a") + field(1, "b"))
    user = field(1, "jane") + field(4, extra)
    found = read(resources.TOKEN_REVIEWS, field(3, field(1, 1) + field(2, user)))
    assert found["status"] == {
        "authenticated": True,
        "user": {"username": "jane", "extra": {"scopes": ["a", "b"]}},
    }


def test_entries_without_key_or_value() -> None:
    raw = field(2, field(1, "a")) + field(2, field(2, "b")) + field(3, field(1, "c"))
    found = read(resources.CONFIG_MAPS, raw)
    assert (found["data"], found["binaryData"]) == ({"a": "", "": "b"}, {"c": ""})


def test_a_message_that_comes_twice_is_merged_and_a_value_is_replaced() -> None:
    found = read(resources.CONFIG_MAPS, field(1, field(1, "a") + field(3, "x")) + field(1, field(1, "b")))
    assert found["metadata"] == {"name": "b", "namespace": "x"}


def test_unknown_fields_are_skipped_whatever_their_form() -> None:
    group = (
        varint(99 << 3 | 3) + field(1, 5) + varint(98 << 3 | 3) + varint(98 << 3 | 4) + varint(99 << 3 | 4)
    )
    strange = field(90, 1) + field(91, 1.5) + field(92, "x") + varint(93 << 3 | 5) + b"abcd" + group
    assert read(resources.CONFIG_MAPS, strange + field(1, field(1, "a")))["metadata"] == {"name": "a"}


def test_text_that_is_not_utf_8() -> None:
    found = read(resources.CONFIG_MAPS, field(2, field(1, "a") + field(2, b"\xff")))
    assert found["data"] == {"a": "\ufffd"}


def test_kind_and_version() -> None:
    anonymous = b"k8s\x00" + field(2, field(1, field(1, "a")))
    found = check(resources.CONFIG_MAPS, anonymous, content_type=PROTOBUF).object
    assert found == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    assert refusal(resources.CONFIG_MAPS, SECRET) == (
        'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown '
        "conversion"
    )
    assert refusal(resources.CONFIG_MAPS, body("v2", "ConfigMap", b"")).startswith(
        'ConfigMap in version "v2" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered'
    )


@pytest.mark.parametrize(("raw", "problem"), [
    (b"", "empty data ()"),
    (b"k8s\x00", "empty body (6b387300)"),
    (b"[1]", (
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0] (5b315d)"
    )),
    (b"k8s\x00\x0a", "unexpected EOF (6b3873000a)"),
    (b"k8s\x00\x0a\x05", "unexpected EOF (6b3873000a05)"),
    (b"k8s\x00\x08\x01", "proto: wrong wireType = 0 for field TypeMeta (6b3873000801)"),
    (b"k8s\x00" + b"\xff" * 11, "proto: integer overflow (6b387300ffffffffffffffffffffff)"),
])  # fmt: skip
def test_damaged_envelopes(raw: bytes, problem: str) -> None:
    assert refusal(resources.CONFIG_MAPS, raw) == (
        f"the object provided is unrecognized (must be of type ConfigMap): {problem}"
    )


@pytest.mark.parametrize(("raw", "problem"), [
    (b"\x0a", "unexpected EOF"),
    (b"\x08\x01", "proto: wrong wireType = 0 for field Metadata"),
    (b"\x00\x01", "proto: ConfigMap: illegal tag 0 (wire type 0)"),
    (b"\x0c", "proto: ConfigMap: wiretype end group for non-group"),
    (b"\xfa\x07\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "proto: negative length found during unmarshaling"),
    (b"\xfe\x07", "proto: illegal wireType 6"),
    (field(1, field(8, field(1, 10**15))), "Time.MarshalJSON: year outside of range [0,9999]"),
    (field(1, field(17, field(7, field(1, b"{")))), "unexpected end of data: line 1 column 2 (char 1)"),
])  # fmt: skip
def test_damaged_objects(raw: bytes, problem: str) -> None:
    assert refusal(resources.CONFIG_MAPS, body("v1", "ConfigMap", raw)) == (
        f'ConfigMap in version "v1" cannot be handled as a ConfigMap: {problem}'
    )


def test_a_wrong_quantity() -> None:
    raw = field(2, field(2, field(8, field(1, field(1, "cpu") + field(2, field(1, "much"))))))
    assert "quantities must match the regular expression" in refusal(resources.PODS, body("v1", "Pod", raw))


def test_any_damage_is_the_clients_fault() -> None:
    chance = random.Random(7)
    for resource, whole in ((resources.DEPLOYMENTS, DEPLOYMENT), (resources.SERVICES, SERVICE)):
        for _ in range(2000):
            damaged = bytearray(whole)
            for _ in range(chance.randint(1, 4)):
                damaged[chance.randrange(4, len(damaged))] = chance.randrange(256)
            if chance.random() < 0.3:
                del damaged[chance.randrange(4, len(damaged)) :]
            try:
                check(resource, bytes(damaged), content_type=PROTOBUF)
            except StatusError as refused:
                assert refused.code == 400


def test_what_has_no_protobuf_form_is_not_read_as_such() -> None:
    crd = resources.CUSTOM_RESOURCE_DEFINITIONS
    with pytest.raises(StatusError) as caught:
        check(crd, body(crd.api_version, crd.kind, b""), content_type=PROTOBUF)
    assert caught.value.code == 415


def test_the_table_fits_the_schema() -> None:
    known = definitions.load()
    for name in field_numbers.names():
        fields = known[name].fields if name in known else None
        if fields is None:
            continue
        message(name)._prepare()
        flat = set()
        todo = list(field_numbers.rows(name).values())
        for row in todo:
            if row.inlined:
                todo += field_numbers.rows(row.inlined).values()
            else:
                flat.add(row.name)
        assert flat <= set(fields), name
