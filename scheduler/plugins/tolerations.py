"""When a toleration tolerates a taint, for the plugins that ask.

https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from apimachinery import Object
from scheduler.node_table import Taint


def tolerates(toleration: Object, taint: Taint) -> bool:
    """Whether one toleration tolerates the taint."""
    effect, key = toleration.get("effect"), toleration.get("key")
    if effect and effect != taint.effect:
        return False
    if key and key != taint.key:
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(key) and (toleration.get("value") or "") == taint.value


def tolerated(taint: Taint, tolerations: Iterable[Object]) -> bool:
    """Whether any of the tolerations tolerates the taint."""
    return any(tolerates(toleration, taint) for toleration in tolerations)


def untolerated(
    taints: Iterable[Taint], tolerations: Iterable[Object], effects: Collection[str]
) -> Iterable[Taint]:
    """The taints of the given effects that no toleration tolerates, in order."""
    tolerations = list(tolerations)
    return (taint for taint in taints if taint.effect in effects and not tolerated(taint, tolerations))
