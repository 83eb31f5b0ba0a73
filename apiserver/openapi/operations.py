"""The operations of a resource as values, before any document format.

One row of the resource table becomes the list, item and subresource paths with the verbs that it serves; both
document versions render the same values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from apimachinery.resources import Resource, Subresource

META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1."
STATUS: Final = META + "Status"
DELETE_OPTIONS: Final = META + "DeleteOptions"
PATCH: Final = META + "Patch"
PATCH_TYPES: Final = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)


class Parameter(NamedTuple):
    """A query or path parameter."""

    name: str
    type: str
    description: str
    where: str = "query"


@dataclass(frozen=True)
class Operation:
    """One method of one path. ``body`` and ``result`` are definition names (``""``: none, or plain text)."""

    path: str
    method: str
    action: str
    operation_id: str
    description: str
    tag: str
    kind: tuple[str, str, str]
    parameters: tuple[Parameter, ...] = ()
    body: str = ""
    result: str = ""
    created: bool = False


PRETTY: Final = Parameter(
    "pretty",
    "string",
    "If 'true', then the output is pretty printed. Defaults to 'false' unless the user-agent indicates a browser "
    "or command-line HTTP tool (curl and wget).",
)
DRY_RUN: Final = Parameter(
    "dryRun",
    "string",
    "When present, indicates that modifications should not be persisted. The only valid value is All: every "
    "stage of the request is carried out except the final storage.",
)
FIELD_MANAGER: Final = Parameter(
    "fieldManager",
    "string",
    "The name of the actor or entity that is making these changes: printable, at most 128 characters. Required "
    "for apply requests.",
)
FIELD_VALIDATION: Final = Parameter(
    "fieldValidation",
    "string",
    "What to do with unknown or duplicate fields: Ignore drops them silently, Warn (the default) drops them with "
    "a warning header, Strict refuses the request.",
)
FORCE: Final = Parameter(
    "force", "boolean", "For apply requests: take fields that other managers own instead of refusing."
)
DELETE_PARAMETERS: Final = (
    DRY_RUN,
    Parameter("gracePeriodSeconds", "integer", "Seconds before the object is deleted; zero means at once."),
    Parameter("orphanDependents", "boolean", "Deprecated: use propagationPolicy."),
    Parameter(
        "propagationPolicy", "string", "How dependents are collected: 'Orphan', 'Background' or 'Foreground'."
    ),
)
SELECT_PARAMETERS: Final = (
    Parameter("continue", "string", "The continue token of the previous page."),
    Parameter("fieldSelector", "string", "A selector to restrict the objects by their fields."),
    Parameter("labelSelector", "string", "A selector to restrict the objects by their labels."),
    Parameter("limit", "integer", "The maximum number of items to return."),
    Parameter("resourceVersion", "string", "A constraint on what resource versions may be served."),
    Parameter("resourceVersionMatch", "string", "How resourceVersion is applied to list calls."),
    Parameter("sendInitialEvents", "boolean", "Begin a watch with the present objects and a bookmark."),
    Parameter("timeoutSeconds", "integer", "Limits the duration of the call."),
)
WATCH_PARAMETERS: Final = (
    Parameter("allowWatchBookmarks", "boolean", "Ask for events of type BOOKMARK."),
    Parameter("watch", "boolean", "Watch for changes and return them as a stream of notifications."),
)
NAME: Final = Parameter("name", "string", "name of the object", "path")
NAMESPACE: Final = Parameter(
    "namespace", "string", "object name and auth scope, such as for teams and projects", "path"
)
WRITE: Final = (DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION)


def operations(resource: Resource) -> Iterator[Operation]:
    """All operations of one row."""
    return _Writer(resource).write()


class _Writer:
    """Writes the operations of one resource with the official names."""

    def __init__(self, resource: Resource) -> None:
        self._r = resource
        self._kind = (resource.group, resource.version, resource.kind)
        group = (resource.group or "core").split(".")[0]
        self._tag = f"{group}_{resource.version}"
        self._stem = f"{group.capitalize()}{resource.version.capitalize()}"
        self._scope = "Namespaced" if resource.namespaced else ""
        collection = f"{resource.root}/namespaces/{{namespace}}" if resource.namespaced else resource.root
        self._collection = f"{collection}/{resource.plural}"
        self._item = f"{self._collection}/{{name}}"

    def _operation(
        self,
        path: str,
        method: str,
        action: str,
        verb: str,
        description: str,
        *,
        suffix: str = "",
        scope: str | None = None,
        kind: tuple[str, str, str] | None = None,
        parameters: tuple[Parameter, ...] = (),
        body: str = "",
        result: str = "",
        created: bool = False,
    ) -> Operation:
        scope = self._scope if scope is None else scope
        operation_id = f"{verb}{self._stem}{scope}{self._r.kind}{suffix}"
        in_path = tuple(p for p in (NAME, NAMESPACE) if f"{{{p.name}}}" in path)
        return Operation(
            path,
            method,
            action,
            operation_id,
            description,
            self._tag,
            kind or self._kind,
            (*in_path, *parameters, PRETTY),
            body,
            result,
            created,
        )

    def write(self) -> Iterator[Operation]:
        r = self._r
        listing = (*SELECT_PARAMETERS, *WATCH_PARAMETERS)
        if "list" in r.verbs:
            if r.namespaced:
                yield self._operation(
                    f"{r.root}/{r.plural}", "get", "list", "list", f"list or watch objects of kind {r.kind}",
                    scope="", suffix="ForAllNamespaces", parameters=listing, result=r.list_definition,
                )  # fmt: skip
            yield self._operation(
                self._collection, "get", "list", "list", f"list or watch objects of kind {r.kind}",
                parameters=listing, result=r.list_definition,
            )  # fmt: skip
        if "create" in r.verbs:
            article = "an" if r.kind[0] in "AEIOU" else "a"
            yield self._operation(
                self._collection, "post", "post", "create", f"create {article} {r.kind}",
                parameters=WRITE, body=r.definition, result=r.definition, created=True,
            )  # fmt: skip
        if "deletecollection" in r.verbs:
            yield self._operation(
                self._collection, "delete", "deletecollection", "deleteCollection",
                f"delete collection of {r.kind}",
                parameters=(*DELETE_PARAMETERS, *SELECT_PARAMETERS), body=DELETE_OPTIONS, result=STATUS,
            )  # fmt: skip
        yield from self._item_operations(self._item, "", r.verbs, self._kind, r.definition)
        if "delete" in r.verbs:
            article = "an" if r.kind[0] in "AEIOU" else "a"
            yield self._operation(
                self._item, "delete", "delete", "delete", f"delete {article} {r.kind}",
                parameters=DELETE_PARAMETERS, body=DELETE_OPTIONS, result=STATUS,
            )  # fmt: skip
        for sub in r.subresources:
            yield from self._subresource(sub)

    def _item_operations(
        self, path: str, suffix: str, verbs: tuple[str, ...], kind: tuple[str, str, str], definition: str
    ) -> Iterator[Operation]:
        what = (
            f"{suffix.lower()} of the specified {self._r.kind}" if suffix else f"the specified {self._r.kind}"
        )
        if "get" in verbs:
            yield self._operation(
                path, "get", "get", "read", f"read {what}", suffix=suffix, kind=kind, result=definition
            )
        if "update" in verbs:
            yield self._operation(
                path, "put", "put", "replace", f"replace {what}", suffix=suffix, kind=kind,
                parameters=WRITE, body=definition, result=definition, created=True,
            )  # fmt: skip
        if "patch" in verbs:
            yield self._operation(
                path, "patch", "patch", "patch", f"partially update {what}", suffix=suffix, kind=kind,
                parameters=(*WRITE, FORCE), body=PATCH, result=definition, created=True,
            )  # fmt: skip

    def _subresource(self, sub: Subresource) -> Iterator[Operation]:
        r = self._r
        path = f"{self._item}/{sub.name}"
        suffix = sub.name.capitalize()
        kind = (sub.group, sub.version, sub.kind) if sub.version else (r.group, r.version, sub.kind)
        if sub.kind.endswith("Options"):
            for method in ("get", "post"):
                yield self._operation(
                    path, method, "connect", f"connect{method.capitalize()}",
                    f"connect {method.upper()} requests to {sub.name} of {r.kind}", suffix=suffix, kind=kind,
                )  # fmt: skip
            return
        definition = sub.definition or r.definition
        if "create" in sub.verbs:
            yield self._operation(
                path, "post", "post", "create", f"create {sub.name} of {r.kind}", suffix=suffix, kind=kind,
                parameters=WRITE, body=definition, result=definition, created=True,
            )  # fmt: skip
        if sub.name == "log":
            yield self._operation(
                path, "get", "get", "read", f"read log of the specified {r.kind}", suffix=suffix
            )
            return
        yield from self._item_operations(path, suffix, sub.verbs, kind, definition)
