"""The shape of a value: one small node per distinct type, shared by everything that is driven by schema.

The compiler turns these nodes into validators; strategic merge patch and server-side apply walk them; the slow
path of decoding names unknown fields with them. Descriptions are not kept. Nodes are never changed once built.
"""

from __future__ import annotations

from typing import Final

STRUCT: Final = "struct"
MAP: Final = "map"
LIST: Final = "list"
STRING: Final = "string"
INTEGER: Final = "integer"
NUMBER: Final = "number"
BOOLEAN: Final = "boolean"
QUANTITY: Final = "quantity"
INT_OR_STRING: Final = "int-or-string"
TIME: Final = "time"
MICRO_TIME: Final = "micro-time"
BYTES: Final = "bytes"
OBJECT: Final = "object"
"""An object whose content has no schema (RawExtension, FieldsV1)."""
ANY: Final = "any"
ONE_OF: Final = "one-of"
"""One of ``alternatives``, told apart by the JSON type of the value."""


class Type:
    """One type. Which attributes mean something depends on ``kind`` (the constants above).

    ``fields`` belongs to structs, ``items`` to lists and maps, ``format`` to integers (``int32``/``int64``).
    ``list_type`` (``atomic``/``set``/``map``), ``list_keys`` and ``atomic`` steer server-side apply,
    ``patch_strategy`` and ``merge_key`` strategic merge patch.
    """

    __slots__ = (
        "alternatives",
        "atomic",
        "definition",
        "fields",
        "format",
        "items",
        "kind",
        "list_keys",
        "list_type",
        "merge_key",
        "patch_strategy",
        "preserve_unknown",
    )

    def __init__(
        self,
        kind: str,
        *,
        definition: str = "",
        fields: dict[str, Type] | None = None,
        items: Type | None = None,
        format: str = "",
        list_type: str = "atomic",
        list_keys: tuple[str, ...] = (),
        atomic: bool = False,
        patch_strategy: tuple[str, ...] = (),
        merge_key: str = "",
        alternatives: tuple[Type, ...] = (),
        preserve_unknown: bool = False,
    ) -> None:
        self.kind = kind
        self.definition = definition
        self.fields = fields
        self.items = items
        self.format = format
        self.list_type = list_type
        self.list_keys = list_keys
        self.atomic = atomic
        self.patch_strategy = patch_strategy
        self.merge_key = merge_key
        self.alternatives = alternatives
        self.preserve_unknown = preserve_unknown

    def field(self, name: str) -> Type:
        """The type of a struct's field or a map's value; ``ANY`` where there is no schema."""
        if self.fields is not None:
            return self.fields.get(name, ANYTHING)
        return self.items if self.items is not None and self.kind == MAP else ANYTHING

    @property
    def item(self) -> Type:
        """The type of a list's items."""
        return self.items if self.items is not None else ANYTHING

    def __repr__(self) -> str:
        inner = self.definition or (repr(self.items) if self.items is not None else self.format)
        return f"Type({self.kind}{f' {inner}' if inner else ''})"


ANYTHING: Final = Type(ANY)
"""A value without schema."""
