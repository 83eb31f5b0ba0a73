"""Deployments and ReplicaSets against the real API server, driven by kubectl as users do."""

from __future__ import annotations

import asyncio

import yaml

from apimachinery import Object, meta
from apimachinery.resources import (
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    ENDPOINTS,
    EVENTS,
    PODS,
    REPLICA_SETS,
    SERVICES,
)
from tests.integration.controller_manager.support import Cluster, until


def manifest(image: str = "meow:1", replicas: int = 3, **spec: object) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "meow"},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": {"app": "meow"}},
                "template": {
                    "metadata": {"labels": {"app": "meow"}},
                    "spec": {
                        "containers": [{"name": "meow", "image": image, "ports": [{"containerPort": 3000}]}]
                    },
                },
                **spec,
            },
        }
    )


async def apply(cluster: Cluster, text: str) -> None:
    await cluster.kubectl("apply", "--validate=false", "-f", "-", input=text)


async def rolled_out(cluster: Cluster) -> str:
    return await cluster.kubectl("rollout", "status", "deployment/meow", "--timeout=30s")


async def deployment(cluster: Cluster) -> Object:
    return await cluster.client.get(DEPLOYMENTS, "meow", cluster.namespace)


async def reasons(cluster: Cluster, name: str) -> list[str]:
    found = await cluster.list(EVENTS, field_selector=f"involvedObject.name={name}")
    return [f"{one['reason']}: {one['message']}" for one in found]


async def test_a_rollout_its_history_and_its_undoing(cluster: Cluster) -> None:
    await apply(cluster, manifest())
    assert "successfully rolled out" in await rolled_out(cluster)
    await cluster.kubectl("set", "image", "deployment/meow", "meow=meow:2")
    await rolled_out(cluster)
    await until(lambda: has_pods(cluster, "meow:2", 3), "three new pods and no old one")
    history = await cluster.kubectl("rollout", "history", "deployment/meow")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2"]
    await cluster.kubectl("rollout", "undo", "deployment/meow")
    await rolled_out(cluster)
    await until(lambda: has_pods(cluster, "meow:1", 3), "three pods of the first image again")
    history = await cluster.kubectl("rollout", "history", "deployment/meow")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["2", "3"]
    sets = {
        meta.annotations(one)["deployment.kubernetes.io/revision"]: one
        for one in await cluster.list(REPLICA_SETS)
    }
    assert meta.annotations(sets["3"])["deployment.kubernetes.io/revision-history"] == "1"
    told = await until(lambda: reasons(cluster, "meow"), "events")
    first = meta.name(sets["3"])
    assert f"ScalingReplicaSet: Scaled up replica set {first} from 0 to 3" in told
    status = (await deployment(cluster))["status"]
    assert status["observedGeneration"] == (await deployment(cluster))["metadata"]["generation"]
    assert {one["type"]: one["reason"] for one in status["conditions"]} == {
        "Available": "MinimumReplicasAvailable",
        "Progressing": "NewReplicaSetAvailable",
    }


async def has_pods(cluster: Cluster, image: str, count: int) -> bool:
    found = [one for one in await cluster.list(PODS) if not meta.is_deleting(one)]
    return [one["spec"]["containers"][0]["image"] for one in found] == [image] * count


async def test_scaling_and_a_deleted_pod_is_replaced(cluster: Cluster) -> None:
    await apply(cluster, manifest(replicas=1))
    await rolled_out(cluster)
    await cluster.kubectl("scale", "deployment/meow", "--replicas=5")
    await until(lambda: has_pods(cluster, "meow:1", 5), "five pods")
    await rolled_out(cluster)
    victim = (await cluster.list(PODS))[0]
    await cluster.client.delete(PODS, meta.name(victim), cluster.namespace)

    async def replaced() -> bool:
        names = {meta.name(one) for one in await cluster.list(PODS)}
        return len(names) == 5 and meta.name(victim) not in names

    await until(replaced, "another pod in the place of the deleted one")
    await cluster.kubectl("scale", "deployment/meow", "--replicas=0")
    await until(lambda: has_pods(cluster, "meow:1", 0), "no pod")
    assert len(await cluster.list(REPLICA_SETS)) == 1


async def test_a_broken_image_stops_the_rollout_and_the_deadline_is_told(cluster: Cluster) -> None:
    await apply(cluster, manifest(progressDeadlineSeconds=2, minReadySeconds=0))
    await rolled_out(cluster)
    cluster.node.broken_images = {"meow:broken"}
    await cluster.kubectl("set", "image", "deployment/meow", "meow=meow:broken")

    async def timed_out() -> bool:
        condition = meta.condition(await deployment(cluster), "Progressing")
        return condition is not None and condition["reason"] == "ProgressDeadlineExceeded"

    await until(timed_out, "the progress deadline")
    status = (await deployment(cluster))["status"]
    assert status["availableReplicas"] == 3
    assert status["updatedReplicas"] == 1
    await cluster.kubectl("rollout", "undo", "deployment/meow")
    await rolled_out(cluster)


async def test_paused_means_no_rollout_but_scaling(cluster: Cluster) -> None:
    await apply(cluster, manifest(replicas=2))
    await rolled_out(cluster)
    await cluster.kubectl("rollout", "pause", "deployment/meow")
    await cluster.kubectl("set", "image", "deployment/meow", "meow=meow:2")
    await cluster.kubectl("scale", "deployment/meow", "--replicas=4")
    await until(lambda: has_pods(cluster, "meow:1", 4), "four old pods")
    condition = meta.condition(await deployment(cluster), "Progressing")
    assert condition is not None and condition["reason"] == "DeploymentPaused"
    await cluster.kubectl("rollout", "resume", "deployment/meow")
    await rolled_out(cluster)
    await until(lambda: has_pods(cluster, "meow:2", 4), "four new pods")


async def test_recreate_never_mixes_old_and_new(cluster: Cluster) -> None:
    await apply(cluster, manifest(strategy={"type": "Recreate"}))
    await rolled_out(cluster)
    seen: list[set[str]] = []

    async def look() -> None:
        found = await cluster.client.list(PODS, cluster.namespace)
        seen.append({one["spec"]["containers"][0]["image"] for one in found["items"]})

    await cluster.kubectl("set", "image", "deployment/meow", "meow=meow:2")
    for _ in range(20):
        await look()
        await asyncio.sleep(0.02)
    await until(lambda: has_pods(cluster, "meow:2", 3), "three new pods")
    assert all(len(images) <= 1 for images in seen)


async def test_old_revisions_beyond_the_limit_are_cleaned_up(cluster: Cluster) -> None:
    await apply(cluster, manifest(replicas=1, revisionHistoryLimit=1))
    await rolled_out(cluster)
    for number in (2, 3, 4):
        await cluster.kubectl("set", "image", "deployment/meow", f"meow=meow:{number}")
        await rolled_out(cluster)

    async def cleaned() -> bool:
        return len(await cluster.list(REPLICA_SETS)) == 2

    await until(cleaned, "two ReplicaSets, the present and one old")


async def test_an_orphan_that_matches_is_adopted_and_a_pod_relabelled_is_released(cluster: Cluster) -> None:
    lonely = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "lonely", "namespace": cluster.namespace, "labels": {"app": "cat"}},
        "spec": {"containers": [{"name": "c", "image": "meow:1"}]},
    }
    await cluster.client.create(PODS, lonely)
    replica_set = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "cats", "namespace": cluster.namespace},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "cat"}},
            "template": {"metadata": {"labels": {"app": "cat"}}, "spec": lonely["spec"]},
        },
    }
    made = await cluster.client.create(REPLICA_SETS, replica_set)

    async def adopted() -> bool:
        found = await cluster.list(PODS)
        return len(found) == 2 and all(meta.is_controlled_by(one, made) for one in found)

    await until(adopted, "two pods, the orphan among them")
    body = {"metadata": {"labels": {"app": "dog"}}}
    await cluster.client.patch(PODS, "lonely", body, cluster.namespace)

    async def released() -> bool:
        found = await cluster.list(PODS)
        free = [one for one in found if meta.controller_of(one) is None]
        return len(found) == 3 and [meta.name(one) for one in free] == ["lonely"]

    await until(released, "the relabelled pod alone and another in its place")


async def test_a_service_follows_its_pods(cluster: Cluster) -> None:
    await apply(cluster, manifest(replicas=2))
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "meow-svc", "namespace": cluster.namespace},
        "spec": {"selector": {"app": "meow"}, "ports": [{"port": 80, "targetPort": 3000}]},
    }
    await cluster.client.create(SERVICES, service)

    async def addresses() -> set[str]:
        slices = await cluster.list(ENDPOINT_SLICES, label_selector="kubernetes.io/service-name=meow-svc")
        return {
            ip
            for one in slices
            for endpoint in one.get("endpoints") or ()
            if endpoint["conditions"]["ready"]
            for ip in endpoint["addresses"]
        }

    async def complete(count: int) -> bool:
        old = await cluster.client.get(ENDPOINTS, "meow-svc", cluster.namespace)
        listed = {ip["ip"] for subset in old.get("subsets") or () for ip in subset.get("addresses") or ()}
        return len(listed) == count and listed == await addresses()

    await until(lambda: complete(2), "two addresses in both forms")
    await cluster.kubectl("scale", "deployment/meow", "--replicas=4")
    await until(lambda: complete(4), "four addresses in both forms")
    await cluster.client.delete(SERVICES, "meow-svc", cluster.namespace)

    async def gone() -> bool:
        left = await cluster.list(ENDPOINT_SLICES)
        return not left and not await cluster.list(ENDPOINTS)

    await until(gone, "no slices and no Endpoints")
