"""Health checks and the text in which /healthz, /livez and /readyz answer, word for word as the originals.

Reasons of failures are logged, not shown: these endpoints answer anonymous callers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from component_base import logs

Check = Callable[[], Awaitable[None]]
GROUPS = ("healthz", "livez", "readyz")
_log = logs.get_logger("health")


@dataclass(frozen=True)
class HealthResponse:
    """Status code and plain text body of a health endpoint."""

    status: int
    body: str


async def ping() -> None:
    """The check that always holds: the process answers."""


class HealthChecks:
    """Named checks, each belonging to one or more of the endpoints `healthz`, `livez`, `readyz`.

    A check is an async function that returns when all is well and raises when it is not.
    """

    def __init__(self, timeout: float = 5.0) -> None:
        self._timeout = timeout
        self._checks: dict[str, dict[str, Check]] = {group: {} for group in GROUPS}
        self.add("ping", ping)

    def add(self, name: str, check: Check, groups: Collection[str] = GROUPS) -> None:
        """Register `check` under `name` for the given endpoints."""
        for group in groups:
            self._checks[group][name] = check

    async def render(
        self, group: str, *, verbose: bool = False, exclude: Collection[str] = ()
    ) -> HealthResponse:
        """Run the endpoint's checks at the same time and answer as `GET /{group}?verbose&exclude=…` does."""
        checks = self._checks[group]
        run = {name: check for name, check in checks.items() if name not in exclude}
        results = await asyncio.gather(*(self._holds(name, check) for name, check in run.items()))
        passed = dict(zip(run, results, strict=True))
        lines = []
        for name in checks:
            if name in exclude:
                lines.append(f"[+]{name} excluded: ok\n")
            elif passed[name]:
                lines.append(f"[+]{name} ok\n")
            else:
                lines.append(f"[-]{name} failed: reason withheld\n")
        unknown = [name for name in exclude if name not in checks]
        if unknown:
            names = ",".join(f'"{name}"' for name in unknown)
            lines.append(f"warn: some health checks cannot be excluded: no matches for {names}\n")
        if not all(results):
            return HealthResponse(500, "".join(lines) + f"{group} check failed\n")
        if verbose:
            return HealthResponse(200, "".join(lines) + f"{group} check passed\n")
        return HealthResponse(200, "ok")

    async def render_one(self, group: str, name: str) -> HealthResponse:
        """Answer `GET /{group}/{name}`."""
        check = self._checks[group].get(name)
        if check is None:
            return HealthResponse(404, "404 page not found\n")
        if await self._holds(name, check):
            return HealthResponse(200, "ok")
        return HealthResponse(500, f"internal server error: {name} failed: reason withheld\n")

    async def _holds(self, name: str, check: Check) -> bool:
        try:
            async with asyncio.timeout(self._timeout):
                await check()
        except Exception as error:
            # Whatever goes wrong inside a check is what the check is there to report.
            _log.warning("Health check failed", check=name, error=error)
            return False
        return True
