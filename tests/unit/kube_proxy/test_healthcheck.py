"""What the proxy answers over HTTP."""

from __future__ import annotations

import json
from typing import Any

from apimachinery import Object
from component_base.serving import ASGIApp
from kube_proxy.healthcheck import ProxyHealth, metrics_app


async def get(app: ASGIApp, path: str) -> tuple[int, str]:
    """One request without a socket."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "http", "method": "GET", "path": path, "query_string": b""}, receive, send)
    return sent[0]["status"], sent[1]["body"].decode()


def node(**changes: Any) -> Object:
    return {"metadata": {"name": "node-1", **changes.pop("metadata", {})}, "spec": changes}


async def test_healthy_once_rules_are_in_force_and_as_long_as_they_keep_up() -> None:
    health = ProxyHealth(timeout=0.0)
    app = health.health_app()
    assert (await get(app, "/healthz"))[0] == 503
    health.queued()
    health.updated()
    code, body = await get(app, "/healthz")
    assert code == 200 and json.loads(body)["nodeEligible"] is True
    health.queued()  # waits longer than the timeout of nothing at all
    assert (await get(app, "/healthz"))[0] == (await get(app, "/livez"))[0] == 503
    assert "nodeEligible" not in json.loads((await get(app, "/livez"))[1])


async def test_a_node_about_to_go_is_not_healthy_but_alive() -> None:
    health = ProxyHealth(timeout=60)
    health.updated()
    app = health.health_app()
    for leaving in (
        node(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
        node(taints=[{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]),
    ):
        health.on_node("MODIFIED", None, leaving)
        assert (await get(app, "/healthz"))[0] == 503
        assert (await get(app, "/livez"))[0] == 200
    health.on_node("MODIFIED", None, node())
    assert (await get(app, "/healthz"))[0] == 200


async def test_the_metrics_port() -> None:
    health = ProxyHealth(timeout=60)
    app = metrics_app(health, "iptables", lambda: {"mode": "iptables"})
    assert await get(app, "/proxyMode") == (200, "iptables")
    assert json.loads((await get(app, "/configz"))[1]) == {"kubeproxy.config.k8s.io": {"mode": "iptables"}}
    assert "kubeproxy_sync_proxy_rules_duration_seconds" in (await get(app, "/metrics"))[1]
    assert (await get(app, "/healthz"))[0] == 503
    assert (await get(app, "/nothing"))[0] == 404


async def test_a_health_check_node_port_follows_the_endpoints_of_this_node() -> None:
    health = ProxyHealth(timeout=60)
    health.updated()
    app = health._service_app("default/web")
    assert (await get(app, "/"))[0] == 503
    health._counts = {"default/web": 2}
    code, body = await get(app, "/")
    assert code == 200
    assert json.loads(body) == {
        "service": {"namespace": "default", "name": "web"},
        "localEndpoints": 2,
        "serviceProxyHealthy": True,
    }
