"""Field paths and field errors, rendered as the official validation does.

A validation function returns a list of :class:`FieldError`; it never raises. ``errors.invalid`` turns the list
into the 422 Status whose causes clients show line by line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final


class Path:
    """Where in an object: ``Path("spec").child("containers").index(0)`` reads ``spec.containers[0]``."""

    __slots__ = ("_parent", "_text")

    def __init__(self, *names: str, _parent: Path | None = None, _text: str = "") -> None:
        self._parent = _parent
        self._text = ".".join(names) if names else _text

    def child(self, *names: str) -> Path:
        """A field of this one."""
        text = "." + ".".join(names) if str(self) else ".".join(names)
        return Path(_parent=self, _text=text)

    def index(self, i: int) -> Path:
        """An item of this list."""
        return Path(_parent=self, _text=f"[{i}]")

    def key(self, k: str) -> Path:
        """An entry of this map."""
        return Path(_parent=self, _text=f"[{k}]")

    def __str__(self) -> str:
        parts = []
        node: Path | None = self
        while node is not None:
            parts.append(node._text)
            node = node._parent
        return "".join(reversed(parts))

    def __repr__(self) -> str:
        return f"Path({str(self)!r})"


class _Omitted:
    """Marks a field error whose value must not be shown."""


OMITTED: Final = _Omitted()

_TITLES = {
    "FieldValueRequired": "Required value",
    "FieldValueInvalid": "Invalid value",
    "FieldValueNotSupported": "Unsupported value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueTooLong": "Too long",
    "FieldValueTooMany": "Too many",
    "FieldValueDuplicate": "Duplicate value",
    "FieldValueNotFound": "Not found",
    "InternalError": "Internal error",
    "FieldValueTypeInvalid": "Invalid value",
}
_VALUELESS = frozenset({"FieldValueRequired", "FieldValueForbidden", "FieldValueTooLong", "InternalError"})


@dataclass(frozen=True)
class FieldError:
    """One broken rule: the cause ``type`` (``FieldValueInvalid``…), the field, its value and why."""

    type: str
    field: str
    bad_value: Any
    detail: str

    def body(self) -> str:
        """The message without the field, as in ``details.causes[].message``."""
        text = _TITLES[self.type]
        if self.type not in _VALUELESS and self.bad_value is not OMITTED:
            text += f": {_render(self.bad_value)}"
        return f"{text}: {self.detail}" if self.detail else text

    def message(self) -> str:
        """The whole message, field first."""
        return f"{self.field}: {self.body()}"


def _render(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Path):
        return str(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def aggregate(messages: Iterable[str]) -> str:
    """Join as the official error aggregate does: duplicates dropped, brackets when there are several."""
    unique = list(dict.fromkeys(messages))
    return unique[0] if len(unique) == 1 else "[" + ", ".join(unique) + "]"


def required(path: Path | str, detail: str = "") -> FieldError:
    """The field must be set."""
    return FieldError("FieldValueRequired", str(path), "", detail)


def invalid(path: Path | str, value: Any, detail: str) -> FieldError:
    """The value is malformed or breaks a rule."""
    return FieldError("FieldValueInvalid", str(path), value, detail)


def type_invalid(path: Path | str, value: Any, detail: str) -> FieldError:
    """The value has the wrong type."""
    return FieldError("FieldValueTypeInvalid", str(path), value, detail)


def not_supported(path: Path | str, value: Any, valid: Sequence[str] = ()) -> FieldError:
    """The value is not one of the known ones, which the message lists in the order given."""
    detail = ""
    if valid:
        detail = "supported values: " + ", ".join(json.dumps(v) for v in valid)
    return FieldError("FieldValueNotSupported", str(path), value, detail)


def forbidden(path: Path | str, detail: str) -> FieldError:
    """The field must not be set, or not changed, here."""
    return FieldError("FieldValueForbidden", str(path), "", detail)


def duplicate(path: Path | str, value: Any) -> FieldError:
    """The value must be unique and is not."""
    return FieldError("FieldValueDuplicate", str(path), value, "")


def not_found(path: Path | str, value: Any) -> FieldError:
    """The value refers to something that is not there."""
    return FieldError("FieldValueNotFound", str(path), value, "")


def too_long(path: Path | str, value: Any, max: int) -> FieldError:
    """The value exceeds ``max`` bytes; the value itself is never shown."""
    unit = "byte" if max == 1 else "bytes"
    return FieldError("FieldValueTooLong", str(path), OMITTED, f"may not be more than {max} {unit}")


def too_many(path: Path | str, count: int, max: int) -> FieldError:
    """The list has ``count`` items, more than ``max``."""
    unit = "item" if max == 1 else "items"
    return FieldError("FieldValueTooMany", str(path), count, f"must have at most {max} {unit}")


def internal(path: Path | str, detail: str) -> FieldError:
    """The check itself failed."""
    return FieldError("InternalError", str(path), None, detail)
