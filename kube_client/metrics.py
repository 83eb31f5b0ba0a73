"""The official work-queue and leader-election metrics, shared by all controllers of a process."""

from __future__ import annotations

from collections.abc import Sized

from component_base import metrics

_BUCKETS = metrics.exponential_buckets(10e-9, 10, 10)
_ADDS = metrics.counter("workqueue_adds_total", "Total number of adds handled by workqueue", ["name"])
_DEPTH = metrics.gauge("workqueue_depth", "Current depth of workqueue", ["name"])
_RETRIES = metrics.counter(
    "workqueue_retries_total", "Total number of retries handled by workqueue", ["name"]
)
_WORK = metrics.histogram(
    "workqueue_work_duration_seconds",
    "How long in seconds processing an item from workqueue takes.",
    ["name"],
    _BUCKETS,
)
LEADER = metrics.gauge(
    "leader_election_master_status",
    "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master.",
    ["name"],
)


class QueueMetrics:
    """The metrics of one named queue."""

    def __init__(self, name: str, queue: Sized) -> None:
        self._adds, self._retries = _ADDS.labels(name), _RETRIES.labels(name)
        self._work = _WORK.labels(name)
        _DEPTH.labels(name).set_function(lambda: len(queue))

    def added(self) -> None:
        """Something was put into the queue."""
        self._adds.inc()

    def retried(self) -> None:
        """A key failed and will come back."""
        self._retries.inc()

    def worked(self, seconds: float) -> None:
        """A key was worked on for so long."""
        self._work.observe(seconds)
