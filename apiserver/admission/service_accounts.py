"""ServiceAccount: gives every pod an account, and its containers a token, the cluster's CA and the namespace.

Follows https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/ (admission controller).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from apimachinery import Object, names
from apimachinery.resources import PODS, SERVICE_ACCOUNTS, Resource
from apiserver.admission.plugin import CREATE, Attributes, Plugin, refusal

DEFAULT_ACCOUNT = "default"
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
MIRROR = "kubernetes.io/config.mirror"
TOKEN_SECONDS = 3607
_ATTEMPTS, _WAIT = 10, 0.1

Find = Callable[[str, str], Awaitable[Object | None]]
"""Reads a service account, by namespace and name, as storage has it now."""


class ServiceAccount(Plugin):
    """Completes pods with their account."""

    name = "ServiceAccount"
    operations = frozenset({CREATE})

    def __init__(self, find: Find) -> None:
        self._find = find

    def handles(self, resource: Resource, subresource: str) -> bool:
        """Pods."""
        return resource == PODS and not subresource

    async def admit(self, attributes: Attributes) -> None:
        """Set account, token volume and pull secrets."""
        pod = attributes.obj
        assert pod is not None
        spec = pod.setdefault("spec", {})
        if MIRROR in (pod["metadata"].get("annotations") or {}):
            self._check_mirror(attributes, spec)
            return
        name = spec.get("serviceAccountName") or spec.get("serviceAccount") or DEFAULT_ACCOUNT
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = await self._account(attributes, name)
        if account is None:
            raise refusal(
                attributes,
                f"error looking up service account {attributes.ctx.namespace}/{name}: "
                f'serviceaccount "{name}" not found',
            )
        if wants_token(spec, account):
            mount_token(spec)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(secret) for secret in account["imagePullSecrets"]]

    async def _account(self, attributes: Attributes, name: str) -> Object | None:
        ctx = attributes.ctx
        account = ctx.lookup(SERVICE_ACCOUNTS, ctx.namespace, name)
        if account is not None:
            return account
        # The default account of a new namespace is made by a controller: give it a moment.
        attempts = _ATTEMPTS if name == DEFAULT_ACCOUNT else 1
        for attempt in range(attempts):
            if attempt:
                await asyncio.sleep(_WAIT)
            account = await self._find(ctx.namespace, name)
            if account is not None:
                return account
        return None

    @staticmethod
    def _check_mirror(attributes: Attributes, spec: dict[str, Any]) -> None:
        if spec.get("serviceAccountName"):
            raise refusal(attributes, "a mirror pod may not reference service accounts")
        for volume in spec.get("volumes") or ():
            if "secret" in volume:
                raise refusal(attributes, "a mirror pod may not reference secrets")
            for source in (volume.get("projected") or {}).get("sources") or ():
                if "serviceAccountToken" in source:
                    raise refusal(
                        attributes, "a mirror pod may not use ServiceAccountToken volume projections"
                    )


def wants_token(spec: dict[str, Any], account: Object) -> bool:
    """Whether a token is mounted: the pod decides, else the account, else yes."""
    for holder in (spec, account):
        if holder.get("automountServiceAccountToken") is not None:
            return bool(holder["automountServiceAccountToken"])
    return True


def mount_token(spec: dict[str, Any]) -> None:
    """Add the token volume and mount it in every container that has nothing at its path."""
    volumes = spec.get("volumes") or []
    name = next((v["name"] for v in volumes if v.get("name", "").startswith(VOLUME_PREFIX)), "")
    wanted = name or VOLUME_PREFIX + names.random_suffix()
    mounted = False
    for containers in (spec.get("initContainers"), spec.get("containers")):
        for container in containers or ():
            mounts = container.get("volumeMounts") or []
            if any(mount.get("mountPath") == MOUNT_PATH for mount in mounts):
                continue
            container["volumeMounts"] = [*mounts, {"name": wanted, "readOnly": True, "mountPath": MOUNT_PATH}]
            mounted = True
    if mounted and not name:
        spec["volumes"] = [*volumes, token_volume(wanted)]


def token_volume(name: str) -> dict[str, Any]:
    """The projected volume of a pod's identity."""
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "name": name,
        "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [namespace]}},
            ],
            "defaultMode": 0o644,
        },
    }
