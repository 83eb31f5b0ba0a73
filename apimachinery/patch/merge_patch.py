"""JSON Merge Patch (RFC 7386): maps are merged, null removes, everything else replaces."""

from __future__ import annotations

from typing import Any

from apimachinery import errors
from apimachinery.meta import deep_copy


def apply(obj: Any, patch: Any) -> Any:
    """Return the patched copy of ``obj``. Raises StatusError 400 when the patch is not a map."""
    if not isinstance(patch, dict):
        raise errors.bad_request(
            "json: cannot unmarshal the body into Go value of type map[string]interface {}"
        )
    return merge(obj, patch)


def merge(value: Any, patch: Any) -> Any:
    """Merge any two JSON values; the result shares nothing with ``patch``."""
    if not isinstance(patch, dict):
        return deep_copy(patch)
    merged = dict(value) if isinstance(value, dict) else {}
    for key, change in patch.items():
        if change is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), change)
    return merged


def difference(old: Any, new: Any) -> dict[str, Any]:
    """The merge patch that makes ``new`` of ``old`` (both maps); empty when they are equal."""
    patch: dict[str, Any] = {}
    for key in old.keys() - new.keys():
        patch[key] = None
    for key, value in new.items():
        before = old.get(key)
        if key in old and before == value:
            continue
        if isinstance(before, dict) and isinstance(value, dict):
            patch[key] = difference(before, value)
        else:
            patch[key] = value
    return patch
