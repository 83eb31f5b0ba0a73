"""The loop around every reconciler: queue, workers, back-off, metrics; written once.

A controller is `reconcile(key)`: read the present state, act so that it comes nearer to the wanted one, return.
It is called again whenever something about the key changed, after `Result.requeue_after`, and after a failure
with growing delays. It must not depend on why it was called.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from apimachinery.errors import StatusError
from component_base.logs import get_logger
from kube_client.errors import ApiUnavailable
from kube_client.metrics import QueueMetrics
from kube_client.workqueue import WorkQueue

OUTAGE_DELAY = 10.0
EXPECTED_RACES = 5
CHEAP, REST_FACTOR, LONGEST_REST = 0.002, 4.0, 0.2

log = get_logger("controller")


@dataclass(frozen=True)
class Result:
    """`requeue_after`: seconds until the key is to be looked at again though nothing changed."""

    requeue_after: float | None = None


def rest(taken: float) -> float:
    """How long a key rests after `taken` seconds of work.

    What changes often and costs much (a Service of a thousand pods that start) is brought up to date in steps,
    so that the cost of a thousand changes is not the square of a thousand. What is cheap is done at once.
    """
    return min(REST_FACTOR * taken, LONGEST_REST) if taken > CHEAP else 0.0


Reconcile = Callable[[str], Awaitable[Result | None]]


class Controller:
    """Runs one reconcile function over a queue of keys. Create it, connect events to `enqueue`, then `run`."""

    def __init__(self, name: str, reconcile: Reconcile, workers: int = 5) -> None:
        self.name = name
        self.queue: WorkQueue[str] = WorkQueue()
        self._reconcile = reconcile
        self._workers = workers
        self._metrics = QueueMetrics(name, self.queue)

    def enqueue(self, key: str) -> None:
        """The key's state may have changed."""
        self._metrics.added()
        self.queue.add(key)

    def enqueue_after(self, key: str, delay: float) -> None:
        """Look at the key again in `delay` seconds."""
        self.queue.add_after(key, delay)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._workers):
                    group.create_task(self._work(), name=f"{self.name} {number}")
        finally:
            self.queue.close()

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            began = time.perf_counter()
            try:
                await self._attempt(key)
            finally:
                taken = time.perf_counter() - began
                self.queue.done(key, rest(taken))
                self._metrics.worked(taken)

    async def _attempt(self, key: str) -> None:
        try:
            result = await self._reconcile(key)
        except ApiUnavailable as error:
            # The informers report the outage once; here every key would.
            log.debug("API server unavailable", controller=self.name, key=key, error=str(error))
            self._retry(key, cap=OUTAGE_DELAY)
        except StatusError as error:
            if not self._is_race(key, error):
                self._report(key, error)
            retry_after = (error.details or {}).get("retryAfterSeconds") or 0
            self._retry(key, floor=float(retry_after))
        except Exception as error:
            if self.queue.failures(key) == 0:
                log.exception("Reconcile failed", controller=self.name, key=key)
            else:
                self._report(key, error)
            self._retry(key)
        else:
            self.queue.forget(key)
            if result is not None and result.requeue_after is not None:
                self.queue.add_after(key, result.requeue_after)

    def _is_race(self, key: str, error: StatusError) -> bool:
        """Ordinary in a world that others change too: the next attempt will see what is."""
        expected = error.code in (404, 409) or error.has_cause("NamespaceTerminating")
        return expected and self.queue.failures(key) < EXPECTED_RACES

    def _retry(self, key: str, floor: float = 0.0, cap: float = float("inf")) -> None:
        self._metrics.retried()
        self.queue.add_after(key, max(floor, min(cap, self.queue.back_off(key))))

    def _report(self, key: str, error: Exception) -> None:
        """The first failure of a key and then ever fewer, so that a lasting fault does not fill the logs."""
        failures = self.queue.failures(key)
        if failures & (failures - 1) == 0:
            log.warning(
                "Reconcile failed, will retry",
                controller=self.name,
                key=key,
                error=str(error),
                failures=failures + 1,
            )
