"""JSON Patch (RFC 6902) with the original's leniencies: negative indices, and 422 for what cannot be done."""

from __future__ import annotations

from typing import Any, Final

from apimachinery import errors
from apimachinery.meta import deep_copy

MAX_OPERATIONS: Final = 10_000


class _CannotApply(Exception):
    """The patch is well-formed and does not fit the object."""


def apply(obj: Any, operations: Any) -> Any:
    """Return the patched copy of ``obj``.

    Raises StatusError: 400 when the patch is malformed, 413 when it has too many operations, 422 when an
    operation (a ``test`` included) fails.
    """
    if not isinstance(operations, list):
        raise errors.bad_request(
            "json: cannot unmarshal object into Go value of type jsonpatch.Patch"
            if isinstance(operations, dict)
            else "json: cannot unmarshal the body into Go value of type jsonpatch.Patch"
        )
    if len(operations) > MAX_OPERATIONS:
        raise errors.entity_too_large(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        )
    result = deep_copy(obj)
    try:
        for operation in operations:
            if not isinstance(operation, dict):
                raise errors.bad_request("json: cannot unmarshal array element into a JSON patch operation")
            result = _apply_one(result, operation)
    except _CannotApply:
        raise errors.StatusError(
            422, "Invalid", "the server rejected our request due to an error in our request", {}
        ) from None
    return result


def _apply_one(root: Any, operation: dict[str, Any]) -> Any:
    path = _tokens(operation.get("path"))
    match operation.get("op"):
        case "add":
            return _add(root, path, deep_copy(operation.get("value")))
        case "remove":
            _remove(root, path)
            return root
        case "replace":
            _get(root, path)
            return _set(root, path, deep_copy(operation.get("value")))
        case "move":
            source = _tokens(operation.get("from"))
            value = _get(root, source)
            _remove(root, source)
            return _add(root, path, value)
        case "copy":
            return _add(root, path, deep_copy(_get(root, _tokens(operation.get("from")))))
        case "test":
            if not _equal(_find(root, path), operation.get("value")):
                raise _CannotApply
            return root
    raise _CannotApply


def _tokens(pointer: Any) -> list[str]:
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise _CannotApply
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _index(items: list[Any], token: str, *, inserting: bool = False) -> int:
    if inserting and token == "-":
        return len(items)
    try:
        index = int(token)
    except ValueError:
        raise _CannotApply from None
    limit = len(items) + 1 if inserting else len(items)
    if index < 0:
        index += limit
    if not 0 <= index < limit:
        raise _CannotApply
    return index


def _get(value: Any, path: list[str]) -> Any:
    for token in path:
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list):
            value = value[_index(value, token)]
        else:
            raise _CannotApply
    return value


def _find(value: Any, path: list[str]) -> Any:
    """As :func:`_get`, but a missing last key is null: ``test`` may ask for absence."""
    if not path:
        return value
    parent = _get(value, path[:-1])
    if isinstance(parent, dict):
        return parent.get(path[-1])
    return _get(parent, path[-1:])


def _add(root: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _get(root, path[:-1])
    if isinstance(parent, dict):
        parent[path[-1]] = value
    elif isinstance(parent, list):
        parent.insert(_index(parent, path[-1], inserting=True), value)
    else:
        raise _CannotApply
    return root


def _set(root: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _get(root, path[:-1])
    if isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        parent[_index(parent, path[-1])] = value
    return root


def _remove(root: Any, path: list[str]) -> None:
    if not path:
        raise _CannotApply
    parent = _get(root, path[:-1])
    if isinstance(parent, dict) and path[-1] in parent:
        del parent[path[-1]]
    elif isinstance(parent, list):
        del parent[_index(parent, path[-1])]
    else:
        raise _CannotApply


def _equal(left: Any, right: Any) -> bool:
    """JSON equality: ``true`` is not ``1``."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(v, right[k]) for k, v in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left == right)
