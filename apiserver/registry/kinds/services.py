"""Services: a stable address (and perhaps a port on every node) for a changing set of pods."""

from __future__ import annotations

from typing import Any

import orjson

from apimachinery import Object, errors, field, meta, resources
from apimachinery.errors import StatusError
from apimachinery.field import FieldError
from apiserver.defaults.services import default_service
from apiserver.registry.settings import Settings
from apiserver.registry.strategy import Claims, Column, RequestContext, Strategy, register, restore
from apiserver.validation import checks
from apiserver.validation.services import (
    is_headless,
    needs_health_check,
    validate_service,
    validate_service_status_update,
    validate_service_update,
)

from . import ip_addresses, service_fields
from .allocation import ADDRESS_KEYS, AddressPool, PortPool, address_key, port_key
from .printing import AGE, NAME, NONE, format_labels, object_age


@register
class ServiceStrategy(Strategy):
    """Allocation happens while preparing: a value chosen here is claimed in the same transaction as the Service."""

    resource = resources.SERVICES
    returns_deleted_object = True
    name_rule = staticmethod(checks.label1035)
    columns = (
        NAME,
        Column("Type", description="type determines how the Service is exposed. Defaults to ClusterIP."),
        Column(
            "Cluster-IP",
            description="clusterIP is the IP address of the service and is usually assigned randomly.",
        ),
        Column(
            "External-IP",
            description="externalIPs is a list of IP addresses for which nodes in the cluster will "
            "also accept traffic for this service.",
        ),
        Column("Port(s)", description="The list of ports that are exposed by this service."),
        AGE,
        Column(
            "Selector",
            priority=1,
            description="Route service traffic to pods with label keys and values matching this selector.",
        ),
    )

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.addresses = {pool.family: pool for pool in map(AddressPool, settings.service_networks)}
        self.default_family = next(iter(self.addresses))
        self.ports = PortPool(*settings.node_ports)

    def default(self, obj: Object) -> None:
        default_service(obj)

    def prepare_for_create(self, obj: Object, ctx: RequestContext) -> None:
        obj["status"] = {"loadBalancer": {}}
        service_fields.synchronize_cluster_ips(obj["spec"], None)
        self._allocate(obj, None, ctx)

    def prepare_for_update(self, obj: Object, old: Object, ctx: RequestContext) -> None:
        restore(obj, old, "status")
        spec, old_spec = obj["spec"], old["spec"]
        service_fields.keep_allocated(spec, old_spec)
        service_fields.synchronize_cluster_ips(spec, old_spec)
        service_fields.drop_fields_of_former_type(spec, old_spec)
        self._allocate(obj, old, ctx)

    def prepare_for_status_update(self, obj: Object, old: Object, ctx: RequestContext) -> None:
        restore(obj, old, "spec")

    def _allocate(self, obj: Object, old: Object | None, ctx: RequestContext) -> None:
        """Fill in what the Service leaves to us, as far as its fields make sense (validation speaks of the rest)."""
        spec = obj["spec"]
        if spec.get("type") not in ("ClusterIP", "NodePort", "LoadBalancer"):
            return
        service_fields.default_families(spec, tuple(self.addresses))
        if not is_headless(spec):
            addresses = list(spec.get("clusterIPs") or ())
            for family in (spec.get("ipFamilies") or [])[len(addresses) :]:
                pool = self.addresses.get(family)
                if pool is None:
                    break
                address = pool.choose()
                if address is None:
                    raise errors.internal_error("failed to allocate a serviceIP: range is full")
                ctx.chosen.add(address_key(address))
                addresses.append(address)
            if addresses:
                spec["clusterIP"], spec["clusterIPs"] = addresses[0], addresses
        self._allocate_ports(spec, ctx)

    def _allocate_ports(self, spec: dict[str, Any], ctx: RequestContext) -> None:
        if service_fields.needs_node_port(spec):
            used: dict[int, set[str]] = {}
            for port in spec.get("ports") or ():
                if port.get("nodePort"):
                    used.setdefault(port["nodePort"], set()).add(port.get("protocol") or "")
            for port in spec.get("ports") or ():
                if port.get("nodePort"):
                    continue
                # The same port number over another protocol may share the node port (DNS).
                shared = next(
                    (
                        p["nodePort"]
                        for p in spec["ports"]
                        if p.get("nodePort")
                        and p.get("port") == port.get("port")
                        and port.get("protocol") not in used[p["nodePort"]]
                    ),
                    None,
                )
                port["nodePort"] = shared or self._choose_port(used.keys(), ctx)
                used.setdefault(port["nodePort"], set()).add(port.get("protocol") or "")
        if needs_health_check(spec) and not spec.get("healthCheckNodePort"):
            spec["healthCheckNodePort"] = self._choose_port((), ctx)

    def _choose_port(self, used: Any, ctx: RequestContext) -> int:
        for _ in range(64):
            port = self.ports.choose()
            if port is None:
                break
            if port not in used:
                ctx.chosen.add(port_key(port))
                return port
        raise errors.internal_error("failed to allocate a nodePort: range is full")

    def claims(self, obj: Object, old: Object | None) -> Claims:
        now, before = _held(obj), _held(old) if old is not None else {}
        return Claims(
            take=tuple(k for k in now if k not in before), release=tuple(k for k in before if k not in now)
        )

    def claim_value(self, obj: Object, key: str) -> Object | bytes:
        kind, _, value = key.rpartition("/")
        metadata = obj["metadata"]
        if kind != ADDRESS_KEYS:
            return orjson.dumps({"namespace": metadata["namespace"], "name": metadata["name"]})
        return ip_addresses.for_service(value, metadata["namespace"], metadata["name"])

    def on_claim_taken(self, obj: Object, key: str, ctx: RequestContext) -> StatusError | None:
        spec = obj["spec"]
        kind, _, value = key.rpartition("/")
        if key in ctx.chosen:
            ctx.chosen.discard(key)
            if kind == ADDRESS_KEYS:
                self.addresses["IPv6" if checks.is_ipv6(value) else "IPv4"].remember_taken(value)
            else:
                self.ports.remember_taken(int(value))
            return None
        if kind == ADDRESS_KEYS:
            error = field.invalid(
                "spec.clusterIPs",
                spec["clusterIPs"],
                f"failed to allocate IP {value}: provided IP is already allocated",
            )
        else:
            ports = [p.get("nodePort") for p in spec.get("ports") or ()]
            at_port = int(value) in ports
            path = (
                f"spec.ports[{ports.index(int(value))}].nodePort" if at_port else "spec.healthCheckNodePort"
            )
            error = field.invalid(path, int(value), "provided port is already allocated")
        return errors.invalid("", "Service", meta.name(obj), [error])

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_service(obj) or self._validate_ranges(obj, {})

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_service_update(obj, old) or self._validate_ranges(obj, _held(old))

    def validate_status_update(self, obj: Object, old: Object) -> list[FieldError]:
        return validate_service_status_update(obj, old)

    def _validate_ranges(self, obj: Object, held: dict[str, None]) -> list[FieldError]:
        """Check that what the Service asks for by name can be had on this cluster."""
        spec = obj["spec"]
        found = service_fields.validate_families(spec, tuple(self.addresses))
        if spec.get("type") != "ExternalName" and not is_headless(spec):
            for address in spec.get("clusterIPs") or ():
                pool = self.addresses.get("IPv6" if checks.is_ipv6(address) else "IPv4")
                if address_key(address) not in held and (pool is None or address not in pool):
                    networks = ",".join(str(p.network) for p in self.addresses.values())
                    found.append(
                        field.invalid(
                            "spec.clusterIPs",
                            spec["clusterIPs"],
                            f"failed to allocate IP {address}: the provided IP ({address}) is not in the valid range. "
                            f"The range of valid IPs is {networks}",
                        )
                    )
        for i, port in enumerate(spec.get("ports") or ()):
            number = port.get("nodePort")
            if number and port_key(number) not in held and number not in self.ports:
                found.append(
                    field.invalid(
                        f"spec.ports[{i}].nodePort",
                        number,
                        "provided port is not in the valid range. "
                        f"The range of valid ports is {self.ports.first}-{self.ports.last}",
                    )
                )
        return found

    def warnings(self, obj: Object, old: Object | None = None) -> list[str]:
        return service_fields.warnings(obj)

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        spec = obj.get("spec") or {}
        return {"spec.clusterIP": spec.get("clusterIP") or "", "spec.type": spec.get("type") or ""}

    def row(self, obj: Object) -> list[Any]:
        spec = obj["spec"]
        return [
            meta.name(obj),
            spec.get("type") or "",
            spec.get("clusterIP") or NONE,
            service_fields.external_addresses(obj),
            service_fields.format_ports(spec.get("ports") or []),
            object_age(obj),
            format_labels(spec.get("selector")),
        ]


def _held(service: Object) -> dict[str, None]:
    """The claim keys of a Service, in order."""
    spec = service.get("spec") or {}
    keys: dict[str, None] = {}
    if spec.get("type") != "ExternalName":
        for address in spec.get("clusterIPs") or ():
            if address != "None" and not checks.ip(address):
                keys[address_key(address)] = None
    for port in spec.get("ports") or ():
        if port.get("nodePort"):
            keys[port_key(port["nodePort"])] = None
    if spec.get("healthCheckNodePort"):
        keys[port_key(spec["healthCheckNodePort"])] = None
    return keys
