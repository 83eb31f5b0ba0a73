"""Other forms of the same objects: Table (what `kubectl get` prints) and PartialObjectMetadata."""

from __future__ import annotations

from functools import lru_cache

import orjson

from apimachinery import Object, errors
from apiserver.http.negotiation import Media
from apiserver.registry.kind import Kind
from apiserver.registry.strategy import Column
from apiserver.storage import Encode, WatchEvent

TABLE = "Table"
METADATA = "PartialObjectMetadata"
METADATA_LIST = "PartialObjectMetadataList"
OBJECT_FORMS = frozenset({TABLE, METADATA})
LIST_FORMS = frozenset({TABLE, METADATA_LIST})
WATCH_FORMS = frozenset({TABLE, METADATA})
INCLUDE = ("None", "Metadata", "Object")


@lru_cache(256)
def _column_definitions(columns: tuple[Column, ...]) -> list[Object]:
    return [
        {
            "name": column.name, "type": column.type, "format": column.format, "description": column.description,
            "priority": column.priority,
        }
        for column in columns
    ]  # fmt: skip


def included(value: str) -> str:
    """Check the includeObject parameter. Raises StatusError 400."""
    if value and value not in INCLUDE:
        raise errors.bad_request(f"unrecognized includeObject value: {errors.quote(value)}")
    return value or "Metadata"


def table(kind: Kind, objects: list[Object], media: Media, list_metadata: Object, include: str) -> Object:
    """A Table of objects (in the stored version)."""
    strategy = kind.strategy
    rows: list[Object] = []
    for obj in objects:
        row: Object = {"cells": strategy.row(obj)}
        conditions = strategy.row_conditions(obj)
        if conditions:
            row["conditions"] = conditions
        if include == "Metadata":
            row["object"] = partial(obj, media.version)
        elif include == "Object":
            row["object"] = kind.served(obj)
        rows.append(row)
    return {
        "kind": TABLE,
        "apiVersion": f"meta.k8s.io/{media.version}",
        "metadata": list_metadata,
        "columnDefinitions": _column_definitions(strategy.columns),
        "rows": rows,
    }


def partial(obj: Object, version: str) -> Object:
    """An object's metadata alone."""
    return {"kind": METADATA, "apiVersion": f"meta.k8s.io/{version}", "metadata": obj["metadata"]}


def one(kind: Kind, obj: Object, media: Media, include: str) -> Object:
    """A single object in the form asked for."""
    if media.as_kind == METADATA:
        return partial(obj, media.version)
    if media.as_kind == TABLE:
        metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return table(kind, [obj], media, metadata, include)
    return kind.served(obj)


_encoders: dict[tuple[int, Media, str], Encode] = {}


def encoder(kind: Kind, media: Media, include: str) -> Encode | None:
    """How watch events of this form are encoded; one function per form, so that watchers share its results.

    None: the stored bytes serve as they are.
    """
    if not media.as_kind and not kind.converts:
        return None
    key = (id(kind), media, include)
    found = _encoders.get(key)
    if found is None:
        found = _encoders[key] = _make_encoder(kind, media, include)
    return found


def _make_encoder(kind: Kind, media: Media, include: str) -> Encode:
    def encode(event: WatchEvent) -> bytes:
        if event.type == "ERROR":
            return event.frame()
        obj = event.entry.decode()
        if event.type == "BOOKMARK":
            shown = _bookmark(kind, obj, media)
        else:
            shown = one(kind, obj, media, include)
        return orjson.dumps({"type": event.type, "object": shown}) + b"\n"

    return encode


def _bookmark(kind: Kind, obj: Object, media: Media) -> Object:
    if media.as_kind == METADATA:
        return partial(obj, media.version)
    if media.as_kind == TABLE:
        return {
            "kind": TABLE, "apiVersion": f"meta.k8s.io/{media.version}",
            "metadata": {"resourceVersion": obj["metadata"]["resourceVersion"]},
            "columnDefinitions": _column_definitions(kind.strategy.columns),
            "rows": [{"cells": [], "object": partial(obj, media.version)}],
        }  # fmt: skip
    return {**obj, "apiVersion": kind.resource.api_version, "kind": kind.resource.kind}
