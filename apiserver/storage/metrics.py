"""The storage's metrics under their official names, gathered when somebody scrapes.

The hot paths only count in plain integers; prometheus objects are made at scrape time, because a histogram
observation there costs as much as a cache hit.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from apiserver.storage.cache import ResourceCache

_BUCKETS: Final = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
)  # fmt: skip
_LABELS: Final = ("operation", "resource")


class _Latency:
    __slots__ = ("buckets", "failed", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(_BUCKETS) + 1)
        self.seconds = 0.0
        self.failed = 0


class StorageMetrics(Collector):
    """Collects from the caches and from `observe`, which the etcd client calls after each request."""

    def __init__(self, caches: Sequence[ResourceCache], revision: Callable[[], int]) -> None:
        self._caches = caches
        self._revision = revision
        self._requests: dict[tuple[str, str], _Latency] = {}

    def observe(self, operation: str, resource: str, seconds: float, failed: bool) -> None:
        """Count one request to etcd."""
        latency = self._requests.get((operation, resource))
        if latency is None:
            latency = self._requests[operation, resource] = _Latency()
        latency.buckets[bisect_left(_BUCKETS, seconds)] += 1
        latency.seconds += seconds
        latency.failed += failed

    def collect(self) -> Iterable[Metric]:
        """Return all metric families."""
        yield from self._etcd()
        yield from self._objects()
        yield from self._watches()

    def _etcd(self) -> Iterable[Metric]:
        durations = HistogramMetricFamily(
            "etcd_request_duration_seconds",
            "Etcd request latency in seconds for each operation and object type.",
            labels=_LABELS,
        )
        requests = CounterMetricFamily(
            "etcd_requests", "Etcd request counts for each operation and object type.", labels=_LABELS
        )
        failures = CounterMetricFamily(
            "etcd_request_errors",
            "Etcd failed request counts for each operation and object type.",
            labels=_LABELS,
        )
        for labels, latency in self._requests.items():
            total, buckets = 0, []
            for bound, count in zip((*_BUCKETS, "+Inf"), latency.buckets, strict=True):
                total += count
                buckets.append((str(bound), float(total)))
            durations.add_metric(labels, buckets, latency.seconds)
            requests.add_metric(labels, total)
            failures.add_metric(labels, latency.failed)
        yield from (durations, requests, failures)

    def _objects(self) -> Iterable[Metric]:
        objects = GaugeMetricFamily(
            "apiserver_storage_objects", "Number of stored objects, split by kind.", labels=("resource",)
        )
        by_group = GaugeMetricFamily(
            "apiserver_resource_objects",
            "Number of stored objects, split by kind.",
            labels=("group", "resource"),
        )
        for cache in self._caches:
            name = f"{cache.resource}.{cache.group}" if cache.group else cache.resource
            objects.add_metric((name,), len(cache.entries))
            by_group.add_metric((cache.group, cache.resource), len(cache.entries))
        yield from (objects, by_group)

    def _watches(self) -> Iterable[Metric]:
        labels = ("group", "resource")
        families: list[tuple[CounterMetricFamily | GaugeMetricFamily, Callable[[ResourceCache], int]]] = [
            (
                CounterMetricFamily(
                    "apiserver_watch_cache_events_received",
                    "Events received by the watch cache.",
                    labels=labels,
                ),
                lambda cache: cache.received,
            ),
            (
                CounterMetricFamily(
                    "apiserver_watch_cache_events_dispatched", "Events dispatched to watchers.", labels=labels
                ),
                lambda cache: cache.hub.dispatched,
            ),
            (
                CounterMetricFamily(
                    "apiserver_watch_cache_initializations", "Loads of the watch cache.", labels=labels
                ),
                lambda cache: cache.loads,
            ),
            (
                CounterMetricFamily(
                    "apiserver_terminated_watchers",
                    "Watchers ended because they were too slow.",
                    labels=labels,
                ),
                lambda cache: cache.hub.terminated,
            ),
            (
                GaugeMetricFamily(
                    "apiserver_watch_cache_capacity", "Events that the watch cache holds.", labels=labels
                ),
                lambda cache: cache.capacity,
            ),
            (
                GaugeMetricFamily(
                    "apiserver_watch_cache_resource_version", "Revision of the watch cache.", labels=labels
                ),
                lambda cache: self._revision(),
            ),
            (
                GaugeMetricFamily("apiserver_registered_watchers", "Watchers of a resource.", labels=labels),
                lambda cache: cache.hub.watchers,
            ),
        ]
        for family, value in families:
            for cache in self._caches:
                family.add_metric((cache.group, cache.resource), value(cache))
            yield family
