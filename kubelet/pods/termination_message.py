"""What a container said about its end: its termination message file, or the end of its log.

https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
"""

from __future__ import annotations

import contextlib

from kubelet.paths import PodPaths
from kubelet.pods.record import PodRecord
from kubelet.pods.state import PodState
from kubelet.runtime import types
from kubelet.runtime.types import ContainerStatus, LogOptions, RuntimeFailure
from kubelet.services import Services

MAX_FILE, MAX_LOG, MAX_LOG_LINES = 4096, 2048, 80


async def collect(record: PodRecord, state: PodState, services: Services, paths: PodPaths) -> None:
    """Read the messages of ended containers, each once; they outlive the files."""
    for group in record.containers.values():
        for status in group:
            if status.state == "exited" and status.id not in state.messages:
                state.messages[status.id] = await _read(status, services, paths)


async def _read(status: ContainerStatus, services: Services, paths: PodPaths) -> str:
    content = b""
    with contextlib.suppress(OSError), paths.termination_log(status.name, status.attempt).open("rb") as file:
        content = file.read(MAX_FILE)
    wants_log = status.labels.get(types.TERMINATION_POLICY) == types.LOG_TAIL_ON_ERROR
    if not content and wants_log and status.exit_code != 0:
        with contextlib.suppress(RuntimeFailure):
            async for _, data in services.runtime.logs(status.id, LogOptions(tail=MAX_LOG_LINES)):
                content = (content + data)[-MAX_LOG:]
    return content.decode("utf-8", "replace")
