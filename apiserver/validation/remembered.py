"""Remembering what was found valid: a cluster creates the same pod many times over, with other names.

The parts of a pod that repeat (containers, sources of volumes) are looked up by their encoding before they are
checked again. Only success is remembered: errors are always worked out anew, with their paths.
"""

from __future__ import annotations

from typing import Any

import orjson

_OPTIONS = orjson.OPT_NON_STR_KEYS


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
