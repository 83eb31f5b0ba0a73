"""`python -m scheduler`: one process that schedules while it holds the Lease, and shows health and metrics."""

from __future__ import annotations

import asyncio
import socket
import sys
import uuid

from apimachinery import Object, meta
from component_base import daemon, logs
from component_base.diagnostics import serve_diagnostics
from component_base.health import HealthChecks
from kube_client.client import Client
from kube_client.config import ConfigError as KubeConfigError
from kube_client.events import EventRecorder
from kube_client.informer import InformerFactory
from kube_client.leader_election import LeaderElector
from scheduler.config import ConfigError, seconds
from scheduler.options import Settings, parse
from scheduler.scheduler import Scheduler

NAME = "kube-scheduler"
log = logs.get_logger(NAME)


def main() -> None:
    """Entry point: reads the flags and runs until a signal."""
    try:
        settings = parse(sys.argv[1:])
        client = Client.from_kubeconfig(settings.kubeconfig, user_agent=NAME)
    except (ConfigError, KubeConfigError) as error:
        raise SystemExit(f"{NAME}: {error}") from error
    logs.configure(NAME, settings.verbosity, "json" if settings.log_format == "json" else "text")
    daemon.run(lambda stop: _serve(settings, client, stop))


async def _serve(settings: Settings, client: Client, stop: asyncio.Event) -> None:
    server = None
    if settings.secure_port:
        server = await serve_diagnostics(
            settings.bind_address, settings.secure_port, HealthChecks(), tls=settings.tls or "self-signed"
        )
    try:
        await _lead(settings, client, stop)
    finally:
        if server is not None:
            await server.stop()
        await client.aclose()


async def _lead(settings: Settings, client: Client, stop: asyncio.Event) -> None:
    election = settings.configuration.leaderElection
    if not election.leaderElect:
        work = asyncio.create_task(_schedule(settings, client))
        waiting = asyncio.create_task(stop.wait())
        await asyncio.wait((work, waiting), return_when=asyncio.FIRST_COMPLETED)
        for task in (work, waiting):
            task.cancel()
        results = await asyncio.gather(work, waiting, return_exceptions=True)
        if isinstance(results[0], Exception):
            raise results[0]
        return
    identity = f"{socket.gethostname()}_{uuid.uuid4()}"
    events = EventRecorder(client, "default-scheduler")
    elector = LeaderElector(
        client,
        election.resourceNamespace,
        election.resourceName,
        identity,
        seconds(election.leaseDuration),
        seconds(election.renewDeadline),
        seconds(election.retryPeriod),
        lambda lease: _announce(events, lease, identity),
    )
    if not await elector.run(lambda: _schedule(settings, client), stop):
        # Others lead now: a fresh process waits its turn with nothing half done.
        raise SystemExit("leaderelection lost")
    await events.flush()


async def _schedule(settings: Settings, client: Client) -> None:
    informers = InformerFactory(client)
    try:
        await Scheduler(client, settings.configuration, informers).run()
    finally:
        await informers.stop()


def _announce(events: EventRecorder, lease: Object, identity: str) -> None:
    events.event(meta.object_reference(lease), "Normal", "LeaderElection", f"{identity} became leader")


if __name__ == "__main__":
    main()
