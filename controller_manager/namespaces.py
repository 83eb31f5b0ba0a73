"""The namespace controller: empties a namespace that is being deleted, then lets it go.

Pods go first; what keeps the namespace alive is told in its conditions. It reads lists, not caches, before it
removes the finalizer: nothing may be left behind.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from apimachinery import Object, meta, times
from apimachinery.errors import StatusError, is_not_found
from apimachinery.resources import NAMESPACES, PODS, Resource
from component_base.logs import get_logger
from controller_manager import discovery, indexes
from controller_manager.context import ControllerContext
from kube_client.controller import Controller, Result
from kube_client.informer import key_of

FINALIZER = "kubernetes"
PARALLEL = 8
RETRY_SECONDS = 5.0

log = get_logger("namespace")


@dataclass
class Remaining:
    """What is still in the namespace, by `plural.group`, and how long it may take in seconds."""

    objects: Counter[str] = field(default_factory=Counter)
    finalizers: Counter[str] = field(default_factory=Counter)
    discovery_failures: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    grace: float = 0.0

    @property
    def empty(self) -> bool:
        """Nothing is left and nothing is unknown."""
        return not (self.objects or self.discovery_failures or self.errors)


def conditions(remaining: Remaining) -> list[Object]:
    """The five deletion conditions in the official words."""
    found = sorted(remaining.objects.items())
    finalizers = sorted(remaining.finalizers.items())
    content = ", ".join(f"{name} has {count} resource instances" for name, count in found)
    waiting = ", ".join(f"{name} in {count} resource instances" for name, count in finalizers)
    failed = remaining.discovery_failures
    return [
        _condition(
            "NamespaceDeletionDiscoveryFailure",
            bool(failed),
            ("DiscoveryFailed", "Discovery failed for some groups, "
             f"{len(failed)} failing: unable to retrieve the complete list of server APIs: {', '.join(failed)}"),
            ("ResourcesDiscovered", "All resources successfully discovered"),
        ),
        _condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            False,
            ("GroupVersionParsingFailed", ""),
            ("ParsedGroupVersions", "All legacy kube types successfully parsed"),
        ),
        _condition(
            "NamespaceDeletionContentFailure",
            bool(remaining.errors),
            ("ContentDeletionFailed", "Failed to delete all resource types, "
             f"{len(remaining.errors)} remaining: {', '.join(remaining.errors)}"),
            ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
        ),
        _condition(
            "NamespaceContentRemaining",
            bool(found),
            ("SomeResourcesRemain", f"Some resources are remaining: {content}"),
            ("ContentRemoved", "All content successfully removed"),
        ),
        _condition(
            "NamespaceFinalizersRemaining",
            bool(finalizers),
            ("SomeFinalizersRemain", f"Some content in the namespace has finalizers remaining: {waiting}"),
            ("ContentHasNoFinalizers", "All content-preserving finalizers finished"),
        ),
    ]  # fmt: skip


def _condition(kind: str, bad: bool, when_bad: tuple[str, str], when_good: tuple[str, str]) -> Object:
    reason, message = when_bad if bad else when_good
    return {"type": kind, "status": "True" if bad else "False", "reason": reason, "message": message}


def next_status(namespace: Object, remaining: Remaining, now: str) -> Object:
    """The namespace's status with phase Terminating and the conditions, changed only where they differ."""
    known = {one["type"]: one for one in (namespace.get("status") or {}).get("conditions") or ()}
    for new in conditions(remaining):
        old = known.get(new["type"])
        if old is None or old["status"] != new["status"]:
            known[new["type"]] = {**new, "lastTransitionTime": now}
        elif (old.get("reason"), old.get("message")) != (new["reason"], new["message"]):
            known[new["type"]] = {**old, **new}
    return {**(namespace.get("status") or {}), "phase": "Terminating", "conditions": list(known.values())}


class NamespaceController:
    """Keys are names of namespaces."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._delay = context.options.namespace_delay
        self._namespaces = context.informers.informer(NAMESPACES)
        self._pods = indexes.pods(context.informers)
        workers = context.options.workers.get("namespace", 10)
        self._controller = Controller("namespace", self.reconcile, workers)
        self._namespaces.add_handler(self._on_namespace)
        self._pods.add_handler(self._on_pod)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._controller.run()

    async def reconcile(self, key: str) -> Result | None:
        """Delete the content of a namespace that is being deleted; finalize it when it is empty."""
        try:
            namespace = await self._client.get(NAMESPACES, key)
        except StatusError as error:
            if is_not_found(error):
                return None
            raise
        if not meta.is_deleting(namespace) or FINALIZER not in (namespace["spec"].get("finalizers") or ()):
            return None
        remaining = await self._empty(key)
        namespace = await self._tell(namespace, remaining)
        if not remaining.empty:
            if remaining.errors:
                log.warning("Namespace content remains", namespace=key, errors=remaining.errors)
            # A pod that ends wakes us; other content (finalizers) is looked at again.
            return Result(min(remaining.grace / 2 + 1, RETRY_SECONDS) if remaining.grace else RETRY_SECONDS)
        finalizers = [one for one in namespace["spec"]["finalizers"] if one != FINALIZER]
        wanted = {**namespace, "spec": {**namespace["spec"], "finalizers": finalizers}}
        try:
            await self._client.update(NAMESPACES, wanted, "finalize")
        except StatusError as error:
            if not is_not_found(error):
                raise
        return None

    async def _empty(self, namespace: str) -> Remaining:
        remaining = Remaining()
        found = await discovery.discover(self._client)
        remaining.discovery_failures = found.failures
        content = [one for one in discovery.with_verbs(found.resources, "list", "delete") if one.namespaced]
        first = [one for one in content if one.group == "" and one.plural == PODS.plural]
        await self._delete_all(namespace, first, remaining)
        if not remaining.empty:
            return remaining
        # Events are served by two groups; everything else is one resource, one list.
        rest = [one for one in content if one not in first and one.group != "events.k8s.io"]
        await self._delete_all(namespace, rest, remaining)
        return remaining

    async def _delete_all(self, namespace: str, resources: list[Resource], remaining: Remaining) -> None:
        places = asyncio.Semaphore(PARALLEL)

        async def one(resource: Resource) -> None:
            async with places:
                try:
                    await self._delete_content(namespace, resource, remaining)
                except StatusError as error:
                    if error.code not in (404, 405):
                        remaining.errors.append(f"{resource.group_resource}: {error}")

        async with asyncio.TaskGroup() as group:
            for resource in resources:
                group.create_task(one(resource))

    async def _delete_content(self, namespace: str, resource: Resource, remaining: Remaining) -> None:
        items = await self._list(namespace, resource)
        if not items:
            return
        if "deletecollection" in resource.verbs:
            await self._client.delete_collection(resource, namespace, propagation_policy="Background")
        else:
            for item in items:
                await self._delete_one(namespace, resource, item)
        items = await self._list(namespace, resource)
        if not items:
            return
        name = f"{resource.plural}.{resource.group}"
        remaining.objects[name] += len(items)
        for item in items:
            for finalizer in meta.finalizers(item):
                remaining.finalizers[finalizer] += 1
            seconds = item["metadata"].get("deletionGracePeriodSeconds") or 0
            remaining.grace = max(remaining.grace, float(seconds))

    async def _delete_one(self, namespace: str, resource: Resource, item: Object) -> None:
        try:
            await self._client.delete(resource, meta.name(item), namespace, propagation_policy="Background")
        except StatusError as error:
            if not is_not_found(error):
                raise

    async def _list(self, namespace: str, resource: Resource) -> list[Object]:
        page = await self._client.list(resource, namespace, metadata_only=True)
        items: list[Object] = page.get("items") or []
        return items

    async def _tell(self, namespace: Object, remaining: Remaining) -> Object:
        status = next_status(namespace, remaining, times.now())
        if status == namespace.get("status"):
            return namespace
        return await self._client.update(NAMESPACES, {**namespace, "status": status}, "status")

    def _on_namespace(self, kind: str, old: Object | None, new: Object) -> None:
        # A moment's grace, so that other API servers have noticed before we look for the last time. Our own
        # writes of conditions do not bring the key back.
        if kind != "DELETED" and meta.is_deleting(new) and (old is None or not meta.is_deleting(old)):
            self._controller.enqueue_after(key_of(new), self._delay)

    def _on_pod(self, kind: str, old: Object | None, new: Object) -> None:
        if kind != "DELETED":
            return
        name = meta.namespace(new)
        namespace = self._namespaces.get(name)
        if namespace is not None and meta.is_deleting(namespace) and not self._pods.list(name):
            self._controller.enqueue(name)
