"""Deletion in all its forms, and what every namespace gets."""

from __future__ import annotations

import base64

from apimachinery import Object, meta
from apimachinery.errors import StatusError
from apimachinery.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    EVENTS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    SECRETS,
    SERVICE_ACCOUNTS,
)  # fmt: skip
from tests.integration.controller_manager.support import Cluster, until
from tests.integration.controller_manager.test_workloads import apply, manifest, rolled_out


async def config_map(cluster: Cluster, name: str, *owners: Object, **extra: object) -> Object:
    references = [
        {
            "apiVersion": "v1",
            "kind": owner["kind"],
            "name": meta.name(owner),
            "uid": meta.uid(owner),
            **extra,
        }
        for owner in owners
    ]
    metadata = {"name": name, "namespace": cluster.namespace, "ownerReferences": references}
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    return await cluster.client.create(CONFIG_MAPS, obj)


async def names(cluster: Cluster) -> list[str]:
    return sorted(
        meta.name(one) for one in await cluster.list(CONFIG_MAPS) if "root-ca" not in meta.name(one)
    )


def exactly(cluster: Cluster, *wanted: str):  # type: ignore[no-untyped-def]
    async def check() -> bool:
        return await names(cluster) == list(wanted)

    return check


async def test_background_deletion_takes_the_whole_tree(cluster: Cluster) -> None:
    await apply(cluster, manifest())
    await rolled_out(cluster)
    await cluster.client.delete(DEPLOYMENTS, "meow", cluster.namespace)

    async def gone() -> bool:
        return not await cluster.list(REPLICA_SETS) and not await cluster.list(PODS)

    await until(gone, "no ReplicaSet and no pod")


async def test_foreground_deletion_ends_with_the_owner(cluster: Cluster) -> None:
    await apply(cluster, manifest())
    await rolled_out(cluster)
    await cluster.kubectl("delete", "deployment", "meow", "--cascade=foreground", "--timeout=30s")
    assert not await cluster.list(REPLICA_SETS)
    assert not await cluster.list(PODS)


async def test_orphaning_leaves_the_dependents(cluster: Cluster) -> None:
    await apply(cluster, manifest(replicas=2))
    await rolled_out(cluster)
    await cluster.kubectl("delete", "deployment", "meow", "--cascade=orphan", "--timeout=30s")
    (left,) = await cluster.list(REPLICA_SETS)
    assert meta.owner_references(left) == []
    assert len(await cluster.list(PODS)) == 2


async def test_an_object_goes_with_its_last_owner(cluster: Cluster) -> None:
    first, second = await config_map(cluster, "first"), await config_map(cluster, "second")
    await config_map(cluster, "shared", first, second)
    await cluster.client.delete(CONFIG_MAPS, "first", cluster.namespace)

    async def freed() -> bool:
        shared = await cluster.client.get(CONFIG_MAPS, "shared", cluster.namespace)
        return [one["name"] for one in meta.owner_references(shared)] == ["second"]

    await until(freed, "the reference to the first owner to be gone")
    await cluster.client.delete(CONFIG_MAPS, "second", cluster.namespace)
    await until(exactly(cluster), "nothing")


async def test_an_owner_that_never_was_counts_as_gone(cluster: Cluster) -> None:
    real = await config_map(cluster, "real")
    ghost = {
        "kind": "ConfigMap",
        "metadata": {"name": "ghost", "uid": "11111111-2222-3333-4444-555555555555"},
    }
    await config_map(cluster, "haunted", ghost)
    await config_map(cluster, "kept", real)
    await until(exactly(cluster, "kept", "real"), "only the one with a real owner")


async def test_an_owner_in_another_namespace_does_not_count_and_that_is_told(cluster: Cluster) -> None:
    owner = {"metadata": {"name": "elsewhere", "namespace": "default"}}
    made = await cluster.client.create(CONFIG_MAPS, owner)
    try:
        await config_map(cluster, "lost", {**made, "kind": "ConfigMap"})
        await until(exactly(cluster), "the object to be collected")

        async def told() -> bool:
            return "OwnerRefInvalidNamespace" in {one["reason"] for one in await cluster.list(EVENTS)}

        await until(told, "the event")
    finally:
        await cluster.client.delete(CONFIG_MAPS, "elsewhere", "default")


async def test_owners_in_a_circle_can_be_deleted_in_the_foreground(cluster: Cluster) -> None:
    first = await config_map(cluster, "a")
    second = await config_map(cluster, "b", first, blockOwnerDeletion=True)
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "b",
        "uid": meta.uid(second),
        "blockOwnerDeletion": True,
    }
    body = {"metadata": {"ownerReferences": [reference]}}
    await cluster.client.patch(CONFIG_MAPS, "a", body, cluster.namespace)
    await cluster.client.delete(CONFIG_MAPS, "a", cluster.namespace, propagation_policy="Foreground")
    await until(exactly(cluster), "both to be gone")


async def test_every_namespace_has_its_account_and_the_ca(cluster: Cluster) -> None:
    async def furnished() -> bool:
        await cluster.client.get(SERVICE_ACCOUNTS, "default", cluster.namespace)
        found = await cluster.client.get(CONFIG_MAPS, "kube-root-ca.crt", cluster.namespace)
        return "BEGIN CERTIFICATE" in found["data"]["ca.crt"]

    await until(furnished, "the default account and the CA")
    await cluster.client.delete(SERVICE_ACCOUNTS, "default", cluster.namespace)
    body = {"data": {"ca.crt": "forged"}}
    await cluster.client.patch(CONFIG_MAPS, "kube-root-ca.crt", body, cluster.namespace)
    await until(furnished, "both to be put right")


async def test_a_token_secret_is_filled_and_goes_with_its_account(cluster: Cluster) -> None:
    await cluster.client.create(
        SERVICE_ACCOUNTS, {"metadata": {"name": "robot", "namespace": cluster.namespace}}
    )
    secret = {
        "metadata": {
            "name": "robot-token",
            "namespace": cluster.namespace,
            "annotations": {"kubernetes.io/service-account.name": "robot"},
        },
        "type": "kubernetes.io/service-account-token",
    }
    await cluster.client.create(SECRETS, secret)

    async def filled() -> Object | None:
        found = await cluster.client.get(SECRETS, "robot-token", cluster.namespace)
        return found if (found.get("data") or {}).get("token") else None

    found = await until(filled, "the token")
    assert base64.b64decode(found["data"]["namespace"]).decode() == cluster.namespace
    assert base64.b64decode(found["data"]["ca.crt"]).startswith(b"-----BEGIN CERTIFICATE")
    await cluster.client.delete(SERVICE_ACCOUNTS, "robot", cluster.namespace)

    async def gone() -> bool:
        return "robot-token" not in {meta.name(one) for one in await cluster.list(SECRETS)}

    await until(gone, "the secret of the deleted account to be gone")


async def test_a_deleted_namespace_takes_everything_with_it(cluster: Cluster) -> None:
    await cluster.client.create(NAMESPACES, {"metadata": {"name": "doomed"}})
    inner = Cluster(cluster.control_plane, cluster.client, cluster.node, "doomed")
    await apply(inner, manifest())
    await rolled_out(inner)
    held = await config_map(inner, "held")
    body = {"metadata": {"finalizers": ["example.com/hold"]}}
    await cluster.client.patch(CONFIG_MAPS, "held", body, "doomed")
    await cluster.client.delete(NAMESPACES, "doomed")

    async def waiting() -> Object | None:
        namespace = await cluster.client.get(NAMESPACES, "doomed")
        condition = meta.condition(namespace, "NamespaceFinalizersRemaining")
        return condition if condition and condition["status"] == "True" else None

    condition = await until(waiting, "the condition that names the finalizer")
    assert "example.com/hold in 1 resource instances" in condition["message"]
    assert meta.name(held) == "held"
    body = {"metadata": {"finalizers": []}}
    await cluster.client.patch(CONFIG_MAPS, "held", body, "doomed")

    async def gone() -> bool:
        try:
            await cluster.client.get(NAMESPACES, "doomed")
        except StatusError as error:
            return error.code == 404
        return False

    await until(gone, "the namespace to be gone")
    assert not await inner.list(PODS)
