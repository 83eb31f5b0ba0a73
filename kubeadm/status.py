"""`skiff status`: each daemon with its pid, uptime, restarts, memory and health."""

from __future__ import annotations

import concurrent.futures
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from kubeadm import control, engine
from kubeadm.errors import UserError
from kubeadm.settings import Settings

HEALTH_TIMEOUT = 3.0


def collect(found: Settings) -> list[dict[str, Any]]:
    """One record a daemon: name, pid, uptimeSeconds, restarts, memoryBytes, health.

    Raises UserError when the cluster is not running.
    """
    answer = control.request(found, "status")
    if answer is None:
        raise UserError(f"The cluster in {found.data_dir} is not running: start it with 'skiff up'.")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda daemon: _record(found, daemon), answer["daemons"]))


def _record(found: Settings, daemon: dict[str, Any]) -> dict[str, Any]:
    pid = daemon["pid"]
    return {
        "name": daemon["name"],
        "pid": pid,
        "uptimeSeconds": round(time.time() - daemon["startedAt"]) if pid else 0,
        "restarts": daemon["restarts"],
        "memoryBytes": resident_bytes(pid) if pid else 0,
        "health": _health(found, daemon["health"]) if pid else f"down ({daemon['lastExit']})",
    }


def resident_bytes(pid: int) -> int:
    """Resident memory of a process in bytes; 0 where it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0


def _health(found: Settings, url: str) -> str:
    """ "ok", or why not. Health endpoints need no credentials, so that this tells of the daemon and of nothing else."""
    if url.startswith("unix://"):
        return "ok" if engine.answers(url) else "does not answer"
    context = (
        ssl.create_default_context(cafile=str(found.pki / "ca.crt")) if url.startswith("https") else None
    )
    try:
        with urllib.request.urlopen(url, timeout=HEALTH_TIMEOUT, context=context):
            return "ok"
    except urllib.error.HTTPError as error:
        words = error.read().decode(errors="replace").splitlines()
        failed = [line.partition(" ")[0].removeprefix("[-]") for line in words if line.startswith("[-]")]
        return f"unhealthy ({', '.join(failed) or error.code})"
    except (OSError, urllib.error.URLError) as error:
        return f"does not answer ({getattr(error, 'reason', error)})"


def show(records: list[dict[str, Any]], console: Console) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title, side in (("DAEMON", "left"), ("PID", "right"), ("UPTIME", "right"), ("RESTARTS", "right")):
        table.add_column(title, justify=side)  # type: ignore[arg-type]
    table.add_column("MEMORY", justify="right")
    table.add_column("HEALTH")
    for record in records:
        colour = "green" if record["health"] == "ok" else "red"
        table.add_row(
            record["name"],
            str(record["pid"] or "-"),
            human_time(record["uptimeSeconds"]),
            str(record["restarts"]),
            f"{record['memoryBytes'] / 1048576:.0f} MiB",
            f"[{colour}]{record['health']}[/{colour}]",
        )
    console.print(table)


def human_time(seconds: int) -> str:
    """Two largest units, as kubectl writes ages: 45s, 3m20s, 5h2m, 3d4h."""
    for size, unit, smaller, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= size:
            rest = seconds % size // smaller
            return f"{seconds // size}{unit}" + (f"{rest}{small}" if rest else "")
    return f"{seconds}s"
