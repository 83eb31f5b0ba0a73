"""Nodes."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, meta, resources
from apimachinery.field import FieldError
from apiserver.registry.strategy import Column, RequestContext, Strategy, register, restore
from apiserver.validation.cluster import validate_node, validate_node_update

from .printing import AGE, NAME, NONE, object_age

_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"
_UNKNOWN = "<unknown>"


@register
class NodeStrategy(Strategy):
    """A machine that runs pods; its kubelet keeps the status."""

    resource = resources.NODES
    columns = (
        NAME,
        Column("Status", description="The status of the node"),
        Column("Roles", description="The roles of the node"),
        AGE,
        Column("Version", description="Kubelet Version reported by the node."),
        Column("Internal-IP", priority=1, description="List of addresses reachable to the node."),
        Column("External-IP", priority=1, description="List of addresses reachable to the node."),
        Column(
            "OS-Image",
            priority=1,
            description="OS Image reported by the node from /etc/os-release (e.g. Debian "
            "GNU/Linux 7 (wheezy)).",
        ),
        Column(
            "Kernel-Version",
            priority=1,
            description="Kernel Version reported by the node from 'uname -r' (e.g. 3.16.0-0.bpo.4-amd64).",
        ),
        Column(
            "Container-Runtime",
            priority=1,
            description="ContainerRuntime Version reported by the node through "
            "runtime remote API (e.g. containerd://1.4.2).",
        ),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        # podCIDR is the first of podCIDRs; either may be given alone.
        if spec.get("podCIDRs"):
            spec["podCIDR"] = spec["podCIDRs"][0]
        elif spec.get("podCIDR"):
            spec["podCIDRs"] = [spec["podCIDR"]]
        status = obj.get("status")
        if status and status.get("allocatable") is None and status.get("capacity"):
            status["allocatable"] = dict(status["capacity"])

    def prepare_for_create(self, obj: Object, ctx: RequestContext) -> None:
        """A kubelet registers with its status: it is kept."""

    def prepare_for_status_update(self, obj: Object, old: Object, ctx: RequestContext) -> None:
        # Labels, annotations and taints of a Node may change together with its status.
        restore(obj, old, "spec")

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_node(obj)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_node_update(obj, old)

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_node_update(obj, old)

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        return {"spec.unschedulable": "true" if (obj.get("spec") or {}).get("unschedulable") else "false"}

    def row(self, obj: Object) -> list[Any]:
        status = obj.get("status") or {}
        info = status.get("nodeInfo") or {}
        return [
            meta.name(obj),
            _status(obj),
            ",".join(_roles(obj)) or NONE,
            object_age(obj),
            info.get("kubeletVersion") or "",
            _address(status, "InternalIP"),
            _address(status, "ExternalIP"),
            info.get("osImage") or _UNKNOWN,
            info.get("kernelVersion") or _UNKNOWN,
            info.get("containerRuntimeVersion") or _UNKNOWN,
        ]


def _status(node: Object) -> str:
    ready = meta.condition(node, "Ready")
    words = ["Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"]
    if (node.get("spec") or {}).get("unschedulable"):
        words.append("SchedulingDisabled")
    return ",".join(words)


def _roles(node: Object) -> list[str]:
    roles = set()
    for key, value in (node["metadata"].get("labels") or {}).items():
        if key.startswith(_ROLE_PREFIX):
            roles.add(key.removeprefix(_ROLE_PREFIX))
        elif key == _ROLE_LABEL:
            roles.add(value)
    return sorted(roles - {""})


def _address(status: dict[str, Any], kind: str) -> str:
    for address in status.get("addresses") or ():
        if address.get("type") == kind:
            return str(address.get("address") or NONE)
    return NONE
