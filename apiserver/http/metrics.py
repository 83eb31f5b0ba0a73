"""Request metrics under the official names, counted cheaply.

A request costs one dictionary look-up and three additions; the metric families are put together when somebody
asks for /metrics.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from apiserver.http.request import Request
from component_base.metrics import REGISTRY

BUCKETS = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0,
    30.0, 45.0, 60.0,
)  # fmt: skip
_LABELS = ("verb", "group", "version", "resource", "subresource", "scope", "component")
LONG_RUNNING = frozenset({"watch"})
LONG_RUNNING_SUBRESOURCES = frozenset({"exec", "attach", "portforward", "proxy", "log"})
_Key = tuple[str, str, str, str, str, str]


class _Series:
    __slots__ = ("buckets", "codes", "total")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.codes: dict[int, int] = {}
        self.total = 0.0


class RequestMetrics:
    """Counts finished requests; a collector of the process's registry."""

    def __init__(self) -> None:
        self._series: dict[_Key, _Series] = {}
        self._running: dict[_Key, int] = {}
        REGISTRY.register(self)

    def observe(self, request: Request) -> None:
        """Count a finished request."""
        try:
            route = request.route
        except AttributeError:
            return  # not authenticated: there is no route
        scope = ""
        if route.is_resource:
            scope = "resource" if route.name else "namespace" if route.namespace else "cluster"
        key = (route.verb, route.group, route.version, route.resource, route.subresource, scope)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series()
        seconds = time.perf_counter() - request.started
        if route.verb not in LONG_RUNNING:
            series.buckets[bisect_left(BUCKETS, seconds)] += 1
            series.total += seconds
        codes = series.codes
        codes[request.status] = codes.get(request.status, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """The metric families, as they are now."""
        total = CounterMetricFamily(
            "apiserver_request",
            "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, "
            "component, and HTTP response code.",
            labels=(*_LABELS, "code"),
        )
        durations = HistogramMetricFamily(
            "apiserver_request_duration_seconds",
            "Response latency distribution in seconds for each verb, dry run value, group, version, resource, "
            "subresource, scope and component.",
            labels=_LABELS,
        )
        for key, series in list(self._series.items()):
            verb = {"list": "LIST", "get": "GET", "watch": "WATCH", "create": "POST", "update": "PUT",
                    "patch": "PATCH", "delete": "DELETE", "deletecollection": "DELETECOLLECTION"}.get(
                key[0], key[0].upper())  # fmt: skip
            labels = (verb, *key[1:], "apiserver")
            for code, count in series.codes.items():
                total.add_metric((*labels, str(code)), count)
            if key[0] in LONG_RUNNING:
                continue
            cumulative, buckets = 0, []
            for bound, count in zip((*BUCKETS, None), series.buckets, strict=True):
                cumulative += count
                buckets.append(("+Inf" if bound is None else repr(bound), float(cumulative)))
            durations.add_metric(labels, buckets=buckets, sum_value=series.total)
        yield total
        yield durations
        yield self._longrunning()

    def _longrunning(self) -> Metric:
        running = GaugeMetricFamily(
            "apiserver_longrunning_requests",
            "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope "
            "and component. Not all requests are tracked this way.",
            labels=_LABELS,
        )
        for key, count in list(self._running.items()):
            running.add_metric((key[0].upper(), *key[1:], "apiserver"), count)
        return running

    @contextmanager
    def long_running(self, request: Request) -> Iterator[None]:
        """Count a long-running request while it lasts."""
        route = request.route
        scope = "resource" if route.name else "namespace" if route.namespace else "cluster"
        key = (route.verb, route.group, route.version, route.resource, route.subresource, scope)
        self._running[key] = self._running.get(key, 0) + 1
        try:
            yield
        finally:
            self._running[key] -= 1
