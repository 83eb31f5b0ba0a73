"""Values that every part of the cluster agrees on: objects, kinds, schema, selectors, patches, errors.

An object is a plain ``dict`` in the official JSON form; there is no class per kind. Nothing in this package
does I/O (reading the packaged official schema is the one exception) and nothing here imports another part of
the project.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Object: TypeAlias = dict[str, Any]

__all__ = ["Object"]
