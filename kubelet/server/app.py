"""The kubelet's HTTPS server: who may call, and which handler answers.

The paths are those of the original; the API server calls them for logs, exec, attach and port-forward. Plain ASGI:
there are a dozen routes and each request matters to somebody's terminal.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import orjson

from component_base.health import HealthChecks
from component_base.logs import get_logger
from component_base.metrics import build_info, gauge, metrics_response
from component_base.serving import Receive, Scope, Send, Server
from component_base.tls import TLSFiles, self_signed_context
from kubelet.node.keeper import VERSION
from kubelet.server import logs, remote
from kubelet.server.authorization import Gate, subresource
from kubelet.server.reply import Refused, Reply, Request

if TYPE_CHECKING:
    from kubelet.kubelet import Kubelet

Handler = Callable[["Kubelet", Request], Awaitable[Reply | None]]
log = get_logger("server")


class App:
    """The ASGI application."""

    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet
        self._gate = Gate(kubelet.client, kubelet.config, kubelet.options.node_name)
        self._health = HealthChecks()
        self._health.add("syncloop", self._sync_loop)

    async def _sync_loop(self) -> None:
        """The kubelet answers and its loops run; an engine that is away is the node's condition, not ours."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        request = Request(
            scope, receive, send, scope["method"], scope["path"],
            parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True), headers,
        )  # fmt: skip
        try:
            reply = await self._answer(request)
        except Refused as refusal:
            reply = Reply(refusal.code, refusal.message.encode(), "text/plain; charset=utf-8")
        if reply is not None:
            await reply.send(send)

    async def _answer(self, request: Request) -> Reply | None:
        if request.path in ("/healthz", "/livez", "/readyz") and request.method == "GET":
            group = request.path.strip("/")
            result = await self._health.render(group, verbose="verbose" in request.query)
            return Reply(result.status, result.body.encode(), "text/plain; charset=utf-8")
        await self._authorize(request)
        parts = request.path.strip("/").split("/")
        handler = ROUTES.get(parts[0])
        if handler is None:
            raise Refused(404, "404 page not found\n")
        return await handler(self._kubelet, request)

    async def _authorize(self, request: Request) -> None:
        tls = request.scope["extensions"].get("tls") or {}
        user = await self._gate.user(tls.get("client_cert_der"), request.headers)
        if user is None:
            raise Refused(401, "Unauthorized")
        if not await self._gate.allows(user, request.method, request.path):
            raise Refused(
                403,
                f"Forbidden (user={user.name}, verb={request.method.lower()}, resource=nodes, "
                f"subresource(s)=[{subresource(request.path)}])",
            )


async def pods(kubelet: Kubelet, _request: Request) -> Reply:
    """GET /pods: the pods of this node."""
    body = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": kubelet.pods.pods()}
    return Reply(200, orjson.dumps(body), "application/json")


async def metrics(_kubelet: Kubelet, _request: Request) -> Reply:
    """GET /metrics."""
    body, content_type = metrics_response()
    return Reply(200, body, content_type)


async def configz(kubelet: Kubelet, _request: Request) -> Reply:
    """GET /configz: the configuration in force."""
    body = {"kubeletconfig": kubelet.config.model_dump()}
    return Reply(200, orjson.dumps(body), "application/json")


ROUTES: dict[str, Handler] = {
    "pods": pods,
    "metrics": metrics,
    "configz": configz,
    "containerLogs": logs.container_logs,
    "exec": remote.exec_command,
    "attach": remote.attach,
    "portForward": remote.port_forward,
    "run": remote.run,
}


async def _health_only(scope: Scope, _receive: Receive, send: Send) -> None:
    """The plain health port on loopback, for probes of the machine's own supervision."""
    found = scope["path"] == "/healthz"
    await Reply(200 if found else 404, b"ok" if found else b"404 page not found\n", "text/plain").send(send)


async def serve(kubelet: Kubelet) -> list[Server]:
    """Start the servers by the configuration; without certificate files the kubelet signs its own.

    Raises OSError when the port is taken or a file is missing. The health port is not worth failing for.
    """
    config = kubelet.config
    tls: TLSFiles | ssl.SSLContext
    if config.tlsCertFile and config.tlsPrivateKeyFile:
        ca = config.authentication.x509.clientCAFile or None
        tls = TLSFiles(config.tlsCertFile, config.tlsPrivateKeyFile, ca)
    else:
        tls = await self_signed_context(kubelet.options.node_name)
    _observe(kubelet)
    servers = [Server(App(kubelet), config.address, config.port, tls=tls)]
    await servers[0].start()
    if config.healthzPort:
        health = Server(_health_only, config.healthzBindAddress, config.healthzPort)
        try:
            await health.start()
            servers.append(health)
        except OSError as error:
            log.warning("Health port not served", port=config.healthzPort, error=str(error))
    return servers


def _observe(kubelet: Kubelet) -> None:
    """The official gauges, computed when asked for."""
    build_info(VERSION)
    gauge("kubelet_node_name", "The node's name. The count is always 1.", ("node",)).labels(
        kubelet.options.node_name
    ).set(1)
    gauge("kubelet_running_pods", "Number of pods that have a running pod sandbox").set_function(
        lambda: sum(kubelet.view.record(uid).running_sandbox is not None for uid in kubelet.view.uids())
    )
    running = gauge(
        "kubelet_running_containers", "Number of containers currently running", ("container_state",)
    )
    for state in ("created", "running", "exited"):
        running.labels(state).set_function(partial(kubelet.view.count, state))
