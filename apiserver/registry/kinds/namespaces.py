"""Namespaces: a phase, and a finalizer of their own that empties them before they go."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, meta, resources
from apimachinery.field import FieldError
from apiserver.registry.strategy import Column, RequestContext, Strategy, UpdateRules, register, restore
from apiserver.validation import checks
from apiserver.validation.cluster import (
    validate_namespace,
    validate_namespace_finalize_update,
    validate_namespace_status_update,
    validate_namespace_update,
)

from .printing import AGE, NAME, object_age

NAME_LABEL = "kubernetes.io/metadata.name"
FINALIZER = "kubernetes"


@register
class NamespaceStrategy(Strategy):
    """A scope for names. Deleting it marks it Terminating; `finalize` lets it go when it is empty."""

    resource = resources.NAMESPACES
    name_rule = staticmethod(checks.label)
    columns = (NAME, Column("Status", description="The status of the namespace"), AGE)

    def default(self, obj: Object) -> None:
        name = obj["metadata"].get("name")
        if name:
            obj["metadata"]["labels"] = {**(obj["metadata"].get("labels") or {}), NAME_LABEL: name}
        obj.setdefault("spec", {})
        status = obj.get("status")
        if status is None:
            status = obj["status"] = {}
        if not status.get("phase"):
            status["phase"] = "Active"

    def prepare_for_create(self, obj: Object, ctx: RequestContext) -> None:
        self.default(obj)  # The name may have been generated since.
        obj["status"] = {"phase": "Active"}
        finalizers = obj["spec"].get("finalizers") or []
        if FINALIZER not in finalizers:
            obj["spec"]["finalizers"] = [*finalizers, FINALIZER]

    def prepare_for_update(self, obj: Object, old: Object, ctx: RequestContext) -> None:
        super().prepare_for_update(obj, old, ctx)
        restore(obj.setdefault("spec", {}), old.get("spec") or {}, "finalizers")

    def prepare_for_delete(self, obj: Object, ctx: RequestContext) -> None:
        obj.setdefault("status", {})["phase"] = "Terminating"

    def is_finished(self, obj: Object) -> bool:
        return super().is_finished(obj) and not (obj.get("spec") or {}).get("finalizers")

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_namespace(obj)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_namespace_update(obj, old)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_namespace_status_update(obj, old)

    def update_rules(self) -> dict[str, UpdateRules]:
        finalize = UpdateRules(self._prepare_for_finalize, validate_namespace_finalize_update)
        return super().update_rules() | {"finalize": finalize}

    def _prepare_for_finalize(self, obj: Object, old: Object, ctx: RequestContext) -> None:
        restore(obj, old, "status")

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        phase = (obj.get("status") or {}).get("phase") or ""
        return {"status.phase": phase, "name": meta.name(obj) if obj["metadata"] else ""}

    def row(self, obj: Object) -> list[Any]:
        return [meta.name(obj), (obj.get("status") or {}).get("phase") or "", object_age(obj)]
