"""Where objects are in etcd under the prefix: the same places as the original API server uses."""

from typing import Final

_PLACES: Final = {
    ("", "nodes"): "minions",
    ("", "services"): "services/specs",
    ("", "endpoints"): "services/endpoints",
    ("", "replicationcontrollers"): "controllers",
    ("networking.k8s.io", "ingresses"): "ingress",
    ("events.k8s.io", "events"): "events",
    ("apiextensions.k8s.io", "customresourcedefinitions"): "apiextensions.k8s.io/customresourcedefinitions",
    ("apiregistration.k8s.io", "apiservices"): "apiregistration.k8s.io/apiservices",
}
_PLAIN_GROUPS: Final = frozenset({"", "apps", "autoscaling", "batch", "extensions", "policy"})


def storage_path(group: str, plural: str) -> str:
    """Return the path of a resource under the prefix: `pods`, `minions`, `stable.example.com/crontabs`."""
    place = _PLACES.get((group, plural))
    if place is not None:
        return place
    if group in _PLAIN_GROUPS or group.endswith(".k8s.io"):
        return plural
    return f"{group}/{plural}"
