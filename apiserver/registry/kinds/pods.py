"""Pods."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, resources
from apimachinery.field import FieldError
from apiserver.defaults.pods import default_pod, sync_service_account
from apiserver.registry.strategy import RequestContext, Strategy, UpdateRules, register, restore
from apiserver.validation.pods import (
    validate_ephemeral_containers_update,
    validate_pod,
    validate_pod_status_update,
    validate_pod_update,
)

from . import pod_table
from .pod_qos import qos_class
from .pod_resize import prepare_for_resize, validate_pod_resize
from .pod_warnings import pod_warnings


@register
class PodStrategy(Strategy):
    """A group of containers on one node, from `Pending` on the API server to its end on the node."""

    resource = resources.PODS
    returns_deleted_object = True
    columns = pod_table.COLUMNS
    counts_generation = True

    def default(self, obj: Object) -> None:
        default_pod(obj)

    def prepare_for_create(self, obj: Object, ctx: RequestContext) -> None:
        obj["metadata"]["generation"] = 1
        spec = obj["spec"]
        sync_service_account(spec)
        status: Object = {"phase": "Pending", "qosClass": qos_class(spec)}
        obj["status"] = status
        if spec.get("schedulingGates"):
            status["conditions"] = [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates",
                    "lastProbeTime": None,
                    "lastTransitionTime": None,
                }
            ]
        _merge_match_label_keys(obj)

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_pod(obj)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_pod_update(obj, old)

    def prepare_for_status_update(self, obj: Object, old: Object, ctx: RequestContext) -> None:
        restore(obj, old, "spec")
        metadata, old_metadata = obj["metadata"], old["metadata"]
        for key in ("ownerReferences", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"):
            restore(metadata, old_metadata, key)
        status, old_status = obj.setdefault("status", {}), old.get("status") or {}
        for key in ("qosClass", "observedGeneration"):
            if not status.get(key) and old_status.get(key):
                status[key] = old_status[key]

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_pod_status_update(obj, old)

    def update_rules(self) -> dict[str, UpdateRules]:
        return super().update_rules() | {
            "ephemeralcontainers": UpdateRules(
                self._prepare_ephemeral_containers, validate_ephemeral_containers_update
            ),
            "resize": UpdateRules(self._prepare_resize, validate_pod_resize),
        }

    def _prepare_ephemeral_containers(self, obj: Object, old: Object, ctx: RequestContext) -> None:
        given = obj.get("spec") or {}
        obj["spec"] = dict(old["spec"])
        restore(obj["spec"], given, "ephemeralContainers")
        self._keep_all_but_spec(obj, old)

    def _prepare_resize(self, obj: Object, old: Object, ctx: RequestContext) -> None:
        prepare_for_resize(obj, old)
        self._keep_all_but_spec(obj, old)

    def _keep_all_but_spec(self, obj: Object, old: Object) -> None:
        restore(obj, old, "status")
        for key in ("labels", "annotations", "finalizers", "ownerReferences"):
            restore(obj["metadata"], old["metadata"], key)
        self.bump_generation(obj, old)

    def warnings(self, obj: Object, old: Object | None = None) -> list[str]:
        return pod_warnings(obj) if old is None else []

    def grace_period(self, obj: Object, requested: int | None) -> int:
        spec = obj.get("spec") or {}
        period = requested if requested is not None else spec.get("terminationGracePeriodSeconds") or 0
        if not spec.get("nodeName") or (obj.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
            period = 0
        return 1 if period < 0 else period

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        addresses = status.get("podIPs")
        pod_ip = status.get("podIP") or (addresses[0].get("ip") if addresses else "") or ""
        return {
            "spec.nodeName": spec.get("nodeName") or "",
            "spec.restartPolicy": spec.get("restartPolicy") or "",
            "spec.schedulerName": spec.get("schedulerName") or "",
            "spec.serviceAccountName": spec.get("serviceAccountName") or "",
            "spec.hostNetwork": "true" if spec.get("hostNetwork") else "false",
            "status.phase": status.get("phase") or "",
            "status.podIP": pod_ip,
            "status.podIPs": ",".join(a.get("ip") or "" for a in addresses) if addresses else pod_ip,
            "status.nominatedNodeName": status.get("nominatedNodeName") or "",
        }

    def row(self, obj: Object) -> list[Any]:
        return pod_table.row(obj)

    def row_conditions(self, obj: Object) -> list[dict[str, Any]]:
        """The conditions of a table row."""
        return pod_table.conditions(obj)


def _merge_match_label_keys(pod: Object) -> None:
    """Turn matchLabelKeys of affinity terms and spread constraints into requirements on this pod's own labels."""
    spec, labels = pod["spec"], pod["metadata"].get("labels") or {}
    affinity = spec.get("affinity") or {}
    terms: list[dict[str, Any]] = list(spec.get("topologySpreadConstraints") or ())
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        terms += rules.get("requiredDuringSchedulingIgnoredDuringExecution") or []
        for weighted in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            terms.append(weighted.get("podAffinityTerm") or {})
    for term in terms:
        selector = term.get("labelSelector")
        if selector is None:
            continue
        for keys, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
            for key in term.get(keys) or ():
                if key in labels:
                    selector.setdefault("matchExpressions", []).append(
                        {"key": key, "operator": operator, "values": [labels[key]]}
                    )
