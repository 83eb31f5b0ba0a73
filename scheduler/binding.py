"""Carrying decisions out: binding cycles, several in flight, and the eviction of a preemption's victims.

A binding that fails gives everything back: reservations, the assumed place on the node, the pod to the queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from apimachinery import Object, times
from apimachinery.errors import StatusError
from apimachinery.resources import PODS
from component_base.logs import get_logger
from kube_client.client import Client
from kube_client.errors import ApiUnavailable
from kube_client.events import EventRecorder
from scheduler import metrics
from scheduler.cache import Cache
from scheduler.framework.interface import ClusterEvent, CycleState, PostFilterResult, Unschedulable, Wait
from scheduler.framework.profile import Profile
from scheduler.pod_info import PodInfo
from scheduler.queue import QueuedPod, SchedulingQueue

log = get_logger("binding")


class BindingError(Exception):
    """The pod could not be bound; the message says why."""


class Binder:
    """Runs binding cycles for all profiles."""

    def __init__(
        self, cache: Cache, queue: SchedulingQueue, recorder: Callable[[str], EventRecorder]
    ) -> None:
        self._cache, self._queue, self._recorder = cache, queue, recorder
        # Pods that a Permit plugin holds, by uid: set the future's result to let one go, an exception to refuse.
        self.waiting: dict[str, asyncio.Future[None]] = {}

    async def bind(
        self, profile: Profile, queued: QueuedPod, state: CycleState, node: str, started: float
    ) -> None:
        """Bind the assumed pod to `node`; on failure give it back. `started`: loop time of the decision."""
        pod = queued.pod
        clock = asyncio.get_running_loop().time
        try:
            await self._permit(profile, pod, state, node)
            for pre_bind in profile.pre_bind:
                await pre_bind.pre_bind(state, pod, node)
            for binder in profile.bind:
                if await binder.bind(state, pod, node):
                    break
            else:
                raise BindingError("no bind plugin took the pod")
        except asyncio.CancelledError:
            self.give_back(profile, queued, state, node)
            raise
        except Exception as error:
            # Plugins are free to fail as they like; whatever it was, the pod is tried again.
            expected = isinstance(error, StatusError | ApiUnavailable | BindingError | TimeoutError)
            log.warning("Cannot bind pod", pod=pod.key, node=node, error=error, exc_info=not expected)
            metrics.ATTEMPTS.labels("error", profile.name).inc()
            self.give_back(profile, queued, state, node)
            self._recorder(profile.name).event(
                pod.object, "Warning", "FailedScheduling", f"binding rejected: {error}"
            )
            return
        now = clock()
        metrics.ATTEMPTS.labels("scheduled", profile.name).inc()
        metrics.ATTEMPT_SECONDS.labels("scheduled", profile.name).observe(now - started)
        metrics.SLI_SECONDS.labels(str(min(queued.attempts, 16))).observe(now - queued.first_seen)
        metrics.POD_ATTEMPTS.observe(queued.attempts)
        log.debug("Bound pod", pod=pod.key, node=node)
        self._recorder(profile.name).event(
            pod.object, "Normal", "Scheduled", f"Successfully assigned {pod.key} to {node}"
        )
        for post_bind in profile.post_bind:
            post_bind.post_bind(state, pod, node)

    def give_back(self, profile: Profile, queued: QueuedPod, state: CycleState, node: str) -> None:
        """Undo reservation and assumption; what that frees may help others."""
        for reserve in reversed(profile.reserve):
            reserve.unreserve(state, queued.pod, node)
        self._cache.forget(queued.pod)
        self._queue.on_event(ClusterEvent.POD_DELETED, queued.pod.object, queued.pod.object)
        self._queue.retry(queued)

    async def _permit(self, profile: Profile, pod: PodInfo, state: CycleState, node: str) -> None:
        patience = 0.0
        for permit in profile.permit:
            answer = permit.permit(state, pod, node)
            if isinstance(answer, Unschedulable):
                raise BindingError(", ".join(answer.reasons))
            if isinstance(answer, Wait):
                patience = max(patience, answer.timeout)
        if patience:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiting[pod.uid] = future
            try:
                async with asyncio.timeout(patience):
                    await future
            finally:
                self.waiting.pop(pod.uid, None)


async def evict(client: Client, recorder: EventRecorder, pod: PodInfo, plan: PostFilterResult) -> None:
    """Carry a preemption out: mark, delete and report every victim. What fails is tried by the next attempt."""
    metrics.PREEMPTIONS.inc()
    metrics.VICTIMS.observe(len(plan.victims))
    for victim in plan.victims:
        if victim.object["metadata"].get("deletionTimestamp"):
            continue
        scheduler_name = pod.spec.get("schedulerName")
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "PreemptionByScheduler",
            "message": f"{scheduler_name}: preempting to accommodate a higher priority pod",
            "lastTransitionTime": times.now(),
        }
        try:
            await client.patch(
                PODS,
                victim.name,
                {"status": {"conditions": [condition]}},
                victim.namespace,
                "strategic",
                "status",
            )
            await client.delete(PODS, victim.name, victim.namespace, preconditions={"uid": victim.uid})
        except (StatusError, ApiUnavailable) as error:
            log.warning("Cannot preempt", victim=victim.key, pod=pod.key, error=error)
            continue
        recorder.event(
            victim.object, "Normal", "Preempted", f"Preempted by pod {pod.uid} on node {plan.node}"
        )


async def report_unschedulable(
    client: Client, pod: PodInfo, reason: str, message: str, nominated_node: str | None
) -> None:
    """Keep the pod's PodScheduled condition and nominated node current; nothing is sent if they are."""
    status: Object = pod.object.get("status") or {}
    current: Object = next((c for c in status.get("conditions") or () if c["type"] == "PodScheduled"), {})
    patch: Object = {}
    if (current.get("status"), current.get("reason"), current.get("message")) != ("False", reason, message):
        condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
        if current.get("status") != "False":
            condition["lastTransitionTime"] = times.now()
        patch["conditions"] = [condition]
    if (status.get("nominatedNodeName") or None) != nominated_node:
        patch["nominatedNodeName"] = nominated_node
    if not patch:
        return
    try:
        await client.patch(PODS, pod.name, {"status": patch}, pod.namespace, "strategic", "status")
    except (StatusError, ApiUnavailable) as error:
        # The pod may be gone, or the server away: the next attempt reports again.
        log.debug("Cannot update pod condition", pod=pod.key, error=error)
