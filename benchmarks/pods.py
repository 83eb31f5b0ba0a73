"""`bench pods`: thirty pods on one node, beside the time in which the engine alone starts the same containers."""

from __future__ import annotations

import concurrent.futures
import statistics
import time

import docker

from benchmarks._cluster import cluster, pod, send, wait_until
from benchmarks._report import Report
from deploy.images.catalogue import PAUSE
from kubeadm.settings import Settings

COUNT = 30
CONCURRENCIES = (4, 6, 8, 10)
LABEL = "skiff.dev/bench"


def engine_alone(concurrency: int) -> float:
    """Seconds to start COUNT sandboxes, each with one container in its namespaces, `concurrency` pairs at once."""
    client = docker.from_env(timeout=120)

    def start(number: int) -> None:
        name = f"skiff-bench-{number}"
        common = {"detach": True, "labels": {LABEL: "yes"}}
        client.containers.run(
            PAUSE, name=f"{name}-pause", network_mode="none", ipc_mode="shareable", **common
        )
        peer = f"container:{name}-pause"
        client.containers.run(PAUSE, name=name, network_mode=peer, ipc_mode=peer, **common)

    try:
        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(concurrency) as pool:
            list(pool.map(start, range(COUNT)))
        return time.monotonic() - begun
    finally:
        for container in client.containers.list(all=True, filters={"label": LABEL}):
            container.remove(force=True)


def our_pods(found: Settings) -> float:
    """Seconds from the first create to all Running."""
    path = "/api/v1/namespaces/default/pods"
    begun = time.monotonic()
    for number in range(COUNT):
        code, answer = send(found, "POST", path, pod(f"bench-{number}"))
        if code != 201:
            raise RuntimeError(answer)

    def all_running() -> bool:
        items = send(found, "GET", f"{path}?labelSelector=bench%3Dyes&resourceVersion=0")[1]["items"]
        return sum(item["status"].get("phase") == "Running" for item in items) == COUNT

    ended = wait_until(all_running, interval=0.1)
    send(found, "DELETE", f"{path}?labelSelector=bench%3Dyes")
    wait_until(lambda: not send(found, "GET", f"{path}?labelSelector=bench%3Dyes")[1]["items"])
    return ended - begun


def one_pod(found: Settings) -> float:
    """Seconds from create to Running of a single pod."""
    path = "/api/v1/namespaces/default/pods"
    begun = time.monotonic()
    send(found, "POST", path, pod("single"))
    ended = wait_until(lambda: send(found, "GET", f"{path}/single")[1]["status"].get("phase") == "Running")
    send(found, "DELETE", f"{path}/single")
    wait_until(lambda: send(found, "GET", f"{path}/single")[0] == 404)
    return ended - begun


def main() -> None:
    with cluster() as found:
        alone = {concurrency: engine_alone(concurrency) for concurrency in CONCURRENCIES}
        best = min(alone, key=lambda concurrency: alone[concurrency])
        ours = statistics.median(our_pods(found) for _ in range(2))
        again = engine_alone(best)
        single = statistics.median(one_pod(found) for _ in range(5))
    report = Report(f"pods: {COUNT} pods of one container on one node (engine alone at {best} at once)")
    report.add(f"{COUNT} pods Running", ours, "s", limit=min(alone[best], again), aim="≤ 1.3 ×")
    report.add("one pod from create to Running", single, "s")
    report.print()


if __name__ == "__main__":
    main()
