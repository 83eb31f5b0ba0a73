"""The interface of admission plugins and the chain that runs them: first all that change, then all that judge.

A plugin sees one write at a time and knows nothing of HTTP or storage; what it must look up comes through
`ctx.lookup`. For each resource and operation the chain remembers which plugins take part, so that a write pays
only for those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apimachinery import Object, errors
from apimachinery.errors import StatusError
from apimachinery.resources import Resource
from apiserver.registry.strategy import RequestContext

CREATE, UPDATE, DELETE, CONNECT = "CREATE", "UPDATE", "DELETE", "CONNECT"


@dataclass(slots=True)
class Attributes:
    """One write: `obj` is None for DELETE, `old` for CREATE. Plugins that change things change `obj` in place."""

    operation: str
    ctx: RequestContext
    obj: Object | None
    old: Object | None = None

    @property
    def resource(self) -> Resource:
        """The resource written to."""
        return self.ctx.resource


class Plugin:
    """One admission step. Override `admit`, `validate` or both, and narrow `handles`."""

    name = ""
    operations: frozenset[str] = frozenset({CREATE, UPDATE, DELETE, CONNECT})

    def handles(self, resource: Resource, subresource: str) -> bool:
        """Whether the plugin has anything to do with writes of this kind."""
        return True

    async def admit(self, attributes: Attributes) -> None:
        """Change `attributes.obj`, or raise StatusError."""

    async def validate(self, attributes: Attributes) -> None:
        """Judge; raise StatusError to refuse."""


class Chain:
    """The plugins in order."""

    def __init__(self, plugins: Sequence[Plugin] = ()) -> None:
        self._plugins = tuple(plugins)
        self._mutating: dict[tuple[str, Resource, str], tuple[Plugin, ...]] = {}
        self._validating: dict[tuple[str, Resource, str], tuple[Plugin, ...]] = {}

    def use(self, plugins: Sequence[Plugin]) -> None:
        """Set the plugins; they need the catalog, which is made with this chain."""
        self._plugins = tuple(plugins)
        self._mutating.clear()
        self._validating.clear()

    def _select(self, key: tuple[str, Resource, str], method: str) -> tuple[Plugin, ...]:
        operation, resource, subresource = key
        return tuple(
            plugin
            for plugin in self._plugins
            if operation in plugin.operations
            and getattr(type(plugin), method) is not getattr(Plugin, method)
            and plugin.handles(resource, subresource)
        )

    async def admit(self, attributes: Attributes) -> None:
        """Run the plugins that change objects."""
        key = (attributes.operation, attributes.ctx.resource, attributes.ctx.subresource)
        plugins = self._mutating.get(key)
        if plugins is None:
            plugins = self._mutating[key] = self._select(key, "admit")
        for plugin in plugins:
            await plugin.admit(attributes)

    async def validate(self, attributes: Attributes) -> None:
        """Run the plugins that judge."""
        key = (attributes.operation, attributes.ctx.resource, attributes.ctx.subresource)
        plugins = self._validating.get(key)
        if plugins is None:
            plugins = self._validating[key] = self._select(key, "validate")
        for plugin in plugins:
            await plugin.validate(attributes)


def refusal(attributes: Attributes, detail: str) -> StatusError:
    """The official 403 of an admission plugin."""
    ctx, name = attributes.ctx, attributes.ctx.name
    if not name and attributes.obj is not None:
        metadata = attributes.obj.get("metadata") or {}
        name = metadata.get("name") or metadata.get("generateName") or ""
    return errors.forbidden(ctx.resource.group, ctx.resource.plural, name or "Unknown", detail)
