"""Given this Pod, the API server says that."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.resources import PODS
from apiserver.registry.kinds.pod_warnings import pod_warnings

from .manifests import create_errors, pod, prepared, strategy

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
ENV = "spec.containers[0].env[0]"
PROBE = "spec.containers[0].livenessProbe"

CONTAINER_CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"name": ""}, ["spec.containers[0].name: Required value"]),
    ({"name": "Main"}, [f'spec.containers[0].name: Invalid value: "Main": {LABEL}']),
    ({"image": ""}, ["spec.containers[0].image: Required value"]),
    (
        {"image": " x"},
        [
            'spec.containers[0].image: Invalid value: " x": must not have leading or trailing whitespace',
        ],
    ),
    (
        {"imagePullPolicy": "Sometimes"},
        [
            'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", '
            '"IfNotPresent", "Never"',
        ],
    ),
    (
        {"ports": [{"containerPort": 70000}]},
        [
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ],
    ),
    ({"ports": [{"containerPort": 0}]}, ["spec.containers[0].ports[0].containerPort: Required value"]),
    (
        {"ports": [{"containerPort": 80, "protocol": "ICMP"}]},
        [
            'spec.containers[0].ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
        ],
    ),
    (
        {"ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 81, "name": "http"}]},
        [
            'spec.containers[0].ports[1].name: Duplicate value: "http"',
        ],
    ),
    (
        {"ports": [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81, "hostPort": 8080}]},
        [
            'spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//8080"',
        ],
    ),
    ({"env": [{"name": ""}]}, [f"{ENV}.name: Required value"]),
    (
        {"env": [{"name": "a=b"}]},
        [
            f'{ENV}.name: Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII '
            "characters other than '='",
        ],
    ),
    (
        {"env": [{"name": "A", "valueFrom": {}}]},
        [
            f'{ENV}.valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, '
            "`secretKeyRef` or `fileKeyRef`",
        ],
    ),
    (
        {"env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
        [
            f'{ENV}.valueFrom: Invalid value: "": may not be specified when `value` is not empty',
        ],
    ),
    ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}}]}, []),
    (
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}]},
        [
            f'{ENV}.valueFrom.fieldRef.fieldPath: Unsupported value: "status.phase": supported values: "metadata.name", '
            '"metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", '
            '"status.hostIPs", "status.podIP", "status.podIPs"',
        ],
    ),
    (
        {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.foo"}}}]},
        [
            f'{ENV}.valueFrom.fieldRef.fieldPath: Invalid value: "metadata.foo": error converting fieldPath: field label '
            "not supported: metadata.foo",
        ],
    ),
    (
        {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cm"}}}]},
        [
            f"{ENV}.valueFrom.configMapKeyRef.key: Required value",
        ],
    ),
    (
        {"envFrom": [{}]},
        [
            'spec.containers[0].envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`',
        ],
    ),
    (
        {"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
        [
            'spec.containers[0].volumeMounts[0].name: Not found: "data"',
        ],
    ),
    (
        {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}},
        [
            'spec.containers[0].resources.requests: Invalid value: "2Gi": must be less than or equal to memory '
            "limit of 1Gi",
        ],
    ),
    (
        {"resources": {"requests": {"cpu": "-1"}}},
        [
            'spec.containers[0].resources.requests[cpu]: Invalid value: "-1": must be greater than or equal to 0',
        ],
    ),
    (
        {"resources": {"requests": {"gpu": "1"}}},
        [
            'spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": must be a standard resource type or fully '
            "qualified",
            'spec.containers[0].resources.requests[gpu]: Invalid value: "gpu": must be a standard resource for containers',
        ],
    ),
    (
        {"resources": {"requests": {"example.com/gpu": "1"}}},
        [
            "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources",
        ],
    ),
    ({"livenessProbe": {}}, [f"{PROBE}: Required value: must specify a handler type"]),
    (
        {"livenessProbe": {"exec": {"command": ["true"]}, "tcpSocket": {"port": 80}}},
        [
            f"{PROBE}.tcpSocket: Forbidden: may not specify more than 1 handler type",
        ],
    ),
    (
        {"livenessProbe": {"exec": {"command": ["true"]}, "successThreshold": 2}},
        [
            f"{PROBE}.successThreshold: Invalid value: 2: must be 1",
        ],
    ),
    (
        {"livenessProbe": {"httpGet": {"port": 0}}},
        [
            f"{PROBE}.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ],
    ),
    (
        {"lifecycle": {"preStop": {"sleep": {"seconds": 60}}}},
        [
            "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 60: must be non-negative and less than "
            "terminationGracePeriodSeconds (30)",
        ],
    ),
    (
        {"securityContext": {"runAsUser": -1}},
        [
            "spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
        ],
    ),
]

POD_CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({"containers": []}, ["spec.containers: Required value"]),
    (
        {"restartPolicy": "Sometimes"},
        [
            'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
        ],
    ),
    (
        {"dnsPolicy": "None"},
        [
            "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
        ],
    ),
    (
        {"activeDeadlineSeconds": 0},
        [
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        ],
    ),
    (
        {"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]},
        [
            "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
        ],
    ),
    (
        {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]},
        [
            'spec.volumes[1].name: Duplicate value: "v"',
        ],
    ),
    ({"volumes": [{"name": "v", "configMap": {}}]}, ["spec.volumes[0].configMap.name: Required value"]),
    (
        {"volumes": [{"name": "v", "secret": {"secretName": "s", "items": [{"key": "k", "path": "../x"}]}}]},
        [
            "spec.volumes[0].secret.items[0].path: Invalid value: \"../x\": must not contain '..'",
        ],
    ),
    (
        {"volumes": [{"name": "v", "secret": {"secretName": "s", "defaultMode": 1000}}]},
        [
            "spec.volumes[0].secret.defaultMode: Invalid value: 1000: must be a number between 0 and 0777 (octal), both "
            "inclusive",
        ],
    ),
    (
        {"volumes": [{"name": "v", "hostPath": {"path": "/x", "type": "Pipe"}}]},
        [
            'spec.volumes[0].hostPath.type: Unsupported value: "Pipe": supported values: "", "BlockDevice", "CharDevice", '
            '"Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"',
        ],
    ),
    (
        {"tolerations": [{"operator": "Equal", "value": "x"}]},
        [
            'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, '
            "which means "
            '"match all values and all keys"',
        ],
    ),
    (
        {"tolerations": [{"key": "a", "operator": "Exists", "effect": "Never"}]},
        [
            'spec.tolerations[0].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", '
            '"NoExecute"',
        ],
    ),
    (
        {"initContainers": [{"name": "main", "image": "x"}]},
        [
            'spec.initContainers[0].name: Duplicate value: "main"',
        ],
    ),
    (
        {"initContainers": [{"name": "i", "image": "x", "livenessProbe": {"exec": {"command": ["x"]}}}]},
        [
            "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without "
            "restartPolicy=Always",
        ],
    ),
    (
        {"ephemeralContainers": [{"name": "debug", "image": "x"}]},
        [
            "spec.ephemeralContainers: Forbidden: cannot be set on create",
        ],
    ),
    (
        {"nodeName": "n", "schedulingGates": [{"name": "example.com/g"}]},
        [
            "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
        ],
    ),
    (
        {
            "affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}
            }
        },
        [
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: "
            "must have at least one node selector term",
        ],
    ),
    (
        {
            "topologySpreadConstraints": [
                {"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
            ]
        },
        [
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
        ],
    ),
    (
        {"securityContext": {"sysctls": [{"name": "net.core.somaxconn"}]}, "hostNetwork": True},
        [
            'spec.securityContext.sysctls[0].name: Invalid value: "net.core.somaxconn": may not be specified when '
            "'hostNetwork' is true",
        ],
    ),
    (
        {"hostAliases": [{"ip": "300.1.1.1"}]},
        [
            'spec.hostAliases[0].ip: Invalid value: "300.1.1.1": must be a valid IP address, (e.g. 10.9.8.7 or '
            "2001:db8::ffff)",
        ],
    ),
]


@pytest.mark.parametrize(("container", "expected"), CONTAINER_CASES)
def test_container(container: dict[str, Any], expected: list[str]) -> None:
    assert create_errors(PODS, pod(**container)) == expected


@pytest.mark.parametrize(("spec", "expected"), POD_CASES)
def test_spec(spec: dict[str, Any], expected: list[str]) -> None:
    assert create_errors(PODS, pod(spec)) == expected


def test_a_valid_container_is_remembered_without_its_mounts() -> None:
    mount = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    good = pod({"volumes": [{"name": "data", "emptyDir": {}}]}, **mount)
    assert create_errors(PODS, good) == []
    assert create_errors(PODS, pod(**mount)) == ['spec.containers[0].volumeMounts[0].name: Not found: "data"']
    twice = pod(**mount)
    twice["spec"]["volumes"] = good["spec"]["volumes"]
    twice["spec"]["containers"] *= 2
    assert create_errors(PODS, twice) == ['spec.containers[1].name: Duplicate value: "main"']


def test_the_name_of_a_pod_is_a_subdomain() -> None:
    bad = pod()
    bad["metadata"]["name"] = "Web_1"
    assert create_errors(PODS, bad) == [
        'metadata.name: Invalid value: "Web_1": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric '
        "characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
        "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    ]


def test_warnings_speak_of_what_is_valid_but_unlikely_meant() -> None:
    odd = pod(
        {
            "nodeSelector": {"beta.kubernetes.io/os": "linux"},
            "imagePullSecrets": [{"name": "a"}, {"name": "a"}],
        },
        env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
        ports=[{"containerPort": 80}, {"containerPort": 80}],
        resources={"requests": {"memory": "100m"}},
    )
    odd["metadata"]["name"] = "a.b"
    assert pod_warnings(prepared(strategy(PODS), odd)) == [
        "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is "
        "recommended: [must not contain dots]",
        'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
        'spec.imagePullSecrets[1].name: duplicate name "a"',
        'spec.containers[0].resources.requests[memory]: fractional byte value "100m" is invalid, must be an integer',
        'spec.containers[0].env[1]: hides previous definition of "A", which may be unexpected when using apply',
        "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
    ]
