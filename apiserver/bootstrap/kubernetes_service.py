"""The Service `kubernetes`, whose endpoints are the API servers that live.

Each server holds a Lease in kube-system (labelled as the original's identity leases) with its address in an
annotation, renews it, and writes the addresses of all unexpired leases into the Service's Endpoints and
EndpointSlice. A server that stops takes its lease with it; one that dies is left out when its lease has expired.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import time
from dataclasses import dataclass

from apimachinery import Object, resources, times
from apimachinery.errors import StatusError
from apimachinery.meta import deep_copy
from apimachinery.resources import Resource
from apiserver.bootstrap.objects import OPTIONS, context, ensure, ensure_one
from apiserver.registry.catalog import Catalog
from apiserver.registry.create import create
from apiserver.registry.delete import delete
from apiserver.registry.options import DeleteOptions
from apiserver.registry.settings import Settings
from apiserver.registry.update import modify
from component_base import logs

IDENTITY_LABEL = "apiserver.kubernetes.io/identity"
ADDRESS = "skiff.dev/advertise-address"
LEASE_SECONDS, RENEW_SECONDS, RETRY_SECONDS = 30, 10.0, 1.0
_log = logs.get_logger("bootstrap")


@dataclass(frozen=True)
class Advertised:
    """Where this server can be reached."""

    address: str
    port: int


def live_addresses(leases: list[Object], now: float) -> list[str]:
    """The addresses of the servers whose leases have not expired, sorted."""
    found = set()
    for lease in leases:
        spec, annotations = lease.get("spec") or {}, lease["metadata"].get("annotations") or {}
        renewed = spec.get("renewTime")
        if ADDRESS not in annotations or not renewed:
            continue
        if times.parse(renewed) + (spec.get("leaseDurationSeconds") or 0) > now:
            found.add(annotations[ADDRESS])
    return sorted(found)


def service(settings: Settings, port: int) -> Object:
    """The Service itself, on the first address of the service range."""
    return {
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "type": "ClusterIP", "clusterIP": str(settings.service_networks[0][1]), "sessionAffinity": "None",
            "ports": [{"name": "https", "port": 443, "targetPort": port, "protocol": "TCP"}],
        },
    }  # fmt: skip


def endpoints(addresses: list[str], port: int) -> Object:
    """Its Endpoints."""
    made: Object = {
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
    }  # fmt: skip
    if addresses:
        made["subsets"] = [{
            "addresses": [{"ip": address} for address in addresses],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        }]  # fmt: skip
    return made


def endpoint_slice(addresses: list[str], port: int) -> Object:
    """Its EndpointSlice."""
    return {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes", "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv6" if addresses and ":" in addresses[0] else "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }  # fmt: skip


class Reconciler:
    """Keeps lease, Service and endpoints in order while the server runs."""

    def __init__(self, catalog: Catalog, settings: Settings, advertised: Advertised) -> None:
        self._catalog, self._settings, self._advertised = catalog, settings, advertised
        self.identity = (
            "apiserver-"
            + hashlib.sha256(
                f"{socket.gethostname()}/{advertised.address}:{advertised.port}".encode()
            ).hexdigest()[:26]
        )
        self.ready = asyncio.Event()
        self._failed = ""

    async def run(self) -> None:
        """Reconcile until cancelled; failures are logged once and tried again."""
        while True:
            wait = RENEW_SECONDS
            try:
                await self.reconcile()
                self._failed = ""
            except StatusError as error:
                wait = RETRY_SECONDS if not self.ready.is_set() else RENEW_SECONDS
                if error.message != self._failed:
                    _log.warning("Cannot write the objects of the control plane yet", error=error.message)
                    self._failed = error.message
            else:
                self.ready.set()
            await asyncio.sleep(wait)

    async def reconcile(self) -> None:
        """One round. Raises StatusError."""
        await ensure(self._catalog, self._settings)
        await self._renew()
        port = self._advertised.port
        await ensure_one(self._catalog, resources.SERVICES, service(self._settings, port))
        await self._publish(include_self=True)

    async def _publish(self, *, include_self: bool) -> None:
        addresses = live_addresses(self._leases(), time.time())
        own = self._advertised.address
        if include_self and own not in addresses:
            addresses = sorted([*addresses, own])
        if own.startswith("127.") or own == "::1":
            return  # loopback addresses are no endpoints: nothing beyond this machine could use them
        port = self._advertised.port
        await self._put(resources.ENDPOINTS, endpoints(addresses, port), ("subsets",))
        await self._put(resources.ENDPOINT_SLICES, endpoint_slice(addresses, port), ("endpoints", "ports"))

    def _leases(self) -> list[Object]:
        kind = self._catalog.of(resources.LEASES)
        entries = kind.store.select("kube-system")
        return [entry.decode() for entry in entries if entry.labels.get(IDENTITY_LABEL) == "kube-apiserver"]

    async def _renew(self) -> None:
        lease: Object = {
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {
                "name": self.identity, "namespace": "kube-system",
                "labels": {IDENTITY_LABEL: "kube-apiserver", "kubernetes.io/hostname": socket.gethostname()},
                "annotations": {ADDRESS: self._advertised.address},
            },
            "spec": {
                "holderIdentity": self.identity, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": times.now_micro(),
            },
        }  # fmt: skip
        await self._put(resources.LEASES, lease, ("spec",))

    async def _put(self, resource: Resource, wanted: Object, fields: tuple[str, ...]) -> None:
        """Create the object, or set these of its fields when they differ."""
        kind = self._catalog.of(resource)
        namespace, name = wanted["metadata"]["namespace"], wanted["metadata"]["name"]
        ctx = context(self._catalog, resource, namespace, name, "update")
        entry = await kind.find(namespace, name)
        if entry is None:
            await create(kind, wanted, ctx, OPTIONS)
            return
        held = entry.decode()
        if all(_same(held.get(field), wanted.get(field)) for field in fields):
            return

        def change(old: Object) -> Object:
            obj: Object = deep_copy(old)
            for field in fields:
                if field in wanted:
                    obj[field] = wanted[field]
                else:
                    obj.pop(field, None)
            return obj

        await modify(kind, ctx, change, OPTIONS)

    async def withdraw(self) -> None:
        """Give up the lease and leave the endpoints, when this server stops. Failures do not matter."""
        kind = self._catalog.of(resources.LEASES)
        ctx = context(self._catalog, resources.LEASES, "kube-system", self.identity, "delete")
        with contextlib.suppress(StatusError, TimeoutError):
            async with asyncio.timeout(2.0):
                await delete(kind, ctx, DeleteOptions())
                if live_addresses(self._leases(), time.time()):
                    await self._publish(include_self=False)


def _same(held: object, wanted: object) -> bool:
    """Whether everything wanted is held; defaults that the server added do not count as a difference."""
    if isinstance(wanted, dict):
        return isinstance(held, dict) and all(_same(held.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(held, list) and len(held) == len(wanted) and all(map(_same, held, wanted))
    return held == wanted
