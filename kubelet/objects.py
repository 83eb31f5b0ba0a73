"""ConfigMaps and Secrets that pods of this node refer to: watched one by one while somebody needs them.

The node is allowed to read only those. A change wakes the pods that refer to the object.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import NamedTuple

from apimachinery import Object
from apimachinery.resources import CONFIG_MAPS, SECRETS, Resource
from kube_client.informer import Informer, InformerFactory

SYNC_SECONDS = 10.0


class Reference(NamedTuple):
    """`kind` is ConfigMap or Secret."""

    kind: str
    namespace: str
    name: str


_RESOURCES: dict[str, Resource] = {"ConfigMap": CONFIG_MAPS, "Secret": SECRETS}


def references(pod: Object) -> set[Reference]:
    """Every ConfigMap and Secret that the pod's containers, volumes and image pulls refer to; pure."""
    namespace, spec = pod["metadata"]["namespace"], pod["spec"]
    found: set[Reference] = set()
    for kind, name in _names(spec):
        if name:
            found.add(Reference(kind, namespace, name))
    return found


def _names(spec: Object) -> Iterator[tuple[str, str]]:
    for container in [*(spec.get("initContainers") or ()), *spec.get("containers", ())]:
        for source in container.get("envFrom") or ():
            yield "ConfigMap", (source.get("configMapRef") or {}).get("name", "")
            yield "Secret", (source.get("secretRef") or {}).get("name", "")
        for entry in container.get("env") or ():
            origin = entry.get("valueFrom") or {}
            yield "ConfigMap", (origin.get("configMapKeyRef") or {}).get("name", "")
            yield "Secret", (origin.get("secretKeyRef") or {}).get("name", "")
    for volume in spec.get("volumes") or ():
        yield "ConfigMap", (volume.get("configMap") or {}).get("name", "")
        yield "Secret", (volume.get("secret") or {}).get("secretName", "")
        for part in (volume.get("projected") or {}).get("sources") or ():
            yield "ConfigMap", (part.get("configMap") or {}).get("name", "")
            yield "Secret", (part.get("secret") or {}).get("name", "")
    for secret in spec.get("imagePullSecrets") or ():
        yield "Secret", secret.get("name", "")


class ObjectCache:
    """Informers by reference, held by pod uid. `changed(uids)` is called when an object of theirs changes."""

    def __init__(self, factory: InformerFactory, changed: Callable[[set[str]], None]) -> None:
        self._factory, self._changed = factory, changed
        self._informers: dict[Reference, Informer] = {}
        self._users: dict[Reference, set[str]] = {}

    def register(self, pod: Object) -> None:
        """Begin to watch what the pod refers to; to be called again when its spec has changed."""
        uid, wanted = pod["metadata"]["uid"], references(pod)
        for reference in wanted:
            self._users.setdefault(reference, set()).add(uid)
            if reference not in self._informers:
                self._informers[reference] = self._watch(reference)

    def _watch(self, reference: Reference) -> Informer:
        informer = self._factory.informer(
            _RESOURCES[reference.kind],
            namespace=reference.namespace,
            field_selector=f"metadata.name={reference.name}",
        )
        informer.add_handler(lambda _type, _old, _new: self._changed(set(self._users.get(reference, ()))))
        return informer

    async def wait(self, pod: Object) -> str | None:
        """Wait until everything the pod refers to has been looked up; the official complaint if that takes long."""
        for reference in references(pod):
            informer = self._informers.get(reference)
            if informer is None or informer.synced:
                continue
            try:
                async with asyncio.timeout(SYNC_SECONDS):
                    await informer.wait_synced()
            except TimeoutError:
                return f"failed to sync {reference.kind.lower()} cache: timed out waiting for the condition"
        return None

    async def release(self, uid: str) -> None:
        """The pod is gone; objects that nobody else needs are no longer watched."""
        for reference, users in list(self._users.items()):
            users.discard(uid)
            if not users:
                del self._users[reference]
                informer = self._informers.pop(reference, None)
                if informer is not None:
                    await self._factory.forget(informer)

    def config_map(self, namespace: str, name: str) -> Object | None:
        return self._get(Reference("ConfigMap", namespace, name))

    def secret(self, namespace: str, name: str) -> Object | None:
        return self._get(Reference("Secret", namespace, name))

    def _get(self, reference: Reference) -> Object | None:
        informer = self._informers.get(reference)
        return informer.get(f"{reference.namespace}/{reference.name}") if informer else None
