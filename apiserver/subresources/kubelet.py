"""The way to the kubelet of a pod: which node, which address, which container, with which credentials."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from apimachinery import Object, errors, meta
from apimachinery.resources import NODES, PODS
from apiserver.registry.catalog import Catalog
from component_base.tls import client_context

ADDRESS_TYPES = ("InternalIP", "ExternalIP", "Hostname", "InternalDNS", "ExternalDNS")
DEFAULT_PORT = 10250


@dataclass(frozen=True)
class Endpoint:
    """Where a kubelet listens."""

    host: str
    port: int

    @property
    def authority(self) -> str:
        """`host:port` for URLs and Host headers."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def endpoint_of(node: Object) -> Endpoint:
    """The address that a node reports. Raises StatusError 500 when there is none."""
    status = node.get("status") or {}
    by_type: dict[str, str] = {}
    for address in status.get("addresses") or ():
        by_type.setdefault(address.get("type", ""), address.get("address", ""))
    host = next((by_type[kind] for kind in ADDRESS_TYPES if by_type.get(kind)), "")
    if not host:
        raise errors.internal_error(f"no preferred addresses found; known addresses: {list(by_type)}")
    endpoints = status.get("daemonEndpoints") or {}
    return Endpoint(host, (endpoints.get("kubeletEndpoint") or {}).get("Port") or DEFAULT_PORT)


def choose_container(pod: Object, wanted: str) -> str:
    """The container meant, when one is named or there is only one. Raises StatusError 400."""
    spec = pod.get("spec") or {}
    name = meta.name(pod)
    kinds = ("containers", "initContainers", "ephemeralContainers")
    lists = {kind: [c.get("name", "") for c in spec.get(kind) or ()] for kind in kinds}
    if wanted:
        if not any(wanted in names for names in lists.values()):
            raise errors.bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    if len(lists["containers"]) == 1:
        only: str = lists["containers"][0]
        return only
    if not lists["containers"]:
        raise errors.bad_request(f"a container name must be specified for pod {name}")
    message = (
        f"a container name must be specified for pod {name}, choose one of: [{' '.join(lists['containers'])}]"
    )
    if lists["initContainers"]:
        message += f" or one of the init containers: [{' '.join(lists['initContainers'])}]"
    if lists["ephemeralContainers"]:
        message += f" or one of the ephemeral containers: [{' '.join(lists['ephemeralContainers'])}]"
    raise errors.bad_request(message)


class Kubelets:
    """Finds kubelets and holds the credentials for them."""

    def __init__(
        self, catalog: Catalog, certificate: str | None, key: str | None, authority: str | None
    ) -> None:
        self._catalog = catalog
        self._files = (certificate, key, authority)
        self._context: ssl.SSLContext | None = None

    @property
    def tls(self) -> ssl.SSLContext:
        """The client context; made when first needed. Raises OSError when files are missing."""
        if self._context is None:
            certificate, key, authority = self._files
            self._context = client_context(authority, certificate, key, insecure=authority is None)
        return self._context

    async def pod(self, namespace: str, name: str) -> Object:
        """The pod. Raises StatusError 404."""
        return (await self._catalog.of(PODS).get(namespace, name, "0")).decode()

    async def of(self, pod: Object) -> Endpoint:
        """Where the pod's kubelet is. Raises StatusError 400 for a pod without node, 404 for a missing node."""
        node = (pod.get("spec") or {}).get("nodeName")
        if not node:
            raise errors.bad_request(f"pod {meta.name(pod)} does not have a host assigned")
        return await self.of_node(node)

    async def of_node(self, name: str) -> Endpoint:
        """Where a node's kubelet is. Raises StatusError 404."""
        return endpoint_of((await self._catalog.of(NODES).get("", name, "0")).decode())
