"""Objects by key with secondary indexes: what an informer keeps. Values only, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from apimachinery import Object

Indexer = Callable[[Object], Iterable[str]]
Objects: TypeAlias = list[Object]


def key_of(obj: Object) -> str:
    """`namespace/name`, or `name` for cluster-scoped objects."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])


def by_namespace(obj: Object) -> Iterable[str]:
    """Index: the object's namespace."""
    return (obj["metadata"].get("namespace", ""),)


def by_owner_uid(obj: Object) -> Iterable[str]:
    """Index: uids of all owners."""
    return [reference["uid"] for reference in obj["metadata"].get("ownerReferences") or ()]


def by_node_name(obj: Object) -> Iterable[str]:
    """Index: `spec.nodeName` of a Pod that has one."""
    name = (obj.get("spec") or {}).get("nodeName")
    return (name,) if name else ()


class Store:
    """Objects by key with secondary indexes; cost per change does not depend on the number of objects."""

    def __init__(self) -> None:
        self._objects: dict[str, Object] = {}
        self._indexers: dict[str, Indexer] = {}
        self._indexes: dict[str, dict[str, dict[str, Object]]] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def add_index(self, name: str, indexer: Indexer) -> None:
        """Add an index, filling it from what is stored. Adding the same name again changes nothing."""
        if name in self._indexers:
            return
        self._indexers[name] = indexer
        index = self._indexes[name] = {}
        for key, obj in self._objects.items():
            for value in indexer(obj):
                index.setdefault(value, {})[key] = obj

    def get(self, key: str) -> Object | None:
        return self._objects.get(key)

    def all_keys(self) -> list[str]:
        return list(self._objects)

    def values(self) -> Objects:
        return list(self._objects.values())

    def by_index(self, name: str, value: str) -> Objects:
        return list(self._indexes[name].get(value, {}).values())

    def index_size(self, name: str, value: str) -> int:
        return len(self._indexes[name].get(value, ()))

    def set(self, key: str, obj: Object) -> Object | None:
        """Store the object; returns the one that it replaces."""
        old = self._objects.get(key)
        self._objects[key] = obj
        for name, indexer in self._indexers.items():
            index = self._indexes[name]
            new_values = set(indexer(obj))
            if old is not None:
                self._unindex(index, key, set(indexer(old)) - new_values)
            for value in new_values:
                index.setdefault(value, {})[key] = obj
        return old

    def remove(self, key: str) -> Object | None:
        old = self._objects.pop(key, None)
        if old is not None:
            for name, indexer in self._indexers.items():
                self._unindex(self._indexes[name], key, indexer(old))
        return old

    @staticmethod
    def _unindex(index: dict[str, dict[str, Object]], key: str, values: Iterable[str]) -> None:
        for value in values:
            keys = index.get(value)
            if keys is not None:
                keys.pop(key, None)
                if not keys:
                    del index[value]
