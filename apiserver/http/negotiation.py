"""Content negotiation: which form a response takes and how a request body is to be read.

JSON is what the server speaks; YAML is read and written too, protobuf is only read. Clients that accept nothing
else than protobuf are refused (406), those that list JSON as well get JSON. Tables and partial metadata are JSON
with `as=`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from apimachinery import errors

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
SERVED = (JSON, YAML)
READ = (JSON, YAML, PROTOBUF)
META_VERSIONS = ("v1", "v1beta1")


@dataclass(frozen=True)
class Clause:
    """One media range of an Accept header."""

    type: str
    params: tuple[tuple[str, str], ...]
    q: float

    def param(self, name: str) -> str:
        """A parameter's value, "" when it is not there."""
        return next((value for key, value in self.params if key == name), "")


@dataclass(frozen=True)
class Media:
    """The form chosen: the content type, and for `as=` the kind and version to convert to."""

    type: str = JSON
    as_kind: str = ""
    version: str = ""

    @property
    def content_type(self) -> bytes:
        """The Content-Type header."""
        return self.type.encode()


DEFAULT = Media()


@lru_cache(1024)
def parse_accept(header: bytes) -> tuple[Clause, ...]:
    """The clauses, most wanted first."""
    clauses = []
    for part in header.decode("latin-1").split(","):
        fields = [field.strip() for field in part.split(";")]
        if not fields[0]:
            continue
        params, q = [], 1.0
        for item in fields[1:]:
            key, _, value = item.partition("=")
            value = value.strip().strip('"')
            if key.strip() == "q":
                try:
                    q = float(value)
                except ValueError:
                    q = 0.0
            else:
                params.append((key.strip(), value))
        if q > 0:
            clauses.append(Clause(fields[0].lower(), tuple(params), q))
    return tuple(sorted(clauses, key=lambda clause: -clause.q))


def concrete(media_range: str) -> str:
    """The content type that answers a media range, "" when none does."""
    if media_range in ("*/*", "application/*"):
        return JSON
    return media_range if media_range in SERVED else ""


@lru_cache(1024)
def negotiate(accept: bytes | None, kinds: frozenset[str]) -> Media:
    """Choose the response's form; `kinds` are the `as=` conversions on offer. Raises StatusError 406."""
    if not accept:
        return DEFAULT
    for clause in parse_accept(accept):
        chosen = concrete(clause.type)
        if not chosen:
            continue
        wanted = clause.param("as")
        if not wanted:
            return Media(chosen)
        version, group = clause.param("v"), clause.param("g")
        if wanted in kinds and group == "meta.k8s.io" and version in META_VERSIONS:
            return Media(chosen, wanted, version)
    raise errors.not_acceptable(SERVED)


def body_type(header: bytes | None, accepted: tuple[str, ...] = READ) -> str:
    """The media type of a request body, JSON when nothing is said. Raises StatusError 415."""
    if not header:
        return accepted[0]
    media = header.split(b";", 1)[0].strip().lower().decode("latin-1")
    if media not in accepted:
        raise errors.unsupported_media_type(accepted)
    return media
