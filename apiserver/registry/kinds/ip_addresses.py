"""IPAddresses."""

from __future__ import annotations

import uuid
from typing import Any

from apimachinery import Object, meta, resources, times
from apimachinery.field import FieldError
from apiserver.registry.strategy import Column, Strategy, register
from apiserver.validation import checks
from apiserver.validation.coordination import ip_address_name, validate_ip_address
from apiserver.validation.meta import validate_object_meta_update

from .printing import AGE, NAME, NONE, object_age


def for_service(address: str, namespace: str, name: str) -> Object:
    """The IPAddress by which a Service holds its cluster IP; written together with the Service."""
    return {
        "apiVersion": resources.IP_ADDRESSES.api_version,
        "kind": resources.IP_ADDRESSES.kind,
        "metadata": {
            "name": address,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": times.now(),
            "generation": 1,
            "labels": {
                "ipaddress.kubernetes.io/ip-family": "IPv6" if checks.is_ipv6(address) else "IPv4",
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": {"parentRef": {"group": "", "resource": "services", "namespace": namespace, "name": name}},
    }


@register
class IPAddressStrategy(Strategy):
    """A single address and whose it is."""

    resource = resources.IP_ADDRESSES
    name_rule = staticmethod(ip_address_name)
    counts_generation = True
    columns = (
        NAME,
        Column(
            "ParentRef",
            description="ParentRef references the resource that an IPAddress is attached "
            "to. An IPAddress must reference a parent object.",
        ),
        AGE,
    )

    def validate(self, obj: Object) -> list[FieldError]:
        return validate_ip_address(obj)

    def validate_update(self, obj: Object, old: Object) -> list[FieldError]:
        errors = validate_object_meta_update(obj, old)
        parent = (obj.get("spec") or {}).get("parentRef")
        checks.immutable(errors, "spec.parentRef", parent, (old.get("spec") or {}).get("parentRef"))
        return errors

    def selectable_fields(self, obj: Object) -> dict[str, str]:
        parent = (obj.get("spec") or {}).get("parentRef") or {}
        return {
            f"spec.parentRef.{name}": parent.get(name) or ""
            for name in ("group", "resource", "namespace", "name")
        }

    def row(self, obj: Object) -> list[Any]:
        parent = (obj.get("spec") or {}).get("parentRef") or {}
        kind = ".".join(filter(None, (parent.get("resource"), parent.get("group")))).lower()
        shown = "/".join(filter(None, (kind, parent.get("namespace"), parent.get("name")))) or NONE
        return [meta.name(obj), shown, object_age(obj)]
