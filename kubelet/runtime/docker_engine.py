"""The container runtime on a Docker engine, through the `docker` package.

The package blocks, so its calls run in a small pool of threads. No more than a few starts run at once: beyond
that the engine becomes slower, not faster. Waiting for a container to end costs no thread: its end comes with
the event stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import docker.errors
import requests.exceptions
import urllib3.exceptions

from component_base.logs import get_logger
from kubelet.runtime import capabilities, types
from kubelet.runtime import docker_translate as translate
from kubelet.runtime.docker_client import EngineClient
from kubelet.runtime.docker_events import ACTIONS, EventThread
from kubelet.runtime.docker_streams import SocketStream, stream_logs
from kubelet.runtime.slots import Slots
from kubelet.runtime.types import (
    ContainerSpec,
    ContainerStatus,
    ExecResult,
    Image,
    LogOptions,
    RuntimeEvent,
    RuntimeFailure,
    RuntimeUnavailable,
    RuntimeVersion,
    SandboxSpec,
)

T = TypeVar("T")
log = get_logger("runtime")

THREADS = 8
STARTS_AT_ONCE = 4
TIMEOUT_SECONDS = 120
BUSYBOX = "/bin/busybox"
ENTER_SECONDS = 2.0
OOM_SECONDS = 0.3
_UNREACHABLE = (
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    urllib3.exceptions.HTTPError,
    ConnectionError,
    TimeoutError,
)
_CALL_ERRORS = (*_UNREACHABLE, docker.errors.DockerException, OSError)


class DockerRuntime:
    """One node's containers on an engine. `endpoint` as in --container-runtime-endpoint.

    `log_limits` are bytes per log file and how many files are kept of each container.
    """

    def __init__(
        self,
        endpoint: str,
        cluster: str,
        node: str,
        log_limits: tuple[int, int] = translate.DEFAULT_LOG_LIMITS,
    ) -> None:
        self._endpoint, self._log_limits = endpoint, log_limits
        self._owner = {types.CLUSTER: cluster, types.NODE: node}
        self._filters = {"label": [f"{key}={value}" for key, value in self._owner.items()]}
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="engine")
        self._pull_pool = ThreadPoolExecutor(4, thread_name_prefix="pull")
        self._starts = Slots(STARTS_AT_ONCE)
        self._client: EngineClient | None = None
        self._connecting = threading.Lock()
        self._events: EventThread | None = None
        self._ended: dict[str, asyncio.Event] = {}
        self._new_sandboxes: set[str] = set()
        self._bounding = capabilities.bounding_set()
        self.privileged_works: bool | None = None

    # -- calls -------------------------------------------------------------------------------------------

    def _connected(self) -> EngineClient:
        with self._connecting:
            if self._client is None:
                self._client = EngineClient(
                    base_url=self._endpoint,
                    version="auto",
                    timeout=TIMEOUT_SECONDS,
                    max_pool_size=THREADS + 4,
                )
            return self._client

    def _guarded(self, call: Callable[[EngineClient], T]) -> T:
        """Run a blocking call, telling its errors in the runtime's words."""
        try:
            return call(self._connected())
        except docker.errors.NotFound as error:
            raise types.NotFound(error.explanation or str(error)) from error
        except docker.errors.APIError as error:
            raise RuntimeFailure(error.explanation or str(error)) from error
        except _CALL_ERRORS as error:
            raise RuntimeUnavailable(f"container engine is not reachable: {error}") from error

    async def _call(self, call: Callable[[EngineClient], T], pool: ThreadPoolExecutor | None = None) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool or self._pool, self._guarded, call)

    # -- containers --------------------------------------------------------------------------------------

    async def version(self) -> RuntimeVersion:
        info = await self._call(lambda client: client.info())
        return RuntimeVersion(
            "docker",
            info.get("ServerVersion", ""),
            info.get("CgroupDriver", ""),
            info.get("DockerRootDir", ""),
        )

    async def ping(self) -> None:
        await self._call(lambda client: client.ping())

    async def containers(self) -> list[ContainerStatus]:
        rows = await self._call(lambda client: client.containers(all=True, filters=self._filters))
        return [translate.status_from_summary(row) for row in rows]

    async def inspect(self, container_id: str) -> ContainerStatus:
        document = await self._call(lambda client: client.inspect_container(container_id))
        status = translate.status_from_inspect(document)
        if translate.may_be_out_of_memory(document) and time.time() - status.finished_at < OOM_SECONDS:
            # The engine hears of the kernel's verdict after it hears of the process's end.
            await asyncio.sleep(OOM_SECONDS)
            document = await self._call(lambda client: client.inspect_container(container_id))
            status = translate.status_from_inspect(document)
        return status

    async def create_sandbox(self, spec: SandboxSpec) -> str:
        def create(client: EngineClient) -> str:
            command: list[str] = []
            if spec.network not in ("none", "host"):
                image = client.inspect_image(spec.image)["Config"]
                command = [*(image.get("Entrypoint") or ()), *(image.get("Cmd") or ())]
            config = translate.sandbox_config(spec, self._owner, command, BUSYBOX)
            self._permit(config)
            name = translate.container_name(
                types.SANDBOX_NAME, spec.pod_name, spec.pod_namespace, spec.pod_uid, spec.attempt
            )
            return _create(client, config, name)

        sandbox_id = await self._call(create)
        self._new_sandboxes.add(sandbox_id)
        return sandbox_id

    async def create_container(self, spec: ContainerSpec) -> str:
        def create(client: EngineClient) -> str:
            everything: list[str] | None = None
            if spec.security.privileged and not self._privileged(client, spec.image):
                everything = self._bounding
            config = translate.container_config(spec, self._owner, everything, self._log_limits)
            self._permit(config)
            name = translate.container_name(
                spec.name, spec.pod_name, spec.pod_namespace, spec.pod_uid, spec.attempt
            )
            return _create(client, config, name)

        return await self._call(create)

    def _permit(self, config: dict[str, Any]) -> None:
        """Leave out what the kernel would refuse to this machine: without CAP_SYS_RESOURCE no lowered OOM score."""
        if "SYS_RESOURCE" not in self._bounding:
            config["HostConfig"]["OomScoreAdj"] = max(0, config["HostConfig"].get("OomScoreAdj") or 0)

    def _privileged(self, client: EngineClient, image: str) -> bool:
        """Whether the engine can run privileged containers; found out once, with a start that never runs anything."""
        if self.privileged_works is None:
            config = {
                "Image": image,
                "Entrypoint": ["/.skiff-privileged-probe"],
                "Labels": self._owner,
                "HostConfig": {"Privileged": True, "NetworkMode": "none"},
            }
            probe = client.create_container_from_config(config)["Id"]
            try:
                client.start(probe)
                self.privileged_works = True
            except docker.errors.APIError as error:
                self.privileged_works = "caps" not in str(error.explanation)
            finally:
                client.remove_container(probe, force=True)
        return self.privileged_works

    async def start(self, container_id: str) -> ContainerStatus:
        def start(client: EngineClient) -> Mapping[str, Any]:
            try:
                client.start(container_id)
            except docker.errors.APIError as error:
                if error.status_code == 404 and "No such container" in str(error.explanation):
                    raise
                raise RuntimeFailure(error.explanation or str(error)) from error
            document: Mapping[str, Any] = client.inspect_container(container_id)
            return document

        async with self._starts.taken(urgent=container_id not in self._new_sandboxes):
            document = await self._call(start)
        self._new_sandboxes.discard(container_id)
        namespace = ((document["Config"] or {}).get("Labels") or {}).get(translate.NETNS_LABEL)
        if namespace and document["State"]["Running"]:
            await _entered(int(document["State"]["Pid"]), namespace)
        return translate.status_from_inspect(document)

    async def stop(self, container_id: str, grace_seconds: float) -> None:
        ended = self._ended.setdefault(container_id, asyncio.Event())
        try:
            document = await self._call(lambda client: client.inspect_container(container_id))
            if not document["State"]["Running"]:
                return
            if grace_seconds > 0:
                signal = (document["Config"] or {}).get("StopSignal") or "SIGTERM"
                await self._kill(container_id, signal)
                if await self._wait_ended(container_id, ended, grace_seconds):
                    return
            await self._kill(container_id, "SIGKILL")
            await self._wait_ended(container_id, ended, TIMEOUT_SECONDS)
        except types.NotFound:
            return
        finally:
            self._ended.pop(container_id, None)

    async def _kill(self, container_id: str, signal: str) -> None:
        try:
            await self._call(lambda client: client.kill(container_id, signal))
        except RuntimeUnavailable:
            raise
        except RuntimeFailure as error:
            if "is not running" not in str(error):
                raise

    async def _wait_ended(self, container_id: str, ended: asyncio.Event, seconds: float) -> bool:
        """The event tells; a look every two seconds covers a lost one."""
        deadline = asyncio.get_running_loop().time() + seconds
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, 2.0)):
                    await ended.wait()
                    return True
            if (await self.inspect(container_id)).state != "running":
                return True
        return False

    async def remove(self, container_id: str) -> None:
        try:
            await self._call(lambda client: client.remove_container(container_id, force=True, v=True))
        except types.NotFound:
            return
        except RuntimeUnavailable:
            raise
        except RuntimeFailure as error:
            if "is already in progress" not in str(error):
                raise

    # -- processes ---------------------------------------------------------------------------------------

    async def exec_sync(
        self, container_id: str, command: Sequence[str], timeout: float | None, limit: int = 10240
    ) -> ExecResult:
        stream = await self.exec(container_id, command, stdin=False, tty=False)
        kept = bytearray()
        try:
            async with asyncio.timeout(timeout):
                async for _, data in stream.output():
                    kept += data[: max(0, limit - len(kept))]
            return ExecResult(await stream.exit_code(), bytes(kept))
        finally:
            await stream.close()

    async def exec(
        self, container_id: str, command: Sequence[str], *, stdin: bool, tty: bool
    ) -> SocketStream:
        def begin(client: EngineClient) -> tuple[str, Any, bytes]:
            created = client.exec_create(container_id, list(command), stdin=stdin, tty=tty)
            connection, ahead = client.exec_socket(created["Id"], tty)
            return created["Id"], connection, ahead

        exec_id, connection, ahead = await self._call(begin)

        async def resize(width: int, height: int) -> None:
            with contextlib.suppress(RuntimeFailure):
                await self._call(lambda client: client.exec_resize(exec_id, height, width))

        async def exit_code() -> int:
            for _ in range(50):
                state = await self._call(lambda client: client.exec_inspect(exec_id))
                if not state["Running"] and state["ExitCode"] is not None:
                    return int(state["ExitCode"])
                await asyncio.sleep(0.02)
            raise RuntimeFailure("the command's exit code is not known")

        return SocketStream(connection, ahead, tty, resize, exit_code)

    async def attach(self, container_id: str, *, stdin: bool, tty: bool) -> SocketStream:
        connection, ahead = await self._call(lambda client: client.attach_connection(container_id, stdin))
        # The engine lets clients of an ended container wait for its next start, which never comes.
        if (await self.inspect(container_id)).state != "running":
            connection.close()
            raise RuntimeFailure(f"container not running ({container_id})")

        async def resize(width: int, height: int) -> None:
            with contextlib.suppress(RuntimeFailure):
                await self._call(lambda client: client.resize(container_id, height, width))

        async def exit_code() -> int:
            return 0

        return SocketStream(connection, ahead, tty, resize, exit_code)

    async def logs(self, container_id: str, options: LogOptions) -> AsyncGenerator[tuple[int, bytes], None]:
        parameters: dict[str, Any] = {
            "stdout": 1,
            "stderr": 1,
            "follow": int(options.follow),
            "timestamps": int(options.timestamps),
            "tail": "all" if options.tail is None else str(options.tail),
        }
        if options.since is not None:
            parameters["since"] = f"{options.since:.9f}"
        document = await self._call(lambda client: client.inspect_container(container_id))
        tty = bool(document["Config"].get("Tty"))
        frames = stream_logs(
            lambda: self._guarded(lambda client: client.log_response(container_id, parameters)), tty
        )
        async with contextlib.aclosing(frames):
            async for frame in frames:
                yield frame

    # -- images ------------------------------------------------------------------------------------------

    async def images(self) -> list[Image]:
        return [
            translate.image_from_document(row) for row in await self._call(lambda client: client.images())
        ]

    async def image(self, reference: str) -> Image | None:
        if not reference.startswith("sha256:"):
            translate.parse_reference(reference)
        try:
            document = await self._call(lambda client: client.inspect_image(reference))
        except types.NotFound:
            return None
        return translate.image_from_document(document)

    async def pull(self, reference: str, auth: dict[str, str] | None = None) -> Image:
        repository, tag = translate.parse_reference(reference)

        def pull(client: EngineClient) -> None:
            for line in client.pull(repository, tag, stream=True, decode=True, auth_config=auth):
                if "error" in line:
                    raise types.PullFailed(line["error"])

        try:
            await self._call(pull, self._pull_pool)
        except (types.PullFailed, RuntimeUnavailable):
            raise
        except RuntimeFailure as error:
            raise types.PullFailed(str(error)) from error
        image = await self.image(reference)
        if image is None:
            raise types.PullFailed(f"image {reference} is not present after its pull")
        return image

    # -- events ------------------------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        queue: asyncio.Queue[RuntimeEvent] = asyncio.Queue()

        def deliver(event: RuntimeEvent) -> None:
            ended = self._ended.get(event.container_id)
            if ended is not None and event.action == "die":
                ended.set()
            queue.put_nowait(event)

        filters = {**self._filters, "type": ["container"], "event": list(ACTIONS)}
        thread = self._events = EventThread(
            asyncio.get_running_loop(),
            lambda since: self._guarded(
                lambda client: client.events(since=f"{since:.9f}", filters=filters, decode=True)
            ),
            deliver,
            (RuntimeFailure, *_CALL_ERRORS),
        )
        try:
            while True:
                yield await queue.get()
        finally:
            thread.close()

    async def close(self) -> None:
        """Release threads and connections; containers stay."""
        if self._events is not None:
            self._events.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pull_pool.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()


def _create(client: EngineClient, config: dict[str, Any], name: str) -> str:
    """Create under the name; a leftover of an interrupted start has it no longer than now."""
    try:
        return str(client.create_container_from_config(config, name)["Id"])
    except docker.errors.APIError as error:
        if error.status_code != 409:
            raise
        client.remove_container(name, force=True, v=True)
        return str(client.create_container_from_config(config, name)["Id"])


async def _entered(pid: int, namespace: str) -> None:
    """Wait until a sandbox's process has moved into the node's network namespace."""
    wanted, deadline = os.stat(namespace).st_ino, asyncio.get_running_loop().time() + ENTER_SECONDS
    while True:
        try:
            if os.stat(f"/proc/{pid}/ns/net").st_ino == wanted:
                return
        except FileNotFoundError:
            return  # it has ended; its state tells why
        if asyncio.get_running_loop().time() > deadline:
            raise RuntimeFailure(f"the sandbox did not enter the network namespace {namespace}")
        await asyncio.sleep(0.005)
