"""One served resource: its strategy, its storage and the admission chain, bound together for the verbs.

Also what the verbs hand back: something stored, or something that a dry run would have stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import orjson

from apimachinery import Object, errors
from apimachinery.errors import StatusError
from apimachinery.resources import Resource
from apiserver.admission.plugin import Chain
from apiserver.registry.strategy import Strategy, UpdateRules
from apiserver.storage import Entry, ResourceStore


class Stored(Protocol):
    """An object as a verb returns it."""

    def encoded(self) -> bytes:
        """Its JSON."""

    def decode(self) -> Object:
        """A fresh dict of it."""


class Unsaved:
    """An object that is not in storage: the result of a dry run, a review, a subresource."""

    __slots__ = ("_obj",)

    def __init__(self, obj: Object) -> None:
        self._obj = obj

    def encoded(self) -> bytes:
        """Its JSON."""
        return orjson.dumps(self._obj)

    def decode(self) -> Object:
        """The object; unlike an entry's, not a copy."""
        return self._obj


class Converted:
    """A stored object in another served version."""

    __slots__ = ("_entry", "_strategy")

    def __init__(self, entry: Entry, strategy: Strategy) -> None:
        self._entry, self._strategy = entry, strategy

    def encoded(self) -> bytes:
        """Its JSON in the served version."""
        return orjson.dumps(self.decode())

    def decode(self) -> Object:
        """A fresh dict of it in the served version."""
        return self._strategy.from_storage(self._entry.decode())


@dataclass
class Kind:
    """A resource as it is served."""

    strategy: Strategy
    store: ResourceStore
    admission: Chain
    rules: dict[str, UpdateRules] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.resource: Resource = self.strategy.resource
        self.rules = self.strategy.update_rules()
        self.field_names = self.strategy.selectable_field_names()
        self.converts = self.strategy.storage_resource is not None
        self.makes_claims = type(self.strategy).claims is not Strategy.claims

    def view(self, entry: Entry) -> Stored:
        """The entry in the served version."""
        return Converted(entry, self.strategy) if self.converts else entry

    def served(self, obj: Object) -> Object:
        """An object of the stored version (which the rules work on) in the served version."""
        return self.strategy.from_storage(obj) if self.converts else obj

    def internal(self, obj: Object) -> Object:
        """An object of the served version in the stored one."""
        return self.strategy.to_storage(obj) if self.converts else obj

    def unsaved(self, obj: Object) -> Stored:
        """An object of the stored version as a verb's result."""
        return Unsaved(self.served(obj))

    def not_found(self, name: str) -> StatusError:
        """404 for an object of this kind."""
        return errors.not_found(self.resource.group, self.resource.plural, name)

    async def find(self, namespace: str, name: str, resource_version: str | None = None) -> Entry | None:
        """The entry, None when there is none. Without resource_version the answer is the latest."""
        try:
            return await self.store.get(namespace, name, resource_version=resource_version)
        except KeyError:
            return None

    async def get(self, namespace: str, name: str, resource_version: str | None = None) -> Entry:
        """The entry. Raises StatusError 404."""
        try:
            return await self.store.get(namespace, name, resource_version=resource_version)
        except KeyError:
            raise self.not_found(name) from None
