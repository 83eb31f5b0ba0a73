"""The root CA publisher: a ConfigMap with the cluster's CA in every namespace, which projected token volumes mount."""

from __future__ import annotations

from pathlib import Path

from apimachinery import Object, meta
from apimachinery.errors import StatusError, is_already_exists, is_not_found
from apimachinery.resources import CONFIG_MAPS, NAMESPACES
from controller_manager.context import ControllerContext
from controller_manager.service_accounts import is_active
from kube_client.controller import Controller, Result
from kube_client.informer import key_of

NAME = "kube-root-ca.crt"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as "
    "the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of "
    "Kubernetes clusters."
)


def config_map(namespace: str, certificate: str) -> Object:
    """The ConfigMap of one namespace."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": NAME,
            "namespace": namespace,
            "annotations": {"kubernetes.io/description": DESCRIPTION},
        },
        "data": {"ca.crt": certificate},
    }


class RootCAPublisher:
    """Keys are names of namespaces."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        file = context.options.root_ca_file or context.client.config.ca_file
        data = context.client.config.ca_data
        self._certificate = Path(file).read_text() if file else (data or b"").decode()
        self._namespaces = context.informers.informer(NAMESPACES)
        self._maps = context.informers.informer(CONFIG_MAPS, field_selector=f"metadata.name={NAME}")
        self._controller = Controller("root_ca_cert_publisher", self.reconcile, workers=2)
        self._namespaces.add_handler(self._on_namespace)
        self._maps.add_handler(self._on_map)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._controller.run()

    async def reconcile(self, key: str) -> Result | None:
        """Create or correct the ConfigMap of one namespace."""
        if not is_active(self._namespaces.get(key)):
            return None
        wanted, current = config_map(key, self._certificate), self._maps.get(f"{key}/{NAME}")
        try:
            if current is None:
                self._maps.observe(await self._client.create(CONFIG_MAPS, wanted))
            elif current.get("data") != wanted["data"] or not meta.annotations(current).items() >= set(
                meta.annotations(wanted).items()
            ):
                annotations = meta.annotations(current) | meta.annotations(wanted)
                metadata = {**current["metadata"], "annotations": annotations}
                updated = {**current, "metadata": metadata, "data": wanted["data"]}
                self._maps.observe(await self._client.update(CONFIG_MAPS, updated))
        except StatusError as error:
            gone = is_not_found(error) or error.has_cause("NamespaceTerminating")
            if not gone and not is_already_exists(error):
                raise
        return None

    def _on_namespace(self, kind: str, old: Object | None, new: Object) -> None:
        if kind == "ADDED":
            self._controller.enqueue(key_of(new))

    def _on_map(self, kind: str, old: Object | None, new: Object) -> None:
        self._controller.enqueue(meta.namespace(new))
