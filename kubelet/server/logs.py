"""GET /containerLogs/{namespace}/{pod}/{container}: a container's log with the options of PodLogOptions."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from apimachinery import Object, times
from kubelet.pods.specification import all_containers
from kubelet.runtime.types import ContainerStatus, LogOptions, RuntimeFailure
from kubelet.server.reply import Refused, Reply, Request, stream

if TYPE_CHECKING:
    from kubelet.kubelet import Kubelet

CHANNELS = {"Stdout": 1, "Stderr": 2}


async def container_logs(kubelet: Kubelet, request: Request) -> Reply | None:
    """Answer with the log; official texts where there is none."""
    namespace, name, container = request.parts(3)
    pod = kubelet.pods.find(namespace, name)
    if pod is None:
        raise Refused(404, f'pod "{name}" does not exist\n')
    status = choose(kubelet, pod, container, previous=request.flag("previous"))
    options = log_options(request)
    limit = _number(request, "limitBytes", 1)
    channel = CHANNELS.get(request.first("stream") or "")
    chunks = _chunks(kubelet, status, options, limit, channel)
    stopping: asyncio.Event = request.scope["state"]["stopping"]
    sending = asyncio.create_task(stream(request.send, chunks, "text/plain"))
    waits = [sending]
    if options.follow:
        waits += [asyncio.create_task(_disconnected(request)), asyncio.create_task(_wait(stopping))]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waits:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError, RuntimeFailure):
            await sending
    return None


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


def choose(kubelet: Kubelet, pod: Object, container: str, *, previous: bool = False) -> ContainerStatus:
    """The container whose log is meant. Raises Refused with the official text."""
    name = pod["metadata"]["name"]
    if not any(one["name"] == container for one in all_containers(pod)):
        raise Refused(404, f'container "{container}" not found in pod "{name}"\n')
    group = kubelet.view.record(pod["metadata"]["uid"]).containers.get(container, ())
    if previous:
        ended = [status for status in group if status.state == "exited"]
        if group and group[0].state == "exited" and not _shown_waiting(pod, container):
            ended = ended[1:]
        if not ended:
            raise Refused(400, f'previous terminated container "{container}" in pod "{name}" not found\n')
        return ended[0]
    found = next((status for status in group if status.state != "created"), None)
    if found is None:
        raise Refused(
            400,
            f'container "{container}" in pod "{name}" is waiting to start: {_waiting_reason(pod, container)}\n',
        )
    return found


def _shown_waiting(pod: Object, container: str) -> bool:
    """Whether the container waits for its next start, so that its newest end is its previous one."""
    status = pod.get("status") or {}
    shown = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return any(one["name"] == container and "waiting" in (one.get("state") or {}) for one in shown)


def _waiting_reason(pod: Object, container: str) -> str:
    status = pod.get("status") or {}
    for one in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        if one["name"] == container and "waiting" in (one.get("state") or {}):
            reason = one["state"]["waiting"].get("reason", "ContainerCreating")
            explained = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError")
            texts = {
                "ErrImagePull": "image can't be pulled",
                "ImagePullBackOff": "trying and failing to pull image",
            }
            return texts.get(reason, reason) if reason in explained else str(reason)
    return "ContainerCreating"


def log_options(request: Request) -> LogOptions:
    """The query as options. Raises Refused (400) for malformed numbers and times."""
    tail = _number(request, "tailLines", 0)
    seconds, moment = _number(request, "sinceSeconds", 1), request.first("sinceTime")
    since = time.time() - seconds if seconds is not None else None
    if moment:
        try:
            since = times.parse(moment)
        except ValueError as error:
            raise Refused(400, f"invalid sinceTime: {moment}\n") from error
    return LogOptions(request.flag("follow"), request.flag("timestamps"), tail, since)


def _number(request: Request, name: str, least: int) -> int | None:
    text = request.first(name)
    if text is None or text == "":
        return None
    if not text.lstrip("-").isdigit() or int(text) < least:
        raise Refused(422, f"{name}: Invalid value: {text}: must be greater than or equal to {least}\n")
    return int(text)


async def _chunks(
    kubelet: Kubelet, status: ContainerStatus, options: LogOptions, limit: int | None, channel: int | None
) -> AsyncGenerator[bytes, None]:
    left = limit
    frames = kubelet.runtime.logs(status.id, options)
    async with contextlib.aclosing(frames):
        async for source, data in frames:
            if channel is not None and source != channel:
                continue
            if left is not None:
                data = data[:left]
                left -= len(data)
            yield data
            if left == 0:
                return
