"""All served kinds by address, and reading any of them from the watch cache."""

from __future__ import annotations

from collections.abc import Iterable

from apimachinery import Object
from apimachinery.resources import Resource
from apiserver.admission.plugin import Chain
from apiserver.registry import strategy as strategies
from apiserver.registry.kind import Kind
from apiserver.registry.settings import Settings
from apiserver.storage import Store


class Catalog:
    """The kinds that this server has."""

    def __init__(self, store: Store, settings: Settings, admission: Chain) -> None:
        self.store = store
        self._by_path: dict[tuple[str, str, str], Kind] = {}
        self._by_resource: dict[Resource, Kind] = {}
        self.virtual: list[Resource] = []
        """Resources that are answered without being stored (reviews, bindings)."""
        rules = strategies.load(settings)
        self.virtual += [resource for resource in rules if "get" not in resource.verbs]
        rules = {resource: strategy for resource, strategy in rules.items() if "get" in resource.verbs}
        stored = [strategy for strategy in rules.values() if strategy.storage_resource is None]
        for strategy in stored:
            resource = strategy.resource
            resource_store = store.resource(
                resource.group, resource.plural, resource.namespaced,
                fields=strategy.selectable_fields, ttl=strategy.ttl, version=resource.version, kind=resource.kind,
            )  # fmt: skip
            self.add(Kind(strategy, resource_store, admission))
        for strategy in rules.values():
            if strategy.storage_resource is not None:
                self.add(Kind(strategy, self._by_resource[strategy.storage_resource].store, admission))

    def add(self, kind: Kind) -> None:
        """Serve a kind."""
        resource = kind.resource
        self._by_path[resource.group, resource.version, resource.plural] = kind
        self._by_resource[resource] = kind

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        """The kind at an address."""
        return self._by_path.get((group, version, plural))

    def of(self, resource: Resource) -> Kind:
        """The kind of a row of the resource table. Raises KeyError when it is not served."""
        return self._by_resource[resource]

    def kinds(self) -> Iterable[Kind]:
        """All stored kinds."""
        return self._by_resource.values()

    def resources(self) -> list[Resource]:
        """All served resources, stored or not."""
        return [*self._by_resource, *self.virtual]

    def lookup(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Read an object from the watch cache, without I/O; it may be milliseconds old."""
        entry = self._by_resource[resource].store.peek(namespace, name)
        return None if entry is None else entry.decode()
