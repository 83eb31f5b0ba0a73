"""The pods that wait for a node: active (to be tried now), backing off, unschedulable, gated.

A pod that failed waits as unschedulable until an event occurs that one of the plugins which rejected it says
may help, then, if it failed only just now, for the rest of its back-off; after five minutes it is tried in any
case. Values and a clock only: the loop in `scheduler` sleeps and wakes by `next_wake` and `changed`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import Any

from apimachinery import Object
from scheduler import metrics
from scheduler.framework.interface import ClusterEvent, Events, Unschedulable
from scheduler.pod_info import PodInfo

UNSCHEDULABLE_TIMEOUT = 300.0  # seconds


class Place(Enum):
    """Where a pod is."""

    ACTIVE = "active"
    BACKOFF = "backoff"
    UNSCHEDULABLE = "unschedulable"
    GATED = "gated"
    IN_FLIGHT = "in flight"


class QueuedPod:
    """A pod with its history in the queue. Times are the queue's clock's."""

    __slots__ = ("attempts", "first_seen", "place", "pod", "queued_at", "ready_at", "rejected_by", "ticket")

    def __init__(self, pod: PodInfo, now: float) -> None:
        self.pod = pod
        self.place = Place.ACTIVE
        self.attempts = 0
        self.first_seen = self.queued_at = self.ready_at = now
        self.rejected_by: frozenset[str] = frozenset()
        self.ticket = 0  # the heap entry that counts; older ones are ignored


class SchedulingQueue:
    """See the module. `sort_key`, `gate` and `hints` come from the pod's profile."""

    def __init__(
        self,
        sort_key: Callable[[PodInfo, float], Any],
        gate: Callable[[PodInfo], tuple[str, Unschedulable] | None],
        hints: Callable[[PodInfo], Mapping[str, Events]],
        clock: Callable[[], float],
        initial_backoff: float = 1.0,
        max_backoff: float = 10.0,
    ) -> None:
        self._sort_key, self._gate, self._hints, self._clock = sort_key, gate, hints, clock
        self._initial_backoff, self._max_backoff = initial_backoff, max_backoff
        self._pods: dict[str, QueuedPod] = {}
        self._waiting: dict[str, QueuedPod] = {}  # unschedulable and gated ones
        self._active: list[tuple[Any, int, QueuedPod]] = []
        self._backoff: list[tuple[float, int, QueuedPod]] = []
        self._tickets = itertools.count(1)
        self.changed = asyncio.Event()
        for place in (Place.ACTIVE, Place.BACKOFF, Place.UNSCHEDULABLE, Place.GATED):
            metrics.PENDING.labels(place.value).set_function(partial(self.count, place))

    def __len__(self) -> int:
        return len(self._pods)

    def count(self, place: Place) -> int:
        """How many pods are in a place."""
        return sum(1 for queued in self._pods.values() if queued.place is place)

    def get(self, uid: str) -> QueuedPod | None:
        """The pod's entry, also while it is in flight."""
        return self._pods.get(uid)

    def add(self, pod: PodInfo) -> None:
        """A new pod."""
        if pod.uid not in self._pods:
            queued = self._pods[pod.uid] = QueuedPod(pod, self._clock())
            self._admit(queued, "PodAdd")

    def update(self, pod: PodInfo, old: Object, matters: bool) -> None:
        """The pod's object changed; `matters`: in something else than its status."""
        queued = self._pods.get(pod.uid)
        if queued is None:
            self.add(pod)
            return
        queued.pod = pod
        if not matters or queued.place in (Place.ACTIVE, Place.IN_FLIGHT):
            return
        if queued.place is Place.GATED:
            self._admit(queued, "PodUpdate")
        elif queued.place is Place.UNSCHEDULABLE and self._may_help(
            queued, ClusterEvent.SELF_UPDATED, old, pod.object
        ):
            self._requeue(queued, "PodUpdate")

    def remove(self, uid: str) -> None:
        """The pod was deleted or has a node."""
        queued = self._pods.pop(uid, None)
        if queued is not None:
            self._waiting.pop(uid, None)
            queued.ticket = 0

    def pop(self) -> QueuedPod | None:
        """The next pod to try, now in flight; None if there is none."""
        self._flush()
        while self._active:
            _, ticket, queued = heapq.heappop(self._active)
            if ticket == queued.ticket:
                queued.place = Place.IN_FLIGHT
                queued.attempts += 1
                return queued
        return None

    def next_wake(self) -> float | None:
        """When the earliest back-off ends, by the clock; None if nothing backs off."""
        while self._backoff and self._backoff[0][1] != self._backoff[0][2].ticket:
            heapq.heappop(self._backoff)
        return self._backoff[0][0] if self._backoff else None

    def reject(self, queued: QueuedPod, rejected_by: frozenset[str]) -> None:
        """The try failed: wait for an event. No rejecting plugin at all means that any event may help."""
        if queued.pod.uid not in self._pods:
            return
        self._failed(queued)
        queued.rejected_by = rejected_by
        queued.place = Place.UNSCHEDULABLE
        self._waiting[queued.pod.uid] = queued

    def retry(self, queued: QueuedPod) -> None:
        """The try ended in an error (binding, API server): try again after the back-off."""
        if queued.pod.uid in self._pods:
            self._failed(queued)
            self._requeue(queued, "ScheduleAttemptFailure")

    def on_event(self, event: ClusterEvent, old: Object | None, new: Object) -> None:
        """Move those unschedulable pods whom the event may help."""
        helped = [
            queued
            for queued in self._waiting.values()
            if queued.place is Place.UNSCHEDULABLE and self._may_help(queued, event, old, new)
        ]
        for queued in helped:
            self._requeue(queued, event.value)

    def flush_stale(self) -> None:
        """Move what has been unschedulable for five minutes; to be called now and then."""
        limit = self._clock() - UNSCHEDULABLE_TIMEOUT
        for queued in list(self._waiting.values()):
            if queued.place is Place.UNSCHEDULABLE and queued.queued_at < limit:
                self._requeue(queued, ClusterEvent.TIMEOUT.value)

    def _failed(self, queued: QueuedPod) -> None:
        now = self._clock()
        backoff = min(self._initial_backoff * 2 ** min(queued.attempts - 1, 30), self._max_backoff)
        queued.queued_at, queued.ready_at = now, now + backoff

    def _may_help(self, queued: QueuedPod, event: ClusterEvent, old: Object | None, new: Object) -> bool:
        if not queued.rejected_by:
            return True
        hints = self._hints(queued.pod)
        for name in queued.rejected_by:
            events = hints.get(name, {})
            if event in events:
                hint = events[event]
                if hint is None or hint(queued.pod, old, new):
                    return True
        return False

    def _admit(self, queued: QueuedPod, event: str) -> None:
        """Into the active queue, unless a PreEnqueue plugin holds the pod back."""
        held = self._gate(queued.pod)
        if held is not None:
            queued.place = Place.GATED
            queued.rejected_by = frozenset((held[0],))
            self._waiting[queued.pod.uid] = queued
            metrics.INCOMING.labels("gated", event).inc()
            return
        self._waiting.pop(queued.pod.uid, None)
        queued.place = Place.ACTIVE
        queued.queued_at = self._clock()
        queued.ticket = next(self._tickets)
        heapq.heappush(self._active, (self._sort_key(queued.pod, queued.queued_at), queued.ticket, queued))
        metrics.INCOMING.labels("active", event).inc()
        self.changed.set()

    def _requeue(self, queued: QueuedPod, event: str) -> None:
        self._waiting.pop(queued.pod.uid, None)
        if queued.ready_at <= self._clock():
            self._admit(queued, event)
            return
        queued.place = Place.BACKOFF
        queued.ticket = next(self._tickets)
        heapq.heappush(self._backoff, (queued.ready_at, queued.ticket, queued))
        metrics.INCOMING.labels("backoff", event).inc()
        self.changed.set()

    def _flush(self) -> None:
        now = self._clock()
        while (wake := self.next_wake()) is not None and wake <= now:
            self._admit(heapq.heappop(self._backoff)[2], "BackoffComplete")
