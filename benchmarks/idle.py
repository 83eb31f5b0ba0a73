"""`bench idle`: what an idle single-node cluster costs, without etcd and the engine."""

from __future__ import annotations

import time

from benchmarks._cluster import cluster, daemon_pids
from benchmarks._report import Report, cpu_seconds, resident_mib

SETTLE = 20
WINDOW = 60
NOT_OURS = ("etcd", "docker-engine")


def main() -> None:
    with cluster() as found:
        time.sleep(SETTLE)
        pids = {name: pid for name, pid in daemon_pids(found).items() if name not in NOT_OURS}
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        time.sleep(WINDOW)
        used = {name: (cpu_seconds(pid) - before[name]) / WINDOW * 100 for name, pid in pids.items()}
        memory = {name: resident_mib(pid) for name, pid in pids.items()}
    report = Report(f"idle: one node, {WINDOW} s after {SETTLE} s of rest")
    for name in pids:
        report.add(f"{name} resident", memory[name], "MiB")
        report.add(f"{name} processor", used[name], "% of a core")
    report.add("all resident", sum(memory.values()), "MiB", aim="≤ 334 MiB (350 MB)")
    report.add("all processor", sum(used.values()), "% of a core", aim="≤ 3 %")
    report.print()


if __name__ == "__main__":
    main()
