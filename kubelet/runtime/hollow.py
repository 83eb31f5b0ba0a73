"""A simulated runtime: pods that cost a few hundred bytes instead of processes.

For scale tests (many nodes in one process) and for tests of the kubelet's own behaviour. Containers "run" until
they are stopped; a command that ends in `exit N` ends at once with that code.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kubelet.runtime.types import (
    RESTART_COUNT,
    ContainerSpec,
    ContainerStatus,
    ExecResult,
    Image,
    LogOptions,
    NotFound,
    RuntimeEvent,
    RuntimeVersion,
    SandboxSpec,
)
from pod_network.host_ports import HostPort
from pod_network.wiring import PodAddresses

IMAGE = Image("sha256:" + "0" * 64, ("hollow:latest",), (), 1)
_serial = itertools.count(1)


class HollowRuntime:
    """One simulated node's containers. `start_seconds` is how long a start takes."""

    def __init__(self, start_seconds: float = 0.0) -> None:
        self._start_seconds = start_seconds
        self._statuses: dict[str, ContainerStatus] = {}
        self._exit_codes: dict[str, int] = {}
        self._events: asyncio.Queue[RuntimeEvent] = asyncio.Queue()

    async def version(self) -> RuntimeVersion:
        return RuntimeVersion("hollow", "1.0")

    async def ping(self) -> None:
        """Nothing here can fail to answer."""

    async def containers(self) -> list[ContainerStatus]:
        return list(self._statuses.values())

    async def inspect(self, container_id: str) -> ContainerStatus:
        if container_id not in self._statuses:
            raise NotFound(f"No such container: {container_id}")
        return self._statuses[container_id]

    async def create_sandbox(self, spec: SandboxSpec) -> str:
        return self._add(
            ContainerStatus(
                f"{next(_serial):064x}", "POD", spec.pod_uid, spec.pod_name, spec.pod_namespace, "created",
                spec.attempt, created_at=time.time(), labels={RESTART_COUNT: str(spec.attempt)},
            )
        )  # fmt: skip

    async def create_container(self, spec: ContainerSpec) -> str:
        made = self._add(
            ContainerStatus(
                f"{next(_serial):064x}", spec.name, spec.pod_uid, spec.pod_name, spec.pod_namespace, "created",
                spec.attempt, image=spec.image, image_id=IMAGE.id, created_at=time.time(),
                sandbox_id=spec.sandbox_id, labels=dict(spec.labels),
            )
        )  # fmt: skip
        words = " ".join([*(spec.command or ()), *(spec.args or ())]).split()
        if len(words) >= 2 and words[-2] == "exit" and words[-1].isdigit():
            self._exit_codes[made] = int(words[-1])
        return made

    def _add(self, status: ContainerStatus) -> str:
        self._statuses[status.id] = status
        return status.id

    async def start(self, container_id: str) -> ContainerStatus:
        if self._start_seconds:
            await asyncio.sleep(self._start_seconds)
        status = await self.inspect(container_id)
        now = time.time()
        status = replace(status, state="running", pid=1, started_at=now)
        if container_id in self._exit_codes:
            code = self._exit_codes.pop(container_id)
            status = replace(status, state="exited", pid=0, finished_at=now, exit_code=code)
        self._statuses[container_id] = status
        return status

    def end(self, container_id: str, exit_code: int) -> None:
        """Let a running container end by itself (tests)."""
        status = self._statuses[container_id]
        self._statuses[container_id] = replace(
            status, state="exited", pid=0, finished_at=time.time(), exit_code=exit_code
        )
        self._events.put_nowait(RuntimeEvent(container_id, "die"))

    async def stop(self, container_id: str, grace_seconds: float) -> None:
        status = self._statuses.get(container_id)
        if status is not None and status.state == "running":
            self.end(container_id, 0 if grace_seconds else 137)

    async def remove(self, container_id: str) -> None:
        if self._statuses.pop(container_id, None) is not None:
            self._events.put_nowait(RuntimeEvent(container_id, "destroy"))

    async def exec_sync(
        self, container_id: str, command: Sequence[str], timeout: float | None, limit: int = 10240
    ) -> ExecResult:
        await self.inspect(container_id)
        return ExecResult(0, b"")

    async def exec(
        self, container_id: str, command: Sequence[str], *, stdin: bool, tty: bool
    ) -> HollowStream:
        await self.inspect(container_id)
        return HollowStream()

    async def attach(self, container_id: str, *, stdin: bool, tty: bool) -> HollowStream:
        await self.inspect(container_id)
        return HollowStream()

    async def logs(self, container_id: str, options: LogOptions) -> AsyncGenerator[tuple[int, bytes], None]:
        status = await self.inspect(container_id)
        yield 1, f"{status.pod_name} is simulated\n".encode()

    async def images(self) -> list[Image]:
        return [IMAGE]

    async def image(self, reference: str) -> Image | None:
        return IMAGE

    async def pull(self, reference: str, auth: dict[str, str] | None = None) -> Image:
        return IMAGE

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        yield RuntimeEvent("", "relist")
        while True:
            yield await self._events.get()

    async def close(self) -> None:
        """Nothing to release."""


class HollowStream:
    """A command that ends at once, without output."""

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        nothing: tuple[tuple[int, bytes], ...] = ()
        for frame in nothing:
            yield frame

    async def write(self, data: bytes) -> None:
        """Input goes nowhere."""

    async def close_stdin(self) -> None:
        """Input goes nowhere."""

    async def resize(self, width: int, height: int) -> None:
        """There is no terminal."""

    async def exit_code(self) -> int:
        return 0

    async def close(self) -> None:
        """Nothing to release."""


@dataclass
class HollowNetwork:
    """Addresses for simulated pods: `prefix` and a running number; nothing is connected."""

    prefix: str = "10.200"

    def __post_init__(self) -> None:
        self._addresses: dict[str, str] = {}

    async def setup_pod(
        self, sandbox_id: str, pid: int, *, host_ports: Sequence[HostPort] = ()
    ) -> PodAddresses:
        if sandbox_id not in self._addresses:
            number = len(self._addresses) + 2
            self._addresses[sandbox_id] = f"{self.prefix}.{number // 250}.{number % 250}"
        return PodAddresses(self._addresses[sandbox_id], f"{self.prefix}.0.1", "eth0", "00:00:00:00:00:00")

    async def teardown_pod(self, sandbox_id: str) -> None:
        """Addresses are never used again: simulated nodes do not live that long."""

    async def reconcile(self, sandboxes: Mapping[str, int]) -> None:
        """Nothing outlives the process."""

    async def check(self) -> None:
        """Always in order."""
