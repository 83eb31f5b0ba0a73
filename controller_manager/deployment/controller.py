"""The Deployment reconciler: finds its ReplicaSets and carries out `revisions`, `scaling` and `status`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from apimachinery import Object, meta
from apimachinery.errors import StatusError, is_already_exists, is_not_found
from apimachinery.resources import DEPLOYMENTS, REPLICA_SETS
from apimachinery.selectors import LabelSelector
from controller_manager import adoption, indexes, pods
from controller_manager.context import ControllerContext
from controller_manager.deployment import revisions, scaling
from controller_manager.deployment import status as statuses
from kube_client.controller import Controller, Result
from kube_client.informer import key_of


class DeploymentController:
    """Keys are `namespace/name` of Deployments."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._events = context.client, context.events.named("deployment-controller")
        self._deployments = context.informers.informer(DEPLOYMENTS)
        self._sets = context.informers.informer(
            REPLICA_SETS, indexers={indexes.CONTROLLER: indexes.by_controller}
        )
        self._pods = indexes.pods(context.informers)
        self._controller = Controller(
            "deployment", self.reconcile, context.options.workers.get("deployment", 5)
        )
        self._deployments.add_handler(self._on_deployment)
        self._sets.add_handler(self._on_replica_set)
        self._pods.add_handler(self._on_pod)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._controller.run()

    async def reconcile(self, key: str) -> Result | None:
        """Take one Deployment a step further."""
        deployment = self._deployments.get(key)
        if deployment is None:
            return None
        selector = LabelSelector.from_object(deployment["spec"]["selector"])
        if selector.empty:
            words = "This deployment is selecting all pods. A non-empty selector is required."
            self._events.event(deployment, "Warning", "SelectingAll", words)
            return None
        candidates = self._sets.by_index(indexes.CONTROLLER, meta.uid(deployment))
        candidates += self._sets.by_index(indexes.CONTROLLER, indexes.orphans(meta.namespace(deployment)))
        claims = adoption.plan_claims(deployment, candidates, selector.matches)
        owned = await adoption.carry_out(self._client, self._sets, DEPLOYMENTS, deployment, claims)
        now = time.time()
        if meta.is_deleting(deployment):
            new, _ = self._divide(deployment, owned)
            return await self._write_counts(deployment, owned, new)
        pause = statuses.paused(deployment, now)
        if pause is not None:
            deployment = await self._write(deployment, pause)
        if deployment["spec"].get("paused") or scaling.is_scaling_event(deployment, owned):
            return await self._scale_only(deployment, owned)
        if scaling.is_rolling(deployment):
            return await self._roll(deployment, owned)
        return await self._recreate(deployment, owned)

    async def _scale_only(self, deployment: Object, owned: list[Object]) -> Result | None:
        deployment, new, old = await self._sync_revision(deployment, owned, create=False)
        scaled = await self._apply(deployment, scaling.plan_scaling(deployment, new, old))
        new, old = _refreshed(new, scaled), [_refreshed(one, scaled) or one for one in old]
        if deployment["spec"].get("paused"):
            await self._clean_up(deployment, old)
        return await self._write_counts(deployment, [*old, *([new] if new else [])], new)

    async def _roll(self, deployment: Object, owned: list[Object]) -> Result | None:
        deployment, new, old = await self._sync_revision(deployment, owned, create=True)
        assert new is not None
        scaled = await self._apply(deployment, scaling.plan_rolling(deployment, new, old))
        if not scaled and statuses.is_complete(deployment, deployment.get("status") or {}):
            await self._clean_up(deployment, old)
        new, old = _refreshed(new, scaled) or new, [_refreshed(one, scaled) or one for one in old]
        return await self._write_rollout(deployment, [*old, new], new)

    async def _recreate(self, deployment: Object, owned: list[Object]) -> Result | None:
        deployment, new, old = await self._sync_revision(deployment, owned, create=False)
        shrink = [scaling.Scale(one, 0) for one in scaling.active(old)]
        if shrink:
            scaled = await self._apply(deployment, shrink)
            old = [_refreshed(one, scaled) or one for one in old]
        elif not self._old_pods_running(old):
            if new is None:
                deployment, new, old = await self._sync_revision(deployment, owned, create=True)
                assert new is not None
            if scaling.replicas(new) != scaling.replicas(deployment):
                grow = [scaling.Scale(new, scaling.replicas(deployment))]
                new = _refreshed(new, await self._apply(deployment, grow)) or new
            elif statuses.is_complete(deployment, deployment.get("status") or {}):
                await self._clean_up(deployment, old)
        return await self._write_rollout(deployment, [*old, *([new] if new else [])], new)

    def _old_pods_running(self, old: Sequence[Object]) -> bool:
        return any(
            (one.get("status") or {}).get("replicas")
            or any(
                not pods.is_terminal(pod) for pod in self._pods.by_index(indexes.CONTROLLER, meta.uid(one))
            )
            for one in old
        )

    def _divide(self, deployment: Object, owned: list[Object]) -> tuple[Object | None, list[Object]]:
        new = revisions.find_new(deployment, owned)
        return new, [one for one in owned if new is None or meta.uid(one) != meta.uid(new)]

    async def _sync_revision(
        self, deployment: Object, owned: list[Object], create: bool
    ) -> tuple[Object, Object | None, list[Object]]:
        """(Deployment, new ReplicaSet, old ones) with revision numbers up to date; `create` makes a missing new one."""
        new, old = self._divide(deployment, owned)
        revision = revisions.max_revision(old) + 1
        if new is None and not create:
            return deployment, None, old
        if new is not None:
            new = await self._update_new(deployment, new, revision)
            reason, words = statuses.FOUND_NEW, f'Found new replica set "{meta.name(new)}"'
            revision = revisions.revision_of(new) or revision
            tell = statuses.find(deployment.get("status") or {}, "Progressing") is None
        else:
            new, created = await self._create_new(deployment, old, revision)
            reason, words = statuses.CREATED_NEW, f'Created new replica set "{meta.name(new)}"'
            tell = created
        status = deployment.get("status") or {}
        if tell and statuses.has_deadline(deployment):
            status = statuses.with_condition(
                status, statuses.condition("Progressing", "True", reason, words, time.time())
            )
        if status != (deployment.get("status") or {}) or revisions.revision_of(deployment) != revision:
            annotations = {**meta.annotations(deployment), revisions.REVISION: str(revision)}
            metadata = {**deployment["metadata"], "annotations": annotations}
            deployment = await self._write({**deployment, "metadata": metadata}, status)
        return deployment, new, old

    async def _update_new(self, deployment: Object, new: Object, revision: int) -> Object:
        annotations = revisions.annotate_new(deployment, meta.annotations(new), revision, None)
        min_ready = int(deployment["spec"].get("minReadySeconds") or 0)
        if annotations == meta.annotations(new) and min_ready == int(new["spec"].get("minReadySeconds") or 0):
            return new
        metadata = {**new["metadata"], "annotations": annotations}
        return await self._update_set(
            {**new, "metadata": metadata, "spec": {**new["spec"], "minReadySeconds": min_ready}}
        )

    async def _create_new(
        self, deployment: Object, old: Sequence[Object], revision: int
    ) -> tuple[Object, bool]:
        """Create the ReplicaSet of the present template; False beside it when it was there already."""
        size = scaling.new_size(deployment, old, 0)
        wanted = revisions.new_replica_set(deployment, size, scaling.size(deployment), revision)
        name = meta.name(wanted)
        try:
            made = await self._client.create(REPLICA_SETS, wanted)
        except StatusError as error:
            if is_already_exists(error):
                return await self._resolve_collision(deployment, name, error), False
            if not error.has_cause("NamespaceTerminating"):
                words = f'Failed to create new replica set "{name}": {error}'
                self._events.event(deployment, "Warning", statuses.CREATE_FAILED, words)
                if statuses.has_deadline(deployment):
                    failed = statuses.condition(
                        "Progressing", "False", statuses.CREATE_FAILED, words, time.time()
                    )
                    await self._write(
                        deployment, statuses.with_condition(deployment.get("status") or {}, failed)
                    )
            raise
        self._sets.observe(made)
        if size > 0:
            self._events.event(
                deployment, "Normal", "ScalingReplicaSet", f"Scaled up replica set {name} from 0 to {size}"
            )
        return made, True

    async def _resolve_collision(self, deployment: Object, name: str, error: StatusError) -> Object:
        """The name is taken: by our own earlier create, or by a stranger, who makes us choose another name."""
        found = await self._client.get(REPLICA_SETS, name, meta.namespace(deployment))
        same = revisions.same_template(found["spec"]["template"], deployment["spec"]["template"])
        if same and meta.is_controlled_by(found, deployment):
            self._sets.observe(found)
            return found
        status = dict(deployment.get("status") or {})
        status["collisionCount"] = int(status.get("collisionCount") or 0) + 1
        await self._write(deployment, status)
        raise error

    async def _apply(self, deployment: Object, plan: Sequence[scaling.Scale]) -> list[Object]:
        """Carry out the scaling; returns the ReplicaSets whose size changed."""
        changed = []
        for replica_set, count in plan:
            before = scaling.replicas(replica_set)
            annotations = meta.annotations(replica_set) | revisions.size_annotations(
                *scaling.size(deployment)
            )
            if count == before and annotations == meta.annotations(replica_set):
                continue
            metadata = {**replica_set["metadata"], "annotations": annotations}
            spec = {**replica_set["spec"], "replicas": count}
            updated = await self._update_set({**replica_set, "metadata": metadata, "spec": spec})
            if count == before:
                continue
            changed.append(updated)
            direction = "up" if count > before else "down"
            name = meta.name(replica_set)
            words = f"Scaled {direction} replica set {name} from {before} to {count}"
            self._events.event(deployment, "Normal", "ScalingReplicaSet", words)
        return changed

    async def _clean_up(self, deployment: Object, old: Sequence[Object]) -> None:
        for one in revisions.to_clean_up(deployment, old):
            try:
                await self._client.delete(
                    REPLICA_SETS, meta.name(one), meta.namespace(one), preconditions={"uid": meta.uid(one)}
                )
            except StatusError as error:
                if not is_not_found(error):
                    raise

    async def _update_set(self, replica_set: Object) -> Object:
        updated = await self._client.update(REPLICA_SETS, replica_set)
        self._sets.observe(updated)
        return updated

    async def _write_counts(
        self, deployment: Object, everything: Sequence[Object], new: Object | None
    ) -> Result | None:
        status = statuses.counted(deployment, everything, new, time.time())
        await self._write(deployment, status)
        return None

    async def _write_rollout(
        self, deployment: Object, everything: Sequence[Object], new: Object | None
    ) -> Result | None:
        now = time.time()
        status = statuses.rollout(deployment, everything, new, now)
        await self._write(deployment, status)
        return Result(statuses.seconds_until_deadline(deployment, status, now))

    async def _write(self, deployment: Object, status: Object) -> Object:
        """Write the status (and changed annotations) unless the store has it already; returns the stored object."""
        known: dict[str, Any] = self._deployments.get(key_of(deployment)) or {}
        if (known.get("status") or {}) == status and meta.annotations(known) == meta.annotations(deployment):
            return deployment
        updated = await self._client.update(DEPLOYMENTS, {**deployment, "status": status}, "status")
        self._deployments.observe(updated)
        return updated

    def _on_deployment(self, kind: str, old: Object | None, new: Object) -> None:
        self._controller.enqueue(key_of(new))

    def _on_replica_set(self, kind: str, old: Object | None, new: Object) -> None:
        owner = self._owner_key(new)
        before = self._owner_key(old) if old is not None else None
        if before is not None and before != owner:
            self._controller.enqueue(before)
        if owner is not None:
            self._controller.enqueue(owner)
        elif kind != "DELETED" and meta.controller_of(new) is None:
            labels = meta.labels(new)
            for one in self._deployments.list(meta.namespace(new)) if labels else ():
                if LabelSelector.from_object(one["spec"]["selector"]).matches(labels):
                    self._controller.enqueue(key_of(one))

    def _on_pod(self, kind: str, old: Object | None, new: Object) -> None:
        """A Recreate rollout waits for the last old pod to be gone."""
        if kind != "DELETED":
            return
        reference = meta.controller_of(new)
        replica_set = self._sets.get(f"{meta.namespace(new)}/{reference['name']}") if reference else None
        owner = self._owner_key(replica_set) if replica_set is not None else None
        deployment = self._deployments.get(owner) if owner is not None else None
        if deployment is not None and not scaling.is_rolling(deployment):
            self._controller.enqueue(key_of(deployment))

    def _owner_key(self, replica_set: Object) -> str | None:
        reference = meta.controller_of(replica_set)
        if reference is None or reference["kind"] != "Deployment":
            return None
        key = f"{meta.namespace(replica_set)}/{reference['name']}"
        owner = self._deployments.get(key)
        return key if owner is not None and meta.uid(owner) == reference["uid"] else None


def _refreshed(replica_set: Object | None, changed: Sequence[Object]) -> Object | None:
    """The changed version of the ReplicaSet if there is one, else itself."""
    if replica_set is None:
        return None
    return next((one for one in changed if meta.uid(one) == meta.uid(replica_set)), replica_set)
