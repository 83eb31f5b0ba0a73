"""The token controller: fills Secrets of type kubernetes.io/service-account-token and removes those left over.

Such Secrets are made by hand by users who want a token that does not expire; pods get short-lived tokens from
the API server instead. The signing libraries are loaded only when the first such Secret appears.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from apimachinery import Object, meta
from apimachinery.errors import StatusError, is_not_found
from apimachinery.resources import SECRETS, SERVICE_ACCOUNTS
from controller_manager.context import ControllerContext
from kube_client.controller import Controller, Result
from kube_client.informer import key_of

TYPE = "kubernetes.io/service-account-token"
ACCOUNT_NAME = "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"
ISSUER = "kubernetes/serviceaccount"
_ACCOUNT = "account"


def claims(account: Object, secret: Object) -> dict[str, Any]:
    """The claims of a legacy token: it lives as long as its Secret."""
    namespace, name = meta.namespace(account), meta.name(account)
    return {
        "iss": ISSUER,
        "kubernetes.io/serviceaccount/namespace": namespace,
        "kubernetes.io/serviceaccount/secret.name": meta.name(secret),
        "kubernetes.io/serviceaccount/service-account.name": name,
        "kubernetes.io/serviceaccount/service-account.uid": meta.uid(account),
        "sub": f"system:serviceaccount:{namespace}:{name}",
    }


class Signer:
    """Signs tokens with the service-account key; the key id is that of the original (hash of the public key)."""

    def __init__(self, key_file: str) -> None:
        from cryptography.hazmat.primitives import serialization

        self._key = serialization.load_pem_private_key(Path(key_file).read_bytes(), password=None)
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._key_id = base64.urlsafe_b64encode(hashlib.sha256(public).digest()).rstrip(b"=").decode()
        self._algorithm = "ES256" if "EllipticCurve" in type(self._key).__name__ else "RS256"

    def sign(self, payload: dict[str, Any]) -> str:
        """A compact JWT."""
        import jwt

        key: Any = self._key
        return jwt.encode(payload, key, algorithm=self._algorithm, headers={"kid": self._key_id})


class TokenController:
    """Keys are `namespace/name` of token Secrets."""

    def __init__(self, context: ControllerContext) -> None:
        self._client = context.client
        self._key_file = context.options.service_account_private_key_file
        self._ca_file = context.options.root_ca_file or context.client.config.ca_file
        self._ca_data = context.client.config.ca_data
        self._signer: Signer | None = None
        self._accounts = context.informers.informer(SERVICE_ACCOUNTS)
        self._secrets = context.informers.informer(
            SECRETS, field_selector=f"type={TYPE}", indexers={_ACCOUNT: _by_account}
        )
        self._controller = Controller("serviceaccount_tokens_secret", self.reconcile, workers=2)
        self._secrets.add_handler(lambda kind, old, new: self._controller.enqueue(key_of(new)))
        self._accounts.add_handler(self._on_account)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._controller.run()

    async def reconcile(self, key: str) -> Result | None:
        """Fill one token Secret, or delete it when its ServiceAccount is gone."""
        secret = self._secrets.get(key)
        if secret is None or meta.is_deleting(secret) or secret.get("type") != TYPE:
            return None
        name = meta.annotations(secret).get(ACCOUNT_NAME)
        if not name:
            return None
        account = await self._account(meta.namespace(secret), name)
        uid = meta.annotations(secret).get(ACCOUNT_UID)
        if account is None or (uid and uid != meta.uid(account)):
            await self._delete(secret)
            return None
        data = {**(secret.get("data") or {}), **self._missing(secret, account)}
        if data == (secret.get("data") or {}) and uid:
            return None
        annotations = {**meta.annotations(secret), ACCOUNT_UID: meta.uid(account)}
        metadata = {**secret["metadata"], "annotations": annotations}
        self._secrets.observe(
            await self._client.update(SECRETS, {**secret, "metadata": metadata, "data": data})
        )
        return None

    async def _account(self, namespace: str, name: str) -> Object | None:
        """From the cache, or asked for: an account that only seems to be missing must not cost its token."""
        cached = self._accounts.get(f"{namespace}/{name}")
        if cached is not None:
            return cached
        try:
            return await self._client.get(SERVICE_ACCOUNTS, name, namespace)
        except StatusError as error:
            if is_not_found(error):
                return None
            raise

    def _missing(self, secret: Object, account: Object) -> dict[str, str]:
        have, add = secret.get("data") or {}, {}
        if not have.get("token") and self._key_file:
            self._signer = self._signer or Signer(self._key_file)
            add["token"] = _encoded(self._signer.sign(claims(account, secret)).encode())
        authority = _encoded(self._authority())
        if authority and have.get("ca.crt") != authority:
            add["ca.crt"] = authority
        if not have.get("namespace"):
            add["namespace"] = _encoded(meta.namespace(secret).encode())
        return add

    def _authority(self) -> bytes:
        return Path(self._ca_file).read_bytes() if self._ca_file else self._ca_data or b""

    async def _delete(self, secret: Object) -> None:
        try:
            await self._client.delete(
                SECRETS, meta.name(secret), meta.namespace(secret), preconditions={"uid": meta.uid(secret)}
            )
        except StatusError as error:
            if not is_not_found(error):
                raise

    def _on_account(self, kind: str, old: Object | None, new: Object) -> None:
        if kind != "MODIFIED":
            for secret in self._secrets.by_index(_ACCOUNT, key_of(new)):
                self._controller.enqueue(key_of(secret))


def _by_account(secret: Object) -> list[str]:
    name = meta.annotations(secret).get(ACCOUNT_NAME)
    return [f"{meta.namespace(secret)}/{name}"] if name else []


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
