"""kube-apiserver: `python -m apiserver --flags`."""

from __future__ import annotations

import asyncio
import sys

from apiserver import options, server
from component_base import daemon, logs


def main() -> None:
    """Read the command line and serve until a signal."""
    chosen = options.parse(sys.argv[1:])
    logs.configure("kube-apiserver", chosen.verbosity, "json" if chosen.logging_format == "json" else "text")

    async def run(stop: asyncio.Event) -> None:
        await server.run(chosen, stop)

    daemon.run(run)


if __name__ == "__main__":
    main()
