"""The kubelet's picture of its containers: fed by the engine's events, put right by relisting.

Nobody polls containers one by one: an event leads to one look at one container; a list every minute (and
after every gap in the event stream) finds what was missed. Cost at rest does not grow with the number of pods.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from component_base.logs import get_logger
from kubelet.pods.record import PodRecord, build
from kubelet.runtime.interface import Runtime
from kubelet.runtime.types import ContainerStatus, NotFound, RuntimeEvent, RuntimeFailure

RELIST_SECONDS = 60.0
RETRY_SECONDS = 1.0
PING_SECONDS = 5.0
ANSWER_SECONDS = 10.0
log = get_logger("view")


class RuntimeView:
    """Statuses by pod uid. `changed(uid)` is called whenever a pod's containers changed."""

    def __init__(self, runtime: Runtime, changed: Callable[[str], None]) -> None:
        self._runtime, self._changed = runtime, changed
        self._statuses: dict[str, ContainerStatus] = {}
        self._by_pod: dict[str, set[str]] = {}
        self._synced = asyncio.Event()
        self._relist_wanted = asyncio.Event()
        self.healthy = False
        self.last_error = "container runtime has not answered yet"

    async def wait_synced(self) -> None:
        """Return once everything that runs has been seen."""
        await self._synced.wait()

    def record(self, uid: str) -> PodRecord:
        """What is known of one pod."""
        return build(self._statuses[one] for one in self._by_pod.get(uid, ()))

    def uids(self) -> set[str]:
        """Pods of which anything exists."""
        return set(self._by_pod)

    def find(self, container_id: str) -> ContainerStatus | None:
        return self._statuses.get(container_id)

    def count(self, state: str) -> int:
        """How many containers are in a state, sandboxes excluded."""
        return sum(one.state == state and not one.is_sandbox for one in self._statuses.values())

    def observe(self, status: ContainerStatus) -> None:
        """Take in a status, from an event, a list or our own action."""
        if self._statuses.get(status.id) == status:
            return
        self._statuses[status.id] = status
        self._by_pod.setdefault(status.pod_uid, set()).add(status.id)
        self._changed(status.pod_uid)

    def forget(self, container_id: str) -> None:
        """The container has been removed."""
        status = self._statuses.pop(container_id, None)
        if status is None:
            return
        ids = self._by_pod[status.pod_uid]
        ids.discard(container_id)
        if not ids:
            del self._by_pod[status.pod_uid]
        self._changed(status.pod_uid)

    async def refresh(self, container_id: str) -> None:
        """Look at one container. Raises RuntimeFailure."""
        try:
            self.observe(await self._runtime.inspect(container_id))
        except NotFound:
            self.forget(container_id)

    async def run(self) -> None:
        """Follow the engine until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_events())
            group.create_task(self._relist_regularly())
            group.create_task(self._ping_regularly())

    async def _follow_events(self) -> None:
        async for event in self._runtime.events():
            if not event.container_id:
                self._on_gap(event)
                continue
            if event.action == "destroy":
                self.forget(event.container_id)
                continue
            known = self._statuses.get(event.container_id)
            if event.action == "start" and known is not None and known.state == "running":
                continue  # our own start, which has been looked at
            try:
                await self.refresh(event.container_id)
            except RuntimeFailure:
                self._relist_wanted.set()

    def _on_gap(self, event: RuntimeEvent) -> None:
        if event.action == "lost":
            self._unhealthy("the container runtime's event stream is interrupted")
        self._relist_wanted.set()

    async def _relist_regularly(self) -> None:
        while True:
            wait = RELIST_SECONDS
            self._relist_wanted.clear()
            try:
                await self._relist()
                self.healthy, self.last_error = True, ""
                self._synced.set()
            except RuntimeFailure as error:
                self._unhealthy(str(error))
                wait = RETRY_SECONDS
            try:
                async with asyncio.timeout(wait):
                    await self._relist_wanted.wait()
            except TimeoutError:
                continue

    async def _ping_regularly(self) -> None:
        """An engine that stands still breaks no connection: only asking tells."""
        while True:
            await asyncio.sleep(PING_SECONDS)
            if not self.healthy:
                continue
            ping = asyncio.create_task(self._runtime.ping())
            try:
                if not (await asyncio.wait([ping], timeout=ANSWER_SECONDS))[0]:
                    self._unhealthy("the container engine does not answer")
                await ping
            except RuntimeFailure as error:
                self._unhealthy(str(error))
            finally:
                ping.cancel()
            if not self.healthy:
                self._relist_wanted.set()

    def _unhealthy(self, why: str) -> None:
        if self.healthy:
            log.warning("Container runtime is not healthy", reason=why)
        self.healthy, self.last_error = False, why

    async def _relist(self) -> None:
        listed = {status.id: status for status in await self._runtime.containers()}
        for gone in self._statuses.keys() - listed.keys():
            self.forget(gone)
        for container_id, status in listed.items():
            known = self._statuses.get(container_id)
            if known is None or known.state != status.state:
                await self.refresh(container_id)
