"""Feeds the graph: an informer of metadata for every resource that can be listed, watched and deleted.

Which resources there are is asked again every half minute, as custom resources come and go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from apimachinery import Object
from apimachinery.errors import StatusError
from apimachinery.resources import Resource
from component_base.logs import get_logger
from controller_manager import discovery
from kube_client.client import Client
from kube_client.errors import ApiUnavailable
from kube_client.informer import Handler, Informer, InformerFactory

REFRESH_SECONDS = 30.0
IGNORED = frozenset((("", "events"), ("events.k8s.io", "events")))

log = get_logger("garbage-collector")


class Monitors:
    """`handler` gets every change of every resource."""

    def __init__(self, client: Client, informers: InformerFactory, handler: Handler) -> None:
        self._client, self._informers, self._handler = client, informers, handler
        self._monitors: dict[Resource, Informer] = {}
        self._kinds: dict[tuple[str, str], Resource] = {}

    async def run(self, on_new_kinds: Callable[[], None]) -> None:
        """Follow the server's resources until cancelled; `on_new_kinds` is called when some appeared."""
        while True:
            try:
                if await self.refresh():
                    on_new_kinds()
            except (StatusError, ApiUnavailable) as error:
                log.debug("Discovery failed", error=str(error))
                await asyncio.sleep(2)
                continue
            await asyncio.sleep(REFRESH_SECONDS)

    async def refresh(self) -> bool:
        """Ask the server once. True when there are resources that were not known before."""
        found = await discovery.discover(self._client)
        resources = discovery.with_verbs(found.resources, "get", "delete")
        kinds = {(one.group, one.kind): one for one in resources}
        if found.failures:
            kinds = self._kinds | kinds
        fresh = kinds.keys() - self._kinds.keys()
        self._kinds = kinds
        wanted = {
            one
            for one in discovery.with_verbs(kinds.values(), "list", "watch")
            if (one.group, one.plural) not in IGNORED
        }
        for resource in wanted - self._monitors.keys():
            monitor = self._informers.informer(resource, metadata_only=True)
            monitor.add_handler(self._handler)
            self._monitors[resource] = monitor
        for resource in self._monitors.keys() - wanted:
            monitor = self._monitors.pop(resource)
            if monitor.metadata_only:
                await self._informers.forget(monitor)
        return bool(fresh)

    @property
    def synced(self) -> bool:
        """Every resource has been listed: the graph is complete."""
        return bool(self._monitors) and all(one.synced for one in self._monitors.values())

    def resource(self, api_version: str, kind: str) -> Resource | None:
        """The resource of a kind (in the server's preferred version), None when the server has no such kind."""
        return self._kinds.get((api_version.rpartition("/")[0], kind))

    def cached(self, resource: Resource, key: str) -> Object | None:
        """The metadata of an object as last seen."""
        monitor = self._monitors.get(resource)
        return monitor.get(key) if monitor is not None else None
