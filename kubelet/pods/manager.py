"""Turns the pods that the API server binds to this node into workers, and finds what belongs to no pod.

Level-triggered: events only say where to look. What runs without a pod in the API is stopped and removed, but only
once both the API and the runtime have been seen completely.
"""

from __future__ import annotations

import asyncio

from apimachinery import Object
from component_base.logs import get_logger
from kube_client.informer import Informer
from kubelet.paths import pod_uids
from kubelet.pods.worker import FORCED_GRACE, PodWorker
from kubelet.runtime.types import GRACE_PERIOD, RuntimeFailure
from kubelet.services import Services

SWEEP_SECONDS = 60.0
log = get_logger("pods")


class PodManager:
    """All workers by pod uid."""

    def __init__(self, services: Services, pods: Informer) -> None:
        self._services, self._pods = services, pods
        self._workers: dict[str, PodWorker] = {}
        self._orphans: dict[str, asyncio.Task[None]] = {}
        self._running = False

    def __len__(self) -> int:
        return len(self._workers)

    def pods(self) -> list[Object]:
        """The pods of this node."""
        return [worker.pod for worker in self._workers.values()]

    def find(self, namespace: str, name: str) -> Object | None:
        """A pod by name; of two with one name the one that is not ending."""
        found = [
            pod
            for pod in self.pods()
            if pod["metadata"]["name"] == name and pod["metadata"]["namespace"] == namespace
        ]
        return min(found, key=lambda pod: bool(pod["metadata"].get("deletionTimestamp")), default=None)

    async def run(self) -> None:
        """Work until cancelled; then the workers end and the containers stay."""
        await self._pods.wait_synced()
        await self._services.view.wait_synced()
        self._running = True
        self._pods.add_handler(self._on_pod)
        try:
            while True:
                await self._sweep()
                await asyncio.sleep(SWEEP_SECONDS)
        finally:
            self._running = False
            for task in self._orphans.values():
                task.cancel()
            await asyncio.gather(*(worker.close() for worker in self._workers.values()))

    def poke(self, uid: str) -> None:
        """The runtime has news about a pod."""
        worker = self._workers.get(uid)
        if worker is not None:
            worker.poke()

    def poke_all(self) -> None:
        """Something that concerns every pod has changed (the network has come)."""
        for worker in self._workers.values():
            worker.poke()

    def sources_changed(self, uids: set[str]) -> None:
        """ConfigMaps or Secrets of these pods have changed."""
        for uid in uids:
            if worker := self._workers.get(uid):
                worker.sources_changed()

    def _on_pod(self, kind: str, _old: Object | None, pod: Object) -> None:
        if not self._running:
            return
        uid = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if kind == "DELETED":
            if worker is not None:
                worker.removed()
            return
        if worker is not None:
            worker.update(pod)
        elif uid not in self._orphans:
            self._workers[uid] = PodWorker(self._services, pod, self._done)

    def _done(self, uid: str) -> None:
        self._workers.pop(uid, None)

    async def _sweep(self) -> None:
        """Stop and remove what no pod of the API accounts for."""
        wanted = {pod["metadata"]["uid"] for pod in self._pods.list()}
        services = self._services
        known = wanted | self._workers.keys() | self._orphans.keys()
        for uid in (services.view.uids() | set(await asyncio.to_thread(pod_uids, services.root))) - known:
            log.info("Removing a pod that is gone from the API", uid=uid)
            self._orphans[uid] = asyncio.create_task(self._remove_orphan(uid), name=f"orphan {uid}")

    async def _remove_orphan(self, uid: str) -> None:
        services = self._services
        try:
            record = services.view.record(uid)
            await asyncio.gather(
                *(
                    services.runtime.stop(status.id, _grace(status.labels.get(GRACE_PERIOD, "")))
                    for status in record.running()
                )
            )
            for sandbox in record.sandboxes:
                if services.network is not None:
                    await services.network.teardown_pod(sandbox.id)
            for status in record.everything():
                await services.runtime.remove(status.id)
                services.view.forget(status.id)
            await services.volumes.tear_down(uid)
        except (RuntimeFailure, OSError) as error:
            log.warning("Orphan not removed yet", uid=uid, error=str(error))
        finally:
            self._orphans.pop(uid, None)


def _grace(text: str) -> float:
    """Whoever deletes a pod without waiting for its node gets a short farewell."""
    return min(float(text), FORCED_GRACE) if text.isdigit() else FORCED_GRACE
