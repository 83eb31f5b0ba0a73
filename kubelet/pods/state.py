"""What a pod worker remembers between looks at its pod; everything of value can be found again after a restart."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from apimachinery import Object
from kubelet.pods.actions import Waiting


@dataclass
class PodState:
    """Mutable, owned by one worker. `waiting` is by container name, `messages` (of termination) by container id."""

    start_time: float = field(default_factory=time.time)
    pod_ips: tuple[str, ...] = ()
    connected: str = ""
    waiting: dict[str, Waiting] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    volumes: dict[str, Path] | None = None
    volumes_dirty: bool = False
    hooks_pending: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Stop:
    """The pod is to end. `reason` and `message` become the status's where the kubelet itself ends it."""

    grace_seconds: float
    reason: str = ""
    message: str = ""


class ActionFailed(Exception):
    """An action could not be done; look again at `retry_at` (epoch seconds)."""

    def __init__(self, message: str, retry_at: float) -> None:
        super().__init__(message)
        self.retry_at = retry_at


def host_network(pod: Object) -> bool:
    """Whether the pod lives in the node's network."""
    return bool(pod["spec"].get("hostNetwork"))


def grace_period(pod: Object) -> float:
    """Seconds from the deletion request, else from the specification."""
    asked = pod["metadata"].get("deletionGracePeriodSeconds")
    if asked is None:
        asked = pod["spec"].get("terminationGracePeriodSeconds")
    return float(30 if asked is None else asked)
