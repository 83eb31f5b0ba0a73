"""From :class:`Type` nodes to a ``pydantic-core`` validator that reads JSON bytes straight into checked dicts.

Every field may be absent or null, as the Go decoder has it: *missing* is a matter of validation, not of
decoding. Structs refuse unknown fields, so that the caller can name them; quantities, times and base64 come out
canonical. Nothing here knows about kinds: any root node will do, those of custom resources included.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import CoreSchema, PydanticCustomError, SchemaValidator
from pydantic_core import core_schema as cs

from apimachinery import quantity, times
from apimachinery.schema import types as t
from apimachinery.schema.types import Type

StaticDefaults = Mapping[str, Mapping[str, Callable[[], Any]]]
"""Per definition and field: makes the value of a field that is absent (``{"…Container": {"resources": dict}}``)."""

_RANGES = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
_QUANTITY_TYPES = (str, int, float)
_VALUE_ERROR = "go_value_error"


def _value_error(message: str) -> PydanticCustomError:
    return PydanticCustomError(_VALUE_ERROR, "{message}", {"message": message})


def _quantity(value: Any) -> str | None:
    if value is None:
        return None
    if type(value) in _QUANTITY_TYPES:
        try:
            return quantity.canonical(value)
        except ValueError as err:
            raise _value_error(str(err)) from None
    raise _value_error(quantity.FORMAT_WRONG)


def _time(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if type(value) is not str:
        raise PydanticCustomError("string_type", "a time must be a string")
    try:
        return times.canonical(value)
    except ValueError as err:
        raise _value_error(str(err)) from None


def _micro_time(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if type(value) is not str:
        raise PydanticCustomError("string_type", "a time must be a string")
    try:
        return times.canonical_micro(value)
    except ValueError as err:
        raise _value_error(str(err)) from None


def _bytes(value: Any) -> str | None:
    if value is None:
        return None
    if type(value) is not str:
        raise PydanticCustomError("string_type", "base64 must be a string")
    text = value.replace("\r", "").replace("\n", "")
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        raise _value_error(f"illegal base64 data at input byte {_first_bad_byte(text)}") from None
    return text


def _first_bad_byte(text: str) -> int:
    alphabet = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    for i, character in enumerate(text):
        if character not in alphabet:
            if character == "=" and i % 4 >= 2 and len(text) % 4 == 0 and text[i:].strip("=") == "":
                continue
            return i
    return len(text) - len(text) % 4


def _json_kind(value: Any) -> str:
    match value:
        case dict():
            return t.STRUCT
        case list():
            return t.LIST
        case bool():
            return t.BOOLEAN
        case str():
            return t.STRING
    return t.ANY


class Compiler:
    """Compiles root types; definitions that a root reaches are shared within its validator."""

    def __init__(self, static_defaults: StaticDefaults | None = None) -> None:
        self._defaults = static_defaults or {}
        self._string = cs.nullable_schema(cs.str_schema(strict=True))
        self._boolean = cs.nullable_schema(cs.bool_schema(strict=True))
        # An integer stays one: 1 must not come back as 1.0.
        self._number = cs.nullable_schema(
            cs.union_schema([cs.int_schema(strict=True), cs.float_schema(strict=True)], mode="left_to_right")
        )
        self._any = cs.any_schema()
        self._object = cs.nullable_schema(cs.dict_schema(cs.str_schema(strict=True), self._any, strict=True))
        self._leaves: dict[str, CoreSchema] = {
            t.STRING: self._string,
            t.BOOLEAN: self._boolean,
            t.NUMBER: self._number,
            t.ANY: self._any,
            t.OBJECT: self._object,
            t.QUANTITY: cs.no_info_plain_validator_function(_quantity),
            t.TIME: cs.no_info_plain_validator_function(_time),
            t.MICRO_TIME: cs.no_info_plain_validator_function(_micro_time),
            t.BYTES: cs.no_info_plain_validator_function(_bytes),
            t.INT_OR_STRING: cs.nullable_schema(
                cs.union_schema(
                    [cs.int_schema(strict=True, ge=-(2**31), le=2**31 - 1), cs.str_schema(strict=True)],
                    mode="left_to_right",
                    custom_error_type="int_or_string_type",
                    custom_error_message="must be a number or a string",
                )
            ),
        }

    def compile(self, root: Type) -> SchemaValidator:
        """The validator of one root type: a few milliseconds for a Pod."""
        definitions: dict[str, CoreSchema] = {}
        schema = self._convert(root, definitions)
        return SchemaValidator(cs.definitions_schema(schema, list(definitions.values())))

    def _convert(self, node: Type, definitions: dict[str, CoreSchema]) -> CoreSchema:
        leaf = self._leaves.get(node.kind)
        if leaf is not None:
            return leaf
        match node.kind:
            case t.INTEGER:
                low, high = _RANGES.get(node.format, _RANGES["int64"])
                return cs.nullable_schema(cs.int_schema(strict=True, ge=low, le=high))
            case t.LIST:
                return cs.nullable_schema(cs.list_schema(self._convert(node.item, definitions), strict=True))
            case t.MAP:
                values = self._convert(node.item, definitions)
                return cs.nullable_schema(cs.dict_schema(cs.str_schema(strict=True), values, strict=True))
            case t.ONE_OF:
                choices = {a.kind: self._convert(a, definitions) for a in node.alternatives}
                return cs.nullable_schema(cs.tagged_union_schema(choices, discriminator=_json_kind))
        return cs.nullable_schema(self._struct(node, definitions))

    def _struct(self, node: Type, definitions: dict[str, CoreSchema]) -> CoreSchema:
        if not node.definition:
            return self._typed_dict(node, definitions, None)
        if node.definition not in definitions:
            definitions[node.definition] = self._any  # breaks the cycle while the fields are converted
            definitions[node.definition] = self._typed_dict(node, definitions, node.definition)
        return cs.definition_reference_schema(node.definition)

    def _typed_dict(self, node: Type, definitions: dict[str, CoreSchema], ref: str | None) -> CoreSchema:
        defaults = self._defaults.get(node.definition, {})
        fields: dict[str, cs.TypedDictField] = {}
        for name, field in (node.fields or {}).items():
            schema = self._convert(field, definitions)
            if name in defaults:
                schema = cs.with_default_schema(schema, default_factory=defaults[name])
            fields[name] = cs.typed_dict_field(schema, required=False)
        extra = "allow" if node.preserve_unknown else "forbid"
        return cs.typed_dict_schema(fields, extra_behavior=extra, ref=ref)  # type: ignore[arg-type]
