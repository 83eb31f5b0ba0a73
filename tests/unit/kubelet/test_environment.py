"""Environment variables: order, sources, expansion, official complaints."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from samples import container, pod

from apimachinery import Object
from kubelet.containers.downward import PodFacts
from kubelet.containers.environment import ConfigError, resolve, service_variables
from kubelet.containers.expansion import MissingVariable, expand, expand_strict

FACTS = PodFacts("node-1", ("172.31.240.1",), ("10.244.0.5",), {"cpu": "2", "memory": "1Gi"})


class Objects:
    """ConfigMap `cm` and Secret `sec` in namespace ns."""

    def config_map(self, namespace: str, name: str) -> Object | None:
        return {"data": {"color": "red", "9bad key": "x"}} if (namespace, name) == ("ns", "cm") else None

    def secret(self, namespace: str, name: str) -> Object | None:
        data = {"password": base64.b64encode(b"hunter2").decode()}
        return {"data": data} if (namespace, name) == ("ns", "sec") else None


def env(**fields: Any) -> dict[str, str]:
    one = container(**fields)
    return resolve(pod(one), one, Objects(), [], FACTS)[0]


def test_values_from_everywhere() -> None:
    found = env(
        env=[
            {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "color"}}},
            {"name": "PASS", "valueFrom": {"secretKeyRef": {"name": "sec", "key": "password"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
            {"name": "TEXT", "value": "$(COLOR) $$(COLOR) $(NOBODY)"},
        ]
    )
    assert found == {
        "COLOR": "red",
        "PASS": "hunter2",
        "IP": "10.244.0.5",
        "CPU": "2000",
        "TEXT": "red $(COLOR) $(NOBODY)",
    }


def test_env_wins_over_env_from_and_bad_names_are_reported() -> None:
    one = container(
        envFrom=[{"prefix": "X_", "configMapRef": {"name": "cm"}}], env=[{"name": "X_color", "value": "blue"}]
    )
    found, skipped = resolve(pod(one), one, Objects(), [], FACTS)
    assert found["X_color"] == "blue"
    assert all("bad key" not in name or name in found for _, keys in skipped for name in keys)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({"configMapKeyRef": {"name": "no", "key": "k"}}, 'configmap "no" not found'),
        ({"configMapKeyRef": {"name": "cm", "key": "k"}}, "couldn't find key k in ConfigMap ns/cm"),
        ({"secretKeyRef": {"name": "no", "key": "k"}}, 'secret "no" not found'),
        ({"secretKeyRef": {"name": "sec", "key": "k"}}, "couldn't find key k in Secret ns/sec"),
    ],
)
def test_missing_sources_are_named_officially(source: Object, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        env(env=[{"name": "A", "valueFrom": source}])
    assert str(caught.value) == text
    next(iter(source.values()))["optional"] = True
    assert env(env=[{"name": "A", "valueFrom": source}]) == {}


def service(namespace: str, name: str, address: str) -> Object:
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"clusterIP": address, "ports": ports},
    }


def test_services_of_the_own_namespace_and_the_master() -> None:
    services = [
        service("ns", "my-svc", "10.96.0.7"),
        service("other", "hidden", "10.96.0.8"),
        service("ns", "headless", "None"),
        service("default", "kubernetes", "10.96.0.1"),
    ]
    found = service_variables("ns", services)
    assert found["MY_SVC_SERVICE_HOST"] == "10.96.0.7"
    assert found["MY_SVC_SERVICE_PORT_HTTP"] == "80"
    assert found["MY_SVC_PORT"] == found["MY_SVC_PORT_80_TCP"] == "tcp://10.96.0.7:80"
    assert found["KUBERNETES_SERVICE_HOST"] == "10.96.0.1"
    assert not any(name.startswith(("HIDDEN", "HEADLESS")) for name in found)
    only_master = service_variables("ns", services, include_namespace=False)
    assert {name.split("_")[0] for name in only_master} == {"KUBERNETES"}


def test_expansion() -> None:
    assert expand("$(A)$(B) $$ $ $(", {"A": "1"}) == "1$(B) $ $ $("
    with pytest.raises(MissingVariable):
        expand_strict("$(B)", {})
