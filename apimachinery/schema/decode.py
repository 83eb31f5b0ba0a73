"""Decoding a request body: bytes (or an already parsed value) in, a checked plain object out.

One compiled pass does nearly all of the work. Nulls, unknown and duplicate fields are looked into only when the
fast pass hints at them. Semantic rules (required fields, enums, names) are none of this module's business.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import orjson
from pydantic_core import SchemaValidator, ValidationError

from apimachinery import Object, errors
from apimachinery.resources import ALL, Resource
from apimachinery.schema import decoding_errors, definitions, strictness, yaml_body
from apimachinery.schema.compiler import Compiler, StaticDefaults
from apimachinery.schema.types import Type

UnknownFields = Literal["strict", "warn", "ignore"]
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
SCHEME: Final = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"


@dataclass(slots=True)
class Checked:
    """A decoded object and what strict reading objected to.

    ``messages`` holds the official texts in document order: warnings under ``warn``.
    """

    object: Object
    unknown: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)


class Decoder:
    """The compiled schema of one root type. Thread-safe once built."""

    __slots__ = ("_root", "_validator", "kind")

    def __init__(self, root: Type, compiler: Compiler, kind: str = "") -> None:
        self._root = root
        self._validator: SchemaValidator = compiler.compile(root)
        self.kind = kind or root.definition.rpartition(".")[2]

    def decode_json(self, raw: bytes, unknown: UnknownFields = "strict") -> Checked:
        """Decode JSON. Raises ValueError with the decoder's text (syntax or wrong types)."""
        try:
            obj = self._validator.validate_json(raw)
        except ValidationError as err:
            return self._explain(err, raw, None)
        if obj is None:
            return Checked({})
        findings = None
        if unknown != "ignore" and strictness.may_repeat_keys(raw, obj):
            findings = strictness.Findings()
            strictness.prune(strictness.parse_pairs(raw), self._root, findings)
        if b"null" in raw:
            strictness.drop_nulls(obj, self._root)
        if findings is None:
            return Checked(obj)
        return Checked(obj, findings.unknown, findings.duplicates, findings.messages)

    def decode_value(self, value: Any) -> Checked:
        """Decode a parsed value (after a patch, or from YAML). The argument is not changed."""
        try:
            obj = self._validator.validate_python(value)
        except ValidationError as err:
            return self._explain(err, None, value)
        if obj is None:
            return Checked({})
        strictness.drop_nulls(obj, self._root)
        return Checked(obj)

    def _explain(self, err: ValidationError, raw: bytes | None, value: Any) -> Checked:
        details = err.errors(include_url=False)
        wrong = [d for d in details if d["type"] != "extra_forbidden"]
        if wrong:
            if wrong[0]["type"] == "json_invalid":
                raise ValueError(decoding_errors.syntax_error(raw or b""))
            raise ValueError(decoding_errors.type_error(self._root, wrong[0]))
        findings = strictness.Findings()
        pairs = strictness.parse_pairs(raw) if raw is not None else value
        pruned = strictness.prune(pairs, self._root, findings)
        obj = self._validator.validate_python(pruned)
        strictness.drop_nulls(obj, self._root)
        return Checked(obj, findings.unknown, findings.duplicates, findings.messages)


_static_defaults: dict[str, Any] = {}


def configure(static_defaults: StaticDefaults) -> None:
    """Compile these defaults in. To be called before the first decoding of a process, by the API server."""
    _static_defaults.clear()
    _static_defaults.update(static_defaults)
    decoder.cache_clear()


@functools.cache
def decoder(definition: str) -> Decoder:
    """The decoder of a definition, compiled on first use. Raises KeyError for an unknown name."""
    return Decoder(definitions.get(definition), Compiler(_static_defaults))


@functools.cache
def _known_kinds() -> dict[tuple[str, str], str]:
    known = {(r.api_version, r.kind): r.definition for r in ALL}
    for resource in ALL:
        for sub in resource.subresources:
            if sub.definition:
                version = f"{sub.group}/{sub.version}" if sub.group else sub.version or "v1"
                known[(version, sub.kind)] = sub.definition
    return known


def check(
    target: Resource | str,
    raw: bytes | str | dict[str, Any],
    unknown: UnknownFields = "strict",
    *,
    content_type: str = "application/json",
    api_version: str = "",
    kind: str = "",
) -> Checked:
    """Decode a body meant for ``target``: a resource, or the name of a definition (``…autoscaling.v1.Scale``).

    ``raw`` may be JSON or (by ``content_type``) YAML or protobuf bytes, or a value that is parsed already. For a
    resource a missing apiVersion or kind is filled in, and another one refused. Raises StatusError 400 with the
    official text, also for unknown and duplicate fields when ``unknown`` is ``"strict"``.
    """
    if isinstance(target, Resource):
        definition = target.definition
        api_version, kind = target.api_version, target.kind
    else:
        definition = target
        kind = kind or definition.rpartition(".")[2]
    reader = decoder(definition)
    repeated: list[str] = []
    value: Any = None
    try:
        if isinstance(raw, (bytes, str)):
            if "yaml" in content_type:
                value, repeated = yaml_body.parse(raw)
            elif isinstance(raw, str):
                raw = raw.encode()
            elif content_type == PROTOBUF:
                value = _from_protobuf(raw, definition, api_version, kind, exact=isinstance(target, Resource))
        else:
            value = raw
        if value is None and isinstance(raw, bytes) and "yaml" not in content_type:
            checked = reader.decode_json(raw, unknown)
        else:
            checked = reader.decode_value(value)
    except ValueError as err:
        raise _cannot_be_handled(raw, value, api_version, kind, str(err)) from None
    _identify(checked.object, api_version, kind, exact=isinstance(target, Resource))
    if unknown == "strict" and (repeated or checked.messages):
        problems = [yaml_body.repeated_keys(repeated), *checked.messages] if repeated else checked.messages
        problem = f"strict decoding error: {', '.join(problems)}"
        raise _cannot_be_handled(raw, checked.object, api_version, kind, problem)
    if repeated:
        checked.duplicates = repeated + checked.duplicates
        checked.messages = repeated + checked.messages
    return checked


def _from_protobuf(raw: bytes, definition: str, api_version: str, kind: str, *, exact: bool) -> Object:
    """The object of a protobuf body; of one that is something else only apiVersion and kind.

    Raises StatusError 400, and 415 for kinds that have no protobuf form.
    """
    from apimachinery import protobuf  # not before the first such body: few clients send any

    try:
        found = protobuf.open_envelope(raw)
    except ValueError as err:
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {kind}): {err} ({_summary(raw)})"
        ) from None
    identity = {"apiVersion": found.api_version or api_version, "kind": found.kind or kind}
    if identity["kind"] != kind or (exact and identity["apiVersion"] != api_version):
        return identity
    try:
        return protobuf.message(definition).decode(found.raw) | identity
    except KeyError:
        raise errors.unsupported_media_type(("application/json", "application/yaml")) from None
    except ValueError as err:
        raise _cannot_be_handled(raw, identity, api_version, kind, str(err)) from None


def _identify(obj: Object, api_version: str, kind: str, *, exact: bool) -> None:
    """Fill in apiVersion and kind, or refuse those of something else."""
    if not api_version:
        return
    found_version = obj.get("apiVersion") or api_version
    found_kind = obj.get("kind") or kind
    if (found_version, found_kind) != (api_version, kind) and exact:
        version = found_version.rpartition("/")[2]
        if (found_version, found_kind) not in _known_kinds():
            raise errors.bad_request(
                f'{found_kind} in version "{version}" cannot be handled as a {kind}: no kind "{found_kind}" is '
                f'registered for version "{found_version}" in scheme "{SCHEME}"'
            )
        if found_version != api_version:
            raise errors.bad_request(
                f"the API version in the data ({found_version}) does not match the expected API version "
                f"({api_version})"
            )
        raise errors.bad_request(
            f'{found_kind} in version "{version}" cannot be handled as a {kind}: converting '
            f"({version}.{found_kind}) to (core.{kind}): unknown conversion"
        )
    obj["apiVersion"], obj["kind"] = found_version, found_kind


def _cannot_be_handled(raw: Any, value: Any, api_version: str, kind: str, problem: str) -> errors.StatusError:
    """The official sentence around a decoding problem; names what the body says it is, where that is legible."""
    if value is None and isinstance(raw, bytes):
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError:
            value = None
    found_version, found_kind = api_version, kind
    if isinstance(value, dict):
        if isinstance(value.get("apiVersion"), str) and value["apiVersion"]:
            found_version = value["apiVersion"]
        if isinstance(value.get("kind"), str) and value["kind"]:
            found_kind = value["kind"]
    version = found_version.rpartition("/")[2]
    if value is None and isinstance(raw, bytes):
        problem = f"couldn't get version/kind; json parse error: {problem}"
        return errors.bad_request(
            f"the object provided is unrecognized (must be of type {kind}): {problem} ({_summary(raw)})"
        )
    return errors.bad_request(f'{found_kind} in version "{version}" cannot be handled as a {kind}: {problem}')


def _summary(body: bytes, limit: int = 30) -> str:
    """The beginning of a body: text as it is, anything else in hexadecimal."""
    if body[:1] == b"{":
        return body[:limit].decode("utf-8", "replace") + (" ..." if len(body) > limit else "")
    return body[:limit].hex() + (" ..." if len(body) > limit else "")
