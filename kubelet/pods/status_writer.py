"""Brings pod statuses to the API server: only changes, newest state only, again until they have arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from apimachinery import Object, times
from apimachinery.errors import StatusError
from apimachinery.resources import PODS
from component_base.daemon import Backoff
from component_base.logs import get_logger
from kube_client.client import Client
from kube_client.errors import ApiUnavailable

WRITERS = 8
OWNED = (
    "phase", "hostIP", "hostIPs", "podIP", "podIPs", "startTime", "containerStatuses",
    "initContainerStatuses", "qosClass", "reason", "message", "observedGeneration",
)  # fmt: skip
_MERGED_BY_IP = ("podIPs", "hostIPs")
_COMPARED = ("status", "reason", "message", "observedGeneration")
log = get_logger("status")


def status_patch(old: Object, new: Object, now: str) -> Object:
    """The strategic merge patch from one status to the other; empty when nothing of ours differs."""
    patch: Object = {}
    for key in OWNED:
        before, after = old.get(key), new.get(key)
        if before == after or (not before and not after):
            continue
        if key in _MERGED_BY_IP and before and after:
            patch[key] = [{"$patch": "replace"}, *after]
        else:
            patch[key] = after
    conditions = _changed_conditions(old.get("conditions") or (), new.get("conditions") or (), now)
    if conditions:
        patch["conditions"] = conditions
    return patch


def _changed_conditions(old: Iterable[Object], new: Iterable[Object], now: str) -> list[Object]:
    before = {condition["type"]: condition for condition in old}
    changed = []
    for condition in new:
        known = before.get(condition["type"])
        if known is not None and all(known.get(key) == condition.get(key) for key in _COMPARED):
            continue
        written = {**condition, "lastProbeTime": None}
        if known is None or known.get("status") != condition["status"]:
            written["lastTransitionTime"] = now
        else:
            written["lastTransitionTime"] = known.get("lastTransitionTime") or now
        for key in ("reason", "message"):
            if known is not None and known.get(key) and key not in condition:
                written[key] = None
        changed.append(written)
    return changed


class StatusWriter:
    """`current(pod)` gives the newest known object, `observe` takes the server's answer."""

    def __init__(
        self, client: Client, current: Callable[[Object], Object | None], observe: Callable[[Object], None]
    ) -> None:
        self._client, self._current, self._observe = client, current, observe
        self._wanted: dict[str, tuple[Object, Object]] = {}
        self._written: dict[str, asyncio.Event] = {}
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._busy: set[str] = set()

    def set(self, pod: Object, status: Object) -> None:
        """The status to write for a pod; replaces one that has not been written yet."""
        uid = pod["metadata"]["uid"]
        waiting = uid in self._wanted
        self._wanted[uid] = (pod, status)
        if not waiting and uid not in self._busy:
            self._queue.put_nowait(uid)

    async def flush(self, uid: str) -> None:
        """Return when what was set for the pod has been written, or the pod is gone."""
        while uid in self._wanted or uid in self._busy:
            await self._written.setdefault(uid, asyncio.Event()).wait()

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WRITERS):
                group.create_task(self._write_all())

    async def _write_all(self) -> None:
        while True:
            uid = await self._queue.get()
            if uid in self._busy or uid not in self._wanted:
                continue
            self._busy.add(uid)
            try:
                while uid in self._wanted:
                    await self._write(*self._wanted.pop(uid))
            finally:
                self._busy.discard(uid)
                if uid in self._wanted:
                    self._queue.put_nowait(uid)
                if event := self._written.pop(uid, None):
                    event.set()

    async def _write(self, pod: Object, status: Object) -> None:
        metadata = pod["metadata"]
        uid, backoff, failing = metadata["uid"], Backoff(0.2, 2.0, 10.0), False
        while True:
            latest = self._current(pod)
            if latest is None or latest["metadata"]["uid"] != uid:
                return
            patch = status_patch(latest.get("status") or {}, status, times.now())
            if not patch:
                return
            body = {"metadata": {"uid": uid}, "status": patch}
            try:
                answer = await self._client.patch(
                    PODS, metadata["name"], body, metadata["namespace"], "strategic", subresource="status"
                )
                self._observe(answer)
                return
            except StatusError as error:
                if error.code == 404 or (error.code == 409 and "uid" in error.message):
                    return
                problem = str(error)
            except ApiUnavailable as error:
                problem = str(error)
            if not failing:
                failing = True
                log.warning("Cannot write pod status", pod=metadata["name"], error=problem)
            await asyncio.sleep(backoff.next())
            if uid in self._wanted:
                pod, status = self._wanted.pop(uid)
