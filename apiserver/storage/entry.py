"""One object as the cache holds it: its encoded bytes, and beside them only what selecting and sorting need.

No parsed object is kept: dicts cost four times the memory and make garbage collection slow. Labels and selectable
fields are taken out once, when the object is written or first seen, and equal ones are shared.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from apimachinery import Object
from apiserver.storage import codec

FieldsOf = Callable[[Object], Mapping[str, str]]
"""Returns the selectable fields of an object; metadata.name and metadata.namespace need not be among them."""

_SHARED_LIMIT: Final = 100_000
_shared_maps: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}
_shared_strings: dict[str, str] = {}
_OWN_FIELDS: Final = ("metadata.name", "metadata.namespace")


def _share_map(values: Mapping[str, Any]) -> dict[str, str]:
    """Return one dict for all equal ones; never to be changed."""
    key = tuple(values.items())
    found = _shared_maps.get(key)
    if found is None:
        if len(_shared_maps) >= _SHARED_LIMIT:
            _shared_maps.clear()
        found = _shared_maps[key] = {share(k): share(str(v)) for k, v in key}
    return found


def share(value: str) -> str:
    """Return one string for all equal ones (namespaces, label values)."""
    if len(_shared_strings) >= _SHARED_LIMIT:
        _shared_strings.clear()
    return _shared_strings.setdefault(value, value)


class Entry:
    """A stored object at one revision. Immutable.

    `key` is `namespace/name`, or `name` for cluster-scoped kinds; `rev` the revision that `metadata.resourceVersion`
    shows; `head + body` its JSON, where `body` begins with `"metadata":{` and needs only a `{` before it to be a
    list item without its type.
    """

    __slots__ = ("body", "fields", "head", "key", "labels", "name", "namespace", "rev", "uid")

    def __init__(
        self,
        key: str,
        namespace: str,
        name: str,
        uid: str,
        rev: int,
        head: bytes,
        body: bytes,
        labels: Mapping[str, str],
        fields: Mapping[str, str],
    ) -> None:
        self.key = key
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.rev = rev
        self.head = head
        self.body = body
        self.labels = labels
        self.fields = fields

    def encoded(self) -> bytes:
        """Return the object's JSON as clients see it, with apiVersion, kind and resourceVersion."""
        return self.head + self.body

    raw = property(encoded)

    def decode(self) -> Object:
        """Return a fresh dict of the object, with resourceVersion; the caller may change it."""
        obj: Object = orjson.loads(self.head + self.body)
        return obj

    def at(self, rev: int) -> "Entry":
        """Return the same object with another resourceVersion, as deletion events carry it."""
        body = codec.replace_revision(self.body, rev)
        return Entry(
            self.key, self.namespace, self.name, self.uid, rev, self.head, body, self.labels, self.fields
        )

    def field(self, path: str) -> str:
        """Return a selectable field's value, `""` where it is absent."""
        if path == "metadata.name":
            return self.name
        if path == "metadata.namespace":
            return self.namespace
        return self.fields.get(path, "")

    def __repr__(self) -> str:
        return f"Entry({self.key!r}, rev={self.rev})"


class Draft:
    """An object on its way to etcd, encoded and taken apart, before its revision is known."""

    __slots__ = ("body", "fields", "head", "key", "labels", "name", "namespace", "uid", "value")

    def __init__(self, key: str, value: bytes, obj: Object, fields_of: FieldsOf | None) -> None:
        """`value` is `codec.encode(obj)` or what etcd returned; raises ValueError where it is no object."""
        self.key = key
        self.value = value
        self.head, self.body = codec.split(value)
        namespace, _, self.name = key.rpartition("/")
        self.namespace = share(namespace)
        metadata = obj.get("metadata") or {}
        self.uid: str = metadata.get("uid") or ""
        self.labels = _share_map(metadata.get("labels") or {})
        fields = fields_of(obj) if fields_of is not None else {}
        shared = _shared_strings.setdefault
        self.fields = {k: shared(v, v) for k, v in fields.items() if v and k not in _OWN_FIELDS}

    def entry(self, rev: int) -> Entry:
        """Return the object as stored at revision `rev`."""
        body = codec.with_revision(self.body, rev)
        return Entry(
            self.key, self.namespace, self.name, self.uid, rev, self.head, body, self.labels, self.fields
        )

    def same_as(self, entry: Entry) -> bool:
        """True when writing this draft would change nothing but the revision (the order of members is nothing)."""
        if self.head != entry.head:
            return False
        body = codec.with_revision(self.body, entry.rev)
        if body == entry.body:
            return True
        # The same members in another order have the same length.
        return len(body) == len(entry.body) and bool(
            orjson.loads(b"{" + body) == orjson.loads(b"{" + entry.body)
        )


def draft_of_value(key: str, value: bytes, fields_of: FieldsOf | None) -> Draft:
    """Return the draft for bytes read from etcd; raises ValueError where they are not a JSON object."""
    obj = orjson.loads(value)  # JSONDecodeError is a ValueError
    if not isinstance(obj, dict):
        raise ValueError("stored value is not a JSON object")
    return Draft(key, value, obj, fields_of)
