"""What the tables of several kinds have in common: columns and the text of their cells."""

from __future__ import annotations

from typing import Any

from apimachinery import Object
from apiserver.registry.strategy import Column, age

NAME = Column(
    "Name",
    format="name",
    description="Name must be unique within a namespace. Is required when creating resources, although some resources "
    "may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for "
    "creation idempotence and configuration definition. Cannot be updated. More info: "
    "https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names",
)
AGE = Column(
    "Age",
    description="CreationTimestamp is a timestamp representing the server time when this object was created. It is not "
    "guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is "
    "represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
)
CONTAINERS = Column("Containers", priority=1, description="Names of each container in the template.")
IMAGES = Column("Images", priority=1, description="Images referenced by each container in the template.")
NONE = "<none>"


def object_age(obj: Object) -> str:
    """The Age cell."""
    return age(obj["metadata"].get("creationTimestamp"))


def containers_and_images(pod_spec: dict[str, Any]) -> tuple[str, str]:
    """The Containers and Images cells of a workload."""
    containers = pod_spec.get("containers") or []
    return ",".join(c.get("name", "") for c in containers), ",".join(c.get("image", "") for c in containers)


def format_labels(labels: dict[str, str] | None) -> str:
    """Labels as `a=b,c=d`; `<none>` for none."""
    return ",".join(f"{k}={v}" for k, v in sorted((labels or {}).items())) or NONE


def format_selector(selector: dict[str, Any] | None) -> str:
    """A LabelSelector in the form that clients pass as a query; `<none>` for an empty one."""
    if selector is None:
        return NONE
    parts = [(k, f"{k}={v}") for k, v in (selector.get("matchLabels") or {}).items()]
    for requirement in selector.get("matchExpressions") or ():
        key, operator = requirement["key"], requirement["operator"]
        values = ",".join(sorted(requirement.get("values") or ()))
        text = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }.get(operator, f"{key} {operator} {values}")
        parts.append((key, text))
    return ",".join(text for _, text in sorted(parts)) or NONE


def with_more(items: list[str], count: int, shown: int) -> str:
    """A list cut to what fits a cell: `a,b,c + 4 more...`."""
    text = ",".join(items)
    return f"{text} + {count - shown} more..." if count > shown else text
