"""A profile: the plugins that serve each extension point for one `schedulerName`, in order, with weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from scheduler.config import Plugins, ProfileConfiguration
from scheduler.framework.interface import (
    BindPlugin,
    Events,
    FilterPlugin,
    Handle,
    PermitPlugin,
    Plugin,
    PostBindPlugin,
    PostFilterPlugin,
    PreBindPlugin,
    PreEnqueuePlugin,
    PreFilterPlugin,
    QueueSortPlugin,
    ReservePlugin,
    ScorePlugin,
)
from scheduler.framework.registry import DEFAULTS, find

# The configuration's name of each extension point and the class that serves it.
_POINTS: Mapping[str, type[Plugin]] = {
    "preEnqueue": PreEnqueuePlugin,
    "queueSort": QueueSortPlugin,
    "preFilter": PreFilterPlugin,
    "filter": FilterPlugin,
    "postFilter": PostFilterPlugin,
    "score": ScorePlugin,
    "reserve": ReservePlugin,
    "permit": PermitPlugin,
    "preBind": PreBindPlugin,
    "bind": BindPlugin,
    "postBind": PostBindPlugin,
}


class Profile:
    """Plugins made and sorted. Raises UnknownPluginError, or ValueError for a configuration that cannot work."""

    def __init__(self, configuration: ProfileConfiguration, handle: Handle) -> None:
        self.name = configuration.schedulerName
        arguments = {entry.name: entry.args for entry in configuration.pluginConfig}
        made: dict[str, Plugin] = {}

        def make(name: str) -> Plugin:
            if name not in made:
                made[name] = find(name)(arguments.get(name, {}), handle)
            return made[name]

        chosen = _chosen(configuration.plugins)
        by_point = {point: [make(name) for name in chosen[point]] for point in _POINTS}
        for point, plugins in by_point.items():
            for plugin in plugins:
                if not isinstance(plugin, _POINTS[point]):
                    raise ValueError(f"plugin {plugin.name!r} does not extend {point} plugin")

        self.pre_enqueue = [p for p in by_point["preEnqueue"] if isinstance(p, PreEnqueuePlugin)]
        self.pre_filter = [p for p in by_point["preFilter"] if isinstance(p, PreFilterPlugin)]
        self.filter = [p for p in by_point["filter"] if isinstance(p, FilterPlugin)]
        self.post_filter = [p for p in by_point["postFilter"] if isinstance(p, PostFilterPlugin)]
        self.score = [(p, chosen["score"][p.name]) for p in by_point["score"] if isinstance(p, ScorePlugin)]
        self.reserve = [p for p in by_point["reserve"] if isinstance(p, ReservePlugin)]
        self.permit = [p for p in by_point["permit"] if isinstance(p, PermitPlugin)]
        self.pre_bind = [p for p in by_point["preBind"] if isinstance(p, PreBindPlugin)]
        self.bind = [p for p in by_point["bind"] if isinstance(p, BindPlugin)]
        self.post_bind = [p for p in by_point["postBind"] if isinstance(p, PostBindPlugin)]
        sorters = [p for p in by_point["queueSort"] if isinstance(p, QueueSortPlugin)]
        if len(sorters) != 1:
            raise ValueError(
                f"only one queue sort plugin required for profile {self.name!r}, but got {len(sorters)}"
            )
        if not self.bind:
            raise ValueError(f"at least one bind plugin is needed for profile {self.name!r}")
        self.queue_sort = sorters[0]
        self.hints: dict[str, Events] = {name: plugin.events for name, plugin in made.items()}


def _chosen(plugins: Plugins) -> dict[str, dict[str, int]]:
    """Per extension point the plugins' names in order and their weights.

    Defaults, less what multiPoint disables, then what multiPoint enables; a point's own lists override.
    """
    multi = plugins.multiPoint
    off = {entry.name for entry in multi.disabled}
    everywhere: dict[str, int] = {}
    if "*" not in off:
        everywhere = {plugin.name: weight or 1 for plugin, weight in DEFAULTS if plugin.name not in off}
    for entry in multi.enabled:
        everywhere[entry.name] = entry.weight or everywhere.get(entry.name, 1)
    kinds = {name: find(name) for name in everywhere}
    result: dict[str, dict[str, int]] = {}
    for point, kind in _POINTS.items():
        own = getattr(plugins, point)
        disabled = {entry.name for entry in own.disabled}
        names: Iterable[str] = () if "*" in disabled else everywhere
        serving = {
            name: everywhere[name] for name in names if name not in disabled and issubclass(kinds[name], kind)
        }
        for entry in own.enabled:
            serving[entry.name] = entry.weight or serving.get(entry.name, 1)
        result[point] = serving
    return result
