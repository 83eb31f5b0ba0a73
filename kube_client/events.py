"""Events for users: what happened to an object, told in the official reasons and messages.

Recording never waits and never fails: events go through a bounded queue to one writer. Repetition is folded
as the original does it: the same event again raises `count`; more than ten alike within ten minutes become
"(combined from similar events)"; each object has a budget, so that a fault cannot flood the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Literal

from apimachinery import Object, times
from apimachinery.errors import StatusError
from apimachinery.resources import EVENTS
from component_base.logs import get_logger
from kube_client.client import Client
from kube_client.errors import ApiUnavailable

QUEUE_LENGTH = 1000
REMEMBERED = 4096
BURST, REFILL_SECONDS = 25, 300.0
SIMILAR_LIMIT, SIMILAR_SECONDS = 10, 600.0
ATTEMPTS, RETRY_SECONDS = 12, 10.0

log = get_logger("events")


def object_reference(obj: Object) -> Object:
    """The ObjectReference by which an event names its object."""
    metadata = obj["metadata"]
    reference: Object = {
        "kind": obj.get("kind", ""),
        "namespace": metadata.get("namespace"),
        "name": metadata["name"],
        "uid": metadata.get("uid"),
        "apiVersion": obj.get("apiVersion"),
        "resourceVersion": metadata.get("resourceVersion"),
        "fieldPath": obj.get("fieldPath"),
    }
    return {name: value for name, value in reference.items() if value}


@dataclass
class _Known:
    """An event that was written: where, and how often it has happened."""

    name: str
    first: str
    count: int


@dataclass
class _Similar:
    since: float
    messages: set[str]


class Correlator:
    """Decides what to write for an event; values only, one per recorder."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, ...], _Known] = OrderedDict()
        self._similar: OrderedDict[tuple[str, ...], _Similar] = OrderedDict()
        self._budget: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allow(self, subject: str, now: float) -> bool:
        """Take one from the object's budget: 25 at once, then one in five minutes."""
        tokens, last = self._budget.pop(subject, (float(BURST), now))
        tokens = min(float(BURST), tokens + (now - last) / REFILL_SECONDS)
        allowed = tokens >= 1
        _remember(self._budget, subject, (tokens - 1 if allowed else tokens, now))
        return allowed

    def fold(self, similar: tuple[str, ...], message: str, now: float) -> str:
        """The message to write: the eleventh different one of a kind becomes the combined event."""
        group = self._similar.pop(similar, None)
        if group is None or now - group.since > SIMILAR_SECONDS:
            group = _Similar(now, set())
        group.since = now
        combined = message not in group.messages and len(group.messages) >= SIMILAR_LIMIT
        if not combined:
            group.messages.add(message)
        _remember(self._similar, similar, group)
        return f"(combined from similar events): {message}" if combined else message

    def known(self, identity: tuple[str, ...]) -> _Known | None:
        """The event written before, if it is the same."""
        found = self._known.get(identity)
        if found is not None:
            self._known.move_to_end(identity)
        return found

    def remember(self, identity: tuple[str, ...], written: _Known) -> None:
        """This identity has been written."""
        _remember(self._known, identity, written)

    def forget(self, identity: tuple[str, ...]) -> None:
        """It is gone from the store (expired)."""
        self._known.pop(identity, None)


class EventRecorder:
    """`component` is the source users see under From; `host` the node of kubelet and kube-proxy events."""

    def __init__(self, client: Client, component: str, host: str = "") -> None:
        self._client = client
        self._component, self._host = component, host
        self._correlator = Correlator()
        self._queue: asyncio.Queue[tuple[Object, str, str, str, str]] = asyncio.Queue(QUEUE_LENGTH)
        self._writer: asyncio.Task[None] | None = None
        self._parts: list[EventRecorder] = []

    def named(self, component: str) -> EventRecorder:
        """A recorder for a part of this process under its own name; flushed together with this one."""
        part = EventRecorder(self._client, component, self._host)
        self._parts.append(part)
        return part

    def event(self, obj: Object, type_: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Record that something happened to `obj` (or to the ObjectReference in its place). Never waits."""
        reference = object_reference(obj) if "metadata" in obj else obj
        try:
            self._queue.put_nowait((reference, type_, reason, message[:1024], times.now()))
        except asyncio.QueueFull:
            log.debug("Event dropped, queue full", reason=reason)
            return
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all(), name="events")

    async def flush(self, timeout: float = 2.0) -> None:
        """Wait up to `timeout` seconds until what was recorded has been written; used on the way out."""
        await asyncio.gather(*(part.flush(timeout) for part in self._parts))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._queue.join()
        if self._writer is not None:
            self._writer.cancel()

    async def _write_all(self) -> None:
        while True:
            item = await self._queue.get()
            try:
                await self._write(*item)
            finally:
                self._queue.task_done()

    async def _write(self, reference: Object, type_: str, reason: str, message: str, when: str) -> None:
        subject = "/".join(str(reference.get(name, "")) for name in ("kind", "namespace", "name", "uid"))
        now = time.monotonic()
        message = self._correlator.fold((subject, type_, reason), message, now)
        combined = message.startswith("(combined")
        identity = (subject, str(reference.get("fieldPath", "")), type_, reason, "" if combined else message)
        if not self._correlator.allow(subject, now):
            return
        for _ in range(ATTEMPTS):
            try:
                await self._send(identity, reference, type_, reason, message, when)
                return
            except ApiUnavailable:
                await asyncio.sleep(RETRY_SECONDS)
            except StatusError as error:
                if error.code not in (429, 500, 503, 504):
                    log.debug("Event rejected", reason=reason, error=str(error))
                    return
                await asyncio.sleep(RETRY_SECONDS)

    async def _send(
        self, identity: tuple[str, ...], reference: Object, type_: str, reason: str, message: str, when: str
    ) -> None:
        namespace = reference.get("namespace") or "default"
        known = self._correlator.known(identity)
        if known is not None:
            change = {"count": known.count + 1, "lastTimestamp": when, "message": message}
            try:
                await self._client.patch(EVENTS, known.name, change, namespace, "merge")
                known.count += 1
                return
            except StatusError as error:
                if error.code != 404:
                    raise
                self._correlator.forget(identity)
        source: dict[str, Any] = {"component": self._component}
        if self._host:
            source["host"] = self._host
        name = f"{reference['name']}.{time.time_ns():x}"
        await self._client.create(
            EVENTS,
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": reference,
                "reason": reason,
                "message": message,
                "source": source,
                "firstTimestamp": when,
                "lastTimestamp": when,
                "count": 1,
                "type": type_,
                "eventTime": None,
                "reportingComponent": self._component,
                "reportingInstance": self._host,
            },
        )
        self._correlator.remember(identity, _Known(name, when, 1))


def _remember(cache: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    cache[key] = value
    cache.move_to_end(key)
    while len(cache) > REMEMBERED:
        cache.popitem(last=False)
