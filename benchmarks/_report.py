"""How a benchmark says what it found: a row per figure, with the limit of the same run and the aim beside it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass
class Report:
    """Rows of figures. A `limit` is what the same run measured without our part; an `aim` is what we want to reach."""

    title: str
    rows: list[tuple[str, str, str, str, str]] = field(default_factory=list)

    def add(self, what: str, value: float, unit: str, *, limit: float | None = None, aim: str = "") -> None:
        ratio = f"{value / limit:.2f} ×" if limit else ""
        self.rows.append((what, _figure(value, unit), _figure(limit, unit) if limit else "", ratio, aim))

    def print(self) -> None:
        table = Table(title=self.title, title_justify="left", box=None, pad_edge=False)
        for heading, side in (
            ("figure", "left"),
            ("ours", "right"),
            ("limit", "right"),
            ("ratio", "right"),
            ("aim", "left"),
        ):
            table.add_column(heading, justify=side)  # type: ignore[arg-type]
        for row in self.rows:
            table.add_row(*row)
        Console(highlight=False, width=120).print(table)


def _figure(value: float, unit: str) -> str:
    return (
        f"{value:,.0f} {unit}"
        if value >= 100
        else f"{value:.2f} {unit}"
        if value < 10
        else f"{value:.1f} {unit}"
    )


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used so far, user and system, in seconds (Linux)."""
    return time.clock_gettime((~pid << 3) | 2)  # the kernel's number for the clock of a process


def resident_mib(pid: int) -> float:
    """Resident memory of a process in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)
