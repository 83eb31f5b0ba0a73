"""Values of a pod's own fields and resources, as the downward API gives them to env and volumes.

https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING

from apimachinery import Object, quantity

_SUBSCRIPT = re.compile(r"^(metadata\.(?:labels|annotations))\['(.*)'\]$")


class FieldUnknown(Exception):
    """The field path cannot be resolved; the message is the official one."""


@dataclass(frozen=True)
class PodFacts:
    """What the pod's object does not say yet while its containers start."""

    node_name: str
    host_ips: tuple[str, ...] = ()
    pod_ips: tuple[str, ...] = ()
    allocatable: Mapping[str, str] | None = None


def field_value(pod: Object, path: str, facts: PodFacts) -> str:
    """The text of one field. Raises FieldUnknown."""
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    subscript = _SUBSCRIPT.match(path)
    if subscript:
        values: Mapping[str, str] = metadata.get(subscript[1].partition(".")[2]) or {}
        return values.get(subscript[2], "")
    match path:
        case "metadata.name":
            return str(metadata["name"])
        case "metadata.namespace":
            return str(metadata.get("namespace", ""))
        case "metadata.uid":
            return str(metadata.get("uid", ""))
        case "metadata.labels":
            return format_map(metadata.get("labels"))
        case "metadata.annotations":
            return format_map(metadata.get("annotations"))
        case "spec.nodeName":
            return str(spec.get("nodeName") or facts.node_name)
        case "spec.serviceAccountName":
            return str(spec.get("serviceAccountName", ""))
        case "status.hostIP":
            return facts.host_ips[0] if facts.host_ips else ""
        case "status.hostIPs":
            return ",".join(facts.host_ips)
        case "status.podIP":
            return facts.pod_ips[0] if facts.pod_ips else ""
        case "status.podIPs":
            return ",".join(facts.pod_ips)
    raise FieldUnknown(f"unsupported fieldPath: {path}")


def format_map(values: Mapping[str, str] | None) -> str:
    """Labels or annotations as `key="escaped value"` lines, sorted."""
    return "\n".join(
        f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted((values or {}).items())
    )


def resource_value(
    containers: Sequence[Object], own: Object | None, selector: Object, facts: PodFacts
) -> str:
    """The number that a resourceFieldRef asks for, in units of its divisor, rounded up.

    A limit that is not set is the node's allocatable amount; a request that is not set is the limit, if there is
    one. Raises FieldUnknown.
    """
    name = selector.get("containerName")
    if name:
        own = next((container for container in containers if container["name"] == name), None)
        if own is None:
            raise FieldUnknown(f"container {name} not found")
    if own is None:
        raise FieldUnknown("containerName required")
    what = selector["resource"]
    group, _, resource = what.partition(".")
    if group not in ("limits", "requests"):
        raise FieldUnknown(f"unsupported container resource : {what}")
    resources = own.get("resources") or {}
    amount = (resources.get(group) or {}).get(resource)
    if amount is None and group == "requests":
        amount = (resources.get("limits") or {}).get(resource, "0")
    if amount is None:
        amount = (facts.allocatable or {}).get(resource, "0")
    divisor = quantity.parse(selector.get("divisor") or "0")
    divisor = divisor if divisor else quantity.parse("1")
    return str(int((quantity.parse(amount) / divisor).to_integral_value(ROUND_CEILING)))
