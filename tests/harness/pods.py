"""Pods for end-to-end tests: short ways to write them, to create many at once, and to read what became of them."""

from __future__ import annotations

import json
from typing import Any

from kubernetes import client, config

from tests.harness.cluster import Cluster, eventually

BUSYBOX = "busybox:1.36"
FOREVER = "trap 'exit 0' TERM; while true; do sleep 1 & wait $!; done"
Object = dict[str, Any]


def container(script: str | None = None, name: str = "main", **fields: Any) -> Object:
    """A busybox container that runs a shell script (None: what `fields` or the image say)."""
    made: Object = {"name": name, "image": BUSYBOX, **fields}
    if script is not None:
        made["command"] = ["sh", "-c", script]
    return made


def pod(name: str, *containers: Object, **spec: Any) -> Object:
    """A pod that is never restarted and is killed at once when deleted, unless `spec` says otherwise."""
    base = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": list(containers)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"test": name}},
        "spec": {**base, **spec},
    }


def config_map(name: str, data: dict[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name: str, data: dict[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


class Pods:
    """The pods of one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace

    def kubectl(self, *arguments: str, input: str | None = None) -> str:
        return self.cluster.kubectl("-n", self.namespace, *arguments, input=input)

    def create(self, *objects: Object) -> None:
        """Create everything with one kubectl."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.kubectl("create", "-f", "-", input=text)

    def get(self, name: str) -> Object:
        return self.cluster.get("pod", name, "-n", self.namespace)

    def phase(self, name: str, *phases: str, timeout: float = 60) -> Object:
        """The pod once it is in one of the phases (without any: over)."""
        wanted = phases or ("Succeeded", "Failed")

        def reached() -> Object | None:
            found = self.get(name)
            return found if found.get("status", {}).get("phase") in wanted else None

        found: Object = eventually(
            reached, timeout, lambda: json.dumps(self.get(name).get("status"), indent=1)
        )
        return found

    def ready(self, *names: str) -> None:
        """Wait until all of them are Ready."""
        targets = [f"pod/{name}" for name in names]
        self.kubectl("wait", "--for=condition=Ready", "--timeout=60s", *targets)

    def waiting(self, name: str, reason: str, index: int = 0, timeout: float = 60) -> str:
        """The message of a container that waits for this reason."""

        def reached() -> str | None:
            statuses = self.get(name).get("status", {}).get("containerStatuses") or []
            state = statuses[index]["state"].get("waiting", {}) if len(statuses) > index else {}
            return state.get("message", " ") if state.get("reason") == reason else None

        text: str = eventually(reached, timeout, lambda: json.dumps(self.get(name).get("status"), indent=1))
        return text

    def container(self, name: str, which: str = "main") -> Object:
        """The status of one container of a pod."""
        statuses = self.get(name)["status"]["containerStatuses"]
        return next(dict(one) for one in statuses if one["name"] == which)

    def restarted(self, name: str, which: str = "main", times: int = 1) -> None:
        """Wait until a container has been restarted so many times and runs."""

        def seen() -> bool:
            status = self.container(name, which)
            return status["restartCount"] >= times and status["ready"]

        eventually(seen, 60, lambda: json.dumps(self.get(name)["status"], indent=1))

    def container_id(self, name: str, which: str = "main") -> str:
        """The engine's id of a pod's container."""
        return str(self.container(name, which)["containerID"]).removeprefix("docker://")

    def events(self, name: str) -> set[tuple[str, str, str]]:
        """(type, reason, message) of all events about the object."""
        found = self.cluster.get(
            "events", "-n", self.namespace, f"--field-selector=involvedObject.name={name}"
        )
        return {(one["type"], one["reason"], one["message"]) for one in found["items"]}

    def event(self, name: str, type_: str, reason: str, message: str, timeout: float = 60) -> None:
        """Wait for an event whose message begins with `message`."""

        def seen() -> bool:
            return any(
                (kind, why) == (type_, reason) and text.startswith(message)
                for kind, why, text in self.events(name)
            )

        eventually(seen, timeout, lambda: str(sorted(self.events(name))))

    def logs(self, name: str, *options: str) -> str:
        return self.kubectl("logs", name, *options)

    def run(self, name: str, script: str, *options: str) -> str:
        """What a shell script prints inside the pod."""
        return self.kubectl("exec", name, *options, "--", "sh", "-c", script)

    def status_column(self, name: str) -> str:
        """STATUS as `kubectl get pods` shows it."""
        return self.kubectl("get", "pod", name, "--no-headers").split()[2]


def first(found: Object, key: str = "containerStatuses") -> Object:
    """The status of the pod's first container."""
    return dict(found["status"][key][0])


def condition(found: Object, kind: str) -> Object:
    """A condition of the pod; empty where it has none of the type."""
    return next((dict(one) for one in found["status"].get("conditions") or () if one["type"] == kind), {})


def official_client(cluster: Cluster) -> Any:
    """The official Python client's core API."""
    return client.CoreV1Api(config.new_client_from_config(str(cluster.kubeconfig)))
