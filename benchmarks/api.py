"""`bench api`: processor time of one API server per request, over TLS and 32 connections, beside limits of the run.

A limit is a plain-ASGI handler on the same TLS server stack that does only what cannot be left out
(`_limit_server.py`). Ours and the limit take turns, and the median of the rounds counts: other work on the
machine then disturbs both alike.
Paths to measure may be named: get create list watch.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import uvloop

from benchmarks._load import Load, request
from benchmarks._objects import config_map, pod, small_pod
from benchmarks._report import Report, cpu_seconds, resident_mib
from tests.harness.control_plane import ControlPlane
from tests.harness.processes import Process, free_port

TOKEN = base64.urlsafe_b64encode(b"benchmark" * 3).decode()
PODS, WATCHERS, CONNECTIONS, ROUNDS = 10_000, 500, 32, 3
GETS, CREATES, LISTS, EVENTS = 4_000, 1_500, 5, 2_000
NAMESPACE = "bench"
PODS_PATH = f"/api/v1/namespaces/{NAMESPACE}/pods"
CREATE_AIM = "≤ 3.5 ×, ≤ 345 µs"
MAPS_PATH = f"/api/v1/namespaces/{NAMESPACE}/configmaps"


class Servers:
    """The API server and the limits, each with its load generator."""

    def __init__(self, plane: ControlPlane, limit: Process, limit_port: int) -> None:
        ca = str(plane.ca_file)
        self.plane, self.pid = plane, plane.api_server.pid
        self.ours = Load(plane.port, ca, self.pid, CONNECTIONS)
        self.limit = Load(limit_port, ca, limit.pid, CONNECTIONS)
        self.made = 0

    async def ask(self, method: str, path: str, body: Any = None, load: Load | None = None) -> None:
        """One request whose answer must be a success."""
        raw = body if isinstance(body, bytes) else orjson.dumps(body) if body is not None else b""
        result = await (load or self.ours).run(lambda _: request(method, path, TOKEN, raw), 1)
        if result.errors:
            raise RuntimeError(f"{method} {path} failed")

    def names(self) -> Callable[[int], str]:
        """Names that no run before this one used."""
        self.made += 1
        return lambda number, run=self.made: f"object-{run:03}-{number:05}"  # type: ignore[misc]


@contextmanager
def servers() -> Iterator[Servers]:
    """etcd, the API server and the limit server, all of them processes of their own."""
    with tempfile.TemporaryDirectory(prefix="skiff-bench-") as name:
        directory = Path(name)
        tokens = directory / "tokens.csv"
        tokens.write_text(f'{TOKEN},bench,1,"system:masters"\n')
        with ControlPlane(directory, [f"--token-auth-file={tokens}"]) as plane:
            port = free_port()
            pki = plane.pki
            flags = [str(port), str(pki / "apiserver.crt"), str(pki / "apiserver.key"), plane.etcd.url]
            limit = Process.module("benchmarks._limit_server", flags, directory / "limit.log")
            limit.start()
            try:
                limit.wait_healthy(f"https://127.0.0.1:{port}/healthz", plane.ca_file)
                yield Servers(plane, limit, port)
            finally:
                limit.stop()


async def in_turns(rounds: int, *runs: Callable[[], Awaitable[float]]) -> list[float]:
    """The median of each run's figures, over rounds in which every run has its turn; the first round warms up."""
    figures: list[list[float]] = [[] for _ in runs]
    for number in range(rounds + 1):
        for run, found in zip(runs, figures, strict=True):
            figure = await run()
            if number:
                found.append(figure)
    return [statistics.median(found) for found in figures]


def repeated(load: Load, raw: bytes, count: int) -> Callable[[], Awaitable[float]]:
    """A run of `count` equal requests; its figure is microseconds of server CPU for one."""

    async def run() -> float:
        return (await load.run(lambda _: raw, count)).checked().cpu_micros

    return run


def creating(
    servers: Servers, path: str, make: Callable[[str, str], Any], count: int
) -> Callable[[], Awaitable[float]]:
    """A run of `count` creates of fresh objects."""

    async def run() -> float:
        name = servers.names()
        bodies = [request("POST", path, TOKEN, orjson.dumps(make(name(n), NAMESPACE))) for n in range(count)]
        return (await servers.ours.run(bodies.__getitem__, count)).checked().cpu_micros

    return run


async def prepare(servers: Servers) -> None:
    """What pods need before they can be created."""
    await servers.ask("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    account = {"metadata": {"name": "default", "namespace": NAMESPACE}}
    await servers.ask("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", account)
    for path, make, name in (
        (MAPS_PATH, config_map, "configmap"),
        (PODS_PATH, small_pod, "pod"),
        (PODS_PATH, pod, "large-pod"),
    ):
        await servers.ask("POST", path, make(name, NAMESPACE))
    stored = await fetch(servers, f"{MAPS_PATH}/configmap")
    await servers.ask("POST", "/object", stored, servers.limit)


async def fetch(servers: Servers, path: str) -> bytes:
    """The body of one answer."""
    return await servers.ours.fetch(request("GET", path, TOKEN))


async def gets(servers: Servers, report: Report) -> None:
    """Consistent GET of a ConfigMap, beside sending the same bytes."""
    size = len(await fetch(servers, f"{MAPS_PATH}/configmap"))
    ours, limit = await in_turns(
        ROUNDS,
        repeated(servers.ours, request("GET", f"{MAPS_PATH}/configmap", TOKEN), GETS),
        repeated(servers.limit, request("GET", "/object", TOKEN), GETS),
    )
    report.add(f"consistent GET, {size:,} bytes", ours, "µs", limit=limit, aim="≤ 2 ×, ≤ 99 µs")


async def creates(servers: Servers, report: Report) -> None:
    """Creates, beside parsing an object as it is stored and one bare transaction with it."""
    for what, path, make, aim in (
        ("ConfigMap", MAPS_PATH, config_map, CREATE_AIM),
        ("Pod", PODS_PATH, small_pod, CREATE_AIM),
        ("large Pod", PODS_PATH, pod, ""),
    ):
        body = orjson.dumps(make("object-000-00000", NAMESPACE))
        stored = await fetch(servers, f"{path}/{what.lower().replace(' ', '-')}")
        ours, limit = await in_turns(
            ROUNDS,
            creating(servers, path, make, CREATES),
            repeated(servers.limit, request("POST", "/txn", TOKEN, stored), CREATES),
        )
        what = f"create a {what}, {len(body):,} bytes, stored {len(stored):,}"
        report.add(what, ours, "µs", limit=limit, aim=aim)
        await clear(servers, path)


async def clear(servers: Servers, path: str) -> None:
    """Delete what was made."""
    items = orjson.loads(await fetch(servers, path))["items"]
    names = [item["metadata"]["name"] for item in items if item["metadata"]["name"].startswith("object-")]
    raw = [request("DELETE", f"{path}/{name}?gracePeriodSeconds=0", TOKEN) for name in names]
    (await servers.ours.run(raw.__getitem__, len(raw))).checked()


async def lists(servers: Servers, report: Report) -> None:
    """LIST of all pods, beside joining and sending the same bytes."""
    have = len(orjson.loads(await fetch(servers, PODS_PATH))["items"])
    if have < PODS:
        await creating(servers, PODS_PATH, small_pod, PODS - have)()
    body = orjson.loads(await fetch(servers, PODS_PATH))["items"]
    have = len(body)
    parts = b"\n".join(orjson.dumps(item) for item in body)
    for start in range(0, len(parts), 1 << 22):  # in pieces that are no strain for anybody
        await servers.ask("POST", "/parts", parts[start : start + (1 << 22)], servers.limit)
    ours, limit = await in_turns(
        ROUNDS,
        repeated(servers.ours, request("GET", PODS_PATH, TOKEN), LISTS),
        repeated(servers.limit, request("GET", "/list", TOKEN), LISTS),
    )
    report.add(
        f"LIST of {have:,} pods, {len(parts) / 1e6:.0f} MB", ours / 1e3, "ms", limit=limit / 1e3,
        aim=f"≤ 3 ×, ≤ {17 * have / 7500:.0f} ms",
    )  # fmt: skip


async def watches(servers: Servers, report: Report) -> None:
    """Creates under load with many watchers: all that the server does, divided by the events delivered."""
    listed = orjson.loads(await fetch(servers, f"{MAPS_PATH}?limit=1"))
    since = listed["metadata"]["resourceVersion"]
    with watchers(servers, f"{MAPS_PATH}?watch=1&resourceVersion={since}") as told:
        figures = []
        seen = 0
        for number in range(ROUNDS + 1):
            name = servers.names()
            bodies = [
                request("POST", MAPS_PATH, TOKEN, orjson.dumps(config_map(name(n), NAMESPACE)))
                for n in range(EVENTS)
            ]
            before = cpu_seconds(servers.pid)
            (await servers.ours.run(bodies.__getitem__, EVENTS)).checked()
            seen += EVENTS
            await asyncio.to_thread(told, seen)
            if number:
                figures.append((cpu_seconds(servers.pid) - before) / (EVENTS * WATCHERS) * 1e6)
            await clear(servers, MAPS_PATH)
            seen += EVENTS  # the deletions
        report.add(f"an event to {WATCHERS} watchers", statistics.median(figures), "µs", aim="≤ 5 µs")
        await asyncio.sleep(1)
        report.add(
            f"resident, {PODS:,} pods and {WATCHERS} watchers",
            resident_mib(servers.pid),
            "MiB",
            aim="≤ 204 MiB",
        )


@contextmanager
def watchers(servers: Servers, path: str) -> Iterator[Callable[[int], None]]:
    """Watch streams that only get what is new; yields a function that waits until each has so many events."""
    command = [
        sys.executable,
        "-m",
        "benchmarks._watchers",
        str(servers.plane.port),
        str(servers.plane.ca_file),
    ]
    command += [TOKEN, path, str(WATCHERS)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdin is not None and child.stdout is not None
    talk_in, talk_out = child.stdin, child.stdout

    def told(expected: int) -> None:
        print(expected, file=talk_in, flush=True)
        if not talk_out.readline().startswith("seen"):
            raise RuntimeError("the watchers have ended")

    try:
        if talk_out.readline() != "open\n":
            raise RuntimeError("the watchers could not start")
        yield told
    finally:
        child.kill()
        child.wait()


PATHS = {"get": gets, "create": creates, "list": lists, "watch": watches}


async def measure(paths: list[str]) -> Report:
    """Measure the paths in order."""
    report = Report("api: server CPU per request, one process, TLS, bearer token, 32 connections")
    with servers() as both:
        await prepare(both)
        report.add("resident at the start", resident_mib(both.pid), "MiB")
        for path in paths:
            await PATHS[path](both, report)
    return report


def main() -> None:
    """Measure what the command line names, by default everything."""
    parser = argparse.ArgumentParser(prog="bench api", description=__doc__)
    parser.add_argument("paths", nargs="*", help="what to measure; everything by default")
    chosen = parser.parse_args().paths or list(PATHS)
    uvloop.run(measure(chosen)).print()


if __name__ == "__main__":
    main()
