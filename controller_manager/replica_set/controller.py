"""The ReplicaSet reconciler: carries out `plan` against the API.

Protection against doing a thing twice: the server's answers to creates and deletes enter the shared informer at
once (`Informer.observe`), pods asked to be deleted are remembered by uid, and after a write whose answer was
lost the pods are listed anew before anything else is done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from apimachinery import Object, meta, times
from apimachinery.errors import StatusError, is_not_found
from apimachinery.resources import PODS, REPLICA_SETS
from apimachinery.selectors import LabelSelector
from controller_manager import adoption, indexes, pods
from controller_manager.context import ControllerContext
from controller_manager.replica_set import plan
from kube_client.controller import Controller, Result
from kube_client.errors import ApiUnavailable
from kube_client.informer import key_of

NAMESPACE_TERMINATING = "NamespaceTerminating"


class ReplicaSetController:
    """Keys are `namespace/name` of ReplicaSets."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._events = context.client, context.events.named("replicaset-controller")
        self._sets = context.informers.informer(
            REPLICA_SETS, indexers={indexes.CONTROLLER: indexes.by_controller}
        )
        self._pods = indexes.pods(context.informers)
        self._deleted: set[str] = set()
        self._uncertain: set[str] = set()
        self._controller = Controller(
            "replicaset", self.reconcile, context.options.workers.get("replicaset", 5)
        )
        self._sets.add_handler(self._on_set)
        self._pods.add_handler(self._on_pod)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._controller.run()

    async def reconcile(self, key: str) -> Result | None:
        """Bring the pods of one ReplicaSet to the wanted number and its status up to date."""
        replica_set = self._sets.get(key)
        if replica_set is None:
            self._uncertain.discard(key)
            return None
        selector = LabelSelector.from_object(replica_set["spec"]["selector"])
        if key in self._uncertain:
            await self._list_again(replica_set, str(selector))
            self._uncertain.discard(key)
        candidates = self._pods.by_index(indexes.CONTROLLER, meta.uid(replica_set))
        candidates += self._pods.by_index(indexes.CONTROLLER, indexes.orphans(meta.namespace(replica_set)))
        live = [pod for pod in candidates if not pods.is_terminal(pod)]
        claims = adoption.plan_claims(replica_set, live, selector.matches)
        owned = await adoption.carry_out(self._client, self._pods, REPLICA_SETS, replica_set, claims)
        active = [pod for pod in owned if pods.is_active(pod) and meta.uid(pod) not in self._deleted]
        failure: plan.Failure | None = None
        error: Exception | None = None
        todo = plan.plan_replicas(replica_set, active, self._related(replica_set), time.time())
        if todo.create:
            error = await slow_start(todo.create, lambda: self._create(replica_set))
            failure = plan.Failure("FailedCreate", str(error)) if error else None
        elif todo.delete:
            error = await self._delete(replica_set, todo.delete)
            failure = plan.Failure("FailedDelete", str(error)) if error else None
        if isinstance(error, ApiUnavailable):
            self._uncertain.add(key)
            raise error
        owned = [
            pod
            for pod in self._pods.by_index(indexes.CONTROLLER, meta.uid(replica_set))
            if not pods.is_terminal(pod) and selector.matches(meta.labels(pod))
        ]
        active = [pod for pod in owned if pods.is_active(pod) and meta.uid(pod) not in self._deleted]
        now = time.time()
        status = plan.next_status(
            replica_set, active, len(owned) - len(active), failure, now, times.format(now)
        )
        await self._write_status(replica_set, status)
        if error is not None and not _is_namespace_terminating(error):
            raise error
        return Result(plan.seconds_until_change(replica_set, active, now))

    async def _create(self, replica_set: Object) -> None:
        try:
            pod = await self._client.create(PODS, plan.pod_from_template(replica_set))
        except StatusError as error:
            if not _is_namespace_terminating(error):
                self._events.event(replica_set, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        self._pods.observe(pod)
        self._events.event(replica_set, "Normal", "SuccessfulCreate", f"Created pod: {meta.name(pod)}")

    async def _delete(self, replica_set: Object, doomed: Sequence[Object]) -> Exception | None:
        results = await asyncio.gather(
            *(self._delete_one(replica_set, pod) for pod in doomed), return_exceptions=True
        )
        return _first_error(results)

    async def _delete_one(self, replica_set: Object, pod: Object) -> None:
        uid = meta.uid(pod)
        self._deleted.add(uid)
        try:
            answer = await self._client.delete(
                PODS, meta.name(pod), meta.namespace(pod), preconditions={"uid": uid}
            )
        except StatusError as error:
            known = self._pods.get(key_of(pod))
            if not is_not_found(error) or known is None or meta.uid(known) != uid:
                self._deleted.discard(uid)
            if is_not_found(error):
                return
            self._events.event(replica_set, "Warning", "FailedDelete", f"Error deleting: {error}")
            raise
        except ApiUnavailable:
            self._deleted.discard(uid)
            raise
        if meta.is_deleting(answer) and self._pods.get(key_of(pod)) is not None:
            self._pods.observe(answer)
        self._events.event(replica_set, "Normal", "SuccessfulDelete", f"Deleted pod: {meta.name(pod)}")

    async def _write_status(self, replica_set: Object, status: Object) -> None:
        if status == (replica_set.get("status") or {}):
            return
        updated = await self._client.update(REPLICA_SETS, {**replica_set, "status": status}, "status")
        self._sets.observe(updated)

    async def _list_again(self, replica_set: Object, selector: str) -> None:
        found = await self._client.list(PODS, meta.namespace(replica_set), label_selector=selector)
        for pod in found.get("items") or ():
            self._pods.observe({"apiVersion": "v1", "kind": "Pod", **pod})

    def _related(self, replica_set: Object) -> list[Object]:
        """The pods of all ReplicaSets with the same owner (a Deployment's), its own among them."""
        owner = meta.controller_of(replica_set)
        siblings = self._sets.by_index(indexes.CONTROLLER, owner["uid"]) if owner else [replica_set]
        return [pod for one in siblings for pod in self._pods.by_index(indexes.CONTROLLER, meta.uid(one))]

    def _on_set(self, kind: str, old: Object | None, new: Object) -> None:
        self._controller.enqueue(key_of(new))

    def _on_pod(self, kind: str, old: Object | None, new: Object) -> None:
        if kind == "DELETED":
            self._deleted.discard(meta.uid(new))
        owner = self._owner_key(new)
        if old is not None:
            before = self._owner_key(old)
            if before is not None and before != owner:
                self._controller.enqueue(before)
        if owner is not None:
            self._controller.enqueue(owner)
        elif kind != "DELETED" and meta.controller_of(new) is None and not meta.is_deleting(new):
            self._enqueue_matching(old, new)

    def _enqueue_matching(self, old: Object | None, orphan: Object) -> None:
        """An orphan appeared, was released or got other labels: somebody may want to adopt it."""
        if old is not None and meta.labels(old) == meta.labels(orphan) and meta.controller_of(old) is None:
            return
        labels = meta.labels(orphan)
        for one in self._sets.list(meta.namespace(orphan)) if labels else ():
            if LabelSelector.from_object(one["spec"]["selector"]).matches(labels):
                self._controller.enqueue(key_of(one))

    def _owner_key(self, pod: Object) -> str | None:
        reference = meta.controller_of(pod)
        if reference is None or reference["kind"] != "ReplicaSet":
            return None
        key = f"{meta.namespace(pod)}/{reference['name']}"
        owner = self._sets.get(key)
        return key if owner is not None and meta.uid(owner) == reference["uid"] else None


async def slow_start(count: int, action: Callable[[], Awaitable[None]]) -> Exception | None:
    """Run `action` `count` times in batches of 1, 2, 4 …; stop after the first batch with a failure.

    So a full quota costs one rejected request, not five hundred. Returns the first failure.
    """
    remaining, batch = count, 1
    while remaining > 0:
        size = min(batch, remaining)
        error = _first_error(await asyncio.gather(*(action() for _ in range(size)), return_exceptions=True))
        if error is not None:
            return error
        remaining -= size
        batch *= 2
    return None


def _first_error(results: Sequence[object]) -> Exception | None:
    """Lost answers matter most: they leave us not knowing. Programming errors are raised, not returned."""
    errors = [result for result in results if isinstance(result, BaseException)]
    for error in errors:
        if not isinstance(error, StatusError | ApiUnavailable):
            raise error
    errors.sort(key=lambda error: not isinstance(error, ApiUnavailable))
    first = errors[0] if errors else None
    return first if isinstance(first, Exception) else None


def _is_namespace_terminating(error: Exception) -> bool:
    return isinstance(error, StatusError) and error.has_cause(NAMESPACE_TERMINATING)
