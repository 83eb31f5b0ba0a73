"""The stored form of an object: canonical JSON whose first members are apiVersion, kind and metadata.

With that order the resourceVersion, which etcd assigns and which is therefore not stored, can be spliced into
the bytes without parsing them, and the type can be cut off for list items. Encoded once, these bytes serve
every reader and every watcher. Nothing else in the project writes object JSON for resources.
"""

from typing import Final

import orjson

from apimachinery import Object

_METADATA: Final = b'"metadata":{'
_RESOURCE_VERSION: Final = b'"metadata":{"resourceVersion":"'
_HEADS: dict[bytes, bytes] = {}


def encode(obj: Object) -> bytes:
    """Return the canonical bytes: apiVersion, kind, metadata without resourceVersion, then the rest in its order.

    Raises TypeError for values that JSON does not know, KeyError without apiVersion, kind or metadata.
    """
    metadata = dict(obj["metadata"])
    metadata.pop("resourceVersion", None)
    ordered = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": metadata}
    for key, value in obj.items():
        if key not in ordered:
            ordered[key] = value
    return orjson.dumps(ordered)


def split(raw: bytes) -> tuple[bytes, bytes]:
    """Cut canonical bytes into head (`{"apiVersion":…,"kind":…,`) and the rest, which begins with metadata.

    Bytes of another writer that are JSON in another order are put in order first. Raises ValueError for anything
    that is not a JSON object with metadata. Heads are shared.
    """
    at = raw.find(_METADATA)
    head = raw[:at]
    known = _HEADS.get(head)
    if known is None:
        if at < 0 or head.count(b"{") != 1 or b'"kind":' not in head or b'"apiVersion":' not in head:
            raw = _reorder(raw)
            at = raw.find(_METADATA)
            head = raw[:at]
        known = _HEADS.setdefault(head, head)
    return known, raw[at:]


def _reorder(raw: bytes) -> bytes:
    try:
        obj = orjson.loads(raw)
        return encode(obj)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as problem:
        raise ValueError(f"stored value is not an object in JSON: {problem}") from None


def with_revision(body: bytes, revision: int) -> bytes:
    """Return the part that begins with metadata, with `resourceVersion` as metadata's first member."""
    rest = body[len(_METADATA) :]
    comma = b'"' if rest[:1] == b"}" else b'",'
    return b"".join((_RESOURCE_VERSION, str(revision).encode(), comma, rest))


def replace_revision(body: bytes, revision: int) -> bytes:
    """Return `body`, made by `with_revision`, with another resourceVersion."""
    end = body.index(b'"', len(_RESOURCE_VERSION))
    return b"".join((_RESOURCE_VERSION, str(revision).encode(), body[end:]))


def splice(raw: bytes, revision: int) -> bytes:
    """Return a stored value as clients see it: with `metadata.resourceVersion`."""
    head, body = split(raw)
    return head + with_revision(body, revision)
