"""The official definitions of Kubernetes 1.36, read from the data of the pinned ``kubernetes-validate`` package.

The file is read by path, because importing the package costs ninety milliseconds. It is parsed once, on first
use, into shared :class:`Type` nodes without descriptions; the OpenAPI documents read it again when asked for.
Quantity, IntOrString, the times and the JSON unions of CustomResourceDefinition carry no usable schema there
and are given one by hand.
"""

from __future__ import annotations

import functools
import importlib.util
import pathlib
from typing import Any, Final

import orjson

from apimachinery.schema import types as t
from apimachinery.schema.types import Type

VERSION: Final = "v1.36.0-local"
QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
CRD: Final = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."

_REF = "$ref"
_EXTENSION = "x-kubernetes-"


def path() -> pathlib.Path:
    """Where the definitions are. Raises FileNotFoundError when the pinned package is missing or different."""
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "the package kubernetes-validate, which holds the official schema, is missing"
        )
    file = pathlib.Path(spec.submodule_search_locations[0]) / "kubernetes-json-schema" / VERSION
    file = file / "_definitions.json"
    if not file.is_file():
        raise FileNotFoundError(f"the package kubernetes-validate has no definitions of {VERSION}")
    return file


def raw() -> dict[str, dict[str, Any]]:
    """The definitions as published, with descriptions: a fresh copy on each call, several megabytes."""
    definitions: dict[str, dict[str, Any]] = orjson.loads(path().read_bytes())["$defs"]
    return definitions


@functools.cache
def load() -> dict[str, Type]:
    """All definitions by name, as shared nodes. Some ten milliseconds on first use."""
    return _Builder(raw()).build()


def get(name: str) -> Type:
    """One definition. Raises KeyError when there is none of this name."""
    return load()[name]


class _Builder:
    """Turns the published JSON schema into nodes; equal leaf types become one node."""

    def __init__(self, definitions: dict[str, dict[str, Any]]) -> None:
        self._definitions = definitions
        self._built: dict[str, Type] = {}
        self._interned: dict[tuple[Any, ...], Type] = {}
        schema_props = self._struct(CRD + "JSONSchemaProps")
        self._built |= {
            QUANTITY: Type(t.QUANTITY, definition=QUANTITY),
            INT_OR_STRING: Type(t.INT_OR_STRING, definition=INT_OR_STRING),
            META + "Time": Type(t.TIME, definition=META + "Time"),
            META + "MicroTime": Type(t.MICRO_TIME, definition=META + "MicroTime"),
            META + "FieldsV1": Type(t.OBJECT, definition=META + "FieldsV1"),
            CRD + "JSON": Type(t.ANY, definition=CRD + "JSON"),
            CRD + "JSONSchemaPropsOrArray": Type(
                t.ONE_OF, alternatives=(schema_props, Type(t.LIST, items=schema_props))
            ),
            CRD + "JSONSchemaPropsOrBool": Type(t.ONE_OF, alternatives=(schema_props, Type(t.BOOLEAN))),
            CRD + "JSONSchemaPropsOrStringArray": Type(
                t.ONE_OF, alternatives=(schema_props, Type(t.LIST, items=Type(t.STRING)))
            ),
        }

    def build(self) -> dict[str, Type]:
        for name in self._definitions:
            self._definition(name)
        for name, definition in self._definitions.items():
            fields = self._built[name].fields
            if fields is not None:
                for field, schema in definition.get("properties", {}).items():
                    fields[field] = self._convert(schema)
        return self._built

    def _struct(self, name: str) -> Type:
        """A struct whose fields are filled in later: definitions refer to each other and to themselves."""
        built = self._built.get(name)
        if built is None:
            atomic = self._definitions[name].get(_EXTENSION + "map-type") == "atomic"
            built = self._built[name] = Type(t.STRUCT, definition=name, fields={}, atomic=atomic)
        return built

    def _definition(self, name: str) -> Type:
        built = self._built.get(name)
        if built is not None:
            return built
        schema = self._definitions[name]
        if "properties" in schema:
            return self._struct(name)
        # Without properties: an empty struct of a newer feature, or an object of any content.
        built = self._built[name] = Type(t.OBJECT, definition=name)
        return built

    def _convert(self, schema: dict[str, Any]) -> Type:
        if _REF in schema:
            base = self._definition(schema[_REF].rpartition("/")[2])
            return self._with_extensions(base, schema)
        return self._with_extensions(self._plain(schema), schema)

    def _plain(self, schema: dict[str, Any]) -> Type:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = kind[0]
        form = schema.get("format", "")
        match kind:
            case "array":
                items = self._convert(schema["items"])
                return self._intern(("list", id(items)), lambda: Type(t.LIST, items=items))
            case "object":
                additional = schema.get("additionalProperties")
                if isinstance(additional, dict):
                    values = self._convert(additional)
                    return self._intern(("map", id(values)), lambda: Type(t.MAP, items=values))
                return self._intern(("object",), lambda: Type(t.OBJECT))
            case "string" if form == "byte":
                return self._intern(("bytes",), lambda: Type(t.BYTES))
            case "string" | "integer" | "number" | "boolean":
                return self._intern((kind, form), lambda: Type(kind, format=form))
        return t.ANYTHING

    def _intern(self, key: tuple[Any, ...], make: Any) -> Type:
        node = self._interned.get(key)
        if node is None:
            node = self._interned[key] = make()
        return node

    def _with_extensions(self, base: Type, schema: dict[str, Any]) -> Type:
        list_type = schema.get(_EXTENSION + "list-type", "atomic")
        list_keys = tuple(schema.get(_EXTENSION + "list-map-keys", ()))
        atomic = schema.get(_EXTENSION + "map-type") == "atomic" or base.atomic
        strategy = tuple(s for s in schema.get(_EXTENSION + "patch-strategy", "").split(",") if s)
        merge_key = schema.get(_EXTENSION + "patch-merge-key", "")
        if list_type == "atomic" and not strategy and atomic == base.atomic:
            return base
        key = ("ext", id(base), list_type, list_keys, atomic, strategy, merge_key)
        return self._intern(
            key,
            lambda: Type(
                base.kind,
                definition=base.definition,
                fields=base.fields,
                items=base.items,
                format=base.format,
                alternatives=base.alternatives,
                list_type=list_type,
                list_keys=list_keys,
                atomic=atomic,
                patch_strategy=strategy,
                merge_key=merge_key,
            ),
        )
