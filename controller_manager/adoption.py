"""Which objects a controller owns: claims orphans that its selector matches, releases what no longer matches.

Follows the rules of https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/ : an object has at
most one controlling owner, and adopting needs a fresh look that the adopter still exists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from apimachinery import Object, meta
from apimachinery.errors import StatusError, is_not_found
from apimachinery.resources import Resource
from kube_client.client import Client
from kube_client.informer import Informer


@dataclass
class Claims:
    """`owned` already ours and matching; `adopt` matching orphans; `release` ours but no longer matching."""

    owned: list[Object] = field(default_factory=list)
    adopt: list[Object] = field(default_factory=list)
    release: list[Object] = field(default_factory=list)


def plan_claims(
    owner: Object, candidates: Iterable[Object], matches: Callable[[Mapping[str, str]], bool]
) -> Claims:
    """Sort the candidates. An owner that is being deleted neither adopts nor releases."""
    claims = Claims()
    uid, deleting = meta.uid(owner), meta.is_deleting(owner)
    for obj in candidates:
        reference = meta.controller_of(obj)
        if reference is not None:
            if reference["uid"] != uid:
                continue
            if matches(meta.labels(obj)):
                claims.owned.append(obj)
            elif not deleting:
                claims.release.append(obj)
        elif not deleting and not meta.is_deleting(obj) and matches(meta.labels(obj)):
            claims.adopt.append(obj)
    return claims


async def carry_out(
    client: Client, informer: Informer, owner_resource: Resource, owner: Object, claims: Claims
) -> list[Object]:
    """Adopt and release as planned; returns everything that is now owned. Raises StatusError, ApiUnavailable."""
    owned = list(claims.owned)
    if claims.adopt:
        await _assert_may_adopt(client, owner_resource, owner)
    for obj in claims.adopt:
        references = [*meta.owner_references(obj), meta.owner_reference(owner)]
        adopted = await _patch(client, informer, obj, references)
        if adopted is not None:
            owned.append(adopted)
    for obj in claims.release:
        references = [one for one in meta.owner_references(obj) if one["uid"] != meta.uid(owner)]
        await _patch(client, informer, obj, references)
    return owned


async def _assert_may_adopt(client: Client, resource: Resource, owner: Object) -> None:
    fresh = await client.get(resource, meta.name(owner), meta.namespace(owner))
    if meta.uid(fresh) != meta.uid(owner) or meta.is_deleting(fresh):
        raise StatusError(
            409,
            "Conflict",
            f"can't adopt: original {resource.kind} {meta.key(owner)} is gone or has just been deleted",
        )


async def _patch(client: Client, informer: Informer, obj: Object, references: list[Object]) -> Object | None:
    """Set the owner references; None when the object is gone. A changed object is a Conflict: look again."""
    metadata = {
        "uid": meta.uid(obj),
        "resourceVersion": meta.resource_version(obj),
        "ownerReferences": references,
    }
    try:
        patched = await client.patch(
            informer.resource, meta.name(obj), {"metadata": metadata}, meta.namespace(obj), "merge"
        )
    except StatusError as error:
        if is_not_found(error):
            return None
        raise
    informer.observe(patched)
    return patched
