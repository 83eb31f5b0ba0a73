"""`python -m controller_manager`: one process with every controller, active while it holds the Lease."""

from __future__ import annotations

import asyncio
import socket
import sys
import uuid
from collections.abc import Awaitable, Callable

from apimachinery import Object, meta
from component_base import daemon, logs
from component_base.diagnostics import serve_diagnostics
from component_base.health import HealthChecks
from component_base.serving import Server
from component_base.tls import TLSFiles
from controller_manager import options as flags
from controller_manager import registry
from controller_manager.context import ControllerContext
from kube_client.client import Client
from kube_client.config import ConfigError
from kube_client.events import EventRecorder
from kube_client.informer import InformerFactory
from kube_client.leader_election import LeaderElector

NAME = "kube-controller-manager"

log = logs.get_logger(NAME)


def main() -> None:
    """Entry point: reads the flags and runs until a signal."""
    settings = flags.parse(sys.argv[1:])
    logs.configure(NAME, settings.verbosity, "json" if settings.log_format == "json" else "text")
    try:
        entries = registry.select(settings.controllers)
        client = Client.from_kubeconfig(settings.kubeconfig, user_agent=NAME)
    except (ConfigError, ValueError) as error:
        raise SystemExit(f"{NAME}: {error}") from error
    daemon.run(lambda stop: _serve(settings, entries, client, stop))


async def _serve(
    settings: flags.Settings, entries: list[registry.Entry], client: Client, stop: asyncio.Event
) -> None:
    identity = f"{socket.gethostname()}_{uuid.uuid4()}"
    events = EventRecorder(client, NAME)
    elector = LeaderElector(
        client,
        settings.lease_namespace,
        settings.lease_name,
        identity,
        settings.lease_duration,
        settings.renew_deadline,
        settings.retry_period,
        lambda lease: _announce(events, lease, identity),
    )
    server = await _diagnostics(settings)

    async def work() -> None:
        await run_controllers(client, events, settings, entries)

    try:
        if not settings.leader_elect:
            await _until_stopped(work, stop)
        elif not await elector.run(work, stop):
            # Others lead now: a fresh process waits its turn with nothing half done.
            raise SystemExit("leader election lost")
    finally:
        await events.flush()
        if server is not None:
            await server.stop()
        await client.aclose()


async def run_controllers(
    client: Client, events: EventRecorder, settings: flags.Settings, entries: list[registry.Entry]
) -> None:
    """Make the controllers, fill the shared informers, work until cancelled."""
    informers = InformerFactory(client)
    context = ControllerContext(client, informers, events, settings.options)
    controllers = [entry.make(context) for entry in entries]
    informers.start()
    try:
        await informers.wait_synced()
        daemon.settle()
        log.info("Controllers started", count=len(controllers))
        async with asyncio.TaskGroup() as group:
            for entry, controller in zip(entries, controllers, strict=True):
                group.create_task(controller.run(), name=entry.name)
    finally:
        await informers.stop()


async def _until_stopped(work: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    tasks = {asyncio.ensure_future(work()), asyncio.create_task(stop.wait())}
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()


async def _diagnostics(settings: flags.Settings) -> Server | None:
    if settings.secure_port == 0:
        return None
    health = HealthChecks()
    if settings.tls_cert_file:
        files = TLSFiles(settings.tls_cert_file, settings.tls_private_key_file)
        return await serve_diagnostics(settings.bind_address, settings.secure_port, health, tls=files)
    return await serve_diagnostics(settings.bind_address, settings.secure_port, health)


def _announce(events: EventRecorder, lease: Object, identity: str) -> None:
    reference = {
        "kind": "Lease",
        "apiVersion": "coordination.k8s.io/v1",
        "namespace": meta.namespace(lease),
        "name": meta.name(lease),
        "uid": meta.uid(lease),
        "resourceVersion": meta.resource_version(lease),
    }
    events.event(reference, "Normal", "LeaderElection", f"{identity} became leader")


if __name__ == "__main__":
    main()
