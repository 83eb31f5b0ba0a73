"""Steps as lines: a spinner while a step runs, then a tick (or a cross) and the time it took."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console


class Progress:
    """Writes to a terminal with a spinner, elsewhere one plain line a step."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        started = time.monotonic()
        spinner = self.console.status(f" {title} …", spinner="dots") if self.console.is_terminal else None
        with spinner or contextlib.nullcontext():
            try:
                yield
            except BaseException:
                self.console.print(f" [red]✗[/red] {title}")
                raise
        self.console.print(f" [green]✓[/green] {title} [dim]{_elapsed(time.monotonic() - started)}[/dim]")


def _elapsed(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
