"""Discovery: which groups, versions and resources there are, in the plain and the aggregated form.

Documents are made when first asked for and again when the set of resources has changed; an ETag lets clients
keep theirs.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from typing import Any

import orjson

from apimachinery import Object, errors
from apimachinery.resources import Resource, Subresource
from apiserver.http.negotiation import parse_accept

AGGREGATED_GROUP = "apidiscovery.k8s.io"
AGGREGATED_VERSIONS = ("v2", "v2beta1")


def _storage_hash(resource: Resource) -> str:
    digest = hashlib.sha256(f"{resource.group}/{resource.version}/{resource.kind}".encode()).digest()[:8]
    return base64.b64encode(digest).decode()


def _row(resource: Resource) -> Object:
    row: Object = {
        "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
        "kind": resource.kind, "verbs": list(resource.verbs),
    }  # fmt: skip
    if resource.short_names:
        row["shortNames"] = list(resource.short_names)
    if resource.categories:
        row["categories"] = list(resource.categories)
    if "get" in resource.verbs and "create" in resource.verbs:
        row["storageVersionHash"] = _storage_hash(resource)
    return row


def _sub_row(resource: Resource, sub: Subresource) -> Object:
    row: Object = {
        "name": f"{resource.plural}/{sub.name}", "singularName": "", "namespaced": resource.namespaced,
    }  # fmt: skip
    if sub.group:
        row["group"] = sub.group
    if sub.version:
        row["version"] = sub.version
    row["kind"] = sub.kind
    row["verbs"] = list(sub.verbs)
    return row


def resource_list(resources: list[Resource], group: str, version: str) -> Object:
    """The APIResourceList of one group and version. Raises StatusError 404."""
    rows: list[Object] = []
    for resource in sorted(resources, key=lambda r: r.plural):
        if (resource.group, resource.version) == (group, version):
            rows.append(_row(resource))
            rows += [_sub_row(resource, sub) for sub in resource.subresources]
    if not rows:
        raise errors.path_not_found()
    group_version = f"{group}/{version}" if group else version
    body: Object = {"kind": "APIResourceList", "groupVersion": group_version, "resources": rows}
    return {**body, "apiVersion": "v1"} if group else body


def versions(resources: list[Resource]) -> dict[str, list[str]]:
    """The groups, most important first, with their versions, preferred first."""
    found: dict[str, list[str]] = {}
    for resource in resources:
        known = found.setdefault(resource.group, [])
        if resource.version not in known:
            known.append(resource.version)
    for known in found.values():
        known.sort(key=_version_rank, reverse=True)
    return {group: found[group] for group in sorted(found, key=lambda g: (_PRIORITY.get(g, 1000), g))}


_PRIORITY = {name: index for index, name in enumerate((
    "", "apiregistration.k8s.io", "apps", "events.k8s.io", "authentication.k8s.io", "authorization.k8s.io",
    "autoscaling", "batch", "certificates.k8s.io", "networking.k8s.io", "policy", "rbac.authorization.k8s.io",
    "storage.k8s.io", "admissionregistration.k8s.io", "apiextensions.k8s.io", "scheduling.k8s.io",
    "coordination.k8s.io", "node.k8s.io", "discovery.k8s.io", "flowcontrol.apiserver.k8s.io", "resource.k8s.io",
))}  # fmt: skip


def _version_rank(version: str) -> tuple[int, int, int]:
    """v2 before v1 before v1beta2 before v1beta1 before v1alpha1."""
    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if match is None:
        return (0, 0, 0)
    stage = {"alpha": 1, "beta": 2, None: 3}[match[2]]
    return (stage, int(match[1]), int(match[3] or 0))


def group(name: str, known: list[str]) -> Object:
    """An APIGroup (without its own kind and version)."""
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in known]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def group_list(resources: list[Resource]) -> Object:
    """What /apis answers."""
    groups = [group(name, known) for name, known in versions(resources).items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def core_versions(server_address: str) -> Object:
    """What /api answers."""
    return {
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}],
    }  # fmt: skip


def aggregated(resources: list[Resource], version: str, *, core: bool) -> Object:
    """An APIGroupDiscoveryList: all groups of /api (core) or /apis with all their resources."""
    items: list[Object] = []
    for name, known in versions(resources).items():
        if bool(name) == core:
            continue
        item: Object = {"metadata": {"creationTimestamp": None}, "versions": []}
        if name:
            item["metadata"]["name"] = name
        for one in known:
            rows = [
                _aggregated_row(resource)
                for resource in sorted(resources, key=lambda r: r.plural)
                if (resource.group, resource.version) == (name, one)
            ]
            item["versions"].append({"version": one, "resources": rows, "freshness": "Current"})
        items.append(item)
    return {
        "kind": "APIGroupDiscoveryList", "apiVersion": f"{AGGREGATED_GROUP}/{version}", "metadata": {}, "items": items,
    }  # fmt: skip


def _aggregated_row(resource: Resource) -> Object:
    row: Object = {
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        row["shortNames"] = list(resource.short_names)
    if resource.categories:
        row["categories"] = list(resource.categories)
    if resource.subresources:
        row["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": {
                    "group": sub.group or (resource.group if not sub.version else ""),
                    "version": sub.version or resource.version,
                    "kind": sub.kind,
                },
                "verbs": list(sub.verbs),
            }
            for sub in resource.subresources
        ]
    return row


def wants_aggregated(accept: bytes | None) -> str:
    """The aggregated version that the client prefers, "" when it wants the plain form."""
    for clause in parse_accept(accept or b""):
        if clause.type != "application/json":
            if clause.type in ("*/*", "application/*"):
                return ""
            continue
        if not clause.param("as"):
            return ""
        if clause.param("g") == AGGREGATED_GROUP and clause.param("as") == "APIGroupDiscoveryList":
            version = clause.param("v")
            if version in AGGREGATED_VERSIONS:
                return version
    return ""


class Documents:
    """Encoded documents by name, forgotten when the set of resources changes."""

    def __init__(self) -> None:
        self._made: dict[Any, tuple[bytes, str]] = {}

    def get(self, key: Any, make: Callable[[], Object]) -> tuple[bytes, str]:
        """The document and its ETag."""
        found = self._made.get(key)
        if found is None:
            body = orjson.dumps(make()) + b"\n"
            found = self._made[key] = (body, f'"{hashlib.sha512(body).hexdigest().upper()[:64]}"')
        return found

    def forget(self) -> None:
        """The set of resources has changed."""
        self._made.clear()
