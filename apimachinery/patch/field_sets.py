"""Sets of field paths, kept in the very form of ``fieldsV1``: ``{"f:spec": {"f:replicas": {}}}``.

A node without children is a member of the set; a node with children is a member only if it also holds ``"."``.
Operations return new trees and share branches with their arguments, so trees must never be changed in place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

FieldSet: TypeAlias = dict[str, Any]

DOT: Final = "."
LEAF: Final[FieldSet] = {}
"""The node of a member without children, shared by all trees."""


def is_member(node: FieldSet) -> bool:
    """Say whether the path that leads to this node is in the set."""
    return not node or DOT in node


def _node(member: bool, children: FieldSet) -> FieldSet | None:
    """Build a node; None when nothing is left of it."""
    if not children:
        return LEAF if member else None
    return {DOT: {}, **children} if member else children


def _children(node: FieldSet) -> FieldSet:
    if DOT not in node:
        return node
    return {k: v for k, v in node.items() if k != DOT}


def difference(a: FieldSet, b: FieldSet) -> FieldSet:
    """Paths of ``a`` that are not in ``b``."""
    if not b or not a:
        return a
    if a == b:
        return {}
    out: FieldSet = {}
    for key, node in a.items():
        if key == DOT:
            continue
        other = b.get(key)
        if other is None:
            out[key] = node
            continue
        rest = _node(is_member(node) and not is_member(other), difference(_children(node), _children(other)))
        if rest is not None:
            out[key] = rest
    return out


def recursive_difference(a: FieldSet, b: FieldSet) -> FieldSet:
    """Paths of ``a`` that are neither in ``b`` nor below a path of ``b``."""
    if not b or not a:
        return a
    out: FieldSet = {}
    for key, node in a.items():
        if key == DOT:
            continue
        other = b.get(key)
        if other is None:
            out[key] = node
        elif not is_member(other):
            rest = _node(is_member(node), recursive_difference(_children(node), other))
            if rest is not None:
                out[key] = rest
    return out


def intersection(a: FieldSet, b: FieldSet) -> FieldSet:
    """Paths that are in both."""
    out: FieldSet = {}
    for key in a.keys() & b.keys():
        if key == DOT:
            continue
        left, right = a[key], b[key]
        rest = _node(is_member(left) and is_member(right), intersection(_children(left), _children(right)))
        if rest is not None:
            out[key] = rest
    return out


def union(a: FieldSet, b: FieldSet) -> FieldSet:
    """Paths that are in either."""
    if not a:
        return b
    out = dict(a)
    for key, node in b.items():
        if key == DOT:
            continue
        mine = out.get(key)
        if mine is None:
            out[key] = node
        elif mine is not node:
            merged = _node(is_member(mine) or is_member(node), union(_children(mine), _children(node)))
            assert merged is not None
            out[key] = merged
    return out


def contains(tree: FieldSet, path: tuple[str, ...]) -> bool:
    """Say whether the path is in the set."""
    node = tree
    for element in path:
        if element not in node:
            return False
        node = node[element]
    return is_member(node)


def paths(tree: FieldSet, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """All paths of the set, members of a level before what is below, each level sorted."""
    elements = sorted(k for k in tree if k != DOT)
    for element in elements:
        if is_member(tree[element]):
            yield (*prefix, element)
    for element in elements:
        if tree[element]:
            yield from paths(tree[element], (*prefix, element))


def from_paths(*dotted: str) -> FieldSet:
    """A set of plain field paths: ``from_paths("status", "metadata.labels")``."""
    tree: FieldSet = {}
    for path in dotted:
        node = tree
        for name in path.split("."):
            node = node.setdefault(f"f:{name}", {})
    return tree


def render(path: tuple[str, ...]) -> str:
    """A path for humans: ``.spec.containers[name="web"].image``."""
    out = []
    for element in path:
        kind, rest = element[:2], element[2:]
        if kind == "f:":
            out.append(f".{rest}")
        elif kind == "k:":
            keys = json.loads(rest)
            out.append("[" + ",".join(f"{k}={json.dumps(v)}" for k, v in sorted(keys.items())) + "]")
        elif kind == "v:":
            out.append(f"[={rest}]")
        else:
            out.append(f"[{rest}]")
    return "".join(out)
