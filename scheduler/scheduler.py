"""The scheduler itself: informers feed cache and queue, the loop takes pods, decides and hands over to binding.

One decision at a time, none of them waiting for anything; up to `MAX_BINDING` bindings run beside it. All
state is rebuilt from the API server, so a restart at any moment loses and doubles nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Mapping
from typing import Any

from apimachinery import Object
from apimachinery.resources import NODES, PODS
from component_base.daemon import settle
from component_base.logs import get_logger
from kube_client.client import Client
from kube_client.events import EventRecorder
from kube_client.informer import InformerFactory
from scheduler import metrics
from scheduler.binding import Binder, evict, report_unschedulable
from scheduler.cache import Cache
from scheduler.config import KubeSchedulerConfiguration
from scheduler.decision import Failed, Placed, decide, passes
from scheduler.framework.interface import ClusterEvent, Events, Handle, Unschedulable
from scheduler.framework.profile import Profile
from scheduler.node_table import NodeTable
from scheduler.plugins.default_preemption import DefaultPreemption
from scheduler.pod_info import PodInfo
from scheduler.queue import QueuedPod, SchedulingQueue

MAX_BINDING = 64
_STALE_CHECK = 30.0  # seconds
LIVE_PODS = "status.phase!=Succeeded,status.phase!=Failed"
log = get_logger("scheduler")


class Scheduler:
    """Made with a loop running. `run` works until it is cancelled."""

    def __init__(
        self,
        client: Client,
        configuration: KubeSchedulerConfiguration,
        informers: InformerFactory,
        rng: random.Random | None = None,
    ) -> None:
        self._client, self._informers = client, informers
        self._rng = rng or random.Random()
        self._clock = asyncio.get_running_loop().time
        self.cache = Cache()
        self._nominated: dict[str, str] = {}
        self._nominated_pods: dict[str, PodInfo] = {}
        handle = Handle(client, self.cache.nodes, self._nominated)
        self.profiles = {entry.schedulerName: Profile(entry, handle) for entry in configuration.profiles}
        for profile in self.profiles.values():
            _connect_preemption(profile)
        first = next(iter(self.profiles.values()))
        self.queue = SchedulingQueue(
            first.queue_sort.sort_key,
            self._held_back,
            self._hints,
            self._clock,
            configuration.podInitialBackoffSeconds,
            configuration.podMaxBackoffSeconds,
        )
        self._recorders = {name: EventRecorder(client, name) for name in self.profiles}
        self._binder = Binder(self.cache, self.queue, self._recorders.__getitem__)
        self._slots = asyncio.Semaphore(MAX_BINDING)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Fill cache and queue, then schedule until cancelled."""
        nodes = self._informers.informer(NODES)
        pods = self._informers.informer(PODS, field_selector=LIVE_PODS)
        nodes.add_handler(self._on_node)
        pods.add_handler(self._on_pod)
        self._informers.start()
        await self._informers.wait_synced()
        settle()
        log.info("Scheduling", nodes=len(self.cache.nodes), pending=len(self.queue))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._flush_stale())
                group.create_task(self._schedule_all())
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for recorder in self._recorders.values():
                await recorder.flush()

    async def _schedule_all(self) -> None:
        while True:
            self.queue.changed.clear()
            queued = self.queue.pop()
            if queued is None:
                await self._wait_for_pods()
                continue
            await self._slots.acquire()
            self._schedule(queued)
            await asyncio.sleep(0)  # bindings and informers go on between two decisions

    async def _wait_for_pods(self) -> None:
        try:
            async with asyncio.timeout_at(self.queue.next_wake()):
                await self.queue.changed.wait()
        except TimeoutError:
            pass  # a back-off has ended

    async def _flush_stale(self) -> None:
        while True:
            await asyncio.sleep(_STALE_CHECK)
            self.queue.flush_stale()

    def _schedule(self, queued: QueuedPod) -> None:
        """One scheduling cycle. Gives its slot back here or when the binding ends."""
        pod, started = queued.pod, self._clock()
        profile = self.profiles[pod.spec["schedulerName"]]
        if self.queue.get(pod.uid) is not queued or pod.object["metadata"].get("deletionTimestamp"):
            self.queue.remove(pod.uid)
            self._slots.release()
            return
        try:
            result = self._decide(profile, pod)
        except Exception as error:
            # A plugin's fault must not end the scheduling of all other pods.
            log.error("Scheduling cycle failed", pod=pod.key, exc_info=True)
            metrics.ATTEMPTS.labels("error", profile.name).inc()
            self.queue.retry(queued)
            self._report(profile, pod, "SchedulerError", str(error), self._nominated.get(pod.uid))
            self._slots.release()
            return
        metrics.ALGORITHM_SECONDS.observe(self._clock() - started)
        if isinstance(result, Placed):
            refusal = self._reserve(profile, pod, result)
            if refusal is None:
                self._nominate(pod, None)
                task = self._binder.bind(profile, queued, result.state, result.node, started)
                self._spawn(task).add_done_callback(lambda _: self._slots.release())
                return
            result = refusal
        self._slots.release()
        metrics.ATTEMPTS.labels("unschedulable", profile.name).inc()
        metrics.ATTEMPT_SECONDS.labels("unschedulable", profile.name).observe(self._clock() - started)
        self._on_failure(profile, queued, result)

    def _decide(self, profile: Profile, pod: PodInfo) -> Placed | Failed:
        """Decide with the pods in place that were promised a node and are at least as important."""
        nodes = self.cache.nodes
        promised = [
            (other, row)
            for uid, other in self._nominated_pods.items()
            if uid != pod.uid
            and other.priority >= pod.priority
            and (row := nodes.rows.get(self._nominated.get(uid, ""))) is not None
            and uid not in nodes.pods[row]
        ]
        for other, row in promised:
            nodes.add_pod(other, row)
        try:
            return decide(profile, nodes, pod, self._rng)
        finally:
            for other, row in promised:
                nodes.remove_pod(other, row)

    def _reserve(self, profile: Profile, pod: PodInfo, placed: Placed) -> Failed | None:
        self.cache.assume(pod, placed.node)
        for plugin in profile.reserve:
            refusal = plugin.reserve(placed.state, pod, placed.node)
            if refusal is not None:
                for undo in reversed(profile.reserve):
                    undo.unreserve(placed.state, pod, placed.node)
                self.cache.forget(pod)
                return Failed(", ".join(refusal.reasons), frozenset((plugin.name,)))
        return None

    def _on_failure(self, profile: Profile, queued: QueuedPod, failed: Failed) -> None:
        pod, plan = queued.pod, failed.plan
        log.info("Unable to schedule pod; waiting", pod=pod.key, reason=failed.message)
        self.queue.reject(queued, failed.rejected_by)
        node = plan.node if plan is not None else None
        self._nominate(pod, node)
        self._report(profile, pod, "Unschedulable", failed.message, node)
        if plan is not None and plan.victims:
            self._spawn(evict(self._client, self._recorders[profile.name], pod, plan))

    def _report(self, profile: Profile, pod: PodInfo, reason: str, message: str, node: str | None) -> None:
        self._recorders[profile.name].event(pod.object, "Warning", "FailedScheduling", message)
        self._spawn(report_unschedulable(self._client, pod, reason, message, node))

    def _nominate(self, pod: PodInfo, node: str | None) -> None:
        if node is None:
            self._nominated.pop(pod.uid, None)
            self._nominated_pods.pop(pod.uid, None)
        else:
            self._nominated[pod.uid] = node
            self._nominated_pods[pod.uid] = pod

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _held_back(self, pod: PodInfo) -> tuple[str, Unschedulable] | None:
        for plugin in self.profiles[pod.spec["schedulerName"]].pre_enqueue:
            refusal = plugin.pre_enqueue(pod)
            if refusal is not None:
                return plugin.name, refusal
        return None

    def _hints(self, pod: PodInfo) -> Mapping[str, Events]:
        return self.profiles[pod.spec["schedulerName"]].hints

    def _on_node(self, kind: str, old: Object | None, node: Object) -> None:
        if kind == "DELETED":
            self.cache.remove_node(node["metadata"]["name"])
            return
        for event in self.cache.set_node(node):
            self.queue.on_event(event, old, node)

    def _on_pod(self, kind: str, old: Object | None, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if kind == "DELETED" or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            self.queue.remove(uid)
            self._nominated.pop(uid, None)
            self._nominated_pods.pop(uid, None)
            if self.cache.remove_pod(uid):
                self.queue.on_event(ClusterEvent.POD_DELETED, old, pod)
        elif pod["spec"].get("nodeName"):
            self._on_assigned(uid, old, pod)
        elif pod["spec"].get("schedulerName") in self.profiles:
            self._on_pending(uid, old, pod)

    def _on_assigned(self, uid: str, old: Object | None, pod: Object) -> None:
        was_assigned = old is not None and bool(old["spec"].get("nodeName"))
        if was_assigned and old is not None and old["spec"] == pod["spec"] and self.cache.refresh(uid, pod):
            return  # only its status or metadata changed
        info = PodInfo(pod)
        self.cache.set_pod(info)
        self.queue.remove(uid)
        self._nominate(info, None)
        self.queue.on_event(ClusterEvent.POD_UPDATED if was_assigned else ClusterEvent.POD_ASSIGNED, old, pod)

    def _on_pending(self, uid: str, old: Object | None, pod: Object) -> None:
        info = PodInfo(pod)
        if old is None:
            node = (pod.get("status") or {}).get("nominatedNodeName")
            if node:
                self._nominate(info, node)
            self.queue.add(info)
        else:
            self.queue.update(info, old, matters=_matters(old, pod))


def _matters(old: Object, new: Object) -> bool:
    """Whether a pod changed in what scheduling looks at."""
    return bool(
        old["spec"] != new["spec"]
        or old["metadata"].get("labels") != new["metadata"].get("labels")
        or old["metadata"].get("annotations") != new["metadata"].get("annotations")
    )


def _connect_preemption(profile: Profile) -> None:
    """Preemption tries its victims against the whole profile, which it can know only when that is complete."""

    def check(nodes: NodeTable, pod: PodInfo) -> bool:
        return passes(profile, nodes, pod)

    for plugin in profile.post_filter:
        if isinstance(plugin, DefaultPreemption):
            plugin.passes = check
