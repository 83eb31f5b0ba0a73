"""Service account tokens for projected volumes: asked for by TokenRequest, kept, renewed in time.

https://kubernetes.io/docs/concepts/storage/projected-volumes/#serviceaccounttoken : renewed after 80 % of their
life, or after a day. Tokens stay in memory and in the pods' volumes only; they are never logged.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace

from apimachinery import Object, times
from apimachinery.errors import StatusError
from apimachinery.resources import SERVICE_ACCOUNTS
from kube_client.client import Client
from kube_client.errors import ApiUnavailable
from kubelet.volumes.payload import DEFAULT_TOKEN_SECONDS, MountError

RENEW_FRACTION = 0.8
RENEW_AFTER = 24 * 3600.0
JITTER = 10.0
RETRY_SECONDS = 30.0


@dataclass(frozen=True)
class _Token:
    value: str
    renew_at: float
    expires_at: float


class TokenManager:
    """Tokens by (pod uid, audience, lifetime)."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._tokens: dict[tuple[str, str, int], _Token] = {}

    def token(self, pod: Object, audience: str, expiration_seconds: int) -> str:
        """A token that `fetch` has brought. Raises MountError when it has not."""
        found = self._tokens.get((pod["metadata"]["uid"], audience, expiration_seconds))
        if found is None:
            raise MountError("failed to fetch token: not available")
        return found.value

    async def fetch(self, pod: Object, volume: Object) -> None:
        """Get or renew the tokens that a volume projects. Raises MountError; an unexpired token is kept in use."""
        for part in (volume.get("projected") or {}).get("sources") or ():
            wanted = part.get("serviceAccountToken")
            if wanted:
                seconds = int(wanted.get("expirationSeconds") or DEFAULT_TOKEN_SECONDS)
                await self._ensure(pod, wanted.get("audience") or "", seconds)

    async def _ensure(self, pod: Object, audience: str, seconds: int) -> None:
        key = (pod["metadata"]["uid"], audience, seconds)
        now, known = time.time(), self._tokens.get(key)
        if known is not None and now < known.renew_at:
            return
        metadata = pod["metadata"]
        account = pod["spec"].get("serviceAccountName") or "default"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": seconds,
                "boundObjectRef": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                },
            },
        }
        try:
            answer = await self._client.create(
                SERVICE_ACCOUNTS, request, metadata["namespace"], subresource="token", name=account
            )
        except (StatusError, ApiUnavailable) as error:
            if known is not None and now < known.expires_at:
                self._tokens[key] = replace(known, renew_at=now + RETRY_SECONDS)
                return
            raise MountError(f"failed to fetch token: {error}") from error
        status = answer["status"]
        expires = times.parse(status["expirationTimestamp"])
        life = min((expires - now) * RENEW_FRACTION, RENEW_AFTER)
        self._tokens[key] = _Token(status["token"], now + life - random.uniform(0, JITTER), expires)

    def next_refresh(self, uid: str) -> float | None:
        """The earliest time (epoch seconds) at which one of the pod's tokens is to be renewed."""
        return min((token.renew_at for key, token in self._tokens.items() if key[0] == uid), default=None)

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        for key in [key for key in self._tokens if key[0] == uid]:
            del self._tokens[key]
