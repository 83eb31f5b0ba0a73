"""What the runtime knows of one pod, as a value: sandboxes and containers, newest first."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import orjson

from apimachinery import Object
from kubelet.runtime.types import ContainerStatus

_HASHED = ("name", "image")


@dataclass(frozen=True)
class PodRecord:
    """`containers` holds, per container name, every container that still exists, newest first."""

    sandboxes: tuple[ContainerStatus, ...] = ()
    containers: Mapping[str, tuple[ContainerStatus, ...]] = field(default_factory=dict)

    @property
    def sandbox(self) -> ContainerStatus | None:
        """The newest sandbox."""
        return self.sandboxes[0] if self.sandboxes else None

    @property
    def running_sandbox(self) -> ContainerStatus | None:
        """The newest sandbox if it runs."""
        sandbox = self.sandbox
        return sandbox if sandbox is not None and sandbox.state == "running" else None

    def latest(self, name: str) -> ContainerStatus | None:
        """The newest container of this name, in whatever sandbox."""
        found = self.containers.get(name)
        return found[0] if found else None

    def current(self, name: str) -> ContainerStatus | None:
        """The newest container of this name if it belongs to the newest sandbox."""
        found, sandbox = self.latest(name), self.sandbox
        return found if found is not None and sandbox is not None and found.sandbox_id == sandbox.id else None

    def running(self) -> list[ContainerStatus]:
        """All running containers, sandboxes excluded."""
        return [status for group in self.containers.values() for status in group if status.state == "running"]

    def everything(self) -> list[ContainerStatus]:
        """Containers first, then sandboxes."""
        return [status for group in self.containers.values() for status in group] + list(self.sandboxes)


def build(statuses: Iterable[ContainerStatus]) -> PodRecord:
    """Sort statuses of one pod into a record."""
    ordered = sorted(statuses, key=lambda status: (status.created_at, status.attempt), reverse=True)
    containers: dict[str, list[ContainerStatus]] = {}
    for status in ordered:
        if not status.is_sandbox:
            containers.setdefault(status.name, []).append(status)
    return PodRecord(
        tuple(status for status in ordered if status.is_sandbox),
        {name: tuple(group) for name, group in containers.items()},
    )


def container_hash(container: Object) -> str:
    """Changes when a running container has to be replaced: only its image may change in a live pod."""
    chosen = {name: container.get(name) for name in _HASHED}
    return hashlib.sha256(orjson.dumps(chosen, option=orjson.OPT_SORT_KEYS)).hexdigest()[:8]
