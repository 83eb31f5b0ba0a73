"""Runs the probes of a pod's containers and remembers their results.

One task per probe of a running container. A startup probe holds the others back until it has succeeded once.
Results are states, not events: `ready`, `started` and `failed` say what holds now.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Literal

from apimachinery import Object
from component_base.logs import get_logger
from kubelet.probes.probe import attempt
from kubelet.runtime.interface import Runtime
from kubelet.runtime.types import ContainerStatus, RuntimeFailure

Kind = Literal["Startup", "Liveness", "Readiness"]
FIELDS: dict[Kind, str] = {
    "Startup": "startupProbe",
    "Liveness": "livenessProbe",
    "Readiness": "readinessProbe",
}
log = get_logger("probes")


class Prober:
    """The probes of one pod.

    `changed()` is called when a result changes; `unhealthy(container, text)` for every failed attempt, for the
    event; `address()` gives the pod's address.
    """

    def __init__(
        self,
        runtime: Runtime,
        changed: Callable[[], None],
        unhealthy: Callable[[str, str], None],
        address: Callable[[], str],
    ) -> None:
        self._runtime, self._changed, self._unhealthy, self._address = runtime, changed, unhealthy, address
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._started: dict[str, asyncio.Event] = {}
        self._ready: set[str] = set()
        self._failed: dict[str, str] = {}

    @property
    def started(self) -> frozenset[str]:
        """Ids of containers that have passed their startup probe, or have none."""
        return frozenset(one for one, event in self._started.items() if event.is_set())

    @property
    def ready(self) -> frozenset[str]:
        """Ids of containers that are ready as far as their probes say."""
        return frozenset(self._ready) & self.started

    @property
    def failed(self) -> dict[str, str]:
        """Ids of containers to be killed, with the probe that gave up on them."""
        return dict(self._failed)

    def add(
        self,
        container: Object,
        status: ContainerStatus,
        *,
        was_started: bool = False,
        was_ready: bool = False,
    ) -> None:
        """Begin to probe a running container; known ones are left alone.

        `was_started` and `was_ready` are what its pod's status said before this kubelet began: a restart of the
        kubelet must not take a pod out of its Services.
        """
        if status.id in self._tasks:
            return
        event = self._started[status.id] = asyncio.Event()
        if was_started or not container.get("startupProbe"):
            event.set()
        if was_ready or not container.get("readinessProbe"):
            self._ready.add(status.id)
        self._tasks[status.id] = [
            asyncio.create_task(self._run(kind, container[field], container, status), name=f"probe {kind}")
            for kind, field in FIELDS.items()
            if container.get(field) and not (kind == "Startup" and event.is_set())
        ]
        self._changed()

    def remove(self, container_id: str) -> None:
        """The container has ended."""
        for task in self._tasks.pop(container_id, ()):
            task.cancel()
        self._started.pop(container_id, None)
        self._ready.discard(container_id)
        self._failed.pop(container_id, None)

    def known(self) -> set[str]:
        """Ids that are being probed."""
        return set(self._tasks)

    def stop(self, *, readiness: bool = True) -> None:
        """End all probes; with `readiness` False that one goes on (a pod that is being stopped)."""
        for container_id, tasks in list(self._tasks.items()):
            for task in tasks:
                if readiness or task.get_name() != "probe Readiness":
                    task.cancel()
            if readiness:
                self.remove(container_id)

    async def _run(self, kind: Kind, probe: Object, container: Object, status: ContainerStatus) -> None:
        event = self._started[status.id]
        if kind != "Startup":
            await event.wait()
        period = float(probe.get("periodSeconds") or 10)
        delay = status.started_at + float(probe.get("initialDelaySeconds") or 0) - time.time()
        if delay > 0:
            await asyncio.sleep(delay)
        elif time.time() - status.started_at > period:
            # After a restart of the kubelet probes begin spread over their period, not all at once.
            await asyncio.sleep(random.uniform(0, min(period, 10.0)))
        clock = asyncio.get_running_loop().time
        successes = failures = 0
        following = clock()
        while True:
            try:
                good, text = await attempt(probe, container, status.id, self._address(), self._runtime)
            except RuntimeFailure as error:
                log.debug("Probe not possible", container=container["name"], error=str(error))
                good, text = True, ""
            successes, failures = (successes + 1, 0) if good else (0, failures + 1)
            if not good:
                self._unhealthy(container["name"], f"{kind} probe failed: {text.strip()}")
            if self._judge(kind, probe, status.id, successes, failures):
                return
            following = max(following + period, clock() - period)
            await asyncio.sleep(max(0.0, following - clock()))

    def _judge(self, kind: Kind, probe: Object, container_id: str, successes: int, failures: int) -> bool:
        """Take in a result; True ends the probe."""
        if container_id not in self._started:
            return True
        up = successes >= int(probe.get("successThreshold") or 1)
        down = failures >= int(probe.get("failureThreshold") or 3)
        if kind == "Readiness":
            was = container_id in self._ready
            if up and not was:
                self._ready.add(container_id)
                self._changed()
            elif down and was:
                self._ready.discard(container_id)
                self._changed()
            return False
        if kind == "Startup" and up:
            self._started[container_id].set()
            self._changed()
            return True
        if down:
            self._failed[container_id] = kind.lower()
            self._changed()
            return True
        return False
