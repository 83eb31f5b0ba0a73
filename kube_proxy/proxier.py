"""The loop: Services and EndpointSlices change, rules follow.

Only what changed is computed again and only what differs is written. The first change after a quiet time is written at
once; under constant change the pauses grow with the time that a sync takes, up to `min_sync` seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Protocol

from apimachinery import Object, times
from component_base.daemon import Backoff
from component_base.logs import get_logger
from kube_client.informer import Informer, key_of
from kube_proxy import conntrack, metrics
from kube_proxy.conntrack import Frontend
from kube_proxy.endpoints import Endpoint, categorize, endpoints_by_port, ready_local_count, service_key
from kube_proxy.iptables_backend import IptablesBackend
from kube_proxy.rule_set import RuleSet, assemble
from kube_proxy.rules import NodeFacts, ServiceRules, service_rules
from kube_proxy.services import ServicePort, service_ports
from pod_network.errors import NetworkError
from pod_network.namespaces import NetworkThread

FULL_SYNC_SECONDS = 3600.0
COALESCE_SECONDS = 0.01
# A sync may take this share of the time at most, while changes keep coming.
DUTY = 0.1
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"

log = get_logger("proxier")


class Health(Protocol):
    """Told when changes wait and when they are in force (see `healthcheck`)."""

    def queued(self) -> None: ...

    def updated(self) -> None: ...

    async def set_services(self, services: Mapping[str, tuple[int, int]]) -> None: ...


class _Known:
    """What is computed from one Service and kept until it or its slices change."""

    __slots__ = ("health_port", "local_ready", "missing_local", "nat_count", "rules", "udp")

    def __init__(self) -> None:
        self.rules: tuple[ServiceRules, ...] = ()
        self.udp: dict[Frontend, frozenset[str]] = {}
        self.nat_count = 0
        self.health_port = 0
        self.local_ready = 0
        self.missing_local: tuple[str, ...] = ()


class Proxier:
    """Keeps one node's rules true to the API. `min_sync` and `sync_period` in seconds."""

    def __init__(
        self,
        services: Informer,
        endpoint_slices: Informer,
        node_name: str,
        facts: NodeFacts,
        health: Health,
        *,
        thread: NetworkThread,
        min_sync: float = 1.0,
        sync_period: float = 30.0,
    ) -> None:
        self._services, self._slices = services, endpoint_slices
        self._node_name, self._facts, self._health = node_name, facts, health
        self._min_sync, self._sync_period = min_sync, sync_period
        self._backend = IptablesBackend(localnet=facts.localhost_node_ports)
        self._thread = thread
        self._known: dict[str, _Known] = {}
        self._changed: set[str] = set()
        self._triggers: dict[str, float] = {}
        self._udp: dict[Frontend, frozenset[str]] = {}
        self._wake = asyncio.Event()
        self._look_at = 0.0
        self._pending_services = self._pending_endpoints = 0
        endpoint_slices.add_index("service", lambda obj: [key] if (key := service_key(obj)) else ())
        services.add_handler(self._on_service)
        endpoint_slices.add_handler(self._on_endpoint_slice)

    async def run(self, stop: asyncio.Event) -> None:
        """Sync until `stop`; rules stay when it returns. Errors are logged and tried again, never raised."""
        await self._services.wait_synced()
        await self._slices.wait_synced()
        stopping = asyncio.create_task(stop.wait())
        backoff = Backoff(initial=0.2, cap=self._sync_period)
        last_full = pause = 0.0
        failing = False
        try:
            while not stop.is_set():
                began = time.monotonic()
                if not self._backend.needs_full_sync:
                    await self._look()
                full = self._backend.needs_full_sync or began - last_full > FULL_SYNC_SECONDS
                try:
                    await self._sync(full)
                except NetworkError as error:
                    if not failing:
                        log.error("Cannot sync rules, trying again", error=error)
                    failing = True
                    await self._sleep(stopping, backoff.next())
                    continue
                if failing:
                    log.info("Rules are in sync again")
                failing = False
                backoff.reset()
                if full:
                    last_full, self._look_at = began, began + self._sync_period
                took = time.monotonic() - began
                pause = min(self._min_sync, took / DUTY)
                await self._sleep(stopping, pause)
                await self._until_changed(stopping)
        finally:
            stopping.cancel()

    # -- what changed -----------------------------------------------------------------------------------

    def _on_service(self, _kind: str, _old: Object | None, new: Object) -> None:
        self._pending_services += 1
        metrics.SERVICE_CHANGES.inc()
        self._mark(key_of(new))

    def _on_endpoint_slice(self, _kind: str, old: Object | None, new: Object) -> None:
        self._pending_endpoints += 1
        metrics.ENDPOINT_CHANGES.inc()
        for obj in (old, new):
            key = service_key(obj) if obj is not None else None
            if key is not None:
                self._mark(key)
        trigger = (new["metadata"].get("annotations") or {}).get(TRIGGER_TIME)
        if (
            trigger
            and old is not None
            and trigger != (old["metadata"].get("annotations") or {}).get(TRIGGER_TIME)
        ):
            self._triggers.setdefault(key_of(new), times.parse(trigger))

    def _mark(self, key: str) -> None:
        if not self._changed:
            self._health.queued()
            metrics.LAST_QUEUED.set(time.time())
        self._changed.add(key)
        self._wake.set()
        metrics.SERVICE_CHANGES_PENDING.set(self._pending_services)
        metrics.ENDPOINT_CHANGES_PENDING.set(self._pending_endpoints)

    async def _until_changed(self, stopping: asyncio.Task[bool]) -> None:
        """Return when there is something to write; look after the rules in force meanwhile."""
        while not self._changed and not self._backend.needs_full_sync and not stopping.done():
            waiting = asyncio.create_task(self._wake.wait())
            due = max(0.0, self._look_at - time.monotonic())
            await asyncio.wait((waiting, stopping), timeout=due, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            await self._look()
        # What belongs together often comes as several events.
        await self._sleep(stopping, COALESCE_SECONDS)

    async def _look(self) -> None:
        """Every `sync_period`, however many changes there are: are our rules still there?"""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + self._sync_period
        try:
            if not await self._thread.run(self._backend.in_force):
                log.warning("Rules were removed by somebody else, writing them again")
                self._backend.forget()
            elif not self._changed:
                self._health.updated()
        except NetworkError as error:
            log.warning("Cannot look at the rules in force", error=error)

    @staticmethod
    async def _sleep(stopping: asyncio.Task[bool], seconds: float) -> None:
        await asyncio.wait((stopping,), timeout=seconds)

    # -- what to do about it -----------------------------------------------------------------------------

    async def _sync(self, full: bool) -> None:
        began = time.monotonic()
        changed, self._changed = self._changed, set()
        triggers, self._triggers = self._triggers, {}
        self._pending_services = self._pending_endpoints = 0
        self._wake.clear()
        for key in changed:
            try:
                self._compute(key)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                # Whatever server this is, it let a malformed object through: the other services go on.
                log.error("Cannot read service, its rules stay as they are", service=key, error=repr(error))
        wanted = assemble(
            (rules for key in sorted(self._known) for rules in self._known[key].rules), self._facts
        )
        try:
            if full:
                await self._thread.run(self._backend.full_sync, wanted)
            else:
                await self._thread.run(self._backend.sync, wanted)
            await self._clean_conntrack()
        except NetworkError:
            self._changed |= changed
            self._triggers = {**triggers, **self._triggers}
            raise
        self._health.updated()
        self._measure(wanted, full, time.monotonic() - began, triggers)
        await self._health.set_services(
            {
                key: (known.health_port, known.local_ready)
                for key, known in self._known.items()
                if known.health_port
            }
        )

    def _compute(self, key: str) -> None:
        service = self._services.get(key)
        ports = service_ports(service) if service is not None else ()
        if not ports:
            self._known.pop(key, None)
            return
        known = _Known()
        by_port = endpoints_by_port(self._slices.by_index("service", key), self._node_name)
        rules = []
        missing: list[str] = []
        for port in ports:
            chosen = categorize(port, by_port.get(port.port_name, ()))
            rules.append(service_rules(port, chosen, self._facts))
            if port.protocol == "udp":
                known.udp.update(_udp_backends(port, chosen.cluster + chosen.local))
            if chosen.any and not chosen.local:
                missing += ["internal"] if port.internal_policy == "Local" else []
                missing += (
                    ["external"] if port.external_policy == "Local" and port.externally_accessible else []
                )
        known.rules, known.missing_local = tuple(rules), tuple(missing)
        known.nat_count = sum(each.nat_count for each in rules)
        known.health_port = ports[0].health_check_port
        known.local_ready = ready_local_count(by_port) if known.health_port else 0
        self._known[key] = known

    async def _clean_conntrack(self) -> None:
        udp = {frontend: ips for known in self._known.values() for frontend, ips in known.udp.items()}
        changed = {frontend: ips for frontend, ips in udp.items() if self._udp.get(frontend) != ips and ips}
        if changed:
            removed = await self._thread.run(conntrack.remove_stale, changed)
            if removed:
                log.info("Removed stale UDP flows", kinds=removed)
        self._udp = udp

    def _measure(self, wanted: RuleSet, full: bool, took: float, triggers: Mapping[str, float]) -> None:
        now = time.time()
        metrics.SYNC_LATENCY.observe(took)
        (metrics.SYNC_FULL_LATENCY if full else metrics.SYNC_PARTIAL_LATENCY).observe(took)
        metrics.LAST_SYNC.set(now)
        metrics.SERVICE_CHANGES_PENDING.set(self._pending_services)
        metrics.ENDPOINT_CHANGES_PENDING.set(self._pending_endpoints)
        for trigger in triggers.values():
            metrics.NETWORK_PROGRAMMING.observe(max(0.0, now - trigger))
        missing = [policy for known in self._known.values() for policy in known.missing_local]
        for policy in ("internal", "external"):
            metrics.NO_LOCAL_ENDPOINTS.labels("IPv4", policy).set(missing.count(policy))
        nat_rules = sum(known.nat_count for known in self._known.values())
        metrics.RULES.labels("nat", "IPv4").set(nat_rules)
        metrics.RULES.labels("filter", "IPv4").set(sum(rules.count("\n") for rules in wanted.filter.values()))
        log.debug("Synced rules", full=full, milliseconds=round(took * 1000))


def _udp_backends(port: ServicePort, endpoints: tuple[Endpoint, ...]) -> dict[Frontend, frozenset[str]]:
    ips = frozenset(endpoint.ip for endpoint in endpoints)
    addresses = (port.cluster_ip, *port.external_ips, *port.load_balancer_ips)
    frontends = {Frontend(address, port.port): ips for address in addresses}
    if port.node_port:
        frontends[Frontend("", port.node_port)] = ips
    return frontends
