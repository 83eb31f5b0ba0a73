"""Defaults of Pods, what updates may change, grace periods, binding, QoS."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.errors import StatusError
from apimachinery.resources import PODS
from apiserver.registry.kinds.bindings import assign
from apiserver.registry.kinds.pod_qos import qos_class

from .manifests import NOW, merged, pod, prepared, stored, strategy, updated

UPDATABLE = (
    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
)


def test_a_minimal_pod_gets_the_official_defaults() -> None:
    result = prepared(strategy(PODS), pod())
    assert result["metadata"] == {"name": "web", "namespace": "default", "generation": 1}
    assert result["spec"] == {
        "containers": [
            {
                "name": "main",
                "image": "busybox:1.36",
                "imagePullPolicy": "IfNotPresent",
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
            }
        ],
        "dnsPolicy": "ClusterFirst",
        "enableServiceLinks": True,
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }
    assert result["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.25", "IfNotPresent"),
        ("localhost:5000/nginx", "Always"),
        ("localhost:5000/a/nginx:1", "IfNotPresent"),
        ("nginx@sha256:" + "a" * 64, "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    result = prepared(strategy(PODS), pod(image=image))
    assert result["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_parts_of_a_pod_get_defaults() -> None:
    result = prepared(
        strategy(PODS),
        pod(
            {
                "hostNetwork": True,
                "serviceAccount": "robot",
                "volumes": [
                    {"name": "a"},
                    {"name": "b", "secret": {"secretName": "s"}},
                    {"name": "c", "hostPath": {"path": "/"}},
                    {"name": "d", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
                ],
            },
            ports=[{"containerPort": 80}],
            env=[{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            livenessProbe={"httpGet": {"port": 80}},
            resources={"limits": {"cpu": "1"}},
        ),
    )["spec"]
    container = result["containers"][0]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP", "hostPort": 80}]
    assert container["env"][0]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert container["livenessProbe"] == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert container["resources"] == {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}
    assert result["serviceAccountName"] == result["serviceAccount"] == "robot"
    assert result["volumes"] == [
        {"name": "a", "emptyDir": {}},
        {"name": "b", "secret": {"secretName": "s", "defaultMode": 420}},
        {"name": "c", "hostPath": {"path": "/", "type": ""}},
        {
            "name": "d",
            "projected": {
                "defaultMode": 420,
                "sources": [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}],
            },
        },
    ]


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "100m"}}, "Burstable"),
        ({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}, "Burstable"),
        ({"requests": {"cpu": "0"}}, "BestEffort"),
    ],
)
def test_qos(resources: dict[str, Any], expected: str) -> None:
    assert qos_class({"containers": [{"resources": resources}]}) == expected


def change(old: dict[str, Any], **spec: Any) -> tuple[dict[str, Any], list[str]]:
    return updated(PODS, old, merged(old, {"spec": spec}))


def test_the_image_of_a_pod_may_change_and_counts_a_generation() -> None:
    old = stored(PODS, pod())
    new, problems = change(old, containers=[{**old["spec"]["containers"][0], "image": "busybox:1.37"}])
    assert problems == []
    assert new["metadata"]["generation"] == 2


def test_other_fields_of_a_pod_may_not_change() -> None:
    old = stored(PODS, pod())
    _, problems = change(old, hostname="other")
    assert problems == [UPDATABLE + '- hostname: null\n+ hostname: "other"\n']
    _, problems = change(old, containers=[{**old["spec"]["containers"][0], "args": ["x"]}])
    assert len(problems) == 1
    assert problems[0].startswith(UPDATABLE)


def test_an_empty_list_is_no_change() -> None:
    old = stored(PODS, pod())
    new, problems = change(old, containers=[{**old["spec"]["containers"][0], "args": []}], nodeSelector={})
    assert problems == []
    assert new["status"] == old["status"]


def test_containers_may_not_be_added() -> None:
    old = stored(PODS, pod())
    _, problems = change(old, containers=old["spec"]["containers"] + [{"name": "b", "image": "x"}])
    assert problems == ["spec.containers: Forbidden: pod updates may not add or remove containers"]


def test_tolerations_may_only_be_added() -> None:
    toleration = {"key": "a", "operator": "Exists"}
    old = stored(PODS, pod({"tolerations": [toleration]}))
    assert change(old, tolerations=[{"key": "b", "operator": "Exists"}, toleration])[1] == []
    assert change(old, tolerations=[])[1] == [
        "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"
    ]


def test_deadlines_may_only_shrink() -> None:
    old = stored(PODS, pod({"activeDeadlineSeconds": 10}))
    assert change(old, activeDeadlineSeconds=5)[1] == []
    assert change(old, activeDeadlineSeconds=20)[1] == [
        "spec.activeDeadlineSeconds: Invalid value: 20: must be less than or equal to previous value"
    ]
    assert change(old, activeDeadlineSeconds=None)[1] == [
        "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"
    ]


def test_gates_may_only_go_and_gated_pods_be_narrowed() -> None:
    old = stored(PODS, pod({"schedulingGates": [{"name": "a"}], "nodeSelector": {"x": "y"}}))
    assert old["status"]["conditions"][0]["reason"] == "SchedulingGated"
    assert change(old, schedulingGates=None)[1] == []
    assert change(old, nodeSelector={"z": "1"})[1] == []
    assert change(old, schedulingGates=[{"name": "a"}, {"name": "b"}])[1] == [
        "spec.schedulingGates[1].name: Forbidden: only deletion is allowed, but found new scheduling gate 'b'"
    ]


def test_a_status_update_changes_nothing_else() -> None:
    old = stored(PODS, pod())
    new = merged(old, {"spec": {"hostname": "x"}, "status": {"phase": "Running", "qosClass": None}})
    result, problems = updated(PODS, old, new, "status")
    assert problems == []
    assert result["spec"] == old["spec"]
    assert result["status"] == {"phase": "Running", "qosClass": "BestEffort"}
    _, problems = updated(PODS, old, merged(old, {"status": {"qosClass": "Burstable"}}), "status")
    assert problems == ['status.qosClass: Invalid value: "Burstable": field is immutable']


def test_a_finished_container_does_not_come_back() -> None:
    old = stored(PODS, pod({"restartPolicy": "Never"}))
    old["status"]["containerStatuses"] = [{"name": "main", "state": {"terminated": {"exitCode": 0}}}]
    new = merged(old, {"status": {"containerStatuses": [{"name": "main", "state": {"running": {}}}]}})
    assert updated(PODS, old, new, "status")[1] == [
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
    ]


def test_ephemeral_containers_may_only_be_added() -> None:
    old = stored(PODS, pod())
    debug = {"name": "debug", "image": "busybox", "targetContainerName": "main"}
    new, problems = updated(
        PODS,
        old,
        merged(old, {"spec": {"ephemeralContainers": [debug], "hostname": "ignored"}}),
        "ephemeralcontainers",
    )
    assert problems == []
    assert "hostname" not in new["spec"]
    assert new["spec"]["ephemeralContainers"][0]["terminationMessagePolicy"] == "File"
    _, problems = updated(
        PODS, new, merged(new, {"spec": {"ephemeralContainers": []}}), "ephemeralcontainers"
    )
    assert problems == [
        'spec.ephemeralContainers: Forbidden: existing ephemeral containers "debug" may not be removed\n'
    ]
    _, problems = updated(
        PODS,
        old,
        merged(old, {"spec": {"ephemeralContainers": [{**debug, "ports": [{"containerPort": 1}]}]}}),
        "ephemeralcontainers",
    )
    assert problems == [
        "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container"
    ]


def test_resize_changes_cpu_and_memory_only() -> None:
    old = stored(PODS, pod(resources={"requests": {"cpu": "1"}}))
    container = old["spec"]["containers"][0]
    bigger = {**container, "resources": {"requests": {"cpu": "2"}}, "image": "ignored"}
    new, problems = updated(PODS, old, merged(old, {"spec": {"containers": [bigger]}}), "resize")
    assert problems == []
    assert new["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "2"}}
    assert new["spec"]["containers"][0]["image"] == container["image"]
    _, problems = updated(
        PODS, old, merged(old, {"spec": {"containers": [{**container, "resources": {}}]}}), "resize"
    )
    assert "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed" in problems


@pytest.mark.parametrize(
    ("spec", "phase", "requested", "expected"),
    [
        ({"nodeName": "n"}, "Running", None, 30),
        ({"nodeName": "n"}, "Running", 5, 5),
        ({"nodeName": "n"}, "Running", 0, 0),
        ({"nodeName": "n"}, "Running", -3, 1),
        ({"nodeName": "n"}, "Succeeded", None, 0),
        ({}, "Pending", None, 0),
    ],
)
def test_the_grace_period(spec: dict[str, Any], phase: str, requested: int | None, expected: int) -> None:
    obj = stored(PODS, pod(spec))
    obj["status"]["phase"] = phase
    assert strategy(PODS).grace_period(obj, requested) == expected


def binding(node: str = "node-1") -> dict[str, Any]:
    return {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": node}}


def test_binding_assigns_the_pod() -> None:
    obj = stored(PODS, pod())
    assign(obj, binding(), NOW)
    assert obj["spec"]["nodeName"] == "node-1"
    assert obj["status"]["conditions"] == [
        {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": NOW}
    ]
    with pytest.raises(StatusError) as refused:
        assign(obj, binding("node-2"), NOW)
    assert refused.value.code == 409
    assert refused.value.message == (
        'Operation cannot be fulfilled on pods/binding "web": pod web is already assigned to node "node-1"'
    )


def test_binding_needs_a_node() -> None:
    with pytest.raises(StatusError) as refused:
        assign(stored(PODS, pod()), binding(""), NOW)
    assert refused.value.code == 422
    assert "target.name: Required value" in refused.value.message


def test_selectable_fields() -> None:
    obj = stored(PODS, pod({"nodeName": "n"}))
    obj["status"] |= {"podIP": "10.244.0.2", "podIPs": [{"ip": "10.244.0.2"}]}
    assert strategy(PODS).selectable_fields(obj) == {
        "spec.nodeName": "n",
        "spec.restartPolicy": "Always",
        "spec.schedulerName": "default-scheduler",
        "spec.serviceAccountName": "",
        "spec.hostNetwork": "false",
        "status.phase": "Pending",
        "status.podIP": "10.244.0.2",
        "status.podIPs": "10.244.0.2",
        "status.nominatedNodeName": "",
    }
