"""How fast nodes may be given up: many failing at once are more likely our own network than their end.

Follows https://kubernetes.io/docs/concepts/architecture/nodes/#rate-limits-on-eviction. Counts are kept per zone, so
that an event costs the same in a cluster of any size.
"""

from __future__ import annotations

from apimachinery import Object, meta
from controller_manager.context import Options

REGION, ZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone"
NORMAL, PARTIAL, FULL = "Normal", "PartialDisruption", "FullDisruption"


def zone_of(node: Object) -> str:
    """Region and zone of a node as one name, empty when it has neither."""
    labels = meta.labels(node)
    return "\0".join((labels.get(REGION, ""), labels.get(ZONE, ""))).strip("\0")


class Zones:
    """Which nodes are ready in which zone, and when the next node of a zone may be tainted."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._ready: dict[str, set[str]] = {}
        self._failing: dict[str, set[str]] = {}
        self._place: dict[str, str] = {}
        self._free_at: dict[str, float] = {}

    def note(self, name: str, zone: str, ready: bool) -> bool:
        """Record a node's state; True when its zone, or the whole cluster, is now in another state."""
        before = self._picture(zone)
        self._forget(name)
        self._place[name] = zone
        (self._ready if ready else self._failing).setdefault(zone, set()).add(name)
        return self._picture(zone) != before

    def remove(self, name: str) -> bool:
        """The node is gone; answers as `note`."""
        zone = self._place.get(name, "")
        before = self._picture(zone)
        self._forget(name)
        return self._picture(zone) != before

    def state(self, zone: str) -> str:
        """Normal, PartialDisruption or FullDisruption."""
        ready, failing = len(self._ready.get(zone, ())), len(self._failing.get(zone, ()))
        if failing and not ready:
            return FULL
        if failing > 2 and failing / (ready + failing) >= self._options.unhealthy_zone_threshold:
            return PARTIAL
        return NORMAL

    def all_disrupted(self) -> bool:
        """No zone has a ready node: then it is us who are cut off, and nobody is given up."""
        return not any(self._ready.values())

    def failing(self) -> list[str]:
        """Names of all nodes that are not ready."""
        return [name for names in self._failing.values() for name in names]

    def seconds_until_free(self, zone: str, now: float) -> float | None:
        """When the next node of the zone may be tainted; None: not while the zone is in this state."""
        return None if self._rate(zone) <= 0 else max(0.0, self._free_at.get(zone, 0.0) - now)

    def take(self, zone: str, now: float) -> None:
        """A node of the zone has been tainted."""
        self._free_at[zone] = now + 1.0 / self._rate(zone)

    def _rate(self, zone: str) -> float:
        if self.all_disrupted():
            return 0.0
        if self.state(zone) == PARTIAL:
            size = len(self._ready.get(zone, ())) + len(self._failing.get(zone, ()))
            if size <= self._options.large_cluster_size_threshold:
                return 0.0
            return self._options.secondary_node_eviction_rate
        return self._options.node_eviction_rate

    def _picture(self, zone: str) -> tuple[str, bool]:
        return self.state(zone), self.all_disrupted()

    def _forget(self, name: str) -> None:
        zone = self._place.pop(name, None)
        if zone is not None:
            for names in (self._ready, self._failing):
                names.get(zone, set()).discard(name)
                if not names.get(zone, True):
                    del names[zone]
