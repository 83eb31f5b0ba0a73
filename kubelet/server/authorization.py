"""Who may call the kubelet: client certificates and tokens, then the API server's word.

https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/ . Answers of the API server are kept for
a short while.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TypeVar

import orjson

from apimachinery import Object
from apimachinery.errors import StatusError
from kube_client.client import Client
from kube_client.errors import ApiUnavailable
from kubelet.configuration import KubeletConfiguration
from kubelet.server.identity import User, from_certificate

K = TypeVar("K")
V = TypeVar("V")

ALLOWED_SECONDS, DENIED_SECONDS, TOKEN_SECONDS = 300.0, 30.0, 120.0
MAX_REMEMBERED = 1000
MASTERS = "system:masters"
_VERBS = {
    "GET": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
    "HEAD": "get",
}
_SUBRESOURCES = {
    "stats": "stats",
    "metrics": "metrics",
    "logs": "log",
    "spec": "spec",
    "checkpoint": "checkpoint",
    "configz": "configz",
    "healthz": "healthz",
    "pods": "pods",
    "runningpods": "pods",
}


def subresource(path: str) -> str:
    """Of `nodes`, by the first part of the path; `proxy` for everything not named."""
    return _SUBRESOURCES.get(path.strip("/").partition("/")[0], "proxy")


class Gate:
    """Authentication and authorization of requests."""

    def __init__(self, client: Client, config: KubeletConfiguration, node_name: str) -> None:
        self._client, self._config, self._node = client, config, node_name
        self._decisions: dict[tuple[str, ...], tuple[float, bool]] = {}
        self._tokens: dict[str, tuple[float, User | None]] = {}

    async def user(self, certificate: bytes | None, headers: Mapping[str, str]) -> User | None:
        """The caller, None where nothing proves who it is."""
        if certificate is not None and (found := from_certificate(certificate)) is not None:
            return found
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token and self._config.authentication.webhook.enabled:
            return await self._review_token(token.strip())
        if self._config.authentication.anonymous.enabled:
            return User("system:anonymous", ("system:unauthenticated",))
        return None

    async def _review_token(self, token: str) -> User | None:
        known = self._tokens.get(token)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token},
        }
        answer = await self._post("/apis/authentication.k8s.io/v1/tokenreviews", review)
        status = (answer or {}).get("status") or {}
        user = None
        if status.get("authenticated"):
            user = User(status["user"].get("username", ""), tuple(status["user"].get("groups") or ()))
        if answer is not None:
            _remember(self._tokens, token, (time.monotonic() + TOKEN_SECONDS, user))
        return user

    async def allows(self, user: User, method: str, path: str) -> bool:
        """Whether the caller may do this."""
        if self._config.authorization.mode == "AlwaysAllow" or MASTERS in user.groups:
            return True
        verb, part = _VERBS.get(method, method.lower()), subresource(path)
        key = (user.name, *user.groups, verb, part)
        known = self._decisions.get(key)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user.name,
                "groups": list(user.groups),
                "resourceAttributes": {
                    "verb": verb,
                    "version": "v1",
                    "resource": "nodes",
                    "subresource": part,
                    "name": self._node,
                },
            },
        }
        answer = await self._post("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        allowed = bool(((answer or {}).get("status") or {}).get("allowed"))
        if answer is not None:
            seconds = ALLOWED_SECONDS if allowed else DENIED_SECONDS
            _remember(self._decisions, key, (time.monotonic() + seconds, allowed))
        return allowed

    async def _post(self, path: str, body: Object) -> Object | None:
        """The API server's answer; None where it cannot be had: then the caller is refused, not remembered."""
        try:
            answer = await self._client.request(
                "POST", path, body=orjson.dumps(body), headers={"Content-Type": "application/json"}
            )
        except (StatusError, ApiUnavailable):
            return None
        found: Object = orjson.loads(answer.body)
        return found


def _remember(cache: dict[K, V], key: K, value: V) -> None:
    if len(cache) >= MAX_REMEMBERED:
        cache.clear()
    cache[key] = value
