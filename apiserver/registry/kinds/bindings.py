"""Bindings: how a scheduler gives a Pod its node. A Binding is never stored; it changes a Pod."""

from __future__ import annotations

from apimachinery import Object, errors, meta, resources
from apimachinery.errors import StatusError
from apimachinery.field import FieldError
from apiserver.registry.strategy import Strategy, register
from apiserver.validation.pods import validate_binding

TOPOLOGY_LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


@register
class BindingStrategy(Strategy):
    """Creating a Binding (or posting one to a Pod's `binding`) assigns the Pod."""

    resource = resources.BINDINGS

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_binding(obj)


def assign(pod: Object, binding: Object, now: str) -> None:
    """Put the Pod, in place, on the node that the Binding names. `now` is RFC 3339.

    Raises StatusError: 422 for a Binding that names no node; 409 when the Pod has a node already, is being deleted,
    is gated, or is not the one meant.
    """
    name = meta.name(pod)
    if problems := validate_binding(binding):
        raise errors.invalid("", "Binding", name, problems)
    uid = (binding.get("metadata") or {}).get("uid")
    if uid and uid != meta.uid(pod):
        raise _refused(
            name, f"Precondition failed: UID in precondition: {uid}, UID in object meta: {meta.uid(pod)}"
        )
    if meta.is_deleting(pod):
        raise _refused(name, f"pod {name} is being deleted, cannot be assigned to a host")
    spec = pod["spec"]
    if spec.get("nodeName"):
        raise _refused(name, f'pod {name} is already assigned to node "{spec["nodeName"]}"')
    if spec.get("schedulingGates"):
        raise _refused(name, f"pod {name} has non-empty .spec.schedulingGates")
    spec["nodeName"] = binding["target"]["name"]
    given = binding.get("metadata") or {}
    if annotations := given.get("annotations"):
        pod["metadata"]["annotations"] = {**(pod["metadata"].get("annotations") or {}), **annotations}
    topology = {k: v for k, v in (given.get("labels") or {}).items() if k in TOPOLOGY_LABELS}
    if topology:
        pod["metadata"]["labels"] = {**(pod["metadata"].get("labels") or {}), **topology}
    status = pod.setdefault("status", {})
    status.pop("nominatedNodeName", None)
    scheduled: Object = {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": now,
    }
    conditions = [c for c in status.get("conditions") or () if c.get("type") != "PodScheduled"]
    status["conditions"] = [*conditions, scheduled]


def _refused(name: str, detail: str) -> StatusError:
    return errors.conflict("", "pods/binding", name, detail)
