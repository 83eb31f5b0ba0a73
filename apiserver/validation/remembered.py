"""Remembering what was found valid: a cluster creates the same pod many times over, with other names.

The parts of a pod that repeat (containers, sources of volumes) are looked up by their encoding before they are
checked again. Only success is remembered: errors are always worked out anew, with their paths.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

_OPTIONS = orjson.OPT_NON_STR_KEYS
_TOKEN_VOLUME = re.compile(rb'"kube-api-access-[a-z0-9]{5}"')


class Remembered:
    """A bounded set of encodings; when it is full it starts afresh."""

    def __init__(self, size: int = 1024) -> None:
        self._size = size
        self._known: set[bytes] = set()

    def key(self, *parts: Any) -> bytes:
        """The encoding of what a verdict depends on."""
        return orjson.dumps(parts, option=_OPTIONS)

    def __contains__(self, key: bytes) -> bool:
        return key in self._known

    def add(self, key: bytes) -> None:
        """Remember that this is valid."""
        if len(self._known) >= self._size:
            self._known.clear()
        self._known.add(key)


def spec_key(spec: dict[str, Any]) -> bytes | None:
    """The encoding of a pod's spec without the random name of its token volume; None where the pod's name counts too.

    Only that one name is left out, and what stands for it cannot be in any JSON: a second volume of such a name,
    or a name that is not right, makes another key.
    """
    raw = orjson.dumps(spec)
    if b'"ephemeral":' in raw:
        return None
    token = _TOKEN_VOLUME.search(raw)
    return raw.replace(token[0], b"\0") if token else raw
