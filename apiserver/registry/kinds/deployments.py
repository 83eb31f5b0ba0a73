"""Deployments."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, meta, resources
from apimachinery.field import FieldError
from apiserver.defaults.workloads import default_deployment
from apiserver.registry.strategy import Column, RequestContext, ScalePaths, Strategy, register, restore
from apiserver.validation.workloads import (
    validate_deployment,
    validate_deployment_status_update,
    validate_deployment_update,
)

from .pod_warnings import template_warnings
from .printing import AGE, CONTAINERS, IMAGES, NAME, containers_and_images, format_selector, object_age


@register
class DeploymentStrategy(Strategy):
    """Declarative updates for pods, through ReplicaSets."""

    resource = resources.DEPLOYMENTS
    counts_generation = True
    scale = ScalePaths()
    columns = (
        NAME,
        Column("Ready", description="Number of the pod with ready state"),
        Column(
            "Up-to-date",
            "string",
            description="Total number of non-terminating pods targeted by this deployment "
            "that have the desired template spec.",
        ),
        Column(
            "Available",
            "string",
            description="Total number of available non-terminating pods (ready for at least "
            "minReadySeconds) targeted by this deployment.",
        ),
        AGE,
        CONTAINERS,
        IMAGES,
        Column(
            "Selector",
            priority=1,
            description="Label selector for pods. Existing ReplicaSets whose pods are "
            "selected by this will be the ones affected by this deployment. It must match the pod template's "
            "labels.",
        ),
    )

    def default(self, obj: Object) -> None:
        default_deployment(obj)

    def prepare_for_status_update(self, obj: Object, old: Object, ctx: RequestContext) -> None:
        restore(obj, old, "spec")
        restore(obj["metadata"], old["metadata"], "labels")

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_deployment(obj)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_deployment_update(obj, old)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_deployment_status_update(obj, old)

    def warnings(self, obj: Object, old: Object | None = None) -> list[str]:
        template = obj["spec"]["template"]
        return template_warnings(template) if old is None or old["spec"]["template"] != template else []

    def row(self, obj: Object) -> list[Any]:
        spec, status = obj["spec"], obj.get("status") or {}
        names, images = containers_and_images(spec["template"].get("spec") or {})
        return [
            meta.name(obj),
            f"{status.get('readyReplicas') or 0}/{spec.get('replicas') or 0}",
            status.get("updatedReplicas") or 0,
            status.get("availableReplicas") or 0,
            object_age(obj),
            names,
            images,
            format_selector(spec.get("selector")),
        ]
