"""One attempt of one probe: exec, HTTP, TCP or gRPC. Answers success or failure with the official text.

https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from apimachinery import Object
from kubelet.probes import http
from kubelet.probes.grpc_health import check as grpc_check
from kubelet.probes.http import ProbeError
from kubelet.runtime.interface import Runtime
from kubelet.runtime.types import RuntimeFailure


async def attempt(
    probe: Object, container: Object, container_id: str, pod_ip: str, runtime: Runtime
) -> tuple[bool, str]:
    """(success, output). Never raises for a failing target; RuntimeFailure where the engine is the one to blame."""
    timeout = float(probe.get("timeoutSeconds") or 1)
    if probe.get("exec"):
        return await _exec(probe["exec"].get("command") or (), container_id, timeout, runtime)
    try:
        if probe.get("httpGet"):
            return _judge(await http.get(probe["httpGet"], pod_ip, container, timeout))
        if probe.get("tcpSocket"):
            action = probe["tcpSocket"]
            port = http.port_number(action["port"], container)
            await _connect(action.get("host") or pod_ip, port, timeout)
            return True, ""
        if probe.get("grpc"):
            action = probe["grpc"]
            return await grpc_check(pod_ip, int(action["port"]), action.get("service") or "", timeout)
    except ProbeError as error:
        return False, str(error)
    return True, ""


def _judge(answer: http.Answer) -> tuple[bool, str]:
    if 200 <= answer.status < 400:
        return True, answer.body.decode("utf-8", "replace")
    return False, f"HTTP probe failed with statuscode: {answer.status}"


async def _exec(
    command: Sequence[str], container_id: str, timeout: float, runtime: Runtime
) -> tuple[bool, str]:
    try:
        result = await runtime.exec_sync(container_id, command, timeout)
    except TimeoutError:
        return False, f"command timed out: {' '.join(command)!r} timed out after {timeout:g}s"
    except RuntimeFailure as error:
        return False, str(error)
    return result.exit_code == 0, result.output.decode("utf-8", "replace")


async def _connect(host: str, port: int, timeout: float) -> None:
    where = f"{http.bracketed(host)}:{port}"
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
        writer.transport.abort()
    except TimeoutError as error:
        raise ProbeError(f"dial tcp {where}: i/o timeout") from error
    except OSError as error:
        words = (
            "connection refused"
            if isinstance(error, ConnectionRefusedError)
            else (error.strerror or "").lower()
        )
        raise ProbeError(f"dial tcp {where}: connect: {words}") from error
