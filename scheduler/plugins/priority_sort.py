"""PrioritySort: pods of higher priority first, among equals the one that has waited longest."""

from __future__ import annotations

from scheduler.framework.interface import QueueSortPlugin
from scheduler.pod_info import PodInfo


class PrioritySort(QueueSortPlugin):
    """Serves QueueSort."""

    name = "PrioritySort"

    def sort_key(self, pod: PodInfo, queued_at: float) -> tuple[int, float]:
        return -pod.priority, queued_at
