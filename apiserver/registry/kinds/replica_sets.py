"""ReplicaSets."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, meta, resources
from apimachinery.field import FieldError
from apiserver.defaults.workloads import default_replica_set
from apiserver.registry.strategy import Column, RequestContext, ScalePaths, Strategy, register, restore
from apiserver.validation.workloads import (
    validate_replica_set,
    validate_replica_set_status_update,
    validate_replica_set_update,
)

from .pod_warnings import template_warnings
from .printing import AGE, CONTAINERS, IMAGES, NAME, containers_and_images, format_selector, object_age


@register
class ReplicaSetStrategy(Strategy):
    """A number of equal pods."""

    resource = resources.REPLICA_SETS
    counts_generation = True
    scale = ScalePaths()
    columns = (
        NAME,
        Column("Desired", "integer", description="Replicas is the number of desired pods."),
        Column(
            "Current",
            "integer",
            description="Replicas is the most recently observed number of non-terminating pods.",
        ),
        Column(
            "Ready",
            "integer",
            description="The number of non-terminating pods targeted by this ReplicaSet with a "
            "Ready Condition.",
        ),
        AGE,
        CONTAINERS,
        IMAGES,
        Column(
            "Selector",
            priority=1,
            description="Selector is a label query over pods that should match the replica count.",
        ),
    )

    def default(self, obj: Object) -> None:
        default_replica_set(obj)

    def prepare_for_create(self, obj: Object, ctx: RequestContext) -> None:
        obj["status"] = {"replicas": 0}
        obj["metadata"]["generation"] = 1

    def prepare_for_status_update(self, obj: Object, old: Object, ctx: RequestContext) -> None:
        restore(obj, old, "spec")

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_replica_set(obj)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_replica_set_update(obj, old)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_replica_set_status_update(obj, old)

    def warnings(self, obj: Object, old: Object | None = None) -> list[str]:
        template = obj["spec"]["template"]
        return template_warnings(template) if old is None or old["spec"]["template"] != template else []

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        return {"status.replicas": str((obj.get("status") or {}).get("replicas") or 0)}

    def row(self, obj: Object) -> list[Any]:
        spec, status = obj["spec"], obj.get("status") or {}
        names, images = containers_and_images((spec.get("template") or {}).get("spec") or {})
        return [
            meta.name(obj),
            spec.get("replicas") or 0,
            status.get("replicas") or 0,
            status.get("readyReplicas") or 0,
            object_age(obj),
            names,
            images,
            format_selector(spec.get("selector")),
        ]
