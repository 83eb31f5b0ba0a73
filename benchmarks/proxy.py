"""`bench proxy`: 10,000 services of 3 endpoints in a namespace of the benchmark's own.

The limit of the first sync is `iptables-restore` fed with the same rules; that of a change is a restore that changes
nothing but one chain, which already costs the kernel's copy of the whole table.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping

from benchmarks._report import Report, resident_mib
from kube_proxy.proxier import Proxier
from kube_proxy.rule_set import RuleSet, assemble, difference
from kube_proxy.rules import NodeFacts
from pod_network import iptables
from pod_network.namespaces import NetworkThread
from tests.integration.network.cluster_state import ClusterState

NAMESPACE = "skb-proxy"
PORTS = [{"name": "", "port": 8080, "protocol": "TCP"}]
FACTS = NodeFacts(cluster_cidr="10.244.0.0/16", service_cidr="10.96.0.0/16")
CHANGES = 7


class _Syncs:
    """Learns from the proxier when rules are in force."""

    def __init__(self) -> None:
        self.done = asyncio.Event()

    def queued(self) -> None:
        self.done.clear()

    def updated(self) -> None:
        self.done.set()

    async def set_services(self, services: Mapping[str, tuple[int, int]]) -> None:
        pass


def _fill(state: ClusterState, count: int) -> None:
    for number in range(count):
        state.service(
            f"svc-{number}", f"10.96.{number // 250}.{number % 250 + 1}", {"port": 80, "protocol": "TCP"}
        )
        _point(state, number, 2)


def _point(state: ClusterState, number: int, last: int) -> None:
    """Give service `number` three endpoints, the last of them of choice."""
    base = f"10.244.{number % 250}"
    state.endpoints(f"svc-{number}", f"{base}.2", f"{base}.3", f"{base}.{last + 2}", ports=PORTS)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def measure(report: Report, count: int) -> None:
    """First sync, changes and memory with `count` services."""
    gc.set_threshold(50_000, 20, 100)  # as component_base.daemon does
    state, syncs = ClusterState(), _Syncs()
    thread = NetworkThread(NAMESPACE)
    proxier = Proxier(state.services, state.slices, "node-1", FACTS, syncs, thread=thread)
    _fill(state, count)
    gc.collect()
    stop, began = asyncio.Event(), time.perf_counter()
    running = asyncio.create_task(proxier.run(stop))
    await syncs.done.wait()
    first = time.perf_counter() - began
    known = [known.rules for known in proxier._known.values()]
    wanted = assemble((rules for each in known for rules in each), FACTS)
    text = difference(RuleSet(), wanted)
    alone = await _timed(thread, text, fresh=True)
    report.add(f"first sync of {count:,} services", first * 1000, "ms", limit=alone * 1000, aim="≤ 1.3 ×")
    chain = next(name for name in wanted.nat if name.startswith("KUBE-SVC"))
    one = f"*nat\n:{chain} - [0:0]\n{wanted.nat[chain]}COMMIT\n"
    least = statistics.median([await _timed(thread, one) for _ in range(3)]) * 1000
    took, cpu = [], []
    for number in range(CHANGES):
        await asyncio.sleep(1.2)
        began, used = time.perf_counter(), _cpu()
        _point(state, number, 7 + number)
        await syncs.done.wait()
        took.append((time.perf_counter() - began) * 1000)
        cpu.append((_cpu() - used) * 1000)
    aim = "≤ 800 ms" if count > 1000 else "≤ 300 ms"
    report.add(f"one changed endpoint of {count:,}", statistics.median(took), "ms", limit=least, aim=aim)
    report.add("  of which our own processor time", statistics.median(cpu), "ms", aim="≤ 100 ms")
    report.add(f"resident with {count:,} services", resident_mib(os.getpid()), "MiB", aim="≤ 150 MiB")
    stop.set()
    await running
    thread.close()


async def _timed(thread: NetworkThread, text: str, *, fresh: bool = False) -> float:
    if fresh:
        await thread.run(iptables.restore, "*nat\nCOMMIT\n*filter\nCOMMIT\n")
        for table in ("filter", "nat"):
            await thread.run(iptables.iptables, table, "-F")
            await thread.run(iptables.iptables, table, "-X")
    began = time.perf_counter()
    await thread.run(iptables.restore, text)
    return time.perf_counter() - began


def _one(count: int) -> None:
    subprocess.run(["ip", "netns", "del", NAMESPACE], check=False, capture_output=True)
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
    report = Report(f"proxy: {count:,} services × 3 endpoints")
    try:
        asyncio.run(measure(report, count))
    finally:
        subprocess.run(["ip", "netns", "del", NAMESPACE], check=False)
    report.print()


def main() -> None:
    """Each size in a process of its own, so that memory is told apart."""
    if len(sys.argv) > 1:
        _one(int(sys.argv[1]))
        return
    for count in (100, 10_000):
        subprocess.run([sys.executable, "-m", "benchmarks.proxy", str(count)], check=True)


if __name__ == "__main__":
    main()
