"""Objects that every cluster has: system namespaces, priority classes, the service range; put back when missing."""

from __future__ import annotations

from collections.abc import Iterator

from apimachinery import Object, meta, resources, times
from apimachinery.errors import StatusError
from apimachinery.resources import Resource
from apiserver.registry.catalog import Catalog
from apiserver.registry.create import create
from apiserver.registry.options import WriteOptions
from apiserver.registry.settings import Settings
from apiserver.registry.strategy import RequestContext, User

API_SERVER = User("system:apiserver", groups=("system:masters",))
OPTIONS = WriteOptions(field_manager="kube-apiserver")
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
PRIORITIES = (
    ("system-node-critical", 2000001000,
     "Used for system critical pods that must not be moved from their current node."),
    ("system-cluster-critical", 2000000000,
     "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."),
)  # fmt: skip


def context(
    catalog: Catalog, resource: Resource, namespace: str, name: str, verb: str = "create"
) -> RequestContext:
    """The circumstances of a write that the API server itself makes."""
    return RequestContext(API_SERVER, verb, resource, "", namespace, name, times.now(), lookup=catalog.lookup)


def wanted(settings: Settings) -> Iterator[tuple[Resource, Object]]:
    """The objects, in an order in which they can be created."""
    for name in NAMESPACES:
        yield resources.NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    for name, value, description in PRIORITIES:
        yield resources.PRIORITY_CLASSES, {
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
            "value": value, "description": description,
        }  # fmt: skip
    yield resources.SERVICE_CIDRS, {
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": [str(network) for network in settings.service_networks]},
    }  # fmt: skip


async def ensure(catalog: Catalog, settings: Settings) -> None:
    """Create what is missing. Raises StatusError when storage does not answer."""
    for resource, obj in wanted(settings):
        await ensure_one(catalog, resource, obj)


async def ensure_one(catalog: Catalog, resource: Resource, obj: Object) -> None:
    """Create an object unless one of its name is there. Raises StatusError."""
    kind, namespace, name = catalog.of(resource), meta.namespace(obj), meta.name(obj)
    if kind.store.peek(namespace, name) is not None:
        return
    try:
        await create(kind, obj, context(catalog, resource, namespace, name), OPTIONS)
    except StatusError as error:
        if error.reason != "AlreadyExists":
            raise
