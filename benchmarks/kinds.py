"""`bench kinds`: what the rules of a Pod cost on its way in and out — defaults, validation, the row of a table.

The limit is what the quickest JSON parser needs for the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson

from apimachinery.meta import deep_copy
from apimachinery.resources import PODS
from apiserver.registry.settings import Settings
from apiserver.registry.strategy import RequestContext, User, load
from benchmarks._report import Report
from benchmarks.schema import pod

ROUNDS = 5
TIMES = 1000


def microseconds(prepare: Callable[[int], Any], work: Callable[[Any], Any]) -> float:
    """The best of some rounds, per call, of `work` on each value that `prepare` made, in CPU time."""
    best = float("inf")
    for _ in range(ROUNDS):
        values = [prepare(i) for i in range(TIMES)]
        begin = time.process_time()
        for value in values:
            work(value)
        best = min(best, time.process_time() - begin)
    return best / TIMES * 1e6


def run() -> Report:
    """Measure."""
    report = Report("rules of a Pod of 2.5 KB, per call")
    rules = load(Settings())[PODS]
    raw = orjson.dumps(pod())
    limit = microseconds(lambda i: raw, orjson.loads)

    def incoming(i: int) -> Any:
        obj = deep_copy(orjson.loads(raw))
        obj["metadata"]["name"] = f"web-{i}"
        return obj

    def complete(i: int) -> Any:
        obj = incoming(i)
        rules.default(obj)
        ctx = RequestContext(User("bench"), "create", PODS, "", "default", f"web-{i}", "2026-01-01T00:00:00Z")
        rules.prepare_for_create(obj, ctx)
        return obj

    def different(i: int) -> Any:
        obj = complete(i)
        for container in obj["spec"]["containers"]:
            container["image"] = f"image:{time.monotonic_ns()}"
        return obj

    report.add("defaults", microseconds(incoming, rules.default), "µs", limit=limit, aim="≤ 15 µs")
    report.add(
        "validate, containers seen before",
        microseconds(complete, rules.validate),
        "µs",
        limit=limit,
        aim="≤ 60 µs",
    )
    report.add("validate, containers never seen", microseconds(different, rules.validate), "µs", limit=limit)
    report.add(
        "validate an update without a change",
        microseconds(lambda i: (complete(i), complete(i)), lambda pair: rules.validate_update(*pair)),
        "µs",
        limit=limit,
    )
    report.add("selectable fields", microseconds(complete, rules.selectable_fields), "µs", limit=limit)
    report.add("table row", microseconds(complete, rules.row), "µs", limit=limit)
    return report


if __name__ == "__main__":
    run().print()
