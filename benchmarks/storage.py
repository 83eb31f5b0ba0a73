"""`bench storage`: the storage alone, in this process, on an etcd of its own. CPU of this process per operation.

Limits: a create beside encoding nothing and making one bare etcd transaction of the same bytes; a list beside
joining the bytes that it consists of; an event to many watchers beside calling that many sinks.
"""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from apimachinery import Object
from apimachinery.selectors import FieldSelector, LabelSelector
from apiserver.storage import Batch, Etcd, ResourceStore, Store, codec
from apiserver.storage.etcd import rpc
from benchmarks._report import Report, resident_mib

PORT = 23888
PODS, WATCHERS, IN_FLIGHT = 10_000, 500, 32


def pod(number: int) -> Object:
    """A pod of about 2.5 KB."""
    container = {
        "name": "main", "image": "registry.example.com/team/application:1.2.3", "imagePullPolicy": "IfNotPresent",
        "env": [{"name": f"VARIABLE_{n}", "value": f"the value of variable {n}"} for n in range(20)],
        "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
    }  # fmt: skip
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": f"pod-{number:05}", "namespace": f"ns-{number % 10}",
            "uid": f"00000000-0000-4000-8000-{number:012}", "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"app": f"app-{number % 100}", "pod-template-hash": f"{number % 100:010}"},
        },
        "spec": {
            "containers": [container], "nodeName": f"node-{number % 100}", "restartPolicy": "Always",
            "serviceAccountName": "default", "schedulerName": "default-scheduler", "dnsPolicy": "ClusterFirst",
            "tolerations": [
                {"effect": "NoExecute", "key": f"node.kubernetes.io/{why}", "operator": "Exists",
                 "tolerationSeconds": 300} for why in ("not-ready", "unreachable")
            ],
        },
        "status": {
            "phase": "Running", "podIP": f"10.244.{number % 250}.{number // 250}", "qosClass": "Burstable",
            "conditions": [
                {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": "2026-01-01T00:00:00Z"}
                for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
            ],
        },
    }  # fmt: skip


def fields(obj: Object) -> dict[str, str]:
    """The selectable fields of a pod."""
    spec, status = obj["spec"], obj["status"]
    return {
        "spec.nodeName": spec["nodeName"], "spec.restartPolicy": spec["restartPolicy"],
        "spec.schedulerName": spec["schedulerName"], "spec.serviceAccountName": spec["serviceAccountName"],
        "status.phase": status["phase"], "status.podIP": status["podIP"],
    }  # fmt: skip


async def cpu_each(count: int, act: Callable[[int], Awaitable[Any]]) -> float:
    """Return CPU microseconds per call, with IN_FLIGHT calls at a time."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await act(number)

    began = time.process_time()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return (time.process_time() - began) / count * 1e6


def best(act: Callable[[], Any], times: int = 15) -> float:
    """Return the shortest of some calls, in microseconds."""
    shortest = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        act()
        shortest = min(shortest, time.perf_counter() - began)
    return shortest * 1e6


@asynccontextmanager
async def storage() -> AsyncIterator[tuple[Store, ResourceStore, int]]:
    """A store with an etcd of its own; also that etcd's process id."""
    url, peer = f"http://127.0.0.1:{PORT}", f"http://127.0.0.1:{PORT + 1}"
    with tempfile.TemporaryDirectory() as directory:
        command = [
            "etcd",
            "--data-dir",
            directory,
            "--listen-client-urls",
            url,
            "--advertise-client-urls",
            url,
        ]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--log-level", "error"]
        command += ["--initial-cluster", f"default={peer}"]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: ASYNC220 - before the clock starts
        store = Store(Etcd([url]))
        pods = store.resource("", "pods", True, fields=fields, kind="Pod")
        try:
            await store.start()
            yield store, pods, process.pid
        finally:
            await store.stop()
            process.kill()
            process.wait()


async def writes(report: Report, store: Store, pods: ResourceStore) -> None:
    """Transactions and creates; leaves PODS pods behind."""
    value = codec.encode(pod(0))

    async def bare(number: int) -> None:
        request = rpc.TxnRequest()
        key = b"/bare/%d" % number
        request.compare.add(target=rpc.Compare.MOD, key=key, mod_revision=0)
        put = request.success.add().request_put
        put.key, put.value = key, value
        await store.etcd.txn(request)

    objects = [pod(number) for number in range(PODS)]
    limit = await cpu_each(4000, bare)
    gc.collect()
    before = resident_mib(os.getpid())

    async def create(number: int) -> None:
        metadata = objects[number]["metadata"]
        await pods.create(metadata["namespace"], metadata["name"], objects[number])

    each = await cpu_each(PODS, create)
    gc.collect()
    report.add("etcd transaction and its watch event, lean client", limit, "µs")
    report.add("create", each, "µs", limit=limit, aim="≤ 2 ×")
    report.add(f"memory of {PODS:,} pods of {len(value):,} bytes", resident_mib(os.getpid()) - before, "MiB")


async def reads(report: Report, pods: ResourceStore) -> None:
    """GET and LIST."""

    async def get(number: int) -> None:
        (await pods.get(f"ns-{number % 10}", f"pod-{number:05}")).encoded()

    async def cached(number: int) -> None:
        (await pods.get(f"ns-{number % 10}", f"pod-{number:05}", resource_version="0")).encoded()

    report.add("consistent GET, 32 in flight", await cpu_each(PODS, get), "µs")
    report.add('GET at resourceVersion "0"', await cpu_each(PODS, cached), "µs")
    bodies = [entry.body for entry in (await pods.list(resource_version="0")).entries]
    limit = best(lambda: b",".join(bodies))

    def listing() -> None:
        page = pods.list(resource_version="0")
        try:
            page.send(None)
        except StopIteration as stop:
            stop.value.document(b'{"items":[', b"]}")

    report.add(f"LIST of {PODS:,}", best(listing), "µs", limit=limit, aim="≤ 3 ×")
    label, field = LabelSelector.parse("app=app-7"), FieldSelector.parse("spec.nodeName=node-7")
    pods.select(label_selector=label), pods.select(field_selector=field)
    report.add("100 of them by label", best(lambda: pods.select(label_selector=label)), "µs")
    report.add("100 of them by spec.nodeName", best(lambda: pods.select(field_selector=field)), "µs")


async def watches(report: Report, pods: ResourceStore) -> None:
    """One event to WATCHERS watchers, sinks that write nothing."""
    seen, complete = 0, asyncio.Event()

    def sink(batch: Batch) -> int:
        nonlocal seen
        seen += len(batch.events)
        batch.http_chunk()
        if seen >= count * WATCHERS:
            complete.set()
        return 0

    async def drain() -> None:
        await asyncio.sleep(0)

    count = 2000

    async def touch(number: int) -> None:
        def change(entry: Any, obj: Object) -> Object:
            obj["status"]["observed"] = obj["status"].get("observed", 0) + 1
            return obj

        await pods.update(f"ns-{number % 10}", f"pod-{number:05}", change)

    alone = await cpu_each(count, touch)
    revision = str((await pods.list(limit=1)).revision)
    watchers = [await pods.watch(resource_version=revision) for _ in range(WATCHERS)]
    pumps = [asyncio.create_task(watcher.pump(sink, drain)) for watcher in watchers]
    await asyncio.sleep(0.1)
    together = await cpu_each(count, touch)
    await complete.wait()
    for watcher in watchers:
        watcher.close()
    await asyncio.gather(*pumps)
    nothing = Batch(())
    limit = best(lambda: [len(nothing.events) for _ in range(WATCHERS)]) / WATCHERS
    report.add("update (decode, change, encode, transaction)", alone, "µs")
    report.add(f"an event to each of {WATCHERS} watchers", (together - alone) / WATCHERS, "µs", aim="≤ 1 µs")
    report.add("(a call of a sink)", limit, "µs")


async def run() -> Report:
    """Measure everything once."""
    report = Report("storage")
    async with storage() as (store, pods, _):
        await writes(report, store, pods)
        await reads(report, pods)
        await watches(report, pods)
    return report


def main() -> None:
    """Print the figures."""
    import uvloop

    uvloop.run(run()).print()


if __name__ == "__main__":
    main()
