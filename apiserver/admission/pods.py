"""What pods are given for scheduling and eviction: default tolerations (DefaultTolerationSeconds) and Priority."""

from __future__ import annotations

from typing import Any, Protocol

from apimachinery import Object
from apimachinery.resources import PODS, PRIORITY_CLASSES, Resource
from apiserver.admission.plugin import CREATE, UPDATE, Attributes, Plugin, refusal

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
DEFAULT_SECONDS = 300
NO_EXECUTE = "NoExecute"


class DefaultTolerationSeconds(Plugin):
    """A pod survives five minutes on a node that is not ready or unreachable, unless it says otherwise."""

    name = "DefaultTolerationSeconds"
    operations = frozenset({CREATE, UPDATE})

    def handles(self, resource: Resource, subresource: str) -> bool:
        """Pods."""
        return resource == PODS and not subresource

    async def admit(self, attributes: Attributes) -> None:
        """Add the missing tolerations."""
        assert attributes.obj is not None
        spec = attributes.obj["spec"]
        tolerations: list[dict[str, Any]] = spec.get("tolerations") or []
        for key in (NOT_READY, UNREACHABLE):
            if not any(_tolerates(toleration, key) for toleration in tolerations):
                tolerations = [*tolerations, {
                    "key": key, "operator": "Exists", "effect": NO_EXECUTE, "tolerationSeconds": DEFAULT_SECONDS,
                }]  # fmt: skip
        spec["tolerations"] = tolerations


def _tolerates(toleration: dict[str, Any], key: str) -> bool:
    return toleration.get("key", "") in (key, "") and toleration.get("effect", "") in (NO_EXECUTE, "")


class DefaultClass(Protocol):
    """Finds the PriorityClass for pods that name none."""

    def __call__(self) -> Object | None:
        """The class marked as global default, if there is one."""


class Priority(Plugin):
    """Turns priorityClassName into a number, which nobody may set by hand."""

    name = "Priority"
    operations = frozenset({CREATE, UPDATE})

    def __init__(self, default: DefaultClass) -> None:
        self._default = default

    def handles(self, resource: Resource, subresource: str) -> bool:
        """Pods."""
        return resource == PODS and not subresource

    async def admit(self, attributes: Attributes) -> None:
        """Set priority and preemptionPolicy."""
        assert attributes.obj is not None
        spec = attributes.obj["spec"]
        if attributes.operation == UPDATE:
            old = (attributes.old or {}).get("spec") or {}
            for field in ("priority", "preemptionPolicy"):
                if spec.get(field) is None and old.get(field) is not None:
                    spec[field] = old[field]
            return
        name = spec.get("priorityClassName") or ""
        found: Object | None
        if name:
            found = attributes.ctx.lookup(PRIORITY_CLASSES, "", name)
            if found is None:
                raise refusal(attributes, f"no PriorityClass with name {name} was found")
        else:
            found = self._default()
            if found is not None:
                spec["priorityClassName"] = found["metadata"]["name"]
        value = found.get("value", 0) if found is not None else 0
        policy = (found or {}).get("preemptionPolicy") or "PreemptLowerPriority"
        if spec.get("priority") is not None and spec["priority"] != value:
            raise refusal(
                attributes,
                (
                    f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; priority "
                    f"admission controller computed {value} from the given PriorityClass name"
                ),
            )
        if spec.get("preemptionPolicy") is not None and spec["preemptionPolicy"] != policy:
            raise refusal(
                attributes,
                (
                    f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be provided in pod spec; "
                    f"priority admission controller computed {policy} from the given PriorityClass name"
                ),
            )
        spec["priority"], spec["preemptionPolicy"] = value, policy
