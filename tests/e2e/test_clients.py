"""Every kubectl of the machine, from 1.20 on, does a day's work against the cluster."""

from __future__ import annotations

import json
from pathlib import Path

from tests.harness.cluster import Cluster, eventually

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: echo, image: "hashicorp/http-echo:1.0", args: ["-listen=:8080", "-text=hello"]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""


def test_every_kubectl_does_a_days_work(cluster: Cluster, every_kubectl: list[str], namespace: str) -> None:
    for binary in every_kubectl:
        days_work(cluster, binary, namespace)


def days_work(cluster: Cluster, binary: str, namespace: str) -> None:
    name = Path(binary).name

    def run(*arguments: str, input: str | None = None) -> str:
        return cluster.kubectl("-n", namespace, *arguments, input=input, binary=binary)

    versions = json.loads(run("version", "-o", "json"))
    assert versions["serverVersion"]["gitVersion"].startswith("v1.36"), name
    resources = run("api-resources")
    assert "deployments" in resources, name
    assert "apps/v1" in run("api-versions"), name
    assert "replicas" in run("explain", "deployment.spec"), name

    assert "deployment.apps/web created" in run("apply", "-f", "-", input=MANIFEST), name
    again = run("apply", "-f", "-", input=MANIFEST)
    assert "deployment.apps/web unchanged" in again, f"{name}: {again}"
    assert "successfully rolled out" in run("rollout", "status", "deployment/web", "--timeout=60s"), name
    assert "1/1" in run("get", "deployment", "web"), name
    assert "ScalingReplicaSet" in run("describe", "deployment", "web"), name
    pod = run("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].metadata.name}")
    assert "server is listening" in run("logs", pod), name
    assert run("exec", pod, "--", "echo", "hi") == "hi\n", name
    failed = cluster.try_kubectl("-n", namespace, "exec", pod, "--", "sh", "-c", "exit 3", binary=binary)
    assert failed.returncode == 3, f"{name}: {failed.stderr}"

    run("label", "deployment", "web", "team=cats")
    run("annotate", "deployment", "web", "note=hello", "--overwrite")
    run("patch", "deployment", "web", "-p", '{"spec":{"minReadySeconds":1}}')
    run("patch", "deployment", "web", "--type=json", "-p", '[{"op":"remove","path":"/metadata/labels/team"}]')
    run("patch", "deployment", "web", "--type=merge", "-p", '{"metadata":{"labels":{"tier":"front"}}}')
    live = json.loads(run("get", "deployment", "web", "-o", "json"))
    assert live["metadata"]["labels"] == {"app": "web", "tier": "front"}, name
    assert live["spec"]["minReadySeconds"] == 1, name

    wrong = MANIFEST.replace("replicas: 1", "replicas: 1\n  replica: 2")
    refused = cluster.try_kubectl("-n", namespace, "apply", "-f", "-", input=wrong, binary=binary)
    assert refused.returncode == 1, name
    assert 'unknown field "' in refused.stderr, f"{name}: {refused.stderr}"

    run("delete", "-f", "-", "--wait=true", input=MANIFEST)
    eventually(lambda: "No resources found" in cluster.try_kubectl("-n", namespace, "get", "pods").stderr, 60)
