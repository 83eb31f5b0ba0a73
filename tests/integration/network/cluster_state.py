"""Services and EndpointSlices without an API server: informers that tests fill by hand."""

from __future__ import annotations

from typing import Any, cast

from apimachinery import Object
from apimachinery.resources import ENDPOINT_SLICES, SERVICES, Resource
from kube_client.client import Client
from kube_client.informer import Informer, key_of


class HandFedInformer(Informer):
    """An informer whose objects come from the test."""

    def __init__(self, resource: Resource) -> None:
        super().__init__(cast(Client, None), resource)
        self._version = 1
        self._replace([], 1)

    def put(self, obj: Object) -> None:
        """Create or change an object, as a watch event would."""
        self._version += 1
        obj["metadata"].update(resourceVersion=str(self._version), uid=f"uid-{key_of(obj)}")
        self._put(obj)

    def remove(self, key: str) -> None:
        """Delete an object."""
        obj = self.get(key)
        assert obj is not None
        self._drop(key, obj)


class ClusterState:
    """The two informers of a proxy."""

    def __init__(self) -> None:
        self.services = HandFedInformer(SERVICES)
        self.slices = HandFedInformer(ENDPOINT_SLICES)

    def service(self, name: str, ip: str, *ports: dict[str, Any], **spec: Any) -> None:
        """Create or change Service default/`name`; one TCP port 80 unless ports are given."""
        status = spec.pop("status", {})
        self.services.put(
            {
                "metadata": {"namespace": "default", "name": name},
                "spec": {
                    "clusterIP": ip,
                    "type": "ClusterIP",
                    "ports": list(ports) or [{"port": 80}],
                    **spec,
                },
                "status": status,
            }
        )

    def endpoints(self, service: str, *endpoints: str | dict[str, Any], ports: list[dict[str, Any]]) -> None:
        """Give the Service one slice with these endpoints: addresses, or whole entries."""
        entries = [
            {"addresses": [entry], "conditions": {"ready": True}} if isinstance(entry, str) else entry
            for entry in endpoints
        ]
        self.slices.put(
            {
                "metadata": {
                    "namespace": "default",
                    "name": f"{service}-1",
                    "labels": {"kubernetes.io/service-name": service},
                },
                "addressType": "IPv4",
                "endpoints": entries,
                "ports": ports,
            }
        )
