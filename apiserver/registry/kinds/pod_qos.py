"""The quality-of-service class of a Pod, decided once when it is created."""

from __future__ import annotations

from typing import Any

from apiserver.validation.resources import amount

_COMPUTE = ("cpu", "memory")


def qos_class(spec: dict[str, Any]) -> str:
    """`Guaranteed`, `Burstable` or `BestEffort`, from the requests and limits for cpu and memory."""
    pod_level = spec.get("resources")
    if pod_level and (pod_level.get("requests") or pod_level.get("limits")):
        holders = [pod_level]
    else:
        holders = [
            c.get("resources") or {}
            for kind in ("containers", "initContainers")
            for c in spec.get(kind) or ()
        ]
    asked = False
    guaranteed = True
    for holder in holders:
        requests, limits = _positive(holder.get("requests")), _positive(holder.get("limits"))
        if requests or limits:
            asked = True
        if len(limits) != len(_COMPUTE) or any(requests.get(n, v) != v for n, v in limits.items()):
            guaranteed = False
    if not asked:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _positive(amounts: dict[str, str] | None) -> dict[str, Any]:
    if not amounts:
        return {}
    return {n: v for n in _COMPUTE if n in amounts and (v := amount(amounts[n])) > 0}
