"""Reading and writing ``metadata`` and ``status.conditions`` of plain objects.

Readers never change their argument; the few writers say so in their name.
"""

from __future__ import annotations as _annotations

import copy
from typing import Any

import orjson

from apimachinery import Object
from apimachinery.times import now


def namespace(obj: Object) -> str:
    """The namespace, ``""`` for a cluster-scoped object."""
    return (obj.get("metadata") or {}).get("namespace") or ""


def name(obj: Object) -> str:
    """The name, ``""`` when there is none yet."""
    return (obj.get("metadata") or {}).get("name") or ""


def uid(obj: Object) -> str:
    """The uid, ``""`` when there is none yet."""
    return (obj.get("metadata") or {}).get("uid") or ""


def resource_version(obj: Object) -> str:
    """The resourceVersion, ``""`` when there is none."""
    return (obj.get("metadata") or {}).get("resourceVersion") or ""


def labels(obj: Object) -> dict[str, str]:
    """The labels (an empty dict when there are none)."""
    return (obj.get("metadata") or {}).get("labels") or {}


def annotations(obj: Object) -> dict[str, str]:
    """The annotations (an empty dict when there are none)."""
    return (obj.get("metadata") or {}).get("annotations") or {}


def finalizers(obj: Object) -> list[str]:
    """The finalizers (an empty list when there are none)."""
    return (obj.get("metadata") or {}).get("finalizers") or []


def deletion_timestamp(obj: Object) -> str | None:
    """When deletion was asked for, else None."""
    return (obj.get("metadata") or {}).get("deletionTimestamp")


def is_deleting(obj: Object) -> bool:
    """Say whether deletion has been asked for."""
    return deletion_timestamp(obj) is not None


def key(obj: Object) -> str:
    """``namespace/name``, or ``name`` for a cluster-scoped object: the key of caches and queues."""
    metadata = obj.get("metadata") or {}
    space = metadata.get("namespace")
    return f"{space}/{metadata['name']}" if space else str(metadata["name"])


def split_key(key: str) -> tuple[str, str]:
    """``(namespace, name)`` of a key; the namespace is ``""`` when there is none."""
    space, slash, rest = key.partition("/")
    return (space, rest) if slash else ("", space)


def owner_references(obj: Object) -> list[Object]:
    """The owner references (an empty list when there are none)."""
    return (obj.get("metadata") or {}).get("ownerReferences") or []


def controller_of(obj: Object) -> Object | None:
    """The owner reference of the managing controller, if any."""
    for reference in owner_references(obj):
        if reference.get("controller"):
            return reference
    return None


def is_controlled_by(obj: Object, owner: Object) -> bool:
    """Say whether ``owner`` is the managing controller of ``obj``."""
    reference = controller_of(obj)
    return reference is not None and reference.get("uid") == uid(owner)


def owner_reference(owner: Object, controller: bool = True) -> Object:
    """A reference to ``owner``; a controller reference also blocks foreground deletion of the owner."""
    reference: Object = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name(owner),
        "uid": uid(owner),
    }
    if controller:
        reference["controller"] = True
        reference["blockOwnerDeletion"] = True
    return reference


def object_reference(obj: Object) -> Object:
    """An ``ObjectReference`` to this object, as Events carry it."""
    reference: Object = {"kind": obj.get("kind", ""), "apiVersion": obj.get("apiVersion", "")}
    metadata = obj.get("metadata") or {}
    for field in ("namespace", "name", "uid", "resourceVersion"):
        if metadata.get(field):
            reference[field] = metadata[field]
    return reference


def condition(obj: Object, type: str) -> Object | None:
    """The status condition of this type, if any."""
    for entry in (obj.get("status") or {}).get("conditions") or ():
        if entry.get("type") == type:
            return dict(entry) if not isinstance(entry, dict) else entry
    return None


def condition_is_true(obj: Object, type: str) -> bool:
    """Say whether the condition is there with status ``"True"``."""
    entry = condition(obj, type)
    return entry is not None and entry.get("status") == "True"


def set_condition(conditions: list[Object], new: Object) -> bool:
    """Put ``new`` into ``conditions`` (changed in place) and say whether anything changed.

    ``lastTransitionTime`` moves only when the status does; a missing one is filled with the present.
    """
    for entry in conditions:
        if entry.get("type") != new["type"]:
            continue
        updated = {**entry, **new}
        if entry.get("status") == new.get("status"):
            if "lastTransitionTime" in entry:
                updated["lastTransitionTime"] = entry["lastTransitionTime"]
        elif "lastTransitionTime" not in new:
            updated["lastTransitionTime"] = now()
        if updated == entry:
            return False
        entry.clear()
        entry.update(updated)
        return True
    conditions.append(new if "lastTransitionTime" in new else {**new, "lastTransitionTime": now()})
    return True


def deep_copy(value: Any) -> Any:
    """A copy of a JSON value that shares nothing. Through its bytes, which is ten times quicker than a walk."""
    if not isinstance(value, (dict, list)):
        return value
    try:
        return orjson.loads(orjson.dumps(value))
    except TypeError:  # integers beyond 64 bits, or something that is not JSON
        return copy.deepcopy(value)
