"""Realistic objects of about 2.3 KB for benchmarks, as clients send them."""

from __future__ import annotations

from typing import Any


def pod(name: str, namespace: str) -> dict[str, Any]:
    """A Pod as a ReplicaSet controller creates it."""
    container = {
        "image": "registry.example.com/team/application:1.2.3",
        "imagePullPolicy": "IfNotPresent",
        "args": ["--port=8080", "--log-level=info", "--config=/etc/application/config.yaml"],
        "env": [
            {"name": f"SETTING_{number}", "value": f"the value of setting {number}"} for number in range(13)
        ],
        "ports": [{"containerPort": 8080, "protocol": "TCP", "name": "http"}],
        "resources": {
            "requests": {"cpu": "100m", "memory": "64Mi"},
            "limits": {"cpu": "1", "memory": "128Mi"},
        },
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"},
            "periodSeconds": 10,
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/application", "readOnly": True}],
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4b9c6f5"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app": "web", "pod-template-hash": "7d4b9c6f5"},
            "ownerReferences": [
                {**owner, "uid": "0e9c2f4e-6c5e-4a53-9a51-6f1f3f0b7a11", "controller": True, "blockOwnerDeletion": True}
            ],
        },
        "spec": {
            "containers": [{"name": "web", **container}],
            "initContainers": [{
                "name": "prepare", "image": "registry.example.com/team/prepare:1.2.3",
                "command": ["/bin/prepare", "--wait-for=database.example.svc:5432", "--timeout=60s"],
                "volumeMounts": [{"name": "config", "mountPath": "/etc/application"}],
            }],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "default",
            "securityContext": {"runAsNonRoot": True, "fsGroup": 1000},
            "schedulerName": "default-scheduler",
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "volumes": [{"name": "config", "configMap": {"name": "application-config", "defaultMode": 420}}],
        },
    }  # fmt: skip


def small_pod(name: str, namespace: str) -> dict[str, Any]:
    """A Pod that is 2.3 KB when its defaults, its token volume and its owners' records are in it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "web"}},
        "spec": {
            "containers": [{
                "name": "web", "image": "registry.example.com/team/application:1.2.3",
                "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
            }],
        },
    }  # fmt: skip


def config_map(name: str, namespace: str) -> dict[str, Any]:
    """A ConfigMap with a file of settings."""
    lines = "".join(f"setting.number.{number} = the value of setting {number}\n" for number in range(48))
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": "web"}},
        "data": {"application.properties": lines, "level": "info"},
    }
