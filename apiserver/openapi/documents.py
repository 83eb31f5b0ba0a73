"""The documents as bytes: built on first request, kept as bytes only, addressed by a hash.

The hash of a v3 document is taken from what it is made of (rows, definitions, version), so that the index can be
served without building any document. Building reads the packaged definitions again and drops them afterwards:
megabytes that a server without kubectl users should not hold.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

import orjson

from apimachinery.resources import Resource
from apimachinery.schema import definitions
from apiserver.openapi import protobuf, v2, v3

VERSION: Final = "v1.36.0"
V2_PROTOBUF_ACCEPTED: Final = (
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
)
"""What clients ask for. The first is what kubectl sends; it is no valid media type, so it is never answered."""
V2_PROTOBUF_CONTENT_TYPE: Final = V2_PROTOBUF_ACCEPTED[1]
_REVISION: Final = "1"
"""To be raised when the rendering changes, so that clients drop what they have cached."""


def v3_index(resources: Iterable[Resource]) -> bytes:
    """``/openapi/v3``: the address of each group and version's document, with its hash."""
    rows = tuple(resources)
    index = {
        _place(group_version): {
            "serverRelativeURL": f"/openapi/v3/{_place(group_version)}?hash={v3_hash(group_version, rows)}"
        }
        for group_version in sorted({r.group_version for r in rows}, key=_place)
    }
    return orjson.dumps({"paths": index})


def v3_document(group_version: str, resources: Iterable[Resource]) -> bytes:
    """The v3 document of ``v1`` or ``apps/v1``. Raises KeyError when no resource is of it."""
    return _v3(_rows(group_version, tuple(resources)))


def v3_hash(group_version: str, resources: Iterable[Resource]) -> str:
    """Hash and etag of a v3 document. Raises KeyError when no resource is of this group and version."""
    return _hash(_rows(group_version, tuple(resources)))


def v2_json(resources: Iterable[Resource]) -> bytes:
    """``/openapi/v2`` as JSON."""
    return _v2_json(tuple(resources))


def v2_protobuf(resources: Iterable[Resource]) -> bytes:
    """``/openapi/v2`` as protobuf, to be sent as :data:`V2_PROTOBUF_CONTENT_TYPE`."""
    return _v2_protobuf(tuple(resources))


def etag(document: bytes) -> str:
    """The strong etag of a document, without quotes."""
    return hashlib.sha512(document).hexdigest().upper()


def _place(group_version: str) -> str:
    return f"apis/{group_version}" if "/" in group_version else f"api/{group_version}"


def _rows(group_version: str, resources: Sequence[Resource]) -> tuple[Resource, ...]:
    rows = tuple(r for r in resources if r.group_version == group_version)
    if not rows:
        raise KeyError(group_version)
    return rows


@functools.cache
def _definitions_stamp() -> bytes:
    return hashlib.sha512(definitions.path().read_bytes()).digest()


@functools.cache
def _hash(rows: tuple[Resource, ...]) -> str:
    digest = hashlib.sha512(_definitions_stamp())
    digest.update(f"{VERSION} {_REVISION}".encode())
    for row in rows:
        digest.update(repr(row).encode())
    return digest.hexdigest().upper()


@functools.cache
def _v3(rows: tuple[Resource, ...]) -> bytes:
    return orjson.dumps(v3.document(definitions.raw(), rows, VERSION))


@functools.cache
def _v2_json(rows: tuple[Resource, ...]) -> bytes:
    return orjson.dumps(v2.document(definitions.raw(), rows, VERSION))


@functools.cache
def _v2_protobuf(rows: tuple[Resource, ...]) -> bytes:
    return protobuf.encode(definitions.raw(), rows, VERSION)
