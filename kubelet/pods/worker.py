"""One task per pod: look, plan, act, report, sleep until something changes.

The worker owns its pod's state and is the only one that acts for it. A request to stop interrupts whatever is
going on; from then on it only ends the pod, reports the end, and lets go of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping

from apimachinery import Object, times
from apimachinery.errors import StatusError
from apimachinery.resources import PODS
from component_base.logs import get_logger
from kube_client.errors import ApiUnavailable
from kubelet.pods import termination, termination_message
from kubelet.pods.actions import Waiting
from kubelet.pods.executor import PodExecutor
from kubelet.pods.plan import CRASH_LOOP, Situation, finished, plan_pod
from kubelet.pods.record import PodRecord
from kubelet.pods.state import ActionFailed, PodState, Stop, grace_period
from kubelet.pods.status import ENGINE_PREFIX, Facts, pod_status
from kubelet.probes.prober import Prober
from kubelet.runtime.types import RuntimeFailure
from kubelet.services import Services
from pod_network.errors import NetworkError

RETRY_SECONDS = 1.0
FORCED_GRACE = 2.0
TERMINAL = ("Succeeded", "Failed")
DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"
log = get_logger("pods")


class PodWorker:
    """`done(uid)` is called when nothing of the pod is left on the node."""

    def __init__(self, services: Services, pod: Object, done: Callable[[str], None]) -> None:
        self._services, self._done = services, done
        self.pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self._wake = asyncio.Event()
        self._stop: Stop | None = None
        self._gone = False
        self._ended = False
        self._stopped = False
        self._action: asyncio.Task[float | None] | None = None
        self._state = PodState(start_time=_start_time(pod))
        self._before = _containers_before(pod)
        self._prober = Prober(services.runtime, self.poke, self._unhealthy, self._first_ip)
        self._executor = PodExecutor(services, pod, self._state, self._prober)
        if services.view.record(self.uid).running_sandbox is not None:
            self._state.pod_ips = tuple(one["ip"] for one in (pod.get("status") or {}).get("podIPs") or ())
            self._watch_probes()
        services.objects.register(pod)
        self._task = asyncio.create_task(self._run(), name=f"pod {pod['metadata']['name']}")

    # -- what others tell --------------------------------------------------------------------------------

    def update(self, pod: Object) -> None:
        """A newer object from the API."""
        if pod["spec"] != self.pod["spec"]:
            self._services.objects.register(pod)
            self._state.volumes_dirty = True
        elif pod["metadata"].get("labels") != self.pod["metadata"].get("labels") or pod["metadata"].get(
            "annotations"
        ) != self.pod["metadata"].get("annotations"):
            self._state.volumes_dirty = True
        self.pod = self._executor.pod = pod
        if pod["metadata"].get("deletionTimestamp"):
            self.stop(Stop(grace_period(pod)))
        self.poke()

    def removed(self) -> None:
        """The object is gone from the API: nobody waits for a long farewell."""
        self._gone = True
        self.stop(Stop(min(grace_period(self.pod), FORCED_GRACE)))

    def stop(self, stop: Stop) -> None:
        """End the pod; a second call may only shorten the grace period."""
        if self._stop is not None and stop.grace_seconds >= self._stop.grace_seconds:
            self.poke()
            return
        first = self._stop is None
        self._stop = Stop(stop.grace_seconds, self._stop.reason, self._stop.message) if self._stop else stop
        if self._action is not None and (first or not self._ended):
            self._action.cancel()
        self.poke()

    def poke(self) -> None:
        """Something may have changed."""
        self._wake.set()

    def sources_changed(self) -> None:
        """A ConfigMap or Secret of the pod has changed."""
        self._state.volumes_dirty = True
        self.poke()

    async def close(self) -> None:
        """The kubelet ends; the containers stay."""
        self._prober.stop()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    # -- the loop ----------------------------------------------------------------------------------------

    async def _run(self) -> None:
        if self.pod["metadata"].get("deletionTimestamp"):
            self._stop = Stop(grace_period(self.pod))
        while True:
            self._wake.clear()
            self._action = asyncio.create_task(self._step())
            try:
                wake_at = await self._action
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    self._action.cancel()
                    raise
                continue  # the action was interrupted by a request to stop
            except Exception as error:
                log.error("Pod worker failed", pod=self.pod["metadata"]["name"], error=error, exc_info=True)
                wake_at = time.time() + RETRY_SECONDS * 10
            finally:
                self._action = None
            if self._stopped:
                self._done(self.uid)
                return
            await self._sleep(wake_at)

    async def _sleep(self, wake_at: float | None) -> None:
        if wake_at is None:
            await self._wake.wait()
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, wake_at - time.time())):
                await self._wake.wait()

    async def _step(self) -> float | None:
        """One round; returns when to look again at the latest."""
        try:
            if self._stop is not None:
                return await self._end(self._stop)
            if (self.pod.get("status") or {}).get("phase") in TERMINAL:
                await self._rest()
                return None
            return await self._sync()
        except ActionFailed as error:
            log.debug("Trying again later", pod=self.pod["metadata"]["name"], reason=str(error))
            self._report()
            return error.retry_at
        except RuntimeFailure as error:
            log.debug(
                "Waiting for the container runtime", pod=self.pod["metadata"]["name"], reason=str(error)
            )
            self._report()
            return time.time() + RETRY_SECONDS

    async def _sync(self) -> float | None:
        deadline = self._deadline()
        if deadline is not None and time.time() >= deadline:
            self._executor.event("Normal", "DeadlineExceeded", DEADLINE_MESSAGE)
            self._stop = Stop(grace_period(self.pod), "DeadlineExceeded", DEADLINE_MESSAGE)
            return time.time()
        record = await self._adopt()
        if not finished(self.pod, record):
            if self._state.volumes is None:
                if record.sandbox is None:
                    self._report()
                await self._executor.set_up_volumes()
            elif self._state.volumes_dirty or self._refresh_due():
                await self._executor.set_up_volumes()
        failed: ActionFailed | None = None
        wake_at: float | None = None
        for _ in range(100):
            plan = plan_pod(self._situation())
            self._take_waiting(plan.waiting)
            wake_at = plan.wake_at
            if not plan.actions:
                break
            failed = None
            for action in plan.actions:
                try:
                    await self._executor.do(action)
                except ActionFailed as error:
                    failed = error
            if failed is not None:
                break
            self._watch_probes()
        record = self._record()
        # A pod that is over is reported once and for all: with the last words of its containers.
        await termination_message.collect(record, self._state, self._services, self._executor.paths)
        self._report(record)
        if finished(self.pod, record):
            await self._rest()
        retry_at = failed.retry_at if failed is not None else None
        times_to_look = (wake_at, deadline, retry_at, self._services.volumes.next_refresh(self.pod))
        return min((when for when in times_to_look if when is not None), default=None)

    def _refresh_due(self) -> bool:
        due = self._services.volumes.next_refresh(self.pod)
        return due is not None and due <= time.time()

    def _deadline(self) -> float | None:
        seconds = self.pod["spec"].get("activeDeadlineSeconds")
        return self._state.start_time + float(seconds) if seconds is not None else None

    async def _adopt(self) -> PodRecord:
        """Connect to what runs already, after a restart of the kubelet or of the network's part."""
        record = self._record()
        sandbox = record.running_sandbox
        if sandbox is not None and self._state.connected != sandbox.id:
            try:
                self._state.pod_ips = await self._executor.connect(sandbox.id)
                await asyncio.to_thread(self._executor.write_name_files, missing_only=True)
                self._state.connected = sandbox.id
            except (NetworkError, OSError) as error:
                raise ActionFailed(str(error), time.time() + RETRY_SECONDS) from error
        self._watch_probes()
        await termination_message.collect(record, self._state, self._services, self._executor.paths)
        for group in record.containers.values():
            for status in group:
                await self._name_image(status.image_id)
        return record

    async def _name_image(self, image_id: str) -> None:
        if image_id and image_id not in self._state.images:
            image = await self._services.runtime.image(image_id)
            self._state.images[image_id] = image.reference if image else f"docker://{image_id}"

    def _situation(self) -> Situation:
        record, restarts = self._record(), self._services.restarts
        backoff = {}
        for name in record.containers:
            current = record.current(name)
            if current is not None and current.state == "exited":
                backoff[name] = restarts.wait(f"{self.uid}/{name}", current.finished_at)
        return Situation(self.pod, record, time.time(), backoff, self._prober.failed, self._prober.started)

    def _take_waiting(self, waiting: Mapping[str, Waiting]) -> None:
        for name in [name for name, old in self._state.waiting.items() if old.reason == CRASH_LOOP]:
            if name not in waiting:
                del self._state.waiting[name]
        for name, reason in waiting.items():
            if self._state.waiting.get(name) != reason:
                label = reason.message.partition(" restarting failed container=")[2].partition(" pod=")[2]
                text = f"Back-off restarting failed container {name} in pod {label}"
                self._executor.event("Warning", "BackOff", text, name)
            self._state.waiting[name] = reason

    def _watch_probes(self) -> None:
        """Probe what runs, forget what has ended. A container whose postStart hook runs is not probed yet."""
        running = {status.id: status for status in self._record().running()}
        for container_id in self._prober.known() - running.keys():
            self._prober.remove(container_id)
        spec = self.pod["spec"]
        by_name = {one["name"]: one for one in [*(spec.get("initContainers") or ()), *spec["containers"]]}
        for container_id, status in running.items():
            if status.name in by_name and status.name not in self._state.hooks_pending:
                started, ready = self._before.get(container_id, (False, False))
                self._prober.add(by_name[status.name], status, was_started=started, was_ready=ready)

    # -- the end -----------------------------------------------------------------------------------------

    async def _end(self, stop: Stop) -> float | None:
        """Stop what runs, report, and when the object is to go: clean up and delete it."""
        record = self._record()
        self._prober.stop(readiness=False)
        if record.running():
            await termination.stop_containers(self._executor, record, stop.grace_seconds)
            record = self._record()
            if record.running():
                return time.time() + RETRY_SECONDS
        self._ended = True
        self._prober.stop()
        await termination_message.collect(record, self._state, self._services, self._executor.paths)
        self._report(record, over=True)
        for sandbox in record.sandboxes:
            if sandbox.state == "running":
                await self._executor.stop_sandbox(sandbox.id)
        if not self._leaving():
            return None
        await self._let_go()
        return None

    def _leaving(self) -> bool:
        return self._gone or bool(self.pod["metadata"].get("deletionTimestamp"))

    async def _let_go(self) -> None:
        """Status, volumes, the API object, the containers: in this order, so that a kill at any point continues."""
        services = self._services
        if not self._gone:
            await services.status.flush(self.uid)
        await self._tear_down_volumes()
        if not self._gone:
            await self._delete_object()
        for status in self._record().everything():
            await self._executor.remove(status.id)
        await asyncio.to_thread(self._executor.forget_cgroup)
        services.restarts.forget(self.uid)
        services.images.forget(self.uid)
        await services.objects.release(self.uid)
        self._stopped = True

    async def _rest(self) -> None:
        """A pod that is over but stays in the API keeps its ended containers and nothing else."""
        record = self._record()
        if record.running():  # somebody else has declared it failed
            await termination.stop_containers(self._executor, record, grace_period(self.pod))
            record = self._record()
        for sandbox in record.sandboxes:
            if sandbox.state == "running" and not record.running():
                await self._executor.stop_sandbox(sandbox.id)
        await self._tear_down_volumes()

    async def _tear_down_volumes(self) -> None:
        try:
            await self._services.volumes.tear_down(self.uid)
            self._state.volumes = None
        except OSError as error:
            self._executor.event("Warning", "FailedUnMount", f"UnmountVolume.TearDown failed: {error}")
            raise ActionFailed(str(error), time.time() + RETRY_SECONDS * 5) from error

    async def _delete_object(self) -> None:
        metadata = self.pod["metadata"]
        try:
            await self._services.client.delete(
                PODS, metadata["name"], metadata["namespace"], 0, preconditions={"uid": self.uid}
            )
        except StatusError as error:
            if error.code not in (404, 409):
                raise ActionFailed(str(error), time.time() + RETRY_SECONDS) from error
        except ApiUnavailable as error:
            raise ActionFailed(str(error), time.time() + RETRY_SECONDS) from error

    # -- reports -----------------------------------------------------------------------------------------

    def _record(self) -> PodRecord:
        return self._services.view.record(self.uid)

    def _report(self, record: PodRecord | None = None, over: bool = False) -> None:
        if self._gone:
            return
        stop = self._stop
        facts = Facts(
            start_time=self._state.start_time,
            host_ips=self._services.node_ips,
            pod_ips=self._state.pod_ips,
            waiting=self._state.waiting,
            started=self._prober.started,
            ready=self._prober.ready,
            messages=self._state.messages,
            images=self._state.images,
            over=over,
            failed=bool(stop and stop.reason),
            reason=stop.reason if stop else "",
            message=stop.message if stop else "",
        )
        self._services.status.set(self.pod, pod_status(self.pod, record or self._record(), facts))

    def _unhealthy(self, container: str, text: str) -> None:
        self._executor.event("Warning", "Unhealthy", text, container)

    def _first_ip(self) -> str:
        return self._state.pod_ips[0] if self._state.pod_ips else ""


def _start_time(pod: Object) -> float:
    written = (pod.get("status") or {}).get("startTime")
    return times.parse(written) if written else time.time()


def _containers_before(pod: Object) -> dict[str, tuple[bool, bool]]:
    """(started, ready) by container id, as the pod's status says."""
    status = pod.get("status") or {}
    shown = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return {
        one["containerID"].removeprefix(ENGINE_PREFIX): (bool(one.get("started")), bool(one.get("ready")))
        for one in shown
        if one.get("containerID")
    }
