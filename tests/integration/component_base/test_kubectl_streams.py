"""Real kubectls, old and new, drive exec and port-forward against a stand-in API server with one pod."""

from __future__ import annotations

import asyncio
import glob
import json
import shutil
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

import kubernetes.client
import kubernetes.stream
import pytest

from component_base.serving import Server
from component_base.streams import port_forward
from component_base.streams.negotiation import NegotiationError
from component_base.streams.remote_command import RemoteOptions, accept, exit_status

KUBECTLS = sorted({*glob.glob("/usr/lib/*/bin/kubectl.1.*"), *filter(None, [shutil.which("kubectl")])})
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "default", "uid": "u", "resourceVersion": "1"},
    "spec": {"containers": [{"name": "c", "image": "i"}], "nodeName": "n"},
    "status": {"phase": "Running", "podIP": "127.0.0.1"},
}
PODS = {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": ["get"]}
ANSWERS: dict[str, Any] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [PODS]},
    "/api/v1/namespaces/default/pods/p": POD,
    "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.0"},
}


async def app(scope: Any, _receive: Any, send: Any) -> None:
    path = scope["path"]
    if path.endswith("/exec"):
        await run_command(scope)
    elif path.endswith("/portforward"):
        connection = scope["extensions"]["hijack"]()
        await port_forward.serve(scope, connection, dial, lambda port, error: f"nothing listens on {port}")
    else:
        body = json.dumps(ANSWERS.get(path, {"kind": "Status", "code": 404})).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send(
            {"type": "http.response.start", "status": 200 if path in ANSWERS else 404, "headers": headers}
        )
        await send({"type": "http.response.body", "body": body})


async def run_command(scope: Any) -> None:
    """Runs the command of the query for real, on this machine's shell."""
    pairs = parse_qsl(scope["query_string"].decode())
    query = dict(pairs)
    command = [value for name, value in pairs if name == "command"]
    try:
        session = await accept(scope, scope["extensions"]["hijack"](), RemoteOptions.from_query(query))
    except NegotiationError:
        return
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdin and process.stdout and process.stderr

    async def copy_in() -> None:
        assert process.stdin
        while session.stdin and (data := await session.stdin.read()):
            process.stdin.write(data)
            await process.stdin.drain()
        process.stdin.close()

    async def copy_out(source: asyncio.StreamReader, target: Any) -> None:
        while data := await source.read(65536):
            await target.write(data)

    feeding = asyncio.create_task(copy_in())
    await asyncio.gather(copy_out(process.stdout, session.stdout), copy_out(process.stderr, session.stderr))
    await session.close(exit_status(await process.wait()))
    feeding.cancel()


async def dial(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server(app, "127.0.0.1", 0)
    await server.start()
    yield server
    await server.stop(grace=0.5)


async def kubectl(
    binary: str, server: Server, *arguments: str, stdin: bytes = b""
) -> tuple[int, bytes, bytes]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        binary, f"--server=http://127.0.0.1:{server.port}", *arguments, stdin=pipe, stdout=pipe, stderr=pipe
    )
    async with asyncio.timeout(20):
        out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, out, err


@pytest.mark.parametrize("binary", KUBECTLS)
async def test_exec_carries_output_errors_and_exit_code(binary: str, server: Server) -> None:
    code, out, err = await kubectl(
        binary, server, "exec", "p", "--", "sh", "-c", "echo out; echo err >&2; exit 3"
    )
    assert (code, out) == (3, b"out\n")
    assert b"err\n" in err and b"command terminated with exit code 3" in err


@pytest.mark.parametrize("binary", KUBECTLS)
async def test_exec_pipes_megabytes_through_stdin_and_stdout(binary: str, server: Server) -> None:
    payload = bytes(range(256)) * 16384
    code, out, _ = await kubectl(binary, server, "exec", "-i", "p", "--", "cat", stdin=payload)
    assert code == 0 and out == payload


@pytest.mark.parametrize("binary", KUBECTLS)
async def test_port_forward_serves_connections_until_kubectl_is_stopped(binary: str, server: Server) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data.upper())
        writer.close()

    target = await asyncio.start_server(shout, "127.0.0.1", 0)
    port = target.sockets[0].getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        binary, f"--server=http://127.0.0.1:{server.port}", "port-forward", "p", f":{port}", "--address=127.0.0.1",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout
    try:
        async with asyncio.timeout(20):
            line = (await process.stdout.readline()).decode()
            local = int(line.split(" -> ")[0].rsplit(":", 1)[1])
            for text in (b"one", b"two" * 100_000):
                reader, writer = await asyncio.open_connection("127.0.0.1", local)
                writer.write(text)
                writer.write_eof()
                assert await reader.read() == text.upper()
                writer.close()
    finally:
        process.terminate()
        await process.wait()
        target.close()


async def test_the_official_python_client_reads_output_and_exit_code(server: Server) -> None:
    def run() -> tuple[str, str, int]:
        configuration = kubernetes.client.Configuration(host=f"http://127.0.0.1:{server.port}")
        api = kubernetes.client.CoreV1Api(kubernetes.client.ApiClient(configuration))
        session = kubernetes.stream.stream(
            api.connect_get_namespaced_pod_exec,
            "p",
            "default",
            command=["sh", "-c", "echo out; echo err >&2; read line; echo got $line; exit 3"],
            stdin=True,
            stdout=True,
            stderr=True,
            tty=False,
            _preload_content=False,
        )
        session.write_stdin("hello\n")
        session.run_forever(timeout=10)
        return session.read_stdout(), session.read_stderr(), session.returncode

    assert await asyncio.to_thread(run) == ("out\ngot hello\n", "err\n", 3)
