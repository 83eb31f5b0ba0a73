"""The process's Prometheus registry and the helpers with which the daemons declare official metrics.

One registry per process, nothing from libraries unless asked for; metric names and labels are the official
Kubernetes ones, given by the callers.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry(auto_describe=False)
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)


def counter(name: str, help_text: str, labels: Sequence[str] = ()) -> Counter:
    """A counter; `name` without or with its `_total` suffix exports as `…_total`."""
    return Counter(name, help_text, labels, registry=REGISTRY)


def gauge(name: str, help_text: str, labels: Sequence[str] = ()) -> Gauge:
    """A gauge under exactly this name."""
    return Gauge(name, help_text, labels, registry=REGISTRY)


def histogram(
    name: str, help_text: str, labels: Sequence[str] = (), buckets: Sequence[float] = DURATION_BUCKETS
) -> Histogram:
    """A histogram; durations are in seconds unless the official name says otherwise."""
    return Histogram(name, help_text, labels, registry=REGISTRY, buckets=tuple(buckets))


def exponential_buckets(start: float, factor: float, count: int) -> tuple[float, ...]:
    """`count` bucket bounds: start, start * factor, start * factor² …"""
    return tuple(start * factor**index for index in range(count))


def build_info(version: str) -> None:
    """Export `kubernetes_build_info` once for this process."""
    labels = ("git_version", "major", "minor", "platform")
    major, minor = version.lstrip("v").split(".")[:2]
    platform_name = (
        f"linux/{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(platform.machine(), platform.machine()) }"
    )
    gauge("kubernetes_build_info", "A metric with a constant '1' value labeled by version.", labels).labels(
        version, major, minor, platform_name
    ).set(1)


def metrics_response() -> tuple[bytes, str]:
    """The registry's text exposition and its content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE
