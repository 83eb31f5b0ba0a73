"""What a pod's plan consists of; values only, carried out by `executor`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from apimachinery import Object


@dataclass(frozen=True)
class StartSandbox:
    """Create, start and connect a sandbox."""

    attempt: int


@dataclass(frozen=True)
class StopSandbox:
    """Disconnect and stop a sandbox, with nothing running in it any more."""

    id: str


@dataclass(frozen=True)
class StartContainer:
    """Pull, create, start, run postStart. `previous_end` is when the last attempt ended (None: the first)."""

    container: Object
    attempt: int
    previous_end: float | None = None


@dataclass(frozen=True)
class KillContainer:
    """Stop one container gracefully; `message` is the Killing event's."""

    id: str
    name: str
    message: str
    probe: str = ""


@dataclass(frozen=True)
class Remove:
    """Remove an ended container or sandbox."""

    id: str


Action: TypeAlias = StartSandbox | StopSandbox | StartContainer | KillContainer | Remove


@dataclass(frozen=True)
class Waiting:
    """Why a container is not running, as its waiting state shows it."""

    reason: str
    message: str = ""


@dataclass
class Plan:
    """Actions in order; `wake_at` (epoch seconds) asks for another look; `waiting` replaces older reasons."""

    actions: list[Action] = field(default_factory=list)
    wake_at: float | None = None
    waiting: dict[str, Waiting] = field(default_factory=dict)

    def wake(self, when: float) -> None:
        """Another look at `when` at the latest."""
        self.wake_at = when if self.wake_at is None else min(when, self.wake_at)
