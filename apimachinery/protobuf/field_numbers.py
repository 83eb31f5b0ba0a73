"""The field numbers of the built-in messages, read from the table ``fields.txt`` beside this module.

Numbers and flattening are all that is kept there; what type a field has is the official schema's to say.
"""

from __future__ import annotations

import functools
import pathlib
from dataclasses import dataclass
from typing import Final

_TABLE: Final = pathlib.Path(__file__).with_name("fields.txt")


@dataclass(frozen=True, slots=True)
class Row:
    """One field: its JSON name, or the message whose fields it contributes (``inlined``, a full name).

    ``keeps_zero`` says that zero, false and the empty string mean something else than an absent field does.
    """

    name: str
    inlined: str = ""
    keeps_zero: bool = False


@functools.cache
def _lines() -> dict[str, str]:
    lines: dict[str, str] = {}
    package = ""
    for line in _TABLE.read_text().splitlines():
        if line.startswith("["):
            package = line[1:-1]
        elif line and not line.startswith("#"):
            name, _, fields = line.partition(" ")
            lines[f"{package}.{name}"] = fields
    return lines


def names() -> list[str]:
    """All messages of the table, by the names of their definitions (inlined ones have names of their own)."""
    return list(_lines())


def rows(definition: str) -> dict[int, Row]:
    """The fields of a message by number. Raises KeyError for a definition without protobuf form."""
    fields = _lines()[definition]
    package = definition.rpartition(".")[0]
    found: dict[int, Row] = {}
    number = 1
    for token in fields.split():
        if token.isdigit():
            number = int(token)
            continue
        if token.startswith("+"):
            found[number] = Row("", f"{package}.{token[1:]}")
        else:
            found[number] = Row(token.rstrip("!"), keeps_zero=token.endswith("!"))
        number += 1
    return found
