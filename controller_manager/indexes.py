"""Index functions for the shared informers, so that no event costs a walk over all objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from apimachinery import Object, meta
from apimachinery.resources import PODS
from kube_client.informer import Informer, InformerFactory, by_node_name

CONTROLLER = "controller"
LABEL = "label"
NODE = "node"


def by_controller(obj: Object) -> Iterable[str]:
    """The uid of the controlling owner, or `orphan/<namespace>` without one."""
    reference = meta.controller_of(obj)
    return (str(reference["uid"]),) if reference else (orphans(meta.namespace(obj)),)


def orphans(namespace: str) -> str:
    """The value under which `by_controller` files objects that nobody controls."""
    return f"orphan/{namespace}"


def by_label(obj: Object) -> Iterable[str]:
    """`<namespace>/<key>=<value>` for each label."""
    namespace = meta.namespace(obj)
    return [f"{namespace}/{key}={value}" for key, value in meta.labels(obj).items()]


def pods(informers: InformerFactory) -> Informer:
    """The shared pod informer with every index that the controllers use."""
    return informers.informer(PODS, indexers={CONTROLLER: by_controller, LABEL: by_label, NODE: by_node_name})


def matching(informer: Informer, namespace: str, selector: Mapping[str, str]) -> list[Object]:
    """The objects whose labels hold all pairs of a non-empty equality selector, found by its rarest pair."""
    buckets = [informer.by_index(LABEL, f"{namespace}/{key}={value}") for key, value in selector.items()]
    smallest = min(buckets, key=len)
    if len(buckets) == 1:
        return smallest
    wanted = selector.items()
    return [obj for obj in smallest if wanted <= meta.labels(obj).items()]
