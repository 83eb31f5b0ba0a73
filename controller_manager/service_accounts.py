"""The ServiceAccount controller: every active namespace has a ServiceAccount named `default`."""

from __future__ import annotations

from apimachinery import Object, meta
from apimachinery.errors import StatusError, is_already_exists, is_not_found
from apimachinery.resources import NAMESPACES, SERVICE_ACCOUNTS
from controller_manager.context import ControllerContext
from kube_client.controller import Controller, Result
from kube_client.informer import key_of

DEFAULT = "default"


def is_active(namespace: Object | None) -> bool:
    """The namespace exists and is not being deleted."""
    return (
        namespace is not None
        and not meta.is_deleting(namespace)
        and (namespace.get("status") or {}).get("phase", "Active") == "Active"
    )


class ServiceAccountController:
    """Keys are names of namespaces."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._namespaces = context.informers.informer(NAMESPACES)
        self._accounts = context.informers.informer(SERVICE_ACCOUNTS)
        self._controller = Controller("serviceaccount", self.reconcile, workers=2)
        self._namespaces.add_handler(self._on_namespace)
        self._accounts.add_handler(self._on_account)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._controller.run()

    async def reconcile(self, key: str) -> Result | None:
        """Create the default ServiceAccount where it is missing."""
        if not is_active(self._namespaces.get(key)) or self._accounts.get(f"{key}/{DEFAULT}") is not None:
            return None
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": DEFAULT, "namespace": key},
        }
        try:
            self._accounts.observe(await self._client.create(SERVICE_ACCOUNTS, account))
        except StatusError as error:
            gone = is_not_found(error) or error.has_cause("NamespaceTerminating")
            if not gone and not is_already_exists(error):
                raise
        return None

    def _on_namespace(self, kind: str, old: Object | None, new: Object) -> None:
        if kind != "DELETED":
            self._controller.enqueue(key_of(new))

    def _on_account(self, kind: str, old: Object | None, new: Object) -> None:
        if kind == "DELETED" and meta.name(new) == DEFAULT:
            self._controller.enqueue(meta.namespace(new))
