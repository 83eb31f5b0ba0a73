"""What load balancers and supervisors ask the proxy over HTTP: /healthz, /livez, /metrics and health-check node ports.

/healthz says whether rules keep up with the API and the node is to get traffic, /livez only the former. A health-check
node port says whether this node has a ready endpoint of one Service.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

from apimachinery import Object
from component_base.logs import get_logger
from component_base.metrics import metrics_response
from component_base.serving import ASGIApp, Receive, Scope, Send, Server
from kube_proxy import metrics

DELETION_TAINT = "ToBeDeletedByClusterAutoscaler"
_GO_TIME = "%Y-%m-%d %H:%M:%S"
_JSON = b"application/json"

log = get_logger("healthcheck")


class ProxyHealth:
    """Follows the proxier; healthy while no change has waited longer than `timeout` seconds."""

    def __init__(self, timeout: float, host: str = "0.0.0.0") -> None:
        self._timeout, self._host = timeout, host
        self._queued_at: float | None = None
        self._updated_at: float | None = None
        self._eligible = True
        self._servers: dict[str, tuple[int, Server]] = {}
        self._counts: dict[str, int] = {}

    def queued(self) -> None:
        """A change waits to be written."""
        if self._queued_at is None:
            self._queued_at = time.monotonic()

    def updated(self) -> None:
        """Everything known is in force."""
        self._queued_at = None
        self._updated_at = time.time()

    @property
    def healthy(self) -> bool:
        """Whether rules keep up with the API; false before the first sync."""
        if self._updated_at is None:
            return False
        return self._queued_at is None or time.monotonic() - self._queued_at < self._timeout

    def on_node(self, kind: str, _old: Object | None, node: Object) -> None:
        """Informer handler for this node: one about to go gets no new connections."""
        taints = (node.get("spec") or {}).get("taints") or ()
        self._eligible = (
            kind != "DELETED"
            and "deletionTimestamp" not in node["metadata"]
            and not any(taint.get("key") == DELETION_TAINT for taint in taints)
        )

    def health_app(self) -> ASGIApp:
        """Answers /healthz and /livez."""

        async def answer(scope: Scope, _receive: Receive, send: Send) -> None:
            if scope["path"] == "/healthz":
                good, counter = self.healthy and self._eligible, metrics.HEALTHZ_TOTAL
            elif scope["path"] == "/livez":
                good, counter = self.healthy, metrics.LIVEZ_TOTAL
            else:
                await _send(send, 404, b"404 page not found\n")
                return
            counter.labels(200 if good else 503).inc()
            body = self._body(scope["path"] == "/healthz")
            await _send(send, 200 if good else 503, body, _JSON)

        return answer

    def _body(self, with_eligibility: bool) -> bytes:
        now = time.time()
        updated = self._updated_at if self._updated_at is not None and self._queued_at is not None else now
        fields: dict[str, object] = {"lastUpdated": _go_time(updated), "currentTime": _go_time(now)}
        if with_eligibility:
            fields["nodeEligible"] = self._eligible
        return json.dumps(fields).encode()

    async def set_services(self, services: Mapping[str, tuple[int, int]]) -> None:
        """Listen on the health-check node port of each Service: (port, ready endpoints here) by `namespace/name`."""
        for key in [key for key, (port, _) in self._servers.items() if services.get(key, (0, 0))[0] != port]:
            _, server = self._servers.pop(key)
            await server.stop(grace=0)
        self._counts = {key: count for key, (_, count) in services.items()}
        for key, (port, _) in services.items():
            if key not in self._servers:
                server = Server(self._service_app(key), self._host, port)
                try:
                    await server.start()
                except OSError as error:
                    log.warning("Cannot open health-check node port", service=key, port=port, error=error)
                    continue
                self._servers[key] = (port, server)

    async def stop(self) -> None:
        """Close all health-check node ports."""
        await self.set_services({})

    def _service_app(self, key: str) -> ASGIApp:
        namespace, _, name = key.partition("/")

        async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
            count = self._counts.get(key, 0)
            good = count > 0 and self.healthy
            body = {
                "service": {"namespace": namespace, "name": name},
                "localEndpoints": count,
                "serviceProxyHealthy": self.healthy,
            }
            await _send(send, 200 if good else 503, json.dumps(body).encode(), _JSON)

        return answer


def metrics_app(health: ProxyHealth, mode: str, config: Callable[[], Object]) -> ASGIApp:
    """Answers /metrics, /proxyMode, /configz and, as the original does here too, /healthz."""

    async def answer(scope: Scope, _receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == "/metrics":
            body, kind = metrics_response()
            await _send(send, 200, body, kind.encode())
        elif path == "/proxyMode":
            await _send(send, 200, mode.encode())
        elif path == "/configz":
            await _send(send, 200, json.dumps({"kubeproxy.config.k8s.io": config()}).encode(), _JSON)
        elif path == "/healthz":
            await _send(send, 200 if health.healthy else 503, b"ok" if health.healthy else b"not synced yet")
        else:
            await _send(send, 404, b"404 page not found\n")

    return answer


def _go_time(seconds: float) -> str:
    return f"{time.strftime(_GO_TIME, time.gmtime(seconds))}.{int(seconds % 1 * 1e9):09d} +0000 UTC"


async def _send(send: Send, status: int, body: bytes, kind: bytes = b"text/plain; charset=utf-8") -> None:
    headers = [
        (b"content-type", kind),
        (b"content-length", b"%d" % len(body)),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
