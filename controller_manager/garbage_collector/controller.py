"""The garbage collector's decisions about one object, and their execution.

Nothing is deleted on the word of a cache alone: that an owner is gone is asked of the server, and every delete and
patch carries the uid and resourceVersion on which it was decided.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field

from apimachinery import Object, meta
from apimachinery.errors import StatusError, is_not_found
from apimachinery.resources import Resource
from component_base.logs import get_logger
from controller_manager.context import ControllerContext
from controller_manager.garbage_collector import graph as graphs
from controller_manager.garbage_collector.graph import Graph, Identity, Node
from controller_manager.garbage_collector.monitors import Monitors
from kube_client.controller import Controller, Result

ABSENT_REMEMBERED = 500
UNSEEN_SECONDS = 30.0

log = get_logger("garbage-collector")


@dataclass
class Classified:
    """The owner references of an object by the state of the owner."""

    solid: list[Object] = field(default_factory=list)
    dangling: list[Object] = field(default_factory=list)
    waiting: list[Object] = field(default_factory=list)


class GarbageCollector:
    """Keys of both queues are uids."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._events = context.client, context.events.named("garbage-collector-controller")
        self._graph = Graph()
        self._absent: OrderedDict[tuple[str, Identity], None] = OrderedDict()
        workers = context.options.workers.get("garbage-collector", 20)
        self._delete_queue = Controller("garbage_collector_attempt_to_delete", self.reconcile, workers)
        self._orphan_queue = Controller("garbage_collector_attempt_to_orphan", self.orphan, workers)
        self._monitors = Monitors(context.client, context.informers, self._on_change)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._monitors.run(lambda: None))
            group.create_task(self._delete_queue.run())
            group.create_task(self._orphan_queue.run())

    async def reconcile(self, key: str) -> Result | None:
        """Decide whether one object is garbage, and delete it or its stale owner references."""
        node = self._graph.get(key)
        if node is None or (node.deleting and not node.waits_for_dependents):
            return None
        if not self._monitors.synced:
            return Result(0.2)
        resource = self._resource(node.identity)
        if node.virtual:
            return await self._verify(node, resource)
        latest = self._monitors.cached(resource, node.identity.key)
        if latest is None or meta.uid(latest) != node.uid:
            return None  # its deletion is on its way to the graph
        if node.waits_for_dependents:
            await self._finish_foreground(node, resource, latest)
            return None
        references = meta.owner_references(latest)
        if references:
            await self._judge(node, resource, latest, await self._classify(node, references))
        return None

    async def orphan(self, key: str) -> Result | None:
        """Free all dependents of an owner that is deleted with propagation policy Orphan, then let it go."""
        owner = self._graph.get(key)
        if owner is None or not owner.orphaning:
            return None
        if not self._monitors.synced:
            return Result(0.2)
        for dependent in list(owner.dependents.values()):
            resource = self._resource(dependent.identity)
            latest = self._monitors.cached(resource, dependent.identity.key)
            if latest is None or meta.uid(latest) != dependent.uid:
                continue
            references = graphs.without_owners(meta.owner_references(latest), [key])
            await self._patch(resource, latest, {"ownerReferences": references})
        resource = self._resource(owner.identity)
        latest = self._monitors.cached(resource, owner.identity.key)
        if latest is not None and meta.uid(latest) == key:
            await self._remove_finalizer(resource, latest, graphs.ORPHAN)
        return None

    async def _verify(self, node: Node, resource: Resource) -> Result | None:
        """An owner that nobody has seen: if the server does not know it either, its dependents are garbage."""
        namespace = node.identity.namespace if resource.namespaced else ""
        if resource.namespaced and not namespace:
            for dependent in list(node.dependents.values()):
                self._delete_queue.enqueue(dependent.uid)
            return None
        where = node.identity._replace(namespace=namespace)
        if await self._live_owner(node.uid, where, resource) is None:
            for dependent in list(node.dependents.values()):
                self._delete_queue.enqueue(dependent.uid)
            return None
        return Result(UNSEEN_SECONDS)

    async def _finish_foreground(self, node: Node, resource: Resource, latest: Object) -> None:
        blocking = node.blocking_dependents()
        if not blocking:
            await self._remove_finalizer(resource, latest, graphs.FOREGROUND)
        for dependent in blocking:
            if not dependent.waits_for_dependents:
                self._delete_queue.enqueue(dependent.uid)

    async def _classify(self, node: Node, references: list[Object]) -> Classified:
        result = Classified()
        for ref in references:
            owner = self._graph.get(ref["uid"])
            namespace = node.identity.namespace
            if owner is not None and not owner.virtual and graphs.is_named_by(ref, namespace, owner.identity):
                (result.waiting if owner.waits_for_dependents else result.solid).append(ref)
                continue
            resource = self._resource(Identity(ref["apiVersion"], ref["kind"], "", ref["name"]))
            if resource.namespaced and not namespace:
                # Such an owner can never be found; the official answer is to say so and to leave it alone.
                self._complain(node, ref)
                result.solid.append(ref)
                continue
            if owner is not None and not owner.virtual and owner.identity.namespace not in ("", namespace):
                self._complain(node, ref)
            where = Identity(
                ref["apiVersion"], ref["kind"], namespace if resource.namespaced else "", ref["name"]
            )
            live = await self._live_owner(ref["uid"], where, resource)
            if live is None:
                result.dangling.append(ref)
            elif meta.is_deleting(live) and graphs.FOREGROUND in meta.finalizers(live):
                result.waiting.append(ref)
            else:
                result.solid.append(ref)
        return result

    async def _judge(self, node: Node, resource: Resource, latest: Object, owners: Classified) -> None:
        if owners.solid:
            stale = [ref["uid"] for ref in (*owners.dangling, *owners.waiting)]
            if stale:
                references = graphs.without_owners(meta.owner_references(latest), stale)
                await self._patch(resource, latest, {"ownerReferences": references})
            return
        if owners.waiting and node.dependents:
            if any(one.waits_for_dependents for one in node.dependents.values()):
                # Owners in a circle would wait for each other for ever: this one lets its owners go first.
                freed = [{**ref, "blockOwnerDeletion": False} for ref in meta.owner_references(latest)]
                latest = await self._patch(resource, latest, {"ownerReferences": freed}) or latest
            await self._delete(resource, latest, "Foreground")
            return
        finalizers = meta.finalizers(latest)
        if graphs.ORPHAN in finalizers:
            policy = "Orphan"
        elif graphs.FOREGROUND in finalizers:
            policy = "Foreground"
        else:
            policy = "Background"
        await self._delete(resource, latest, policy)

    async def _live_owner(self, uid: str, where: Identity, resource: Resource) -> Object | None:
        """The owner from the server; None when there is no object of this uid there."""
        known = (uid, where)
        if known in self._absent:
            self._absent.move_to_end(known)
            return None
        try:
            owner = await self._client.get(resource, where.name, where.namespace or None)
        except StatusError as error:
            if not is_not_found(error):
                raise
            owner = None
        if owner is not None and meta.uid(owner) == uid:
            return owner
        self._absent[known] = None
        if len(self._absent) > ABSENT_REMEMBERED:
            self._absent.popitem(last=False)
        return None

    async def _delete(self, resource: Resource, latest: Object, policy: str) -> None:
        log.info("Deleting", kind=resource.kind, object=meta.key(latest), policy=policy)
        try:
            await self._client.delete(
                resource,
                meta.name(latest),
                meta.namespace(latest) or None,
                propagation_policy=policy,
                preconditions={
                    "uid": meta.uid(latest),
                    "resourceVersion": meta.resource_version(latest),
                },
            )
        except StatusError as error:
            if not is_not_found(error):
                raise

    async def _remove_finalizer(self, resource: Resource, latest: Object, finalizer: str) -> None:
        finalizers = [one for one in meta.finalizers(latest) if one != finalizer]
        if len(finalizers) != len(meta.finalizers(latest)):
            await self._patch(resource, latest, {"finalizers": finalizers})

    async def _patch(self, resource: Resource, latest: Object, metadata: Object) -> Object | None:
        guarded = {
            **metadata,
            "uid": meta.uid(latest),
            "resourceVersion": meta.resource_version(latest),
        }
        try:
            return await self._client.patch(
                resource,
                meta.name(latest),
                {"metadata": guarded},
                meta.namespace(latest) or None,
                patch_type="merge",
            )
        except StatusError as error:
            if is_not_found(error):
                return None
            raise

    def _complain(self, node: Node, ref: Object) -> None:
        where = node.identity
        words = (
            f"ownerRef [{ref['apiVersion']}/{ref['kind']}, namespace: {where.namespace}, name: {ref['name']},"
            f' uid: {ref["uid"]}] does not exist in namespace "{where.namespace}"'
        )
        reference = {
            "apiVersion": where.api_version,
            "kind": where.kind,
            "namespace": where.namespace,
            "name": where.name,
            "uid": node.uid,
        }
        self._events.event(reference, "Warning", "OwnerRefInvalidNamespace", words)

    def _resource(self, identity: Identity) -> Resource:
        resource = self._monitors.resource(identity.api_version, identity.kind)
        if resource is None:
            words = f'no matches for kind "{identity.kind}" in version "{identity.api_version}"'
            raise StatusError(404, "NotFound", words)
        return resource

    def _on_change(self, kind: str, old: Object | None, new: Object) -> None:
        if kind == "DELETED":
            todo = self._graph.remove(meta.uid(new))
        else:
            todo = self._graph.put(new)
        for uid in todo.delete:
            self._delete_queue.enqueue(uid)
        for uid in todo.orphan:
            self._orphan_queue.enqueue(uid)
