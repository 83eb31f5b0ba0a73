"""Options of writes (CreateOptions, UpdateOptions, PatchOptions, DeleteOptions): read from query or body, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apimachinery import Object, errors
from apimachinery import field as fields
from apimachinery.field import FieldError
from apimachinery.schema import decode
from apimachinery.schema.decode import UnknownFields

META_GROUP = "meta.k8s.io"
_DELETE_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
FIELD_VALIDATION: Mapping[str, UnknownFields] = {
    "": "warn",
    "Warn": "warn",
    "Strict": "strict",
    "Ignore": "ignore",
}
MAX_MANAGER = 128
PROPAGATION = ("Foreground", "Background", "Orphan")

Query = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """Options of create, update and patch. `unknown` is what to do about unknown fields: strict, warn, ignore."""

    dry_run: bool = False
    field_manager: str = ""
    unknown: UnknownFields = "warn"
    force: bool = False


@dataclass(slots=True)
class DeleteOptions:
    """Options of delete; None where the client said nothing. Grace is in seconds."""

    dry_run: bool = False
    grace_period_seconds: int | None = None
    propagation_policy: str | None = None
    orphan_dependents: bool | None = None
    uid: str | None = None
    resource_version: str | None = None
    raw: Object = field(default_factory=dict)


_DEFAULTS: dict[str, WriteOptions] = {}


def write_options(kind: str, query: Query, user_agent: bytes, *, apply: bool = False) -> WriteOptions:
    """Read the options of a create, update or patch (`kind` names them). Raises StatusError 422."""
    if not query and not apply:
        manager = manager_of(user_agent)
        found = _DEFAULTS.get(manager)
        if found is None:
            if len(_DEFAULTS) > 1024:
                _DEFAULTS.clear()
            found = _DEFAULTS[manager] = WriteOptions(field_manager=manager)
        return found
    problems: list[FieldError] = []
    dry_run = _dry_run(query.get("dryRun", ()), problems)
    manager = (query.get("fieldManager") or ("",))[0]
    if len(manager) > MAX_MANAGER:
        problems.append(fields.too_long("fieldManager", manager, MAX_MANAGER))
    elif not manager.isprintable():
        problems.append(fields.invalid("fieldManager", manager, "should only contain printable characters"))
    force = "force" in query and query["force"][0].lower() not in ("false", "0")
    if apply:
        if not manager:
            problems.append(fields.required("fieldManager", "is required for apply patch"))
    elif kind == "PatchOptions" and "force" in query:
        problems.append(fields.forbidden("force", "may not be specified for non-apply patch"))
    validation = (query.get("fieldValidation") or ("",))[0]
    if validation not in FIELD_VALIDATION:
        valid = ["Ignore", "Strict", "Warn"]
        problems.append(fields.not_supported("fieldValidation", validation, valid))
    if problems:
        raise errors.invalid(META_GROUP, kind, "", problems)
    return WriteOptions(dry_run, manager or manager_of(user_agent), FIELD_VALIDATION[validation], force)


def manager_of(user_agent: bytes) -> str:
    """The field manager of a client that names none: the first part of its User-Agent."""
    prefix = user_agent.split(b"/", 1)[0][:MAX_MANAGER].decode("latin-1")
    return "".join(c for c in prefix if c.isprintable()) or "unknown"


def _dry_run(values: Sequence[str], problems: list[FieldError]) -> bool:
    values = [value for value in values if value]
    for value in values:
        if value != "All":
            problems.append(fields.not_supported("dryRun", list(values), ["All"]))
            break
    return bool(values)


def delete_options(body: bytes, query: Query, content_type: str = "application/json") -> DeleteOptions:
    """Read DeleteOptions from the body, else from the query. Raises StatusError 400 or 422."""
    given: dict[str, Any]
    if body.strip():
        found = decode.check(_DELETE_OPTIONS, body, "ignore", content_type=content_type, api_version="v1")
        given = found.object
        if given["kind"] != "DeleteOptions":
            raise errors.bad_request(f"decoded object cannot be converted to DeleteOptions: {given['kind']}")
    else:
        given = _from_query(query)
    problems: list[FieldError] = []
    options = DeleteOptions(raw=given)
    dry_run = given.get("dryRun") or query.get("dryRun") or ()
    options.dry_run = _dry_run([str(value) for value in dry_run], problems)
    grace = given.get("gracePeriodSeconds")
    if grace is not None:
        options.grace_period_seconds = 1 if grace < 0 else grace
    options.orphan_dependents = given.get("orphanDependents")
    policy = given.get("propagationPolicy")
    options.propagation_policy = policy
    if options.orphan_dependents is not None and policy is not None:
        problems.append(
            fields.invalid(
                "propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set"
            )
        )
    elif policy is not None and policy not in PROPAGATION:
        problems.append(fields.not_supported("propagationPolicy", policy, [*PROPAGATION, "nil"]))
    preconditions = given.get("preconditions") or {}
    options.uid, options.resource_version = preconditions.get("uid"), preconditions.get("resourceVersion")
    if problems:
        raise errors.invalid(META_GROUP, "DeleteOptions", "", problems)
    return options


def _from_query(query: Query) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name in ("propagationPolicy", "gracePeriodSeconds", "orphanDependents"):
        values = query.get(name)
        if not values:
            continue
        if name == "gracePeriodSeconds":
            try:
                given[name] = int(values[0])
            except ValueError:
                problem = f'strconv.ParseInt: parsing "{values[0]}": invalid syntax'
                raise errors.bad_request(problem) from None
        elif name == "orphanDependents":
            given[name] = values[0].lower() not in ("false", "0")
        else:
            given[name] = values[0]
    return given
