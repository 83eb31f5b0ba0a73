"""Strategic merge patch: a merge patch that knows which lists are keyed, driven by the schema.

Follows the patch format of the original: ``$patch: replace|delete|merge``, ``$retainKeys``,
``$setElementOrder/<list>`` and ``$deleteFromPrimitiveList/<list>``. Merged lists keep the patch's order for the
items that the patch names and the server's for the rest. Kinds without a schema (custom resources) must be
refused by the caller.
"""

from __future__ import annotations

from typing import Any, Final

from apimachinery import errors
from apimachinery.schema import definitions
from apimachinery.schema import types as t
from apimachinery.schema.types import Type

_PATCH: Final = "$patch"
_RETAIN: Final = "$retainKeys"
_ORDER: Final = "$setElementOrder/"
_DELETE: Final = "$deleteFromPrimitiveList/"

BAD_RETAIN_KEYS: Final = "invalid patch format of retainKeys"
BAD_PRIMITIVE_LIST: Final = "invalid patch format of primitive list"
BAD_ORDER: Final = "invalid patch format of setElementOrder list"


def apply(obj: Any, patch: Any, definition: str | Type) -> Any:
    """Return the patched copy of ``obj``, whose shape is ``definition`` (a node or the name of one).

    Raises StatusError: 400 for a malformed patch, 500 (as the original does) when a list item lacks its merge
    key or a directive is unknown.
    """
    if not isinstance(patch, dict):
        raise errors.bad_request(
            "json: cannot unmarshal the body into Go value of type map[string]interface {}"
        )
    node = definitions.get(definition) if isinstance(definition, str) else definition
    return _merge_map(obj, patch, node)


def _merge_map(current: Any, patch: dict[str, Any], node: Type) -> dict[str, Any]:
    directive = patch.get(_PATCH)
    if directive == "replace":
        return {k: _clean(v) for k, v in patch.items() if k != _PATCH}
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise _failure(f"unknown patch type found: {directive} in map")
    out = dict(current) if isinstance(current, dict) else {}
    _retain_keys(out, patch)
    done = _ordered_lists(out, patch, node)
    for key, value in patch.items():
        if key in (_PATCH, _RETAIN) or key in done or key.startswith(_ORDER):
            continue
        if key.startswith(_DELETE):
            _delete_primitives(out, key, value)
        elif value is None:
            out.pop(key, None)
        else:
            out[key] = _merge_value(out.get(key), value, node.field(key))
    return out


def _merge_value(current: Any, value: Any, field: Type) -> Any:
    if current is None:
        return _clean(value)
    if isinstance(value, dict) and isinstance(current, dict):
        if "replace" in field.patch_strategy:
            return {k: _clean(v) for k, v in value.items() if k != _PATCH}
        return _merge_map(current, value, field)
    if isinstance(value, list) and isinstance(current, list):
        return _merge_list(current, value, field)
    return _clean(value)


def _retain_keys(out: dict[str, Any], patch: dict[str, Any]) -> None:
    retained = patch.get(_RETAIN)
    if retained is None:
        return
    if not isinstance(retained, list):
        raise errors.bad_request(BAD_RETAIN_KEYS)
    keep = {key for key in retained if isinstance(key, str)}
    for key, value in patch.items():
        special = key in (_RETAIN, _PATCH) or key.startswith((_DELETE, _ORDER))
        if value is not None and not special and key not in keep:
            raise errors.bad_request(BAD_RETAIN_KEYS)
    for key in out.keys() - keep:
        del out[key]


def _delete_primitives(out: dict[str, Any], key: str, values: Any) -> None:
    name = key[len(_DELETE) :]
    if not isinstance(values, list):
        raise errors.bad_request(BAD_PRIMITIVE_LIST)
    if isinstance(out.get(name), list):
        out[name] = [item for item in out[name] if item not in values]


def _ordered_lists(out: dict[str, Any], patch: dict[str, Any], node: Type) -> set[str]:
    """Merge the lists for which the patch gives the order of elements; return their names."""
    done: set[str] = set()
    for directive, order in patch.items():
        if not directive.startswith(_ORDER):
            continue
        if not isinstance(order, list):
            raise errors.bad_request(BAD_ORDER)
        name = directive[len(_ORDER) :]
        field = node.field(name)
        server = out.get(name)
        change = patch.get(name)
        if name in patch and change is None:
            continue
        if isinstance(change, list):
            _check_order(change, order, field.merge_key, directive)
        if isinstance(server, list) and isinstance(change, list):
            merged = _merge_list(server, change, field)
        elif isinstance(change, list):
            merged = _clean(change)
        elif isinstance(server, list):
            merged = server
        else:
            continue
        out[name] = _in_order(merged, order, server or [], field.merge_key)
        done.add(name)
    return done


def _check_order(change: list[Any], order: list[Any], merge_key: str, directive: str) -> None:
    """The items of the patch must occur in the order list, and in that order."""
    wanted = [_identity(item, merge_key) for item in order]
    named = [
        _identity(item, merge_key) for item in change if not (isinstance(item, dict) and item.get(_PATCH))
    ]
    position = 0
    for name in named:
        try:
            position = wanted.index(name, position) + 1
        except ValueError:
            raise errors.bad_request(
                f"The order in patch list:\n{go_value(change)}\n doesn't match {directive} list:\n"
                f"{go_value(order)}\n"
            ) from None


def _merge_list(server: list[Any], change: list[Any], field: Type) -> list[Any]:
    if "merge" not in field.patch_strategy:
        replaced = _clean(change)
        assert isinstance(replaced, list)
        return replaced
    if not any(isinstance(item, dict) for item in (*server, *change)):
        merged = list(server)
        merged.extend(item for item in dict.fromkeys(change) if item not in server)
        return _in_order(merged, change, server, "")
    key = field.merge_key
    if not key:
        raise _failure(f"cannot merge lists without merge key for {t.STRUCT}")
    kept, named, replace = _special_items(server, change, key)
    if replace:
        return [_clean(item) for item in named]
    merged = list(kept)
    for item in named:
        wanted = _merge_key_of(item, key)
        for i, candidate in enumerate(merged):
            if isinstance(candidate, dict) and candidate.get(key) == wanted:
                merged[i] = _merge_map(candidate, item, field.item)
                break
        else:
            merged.append(_clean(item))
    return _in_order(merged, named, kept, key)


def _special_items(
    server: list[Any], change: list[Any], key: str
) -> tuple[list[Any], list[dict[str, Any]], bool]:
    """Carry out ``$patch`` items: what is left of the server's items, the plain items, whether to replace."""
    named: list[dict[str, Any]] = []
    kept = list(server)
    replace = False
    for item in change:
        if not isinstance(item, dict):
            raise _failure("all elements of a list must be of the same type")
        directive = item.get(_PATCH)
        if directive is None:
            named.append(item)
        elif directive == "delete":
            gone = _merge_key_of(item, key)
            kept = [c for c in kept if not (isinstance(c, dict) and c.get(key) == gone)]
        elif directive == "replace":
            replace = True
        elif directive == "merge":
            raise _failure("merge directive not supported in lists")
        else:
            raise _failure(f"unknown patch type found: {directive} in map")
    return kept, named, replace


def _merge_key_of(item: dict[str, Any], key: str) -> Any:
    if key not in item:
        raise _failure(f"map: {go_value(item)} does not contain declared merge key: {key}")
    return item[key]


def _identity(item: Any, key: str) -> Any:
    return item.get(key) if key and isinstance(item, dict) else item


def _in_order(merged: list[Any], order: list[Any], server: list[Any], key: str) -> list[Any]:
    """Patch items in the order of the patch; each server-only item before the first that followed it."""
    wanted = {_hashable(_identity(item, key)): i for i, item in reversed(list(enumerate(order)))}
    before = {_hashable(_identity(item, key)): i for i, item in reversed(list(enumerate(server)))}

    def place(item: Any, places: dict[Any, int]) -> int:
        return places.get(_hashable(_identity(item, key)), -1)

    right = sorted((m for m in merged if place(m, wanted) >= 0), key=lambda m: place(m, wanted))
    left = sorted((m for m in merged if place(m, wanted) < 0), key=lambda m: place(m, before))
    out: list[Any] = []
    i = j = 0
    while i < len(left) and j < len(right):
        li, ri = place(left[i], before), place(right[j], before)
        if li >= 0 and ri >= 0 and li < ri:
            out.append(left[i])
            i += 1
        else:
            out.append(right[j])
            j += 1
    return out + left[i:] + right[j:]


def _hashable(value: Any) -> Any:
    return repr(value) if isinstance(value, (dict, list)) else value


def _clean(value: Any) -> Any:
    """A new value as it is stored: without directives and nulls."""
    if isinstance(value, dict):
        if value.get(_PATCH) == "delete":
            return {}
        return {k: _clean(v) for k, v in value.items() if v is not None and not k.startswith("$")}
    if isinstance(value, list):
        return [
            _clean(item)
            for item in value
            if not (isinstance(item, dict) and item.get(_PATCH) in ("delete", "replace"))
        ]
    return value


def _failure(text: str) -> errors.StatusError:
    return errors.StatusError(500, "", text)


def go_value(value: Any) -> str:
    """Print a JSON value as Go's ``%v`` does: ``map[image:x]``."""
    match value:
        case dict():
            return "map[" + " ".join(f"{k}:{go_value(value[k])}" for k in sorted(value)) + "]"
        case list():
            return "[" + " ".join(map(go_value, value)) + "]"
        case bool():
            return "true" if value else "false"
        case None:
            return "<nil>"
    return str(value)
