"""What the API server serves, as Resource rows: the garbage collector and the namespace controller must know all.

Reads the aggregated discovery documents (two requests), or group by group where the server has no aggregated form.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from apimachinery import Object
from apimachinery.errors import StatusError
from apimachinery.resources import Resource
from kube_client.client import Client

_ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;q=0.5"


@dataclass
class Discovered:
    """The preferred version of every resource; `failures` names group-versions that could not be read."""

    resources: list[Resource] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


async def discover(client: Client) -> Discovered:
    """Ask the server. Raises StatusError or ApiUnavailable when nothing at all can be learnt."""
    found = Discovered()
    for root in ("/api", "/apis"):
        answer = await client.request("GET", root, headers={"Accept": _ACCEPT})
        document = orjson.loads(answer.body)
        if document.get("kind") == "APIGroupDiscoveryList":
            _read_aggregated(document, found)
        elif root == "/api":
            await _read_version(client, "", "v1", found)
        else:
            for group in document.get("groups") or ():
                version = group["preferredVersion"]["version"]
                await _read_version(client, group["name"], version, found)
    return found


def with_verbs(found: Iterable[Resource], *verbs: str) -> list[Resource]:
    """Those that serve all of the verbs."""
    return [resource for resource in found if all(verb in resource.verbs for verb in verbs)]


def _read_aggregated(document: Object, found: Discovered) -> None:
    for group in document.get("items") or ():
        name = (group.get("metadata") or {}).get("name") or ""
        seen: set[str] = set()
        for version in group.get("versions") or ():
            if version.get("freshness") == "Stale":
                found.failures.append(f"{name}/{version['version']}" if name else version["version"])
            for entry in version.get("resources") or ():
                if entry["resource"] in seen:
                    continue
                seen.add(entry["resource"])
                found.resources.append(
                    _row(
                        name,
                        version["version"],
                        entry["resource"],
                        entry["responseKind"]["kind"],
                        entry.get("scope") == "Namespaced",
                        entry.get("verbs") or (),
                    )
                )


async def _read_version(client: Client, group: str, version: str, found: Discovered) -> None:
    path = f"/apis/{group}/{version}" if group else f"/api/{version}"
    try:
        answer = await client.request("GET", path)
    except StatusError:
        found.failures.append(f"{group}/{version}" if group else version)
        return
    for entry in orjson.loads(answer.body).get("resources") or ():
        if "/" not in entry["name"]:
            found.resources.append(
                _row(
                    entry.get("group") or group,
                    entry.get("version") or version,
                    entry["name"],
                    entry["kind"],
                    bool(entry.get("namespaced")),
                    entry.get("verbs") or (),
                )
            )


def _row(
    group: str, version: str, plural: str, kind: str, namespaced: bool, verbs: Iterable[Any]
) -> Resource:
    return Resource(
        group=group,
        version=version,
        plural=plural,
        singular=kind.lower(),
        kind=kind,
        list_kind=f"{kind}List",
        namespaced=namespaced,
        short_names=(),
        categories=(),
        verbs=tuple(verbs),
        subresources=(),
        definition="",
    )
