"""ConfigMaps, Secrets, Namespaces, Nodes, Events, Leases and metadata in general."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from apimachinery.resources import (
    CONFIG_MAPS,
    CONTROLLER_REVISIONS,
    EVENTS,
    EVENTS_V1,
    IP_ADDRESSES,
    LEASES,
    NAMESPACES,
    NODES,
    PRIORITY_CLASSES,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICE_CIDRS,
)
from apiserver.registry.kinds.events import to_core, to_events_v1

from .manifests import NOW, create_errors, merged, prepared, stored, strategy, updated


def obj(kind: str, **fields: Any) -> dict[str, Any]:
    return merged({"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}}, fields)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"name": None}, ["metadata.name: Required value: name or generateName is required"]),
        ({"generateName": "web-"}, []),
        (
            {"labels": {"app": "a b"}},
            [
                'metadata.labels: Invalid value: "a b": a valid label must be an empty string or consist of alphanumeric '
                "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
                "'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
            ],
        ),
        (
            {"annotations": {"a": "x" * 262144}},
            ["metadata.annotations: Too long: may not be more than 262144 bytes"],
        ),
        (
            {"finalizers": ["mine"]},
            [
                'metadata.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name nor is it fully '
                "qualified",
            ],
        ),
        ({"finalizers": ["example.com/mine", "foregroundDeletion"]}, []),
        (
            {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": ""}]},
            [
                'metadata.ownerReferences.uid: Invalid value: "": uid must not be empty',
            ],
        ),
    ],
)
def test_metadata(metadata: dict[str, Any], expected: list[str]) -> None:
    assert create_errors(CONFIG_MAPS, obj("ConfigMap", metadata=metadata)) == expected


def test_what_an_update_may_not_do_to_metadata() -> None:
    old = stored(CONFIG_MAPS, obj("ConfigMap"))
    assert updated(CONFIG_MAPS, old, merged(old, {"metadata": {"uid": "other"}}))[1] == [
        'metadata.uid: Invalid value: "other": field is immutable'
    ]
    leaving = merged(old, {"metadata": {"deletionTimestamp": NOW, "finalizers": ["a/b"]}})
    assert updated(CONFIG_MAPS, leaving, merged(leaving, {"metadata": {"finalizers": ["a/b", "a/c"]}}))[
        1
    ] == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new "
        'finalizers []string{"a/c"}'
    ]
    assert updated(CONFIG_MAPS, leaving, merged(leaving, {"metadata": {"finalizers": None}}))[1] == []


def test_config_maps() -> None:
    assert create_errors(CONFIG_MAPS, obj("ConfigMap", data={"a b": "x"}))[0].startswith(
        'data[a b]: Invalid value: "a b": a valid config key must consist of alphanumeric characters'
    )
    assert create_errors(CONFIG_MAPS, obj("ConfigMap", data={"a": "x"}, binaryData={"a": b64("y")})) == [
        'data[a]: Invalid value: "a": duplicate of key present in binaryData'
    ]
    assert create_errors(CONFIG_MAPS, obj("ConfigMap", data={"a": "x" * (1 << 20) + "x"})) == [
        ": Too long: may not be more than 1048576 bytes"
    ]
    old = stored(CONFIG_MAPS, obj("ConfigMap", data={"a": "1"}, immutable=True))
    assert updated(CONFIG_MAPS, old, merged(old, {"data": {"a": "2"}, "immutable": None}))[1] == [
        "immutable: Forbidden: field is immutable when `immutable` is set",
        "data: Forbidden: field is immutable when `immutable` is set",
    ]
    assert strategy(CONFIG_MAPS).row(old)[:2] == ["x", 1]


def test_secrets() -> None:
    result = stored(SECRETS, obj("Secret", stringData={"a": "1"}, data={"a": b64("0"), "b": b64("2")}))
    assert (result["type"], result["data"], "stringData" in result) == (
        "Opaque",
        {"a": b64("1"), "b": b64("2")},
        False,
    )
    assert strategy(SECRETS).row(result)[:3] == ["x", "Opaque", 2]
    assert updated(SECRETS, result, merged(result, {"type": "example.com/t"}))[1] == [
        'type: Invalid value: "example.com/t": field is immutable'
    ]
    assert strategy(SECRETS).selectable_fields(result) == {"type": "Opaque"}


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("kubernetes.io/tls", {"tls.crt": ""}, ["data[tls.key]: Required value"]),
        (
            "kubernetes.io/basic-auth",
            {},
            ["data[username]: Required value", "data[password]: Required value"],
        ),
        ("kubernetes.io/basic-auth", {"username": ""}, []),
        ("kubernetes.io/ssh-auth", {}, ["data[ssh-privatekey]: Required value"]),
        ("kubernetes.io/dockerconfigjson", {}, ["data[.dockerconfigjson]: Required value"]),
        ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": b64("{}")}, []),
        (
            "kubernetes.io/service-account-token",
            {},
            [
                "metadata.annotations[kubernetes.io/service-account.name]: Required value",
            ],
        ),
    ],
)
def test_secret_types(kind: str, data: dict[str, str], expected: list[str]) -> None:
    assert create_errors(SECRETS, obj("Secret", type=kind, data=data)) == expected


def test_service_accounts() -> None:
    result = stored(SERVICE_ACCOUNTS, obj("ServiceAccount"))
    assert strategy(SERVICE_ACCOUNTS).row(result)[:2] == ["x", 0]


def test_a_namespace_is_emptied_before_it_goes() -> None:
    rules = strategy(NAMESPACES)
    result = stored(NAMESPACES, obj("Namespace"))
    assert result["spec"] == {"finalizers": ["kubernetes"]}
    assert result["status"] == {"phase": "Active"}
    assert result["metadata"]["labels"] == {"kubernetes.io/metadata.name": "x"}
    assert not rules.is_finished(result)
    result["metadata"]["deletionTimestamp"] = NOW
    rules.prepare_for_delete(result, None)
    assert rules.row(result)[:2] == ["x", "Terminating"]
    kept, problems = updated(NAMESPACES, result, merged(result, {"spec": {"finalizers": []}}))
    assert (kept["spec"], problems) == ({"finalizers": ["kubernetes"]}, [])
    empty, problems = updated(NAMESPACES, result, merged(result, {"spec": {"finalizers": []}}), "finalize")
    assert problems == []
    assert rules.is_finished(empty)
    active = merged(result, {"status": {"phase": "Active"}})
    assert updated(NAMESPACES, result, active, "status")[1] == [
        "status.Phase: Invalid value: \"Active\": may only be 'Terminating' if `deletionTimestamp` is not empty"
    ]


def node(**fields: Any) -> dict[str, Any]:
    return obj("Node", **fields)


def test_nodes() -> None:
    rules = strategy(NODES)
    result = stored(NODES, node(spec={"podCIDR": "10.244.1.0/24"}, status={"capacity": {"cpu": "4"}}))
    assert result["spec"]["podCIDRs"] == ["10.244.1.0/24"]
    assert result["status"]["allocatable"] == {"cpu": "4"}
    assert rules.selectable_fields(result) == {"spec.unschedulable": "false"}
    change = {"spec": {"podCIDR": "10.244.2.0/24", "podCIDRs": ["10.244.2.0/24"]}}
    assert updated(NODES, result, merged(result, change))[1] == [
        'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid'
    ]
    taints = {"spec": {"taints": [{"key": "a", "effect": "NoRun"}]}}
    assert create_errors(NODES, node(**taints)) == [
        'metadata.taints[0].effect: Unsupported value: "NoRun": supported values: "NoSchedule", "PreferNoSchedule", '
        '"NoExecute"'
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["x", "Unknown", "<none>"]),
        (
            {
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
                "metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}},
            },
            ["x", "Ready", "control-plane"],
        ),
        (
            {
                "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]},
                "spec": {"unschedulable": True},
            },
            ["x", "NotReady,SchedulingDisabled", "<none>"],
        ),
    ],
)
def test_the_table_of_nodes(fields: dict[str, Any], expected: list[str]) -> None:
    row = strategy(NODES).row(node(**fields))
    assert row[:3] == expected
    assert row[5:] == ["<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"]


def event(**fields: Any) -> dict[str, Any]:
    base = {
        "metadata": {"namespace": "default"},
        "reason": "Pulled",
        "message": " done ",
        "type": "Normal",
        "count": 3,
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "web"},
        "source": {"component": "kubelet", "host": "node-1"},
        "firstTimestamp": NOW,
        "lastTimestamp": NOW,
    }
    return obj("Event", **merged(base, fields))


def test_events_are_one_storage_in_two_versions() -> None:
    core = stored(EVENTS, event())
    new = to_events_v1(core)
    assert new["apiVersion"] == "events.k8s.io/v1"
    assert (new["regarding"]["name"], new["note"], new["deprecatedCount"]) == ("web", " done ", 3)
    assert to_core(new) == core
    assert strategy(EVENTS_V1).storage_resource == EVENTS
    assert strategy(EVENTS_V1).row(new)[1:] == strategy(EVENTS).row(core)[1:]


def test_events() -> None:
    rules = strategy(EVENTS)
    row = rules.row(stored(EVENTS, event()))
    assert row[1:7] == ["Normal", "Pulled", "pod/web", "", "kubelet, node-1", "done"]
    assert row[8:] == [3, "x"]
    fields = rules.selectable_fields(event())
    assert (fields["involvedObject.name"], fields["source"], fields["reason"]) == ("web", "kubelet", "Pulled")
    assert rules.ttl(event()) == 3600
    assert create_errors(EVENTS, event(involvedObject={"namespace": "other"})) == [
        'involvedObject.namespace: Invalid value: "other": does not match event.namespace'
    ]
    assert create_errors(EVENTS, event(involvedObject={"namespace": None})) == []


def test_the_newer_version_of_events_asks_for_more() -> None:
    new = to_events_v1(event())
    assert create_errors(EVENTS_V1, new) == [
        "eventTime: Required value",
        'firstTimestamp: Invalid value: "": needs to be unset',
        'lastTimestamp: Invalid value: "": needs to be unset',
        'count: Invalid value: "": needs to be unset',
        'source: Invalid value: "": needs to be unset',
    ]
    for name in (
        "deprecatedFirstTimestamp",
        "deprecatedLastTimestamp",
        "deprecatedCount",
        "deprecatedSource",
    ):
        del new[name]
    new["eventTime"] = "2026-01-02T03:04:05.000000Z"
    missing = [problem for problem in create_errors(EVENTS_V1, new) if problem.endswith("Required value")]
    assert missing == [
        f"{name}: Required value" for name in ("reportingController", "reportingInstance", "action")
    ]
    complete = new | {"reportingController": "kubelet", "reportingInstance": "node-1", "action": "Pulling"}
    old = stored(EVENTS_V1, complete)
    assert updated(EVENTS_V1, old, old | {"note": "other"})[1] == [
        'note: Invalid value: "other": field is immutable'
    ]
    assert updated(EVENTS_V1, old, old | {"series": {"count": 2, "lastObservedTime": NOW}})[1] == []


def test_leases() -> None:
    assert create_errors(LEASES, obj("Lease", spec={"leaseDurationSeconds": 0})) == [
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"
    ]
    assert strategy(LEASES).row(obj("Lease", spec={"holderIdentity": "me"}))[:2] == ["x", "me"]


def test_addresses_and_ranges() -> None:
    parent = {"parentRef": {"resource": "services", "namespace": "a", "name": "b"}}
    address = obj("IPAddress", metadata={"name": "10.96.0.1"}, spec=parent)
    assert strategy(IP_ADDRESSES).row(stored(IP_ADDRESSES, address))[:2] == ["10.96.0.1", "services/a/b"]
    assert create_errors(IP_ADDRESSES, obj("IPAddress", metadata={"name": "10.96.0"}, spec=parent)) == [
        'metadata.name: Invalid value: "10.96.0": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'
    ]
    old = stored(SERVICE_CIDRS, obj("ServiceCIDR", spec={"cidrs": ["10.96.0.0/16"]}))
    assert strategy(SERVICE_CIDRS).row(old)[:2] == ["x", "10.96.0.0/16"]
    assert updated(SERVICE_CIDRS, old, merged(old, {"spec": {"cidrs": ["10.97.0.0/16"]}}))[1] == [
        'spec.cidrs[0]: Invalid value: "10.97.0.0/16": field is immutable'
    ]


def test_priority_classes_and_controller_revisions() -> None:
    low = stored(PRIORITY_CLASSES, obj("PriorityClass", value=5))
    assert strategy(PRIORITY_CLASSES).row(low)[1:3] == [5, False]
    assert updated(PRIORITY_CLASSES, low, merged(low, {"value": 6}))[1] == [
        "value: Forbidden: may not be changed in an update."
    ]
    assert create_errors(PRIORITY_CLASSES, obj("PriorityClass", value=2_000_000_000)) == [
        "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"
    ]
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "1", "controller": True}
    revision = prepared(
        strategy(CONTROLLER_REVISIONS),
        obj("ControllerRevision", metadata={"ownerReferences": [owner]}, revision=2, data={"a": 1}),
    )
    assert strategy(CONTROLLER_REVISIONS).row(revision)[1:3] == ["daemonset.apps/d", 2]
