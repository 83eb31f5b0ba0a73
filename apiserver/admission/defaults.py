"""The admission plugins of this server, in order, wired to the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apimachinery import Object
from apimachinery.resources import NAMESPACES, PRIORITY_CLASSES, SERVICE_ACCOUNTS
from apiserver.admission.namespaces import NamespaceLifecycle
from apiserver.admission.nodes import NodeRestriction, TaintNodesByCondition
from apiserver.admission.plugin import Plugin
from apiserver.admission.pods import DefaultTolerationSeconds, Priority
from apiserver.admission.service_accounts import ServiceAccount

if TYPE_CHECKING:
    from apiserver.registry.catalog import Catalog
    from apiserver.registry.kind import Kind


class NamespacePhases:
    """Phases of namespaces from the watch cache, whose selectable fields hold them: nothing is decoded."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def known(self, name: str) -> str | None:
        """The phase as the cache has it."""
        entry = self._kind.store.peek("", name)
        return None if entry is None else entry.fields.get("status.phase", "")

    async def latest(self, name: str) -> str | None:
        """The phase as storage has it now."""
        entry = await self._kind.find("", name)
        return None if entry is None else entry.fields.get("status.phase", "")


class DefaultPriorityClass:
    """Finds the globally default PriorityClass; looks again only when some class has changed."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._seen = -1
        self._found: Object | None = None

    def __call__(self) -> Object | None:
        """The default class, None when there is none."""
        revision = self._kind.store.last_change
        if revision != self._seen:
            entries = self._kind.store.select()
            defaults = [found for entry in entries if (found := entry.decode()).get("globalDefault")]
            self._found = min(defaults, key=lambda found: found.get("value", 0), default=None)
            self._seen = revision
        return self._found


def plugins(catalog: Catalog) -> list[Plugin]:
    """The plugins, in the order in which the original runs them."""

    async def find_account(namespace: str, name: str) -> Object | None:
        entry = await catalog.of(SERVICE_ACCOUNTS).find(namespace, name)
        return None if entry is None else entry.decode()

    return [
        NamespaceLifecycle(NamespacePhases(catalog.of(NAMESPACES))),
        ServiceAccount(find_account),
        NodeRestriction(),
        TaintNodesByCondition(),
        Priority(DefaultPriorityClass(catalog.of(PRIORITY_CLASSES))),
        DefaultTolerationSeconds(),
    ]
