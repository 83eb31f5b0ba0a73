"""What the kubelet needs of a container engine. Everything above this interface is engine-agnostic.

All methods raise RuntimeFailure (RuntimeUnavailable while the engine is away, NotFound for unknown ids).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Protocol

from kubelet.runtime.types import (
    ContainerSpec,
    ContainerStatus,
    ExecResult,
    Image,
    LogOptions,
    RuntimeEvent,
    RuntimeVersion,
    SandboxSpec,
)


class Stream(Protocol):
    """A running exec or an attached container. Output comes as (channel, bytes): 1 stdout, 2 stderr."""

    def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """Chunks until the process ends or the stream is closed."""
        ...

    async def write(self, data: bytes) -> None:
        """Bytes for standard input."""
        ...

    async def close_stdin(self) -> None:
        """End of standard input."""
        ...

    async def resize(self, width: int, height: int) -> None:
        """The terminal's new size in characters."""
        ...

    async def exit_code(self) -> int:
        """The exit code of an exec after its output has ended; 0 for an attached container."""
        ...

    async def close(self) -> None:
        """Let go of the stream; the process is not killed."""
        ...


class Runtime(Protocol):
    """One engine, seen by one node: only containers of this cluster and node exist for it."""

    async def version(self) -> RuntimeVersion:
        """Name and version of the engine, and how it divides the machine."""
        ...

    async def ping(self) -> None:
        """Return once the engine answers; cheap. Raises RuntimeFailure."""
        ...

    async def containers(self) -> list[ContainerStatus]:
        """All sandboxes and containers of this node; details of ended ones may need `inspect`."""
        ...

    async def inspect(self, container_id: str) -> ContainerStatus:
        """Everything about one container."""
        ...

    async def create_sandbox(self, spec: SandboxSpec) -> str:
        """Create, not start. A leftover of the same name is replaced."""
        ...

    async def create_container(self, spec: ContainerSpec) -> str:
        """Create, not start. A leftover of the same name is replaced."""
        ...

    async def start(self, container_id: str) -> ContainerStatus:
        """Start; returns the state after it, which may already be exited."""
        ...

    async def stop(self, container_id: str, grace_seconds: float) -> None:
        """The stop signal, `grace_seconds`, then SIGKILL. Returns when it has ended; ended already is fine."""
        ...

    async def remove(self, container_id: str) -> None:
        """Remove, by force; gone already is fine."""
        ...

    async def exec_sync(
        self, container_id: str, command: Sequence[str], timeout: float | None, limit: int = 10240
    ) -> ExecResult:
        """Run to the end; at most `limit` bytes of output are kept. Raises TimeoutError."""
        ...

    async def exec(self, container_id: str, command: Sequence[str], *, stdin: bool, tty: bool) -> Stream:
        """Start a command with its streams connected."""
        ...

    async def attach(self, container_id: str, *, stdin: bool, tty: bool) -> Stream:
        """Connect to the streams of the container's own process."""
        ...

    def logs(self, container_id: str, options: LogOptions) -> AsyncGenerator[tuple[int, bytes], None]:
        """Log chunks as (channel, bytes); with `timestamps` each line begins with one. Close it when done."""
        ...

    async def images(self) -> list[Image]:
        """All images of the engine."""
        ...

    async def image(self, reference: str) -> Image | None:
        """One image if it is present. Raises InvalidImageName."""
        ...

    async def pull(self, reference: str, auth: dict[str, str] | None = None) -> Image:
        """Pull. Raises PullFailed or InvalidImageName."""
        ...

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Changes from now on; survives the engine being away (then a relist is asked for)."""
        ...

    async def close(self) -> None:
        """Release threads and connections; containers stay."""
        ...
