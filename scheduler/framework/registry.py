"""Which plugins there are: the in-tree ones by name, others through Python entry points.

A package offers a plugin of its own in the entry-point group `skiff.scheduler.plugins`; it is loaded only when
a configuration names it.
"""

from __future__ import annotations

from importlib.metadata import entry_points

from scheduler.framework.interface import Plugin
from scheduler.plugins.default_binder import DefaultBinder
from scheduler.plugins.default_preemption import DefaultPreemption
from scheduler.plugins.image_locality import ImageLocality
from scheduler.plugins.node_affinity import NodeAffinity
from scheduler.plugins.node_name import NodeName
from scheduler.plugins.node_ports import NodePorts
from scheduler.plugins.node_resources_balanced_allocation import NodeResourcesBalancedAllocation
from scheduler.plugins.node_resources_fit import NodeResourcesFit
from scheduler.plugins.node_unschedulable import NodeUnschedulable
from scheduler.plugins.priority_sort import PrioritySort
from scheduler.plugins.scheduling_gates import SchedulingGates
from scheduler.plugins.taint_toleration import TaintToleration

ENTRY_POINTS = "skiff.scheduler.plugins"

# In the order in which they run; the number is the weight of the score.
DEFAULTS: tuple[tuple[type[Plugin], int], ...] = (
    (SchedulingGates, 0),
    (PrioritySort, 0),
    (NodeUnschedulable, 0),
    (NodeName, 0),
    (TaintToleration, 3),
    (NodeAffinity, 2),
    (NodePorts, 0),
    (NodeResourcesFit, 1),
    (DefaultPreemption, 0),
    (NodeResourcesBalancedAllocation, 1),
    (ImageLocality, 1),
    (DefaultBinder, 0),
)
_IN_TREE = {plugin.name: plugin for plugin, _ in DEFAULTS}


class UnknownPluginError(ValueError):
    """A configuration names a plugin that nobody offers."""


def find(name: str) -> type[Plugin]:
    """The plugin's class. Raises UnknownPluginError."""
    if name in _IN_TREE:
        return _IN_TREE[name]
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        loaded = entry.load()
        if isinstance(loaded, type) and issubclass(loaded, Plugin):
            return loaded
    raise UnknownPluginError(f"plugin {name!r} is not registered")
