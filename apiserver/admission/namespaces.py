"""NamespaceLifecycle: nothing is created in a namespace that is missing or going; some namespaces never go."""

from __future__ import annotations

from typing import Protocol

from apimachinery import errors
from apimachinery.resources import NAMESPACES, Resource
from apiserver.admission.plugin import CREATE, DELETE, Attributes, Plugin, refusal

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
TERMINATING = "Terminating"


class Phases(Protocol):
    """Phases of namespaces."""

    def known(self, name: str) -> str | None:
        """The phase as the cache has it, None when the cache does not know the namespace."""

    async def latest(self, name: str) -> str | None:
        """The phase as storage has it now."""


class NamespaceLifecycle(Plugin):
    """Guards the beginning and the end of namespaces."""

    name = "NamespaceLifecycle"
    operations = frozenset({CREATE, DELETE})

    def __init__(self, phases: Phases) -> None:
        self._phases = phases

    def handles(self, resource: Resource, subresource: str) -> bool:
        """Namespaced kinds, and namespaces themselves."""
        return resource.namespaced or resource == NAMESPACES

    async def admit(self, attributes: Attributes) -> None:
        """Refuse what has no living namespace."""
        ctx = attributes.ctx
        if attributes.operation == DELETE:
            if ctx.resource == NAMESPACES and ctx.name in IMMORTAL:
                raise refusal(attributes, "this namespace may not be deleted")
            return
        if not ctx.resource.namespaced:
            return
        phase = self._phases.known(ctx.namespace)
        if phase is None:
            phase = await self._phases.latest(ctx.namespace)
        if phase is None:
            raise errors.not_found("", "namespaces", ctx.namespace)
        if phase == TERMINATING:
            error = refusal(
                attributes,
                f"unable to create new content in namespace {ctx.namespace} because it is being terminated",
            )
            error.details = {
                **(error.details or {}),
                "causes": [
                    {
                        "reason": "NamespaceTerminating",
                        "message": f"namespace {ctx.namespace} is being terminated",
                        "field": "metadata.namespace",
                    }
                ],
            }
            raise error
