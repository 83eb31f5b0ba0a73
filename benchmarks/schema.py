"""`bench schema`: what reading a request body costs — decoding, field ownership, compiling the schema, memory.

The limit is what the quickest JSON parser needs for the same bytes without checking anything.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from typing import Any

import orjson

from apimachinery import schema
from apimachinery.meta import deep_copy
from apimachinery.patch import apply, strategic
from apimachinery.resources import PODS
from apimachinery.schema import definitions
from apimachinery.schema.compiler import Compiler
from benchmarks._report import Report, resident_mib

ROUNDS = 7
TIMES = 2000


def pod() -> dict[str, Any]:
    """A Pod of some 2.5 KB, as a controller creates it."""
    container = {
        "image": "registry.example/team/application:1.2.3",
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/application", "--port=8080"],
        "env": [{"name": f"SETTING_{i}", "value": f"value-{i}"} for i in range(8)],
        "ports": [{"containerPort": 8080, "protocol": "TCP", "name": "http"}],
        "resources": {
            "requests": {"cpu": "100m", "memory": "64Mi"},
            "limits": {"cpu": "1", "memory": "128Mi"},
        },
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"},
            "periodSeconds": 10,
        },
        "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True}],
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4b9c6f5", "uid": "u" * 36}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "web-7d4b9c6f5-",
            "namespace": "default",
            "labels": {"app": "web", "pod-template-hash": "7d4b9c6f5"},
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": {
            "containers": [{"name": f"container-{i}", **container} for i in range(2)],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "dnsPolicy": "ClusterFirst",
            "serviceAccountName": "default",
            "securityContext": {},
            "schedulerName": "default-scheduler",
            "tolerations": [
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
            ],
            "volumes": [{"name": "data", "configMap": {"name": "data", "defaultMode": 420}}],
        },
    }


def microseconds(work: Callable[[], Any], times: int = TIMES) -> float:
    """The best mean of several rounds, with garbage collection off as a server's tuned one nearly is."""
    best = float("inf")
    gc.disable()
    try:
        for _ in range(ROUNDS):
            start = time.perf_counter()
            for _ in range(times):
                work()
            best = min(best, (time.perf_counter() - start) / times)
    finally:
        gc.enable()
    return best * 1e6


def run() -> Report:
    """Measure and report."""
    before = resident_mib(os.getpid())
    start = time.perf_counter()
    definitions.load()
    loaded = (time.perf_counter() - start) * 1e3
    load_memory = resident_mib(os.getpid()) - before
    start = time.perf_counter()
    Compiler().compile(definitions.get(PODS.definition))
    compiled = (time.perf_counter() - start) * 1e3

    created = pod()
    raw = orjson.dumps(created)
    live = deep_copy(created)
    live["metadata"]["managedFields"] = apply.update_managers(None, created, "controller")
    running = deep_copy(live)
    running["status"] = {"phase": "Running", "podIP": "10.244.0.2", "podIPs": [{"ip": "10.244.0.2"}]}
    change = {"spec": {"containers": [{"name": "container-0", "image": "other"}]}}

    report = Report(f"schema: a Pod of {len(raw):,} bytes")
    parse = microseconds(lambda: orjson.loads(raw))
    report.add("decode, strict", microseconds(lambda: schema.check(PODS, raw)), "µs", limit=parse)
    report.add("decode, ignore", microseconds(lambda: schema.check(PODS, raw, "ignore")), "µs", limit=parse)
    report.add("check after a patch", microseconds(lambda: schema.check(PODS, created)), "µs", limit=parse)
    report.add("owners of a create", microseconds(lambda: apply.update_managers(None, created, "c")), "µs")
    report.add(
        "owners of a status update",
        microseconds(lambda: apply.update_managers(live, running, "kubelet", subresource="status")),
        "µs",
    )
    report.add("strategic patch", microseconds(lambda: strategic.apply(live, change, PODS.definition)), "µs")
    report.add("server-side apply", microseconds(lambda: apply.apply(live, created, "me", True), 200), "µs")
    report.add("load all definitions", loaded, "ms")
    report.add("memory of all definitions", load_memory, "MiB")
    report.add("compile Pod", compiled, "ms")
    return report


if __name__ == "__main__":
    run().print()
