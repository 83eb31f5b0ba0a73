"""Lifecycle hooks: postStart and preStop by exec, HTTP request, TCP connection or sleep.

https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/
"""

from __future__ import annotations

import asyncio

from apimachinery import Object
from kubelet.probes import http
from kubelet.probes.http import ProbeError
from kubelet.runtime.interface import Runtime
from kubelet.runtime.types import RuntimeFailure

HTTP_SECONDS = 60.0


class HookFailed(Exception):
    """The hook did not succeed; the message says how."""


async def run(hook: Object, container: Object, container_id: str, pod_ip: str, runtime: Runtime) -> None:
    """Run one hook to its end, however long it takes. Raises HookFailed."""
    if hook.get("exec"):
        command = hook["exec"].get("command") or ()
        try:
            result = await runtime.exec_sync(container_id, command, None)
        except RuntimeFailure as error:
            raise HookFailed(str(error)) from error
        if result.exit_code != 0:
            output = result.output.decode("utf-8", "replace")
            raise HookFailed(f"command '{' '.join(command)}' exited with {result.exit_code}: {output}")
    elif hook.get("httpGet"):
        try:
            await http.get(hook["httpGet"], pod_ip, container, HTTP_SECONDS)
        except ProbeError as error:
            raise HookFailed(str(error)) from error
    elif hook.get("sleep"):
        await asyncio.sleep(float(hook["sleep"]["seconds"]))
    elif hook.get("tcpSocket"):
        # Kept in the API for old manifests; the original runs no such hook either.
        raise HookFailed("invalid handler: tcpSocket")
