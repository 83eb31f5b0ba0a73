"""exec, attach and portforward: the client's upgraded connection becomes a tunnel to the pod's kubelet.

Nothing of what flows through is looked at. Refusals (no such container, no node, no upgrade) are Status objects;
once the tunnel stands, the kubelet answers.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

import orjson

from apimachinery import Object, errors, field
from apimachinery.errors import StatusError
from apiserver.http.request import Request
from apiserver.subresources.kubelet import Kubelets, choose_container
from component_base.streams.tunnel import tunnel

_FLAGS = (("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty"))
_DROPPED = frozenset({b"host", b"authorization", b"content-length", b"accept-encoding", b"x-forwarded-for"})


class Streams:
    """The three upgraded subresources of pods."""

    def __init__(self, kubelets: Kubelets) -> None:
        self._kubelets = kubelets

    async def run_command(self, request: Request) -> None:
        """exec and attach."""
        route = request.route
        pod = await self._kubelets.pod(route.namespace, route.name)
        container = choose_container(pod, request.param("container"))
        commands = request.query.get("command", [])
        if route.subresource == "exec" and not commands:
            raise errors.invalid("", "PodExecOptions", "", [field.required("command")])
        if not any(request.flag(name) for name in ("stdin", "stdout", "stderr")):
            raise errors.bad_request("you must specify at least 1 of stdin, stdout, stderr")
        params = [(theirs, "1") for ours, theirs in _FLAGS if request.flag(ours)]
        params += [("command", command) for command in commands]
        path = f"/{route.subresource}/{quote(route.namespace)}/{quote(route.name)}/{quote(container)}"
        await self._tunnel(request, pod, f"{path}?{urlencode(params, quote_via=quote)}")

    async def forward_ports(self, request: Request) -> None:
        """portforward."""
        route = request.route
        pod = await self._kubelets.pod(route.namespace, route.name)
        path = f"/portForward/{quote(route.namespace)}/{quote(route.name)}"
        ports = request.query.get("ports", [])
        if ports:
            path += f"?{urlencode([('port', port) for port in ports])}"
        await self._tunnel(request, pod, path)

    async def _tunnel(self, request: Request, pod: Object, target: str) -> None:
        endpoint = await self._kubelets.of(pod)
        hijack = request.scope["extensions"].get("hijack")
        if hijack is None:
            raise errors.bad_request("Upgrade request required")
        lines = [f"{request.method} {target} HTTP/1.1".encode(), f"Host: {endpoint.authority}".encode()]
        lines += [
            name.title() + b": " + value for name, value in request.scope["headers"] if name not in _DROPPED
        ]
        head = b"\r\n".join(lines) + b"\r\n\r\n"
        context = self._kubelets.tls
        connection = hijack()
        request.status = 101
        try:
            await tunnel(connection, head, endpoint.host, endpoint.port, context)
        except OSError as error:
            request.status = 500
            refusal = StatusError(500, "", f"error dialing backend: {error}")
            connection.write(plain_response(refusal))
            await connection.close()


def plain_response(error: StatusError) -> bytes:
    """A whole HTTP/1.1 response with a Status, for connections that no longer belong to the server."""
    body = orjson.dumps(error.status())
    return (
        b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
        % (error.code, error.reason.encode() or b"Error", len(body))
    ) + body
