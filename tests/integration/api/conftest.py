"""The API as a client sees it: plain HTTP beside the official Python client, each test in a namespace of its own."""

from __future__ import annotations

import itertools
import json
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from kubernetes import client as official
from kubernetes import config as official_config

from tests.harness.control_plane import ControlPlane

JSON = "application/json"
YAML = "application/yaml"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"

Object = dict[str, Any]


class Api:
    """Requests as the administrator, one after the other."""

    def __init__(self, plane: ControlPlane, url: str = "") -> None:
        self.context = ssl.create_default_context(cafile=str(plane.ca_file))
        base = plane.pki / "kubernetes-admin"
        self.context.load_cert_chain(f"{base}.crt", f"{base}.key")
        self.client = httpx.Client(base_url=url or plane.url, verify=self.context, timeout=30)

    def __call__(
        self, method: str, path: str, body: Any = None, content_type: str = JSON, **headers: str
    ) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is None:
            return self.client.request(method, path, headers=sent)
        data = body if isinstance(body, (bytes, str)) else json.dumps(body)
        return self.client.request(method, path, content=data, headers={**sent, "Content-Type": content_type})

    def make(self, path: str, body: Object) -> Object:
        """Create, or fail the test."""
        answer = self("POST", path, body)
        assert answer.status_code == 201, answer.text
        found: Object = answer.json()
        return found

    def get(self, path: str, **headers: str) -> Object:
        """Read, or fail the test."""
        answer = self("GET", path, **headers)
        assert answer.status_code == 200, answer.text
        found: Object = answer.json()
        return found

    def put(self, path: str, body: Object) -> Object:
        """Replace, or fail the test."""
        answer = self("PUT", path, body)
        assert answer.status_code == 200, answer.text
        found: Object = answer.json()
        return found

    def patch(self, path: str, body: Any, content_type: str = MERGE) -> Object:
        """Patch, or fail the test."""
        answer = self("PATCH", path, body, content_type)
        assert answer.status_code in (200, 201), answer.text
        found: Object = answer.json()
        return found

    def names(self, path: str) -> list[str]:
        """The names of what a list has, in its order."""
        return [item["metadata"]["name"] for item in self.get(path)["items"]]

    def watch(self, path: str, count: int | None = None, **headers: str) -> list[Object]:
        """The first `count` events of a watch, or all until the server ends it."""
        events: list[Object] = []
        with self.client.stream("GET", path, headers=headers) as stream:
            assert stream.status_code == 200, stream.read()
            lines = stream.iter_lines()
            while count is None or len(events) < count:
                line = next(lines, None)
                if line is None:
                    break
                events.append(json.loads(line))
        return events


def refused(answer: httpx.Response, code: int, reason: str, message: str) -> Object:
    """Check that the answer is an official Status with these words; returns its details."""
    status = answer.json()
    assert (answer.status_code, status.get("reason", ""), status["message"]) == (code, reason, message)
    assert (status["kind"], status["apiVersion"], status["status"], status["code"]) == (
        "Status",
        "v1",
        "Failure",
        code,
    )
    details: Object = status.get("details") or {}
    return details


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> Iterator[Api]:
    made = Api(control_plane)
    with made.client:
        yield made


@pytest.fixture(scope="session")
def python_client(control_plane: ControlPlane) -> Iterator[official.ApiClient]:
    """The official client, configured from a kubeconfig as its users do it."""
    with official_config.new_client_from_config(str(control_plane.admin_kubeconfig)) as client:
        yield client


_numbers = itertools.count()


@pytest.fixture
def namespace(api: Api) -> str:
    """A namespace of the test's own, with its default service account."""
    return make_namespace(api)


def make_namespace(api: Api) -> str:
    name = f"api-{next(_numbers)}"
    api.make("/api/v1/namespaces", {"metadata": {"name": name}})
    api.make(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
    return name


def core(namespace: str, plural: str) -> str:
    """The collection's path."""
    return f"/api/v1/namespaces/{namespace}/{plural}"


def apps(namespace: str, plural: str) -> str:
    """The collection's path."""
    return f"/apis/apps/v1/namespaces/{namespace}/{plural}"


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> Object:
    return {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels or {}}, "data": data,
    }  # fmt: skip


def pod(name: str, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {}},
        "spec": {"containers": [{"name": "c", "image": "busybox:1.36"}], **spec},
    }  # fmt: skip


def deployment(name: str, kind: str = "Deployment") -> Object:
    return {
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "c", "image": "busybox:1.36"}]},
            },
        },
    }  # fmt: skip
