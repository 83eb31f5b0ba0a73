"""Exec, attach, port-forward and run: connects a client's streams to a process in a container.

The protocols are `component_base.streams`' business, the processes the runtime's.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from apimachinery import Object
from component_base.streams.negotiation import NegotiationError
from component_base.streams.port_forward import serve as serve_port_forward
from component_base.streams.remote_command import (
    RemoteOptions,
    RemoteSession,
    accept,
    error_status,
    exit_status,
    success_status,
)
from kubelet.runtime.interface import Stream
from kubelet.runtime.types import ContainerStatus, RuntimeFailure
from kubelet.server.reply import Refused, Reply, Request
from pod_network.namespaces import NetworkThread, of_process

if TYPE_CHECKING:
    from kubelet.kubelet import Kubelet

RUN_SECONDS = 120.0


def running_container(kubelet: Kubelet, namespace: str, name: str, container: str) -> ContainerStatus:
    """The container that runs under this name. Raises Refused with the official text."""
    pod = _pod(kubelet, namespace, name)
    latest = kubelet.view.record(pod["metadata"]["uid"]).latest(container)
    if latest is None or latest.state != "running":
        raise Refused(404, f'container not found ("{container}")')
    return latest


def _pod(kubelet: Kubelet, namespace: str, name: str) -> Object:
    pod = kubelet.pods.find(namespace, name)
    if pod is None:
        raise Refused(404, "pod does not exist")
    return pod


async def exec_command(kubelet: Kubelet, request: Request) -> Reply | None:
    """POST or GET /exec/{namespace}/{pod}[/{uid}]/{container}?command=…"""
    status = running_container(kubelet, *request.parts(3))
    options, command = _options(request), request.query.get("command") or []

    async def start() -> Stream:
        return await kubelet.runtime.exec(status.id, command, stdin=options.stdin, tty=options.tty)

    return await _serve(request, options, start)


async def attach(kubelet: Kubelet, request: Request) -> Reply | None:
    """POST or GET /attach/{namespace}/{pod}[/{uid}]/{container}"""
    namespace, name, container = request.parts(3)
    status = running_container(kubelet, namespace, name, container)
    options = _options(request)
    specs = {one["name"]: one for one in _pod(kubelet, namespace, name)["spec"]["containers"]}
    tty = bool(specs.get(container, {}).get("tty"))

    async def start() -> Stream:
        return await kubelet.runtime.attach(status.id, stdin=options.stdin, tty=tty)

    return await _serve(request, options, start)


def _options(request: Request) -> RemoteOptions:
    try:
        return RemoteOptions.from_query({name: values[0] for name, values in request.query.items()})
    except ValueError as error:
        raise Refused(400, f"{error}\n") from error


async def _serve(
    request: Request, options: RemoteOptions, start: Callable[[], Awaitable[Stream]]
) -> Reply | None:
    hijack = request.scope["extensions"].get("hijack")
    if hijack is None:
        raise Refused(400, "Upgrade request required")
    try:
        session = await accept(request.scope, hijack(), options)
    except (NegotiationError, ConnectionError):
        return None
    try:
        stream = await start()
    except RuntimeFailure as error:
        await session.close(error_status(str(error)))
        return None
    try:
        await session.close(await _carry(session, stream))
    finally:
        await stream.close()
    return None


async def _carry(session: RemoteSession, stream: Stream) -> dict[str, object]:
    """Copy in all directions until the process has ended or the client has left; the final Status."""
    helpers = [asyncio.create_task(_resize(session, stream))]
    if session.stdin is not None:
        helpers.append(asyncio.create_task(_feed(session, stream)))
    output = asyncio.create_task(_drain(session, stream))
    left = asyncio.create_task(session.closed.wait())
    try:
        await asyncio.wait([output, left], return_when=asyncio.FIRST_COMPLETED)
        if not output.done():
            return success_status()
        output.result()
        return exit_status(await stream.exit_code())
    except ConnectionError:
        return success_status()
    except RuntimeFailure as error:
        return error_status(str(error))
    finally:
        for task in (*helpers, output, left):
            task.cancel()
        await asyncio.gather(*helpers, output, left, return_exceptions=True)


async def _drain(session: RemoteSession, stream: Stream) -> None:
    async for channel, data in stream.output():
        target = session.stderr if channel == 2 else session.stdout
        if target is not None:
            await target.write(data)


async def _feed(session: RemoteSession, stream: Stream) -> None:
    assert session.stdin is not None
    with contextlib.suppress(ConnectionError):
        while data := await session.stdin.read():
            await stream.write(data)
        await stream.close_stdin()


async def _resize(session: RemoteSession, stream: Stream) -> None:
    while True:
        width, height = await session.resize.get()
        await stream.resize(width, height)


async def run(kubelet: Kubelet, request: Request) -> Reply:
    """POST /run/{namespace}/{pod}/{container}?cmd=…: a command without streams, its output as the answer."""
    status = running_container(kubelet, *request.parts(3))
    command = (request.first("cmd") or "").split(" ")
    try:
        result = await kubelet.runtime.exec_sync(status.id, command, RUN_SECONDS, limit=1 << 20)
    except TimeoutError as error:
        raise Refused(500, "command timed out\n") from error
    except RuntimeFailure as error:
        raise Refused(500, f"{error}\n") from error
    if result.exit_code != 0:
        text = f"command '{' '.join(command)}' exited with {result.exit_code}: "
        raise Refused(500, text + result.output.decode("utf-8", "replace"))
    return Reply(200, result.output, "text/plain")


async def port_forward(kubelet: Kubelet, request: Request) -> Reply | None:
    """POST or GET /portForward/{namespace}/{pod}: connections to ports of the pod's own network."""
    parts = request.path.strip("/").split("/")[1:]
    if len(parts) not in (2, 3):
        raise Refused(404, "404 page not found\n")
    pod = _pod(kubelet, parts[0], parts[1])
    sandbox = kubelet.view.record(pod["metadata"]["uid"]).running_sandbox
    if sandbox is None:
        raise Refused(400, f'unable to forward port because pod is not running: "{parts[1]}"')
    hijack = request.scope["extensions"].get("hijack")
    if hijack is None:
        raise Refused(400, "Upgrade request required")
    pid, sandbox_id, uid = sandbox.pid, sandbox.id, pod["metadata"]["uid"]
    thread = NetworkThread()

    async def dial(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        connection = await thread.run(_socket_inside, pid)
        try:
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
        except OSError:
            connection.close()
            raise
        return await asyncio.open_connection(sock=connection)

    def describe(port: int, error: OSError) -> str:
        return (
            f"error forwarding port {port} to pod {sandbox_id}, uid {uid}: failed to connect to localhost:{port} "
            f"inside the pod's network namespace: {(error.strerror or str(error)).lower()}"
        )

    ports = [int(one) for value in request.query.get("port", []) for one in value.split(",") if one.isdigit()]
    try:
        await serve_port_forward(request.scope, hijack(), dial, describe, ports)
    except (NegotiationError, ConnectionError):
        return None
    finally:
        thread.close()
    return None


def _socket_inside(pid: int) -> socket.socket:
    """A socket that belongs to the pod's network namespace for life, wherever it is used."""
    with of_process(pid):
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
