"""Walks over typed values for server-side apply: field sets, comparison, merging and removal.

The structure comes from the schema: which lists are keyed or sets, which maps are atomic. Values without a schema
are taken as they look: maps are granular, lists atomic. Arguments are never changed; results may share parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from apimachinery.patch import field_sets
from apimachinery.patch.field_sets import DOT, LEAF, FieldSet
from apimachinery.schema import types as t
from apimachinery.schema.types import Type

_KEY_DEFAULTS: Final = {"protocol": "TCP"}
_ALWAYS_THERE: Final = frozenset({"metadata", "spec", "status", "template", "strategy", "updateStrategy"})
"""Struct fields that Go cannot leave out: they count as present (and empty) wherever their parent is."""


_ABSENT: Final = object()
_created: dict[tuple[Type, bytes], FieldSet] = {}
_MOST_CREATED: Final = 256
_LARGEST_CREATED: Final = 16384
"""Bytes of an encoded spec whose fields are remembered."""


class TypedError(ValueError):
    """The value does not fit the structure; the text starts with the path."""


def key_element(item: Any, keys: tuple[str, ...], where: str = "") -> str:
    """The path element of an item of a keyed list: ``k:{"name":"web"}``."""
    if not isinstance(item, dict):
        raise TypedError(f"{where}: associative list with keys may not have non-map elements")
    found: dict[str, Any] = {}
    for key in keys:
        value = item.get(key, _KEY_DEFAULTS.get(key))
        if value is None:
            if len(keys) == 1 and key == "name":
                value = ""
            else:
                raise TypedError(
                    f"{where}: associative list with keys has an element that omits key field "
                    f'"{key}" (and doesn\'t have default value)'
                )
        found[key] = value
    return "k:" + orjson.dumps(found, option=orjson.OPT_SORT_KEYS).decode()


def value_element(item: Any) -> str:
    """The path element of an item of a set: ``v:"a"``."""
    return "v:" + orjson.dumps(item, option=orjson.OPT_SORT_KEYS).decode()


def is_granular(value: Any, node: Type) -> bool:
    """Say whether ownership goes below this value."""
    if isinstance(value, dict):
        if node.atomic:
            return False
        return node.kind in (t.STRUCT, t.MAP) or (node.kind == t.ANY and not node.definition)
    if isinstance(value, list):
        return node.kind == t.LIST and node.list_type in ("map", "set")
    return False


def field_set(value: Any, node: Type) -> FieldSet:
    """The fields that a configuration states, as an applier owns them."""
    out: FieldSet = {}
    if isinstance(value, dict):
        struct = node.kind == t.STRUCT
        for name, part in value.items():
            if not isinstance(part, (dict, list)):
                out[f"f:{name}"] = LEAF
                continue
            kind = node.field(name)
            if not is_granular(part, kind):
                out[f"f:{name}"] = LEAF
                continue
            below = field_set(part, kind)
            if not struct and below:
                below[DOT] = LEAF
            if below or part == {}:  # an empty keyed list states nothing
                out[f"f:{name}"] = below or LEAF
        return out
    for element, part in _by_element(value, node).items():
        below = field_set(part, node.item) if is_granular(part, node.item) else {}
        if below:
            below[DOT] = LEAF
        out[element] = below or LEAF
    return out


def all_paths(value: Any, node: Type) -> FieldSet:
    """The node of a value that has come or gone as a whole: every level below is a member."""
    if not value or not is_granular(value, node):
        return LEAF
    out: FieldSet = {DOT: LEAF}
    if isinstance(value, dict):
        for name, part in value.items():
            nested = isinstance(part, (dict, list))
            out[f"f:{name}"] = all_paths(part, node.field(name)) if nested else LEAF
        return out
    item = node.item
    for part in value:
        element = value_element(part) if node.list_type == "set" else key_element(part, node.list_keys)
        out[element] = all_paths(part, item)
    return out


def compare(old: Any, new: Any, node: Type) -> tuple[FieldSet, FieldSet]:
    """(added or changed, removed) below a value that both sides have; both must be granular."""
    changed: FieldSet = {}
    removed: FieldSet = {}
    if isinstance(new, dict):
        for name, part in new.items():
            before = old.get(name, _ABSENT)
            if before is not part:
                _compare_part(f"f:{name}", before, part, node, node.field(name), changed, removed)
        for name, part in old.items():
            if name not in new:
                _compare_part(f"f:{name}", part, _ABSENT, node, node.field(name), changed, removed)
        return changed, removed
    was, now, item = _by_element(old, node), _by_element(new, node), node.item
    for element, part in now.items():
        _compare_part(element, was.get(element, _ABSENT), part, node, item, changed, removed)
    for element, part in was.items():
        if element not in now:
            _compare_part(element, part, _ABSENT, node, item, changed, removed)
    return changed, removed


def created(new: dict[str, Any], node: Type) -> FieldSet:
    """What ``compare({}, new, node)`` finds added, remembering specs: controllers create the same many times over."""
    changed: FieldSet = {}
    for name, part in new.items():
        kind, element, key = node.field(name), f"f:{name}", None
        if name == "spec":
            key = (kind, orjson.dumps(part))
            known = _created.get(key)
            if known is not None:
                changed[element] = known
                continue
        _compare_part(element, _ABSENT, part, node, kind, changed, {})
        if key is not None and element in changed and len(key[1]) <= _LARGEST_CREATED:
            if len(_created) >= _MOST_CREATED:
                _created.clear()
            _created[key] = changed[element]
    return changed


def _by_element(items: list[Any], node: Type) -> dict[str, Any]:
    if node.list_type == "set":
        return {value_element(part): part for part in items}
    return {key_element(part, node.list_keys): part for part in items}


def _compare_part(
    element: str, old: Any, new: Any, parent: Type, node: Type, changed: FieldSet, removed: FieldSet
) -> None:
    if old is _ABSENT:
        empty = _implied(element, parent, node)
        if empty is None:
            changed[element] = all_paths(new, node)
            return
        old = empty
    elif new is _ABSENT:
        empty = _implied(element, parent, node)
        if empty is None:
            removed[element] = all_paths(old, node)
            return
        new = empty
    # Python's 1 == True is the one equality that JSON does not share.
    if old == new and isinstance(old, bool) == isinstance(new, bool):
        return
    if is_granular(old, node) and is_granular(new, node) and (old or new):
        more, less = compare(old, new, node)
        if more:
            changed[element] = more
        if less:
            removed[element] = less
    else:
        changed[element] = LEAF


def _implied(element: str, parent: Type, node: Type) -> Any:
    """The empty value of a field that Go always writes; None for fields that may be absent."""
    if parent.kind == t.STRUCT:
        if node.kind == t.STRUCT and element[2:] in _ALWAYS_THERE:
            return {}
        if node.kind == t.LIST and element == "f:containers":
            return []
    return None


def merge(live: Any, config: Any, node: Type) -> Any:
    """The live value overlaid with the configuration."""
    if live is None or not is_granular(config, node) or not is_granular(live, node):
        return config
    if isinstance(config, dict):
        out = dict(live)
        for name, part in config.items():
            nested = isinstance(part, (dict, list))
            out[name] = merge(live.get(name), part, node.field(name)) if nested else part
        return out
    return list(_merge_list(live, config, node))


def _merge_list(live: list[Any], config: list[Any], node: Type) -> Iterator[Any]:
    """The configuration's order for what it names; items of live only stay where they were, as far as possible."""
    if node.list_type == "set":
        left, right = [value_element(i) for i in live], [value_element(i) for i in config]
    else:
        left, right = ([key_element(i, node.list_keys) for i in items] for items in (live, config))
    ours, theirs = dict(zip(left, live, strict=True)), dict(zip(right, config, strict=True))
    shared = [element for element in right if element in ours]
    done: set[str] = set()
    i = j = 0
    while i < len(left) or j < len(right):
        following = next((element for element in shared if element not in done), None)
        if i < len(left):
            element = left[i]
            if j < len(right) and element == right[j]:
                done.add(element)
                yield merge(live[i], theirs[element], node.item)
                i, j = i + 1, j + 1
                continue
            if element in done or (j < len(right) and element in theirs and element != following):
                i += 1
                continue
            if element not in theirs:
                yield live[i]
                i += 1
                continue
        if j < len(right):
            element = right[j]
            done.add(element)
            yield merge(ours.get(element), theirs[element], node.item)
            j += 1


def with_named_fields(tree: FieldSet, node: Type) -> FieldSet:
    """The set in which every struct field that leads to a member is a member itself."""
    out: FieldSet = {}
    for element, below in tree.items():
        if element == DOT or not below:
            out[element] = below
            continue
        kind = node.field(element[2:]) if element[0] == "f" else node.item
        deeper = with_named_fields(below, kind)
        if element[0] == "f" and node.kind == t.STRUCT and element[2:] in (node.fields or {}):
            deeper = {DOT: {}, **deeper}
        out[element] = deeper
    return out


def remove(value: Any, gone: FieldSet, node: Type) -> Any:
    """The value without the members of the set (and all that is below them)."""
    if not gone or not is_granular(value, node):
        return value
    if isinstance(value, dict):
        out = {}
        for name, part in value.items():
            tree = gone.get(f"f:{name}")
            if tree is None:
                out[name] = part
            elif not field_sets.is_member(tree):
                out[name] = remove(part, tree, node.field(name))
        return out
    kept = []
    for part in value:
        element = value_element(part) if node.list_type == "set" else key_element(part, node.list_keys)
        tree = gone.get(element)
        if tree is None:
            kept.append(part)
        elif not field_sets.is_member(tree):
            kept.append(remove(part, tree, node.item))
    return kept


def check_structure(value: Any, node: Type, where: str = "") -> None:
    """Raise TypedError for fields that the schema lacks and for keyed lists with missing or repeated keys."""
    if isinstance(value, dict) and node.kind in (t.STRUCT, t.MAP):
        for name, part in value.items():
            if node.kind == t.STRUCT and not node.preserve_unknown and name not in (node.fields or {}):
                raise TypedError(f"{where}.{name}: field not declared in schema")
            if isinstance(part, (dict, list)):
                check_structure(part, node.field(name), f"{where}.{name}")
    elif isinstance(value, list) and node.kind == t.LIST:
        seen: set[str] = set()
        for i, part in enumerate(value):
            place = f"{where}[{i}]"
            if node.list_type in ("map", "set"):
                if node.list_type == "set":
                    element = value_element(part)
                else:
                    element = key_element(part, node.list_keys, f"{where}: element {i}")
                place = where + field_sets.render((element,))
                if element in seen:
                    shown = field_sets.render((element,))
                    raise TypedError(f"{where}: duplicate entries for key {shown}")
                seen.add(element)
            check_structure(part, node.item, place)
