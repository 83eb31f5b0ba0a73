"""Service-account tokens: signed here, verified here, bound to objects that must still exist.

Follows https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/ (bound tokens, and the
legacy tokens kept in Secrets). What a token is bound to is looked up in the watch cache at every check; the
authenticator in front remembers an accepted token for a few seconds.
"""

from __future__ import annotations

import base64
import time
import uuid
from dataclasses import dataclass
from typing import Any

import jwt

from apimachinery import Object, meta, times
from apimachinery.resources import NODES, PODS, SECRETS, SERVICE_ACCOUNTS, Resource
from apiserver.authentication.keys import PrivateKey, VerificationKey, verification_key
from apiserver.registry.strategy import Lookup, User

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
LEGACY_ISSUER = "kubernetes/serviceaccount"
BOUND_KINDS: dict[str, Resource] = {"Pod": PODS, "Secret": SECRETS, "Node": NODES}
DELETION_LEEWAY = 60.0
EXTENDED_FROM = 3607
"""Requests for exactly this many seconds come from old clients that never reload: they get a year."""
EXTENDED_TO = 365 * 24 * 3600


@dataclass(frozen=True)
class TokenSettings:
    """Issuers (the first signs), the audiences of this API, and the keys."""

    issuers: tuple[str, ...]
    audiences: tuple[str, ...]
    keys: tuple[VerificationKey, ...]
    signing_key: PrivateKey | None = None


def username(namespace: str, name: str) -> str:
    """The user name of a service account."""
    return f"system:serviceaccount:{namespace}:{name}"


def split_username(user: str) -> tuple[str, str] | None:
    """Namespace and name of a service account's user name, None when it is not one."""
    parts = user.split(":")
    return (parts[2], parts[3]) if len(parts) == 4 and parts[:2] == ["system", "serviceaccount"] else None


def groups(namespace: str) -> tuple[str, ...]:
    """The groups of every service account of a namespace."""
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")


class TokenSigner:
    """Makes bound tokens."""

    def __init__(self, settings: TokenSettings) -> None:
        if settings.signing_key is None:
            raise ValueError("a signing key is needed")
        self._settings = settings
        self._key = settings.signing_key
        self._public = verification_key(settings.signing_key.public_key())

    def sign(
        self, account: Object, audiences: list[str], seconds: int, bound: dict[str, Object], now: float
    ) -> tuple[str, float]:
        """A token for `account`, valid for `seconds`; `bound` maps pod, secret, node to objects.

        Returns the token and the expiry to tell the client (seconds since the epoch).
        """
        told = now + seconds
        private: dict[str, Any] = {
            "namespace": meta.namespace(account),
            "serviceaccount": {"name": meta.name(account), "uid": meta.uid(account)},
        }
        for kind, obj in bound.items():
            private[kind] = {"name": meta.name(obj), "uid": meta.uid(obj)}
        expiry = told
        if seconds == EXTENDED_FROM and set(audiences) <= set(self._settings.audiences):
            private["warnafter"] = int(told)
            expiry = now + EXTENDED_TO
        claims = {
            "aud": audiences,
            "exp": int(expiry),
            "iat": int(now),
            "iss": self._settings.issuers[0],
            "jti": str(uuid.uuid4()),
            "kubernetes.io": private,
            "nbf": int(now),
            "sub": username(meta.namespace(account), meta.name(account)),
        }
        token = jwt.encode(
            claims, self._key, self._public.algorithm, headers={"kid": self._public.id, "typ": None}
        )
        return token, told


class ServiceAccountAuthenticator:
    """Checks signature, issuer, audience, time, and that what the token is bound to still exists."""

    def __init__(self, settings: TokenSettings, lookup: Lookup) -> None:
        self._settings, self._lookup = settings, lookup
        self._keys = {key.id: key for key in settings.keys}

    async def authenticate(self, token: str) -> User | None:
        """The account's user for this API's audiences; None when the token is not valid."""
        found = self.review(token, list(self._settings.audiences))
        return found[0] if found else None

    def review(self, token: str, audiences: list[str]) -> tuple[User, list[str]] | None:
        """The user, and which of `audiences` the token is meant for; None when it is not valid."""
        claims = self._verify(token)
        if claims is None:
            return None
        if claims.get("iss") == LEGACY_ISSUER:
            user = self._legacy(claims, token)
            return (user, list(audiences)) if user else None
        intended = claims.get("aud") or []
        if isinstance(intended, str):
            intended = [intended]
        shared = [audience for audience in audiences if audience in intended]
        user = self._bound(claims) if shared else None
        return (user, shared) if user else None

    def _verify(self, token: str) -> dict[str, Any] | None:
        try:
            header = jwt.get_unverified_header(token)
            candidates = (
                [self._keys[header["kid"]]] if header.get("kid") in self._keys else list(self._keys.values())
            )
        except jwt.PyJWTError:
            return None
        for key in candidates:
            try:
                claims: dict[str, Any] = jwt.decode(
                    token, key.key, [key.algorithm],
                    options={"verify_aud": False, "verify_iat": False}, leeway=60 if header.get("kid") else 0,
                )  # fmt: skip
            except jwt.PyJWTError:
                continue
            issuers = (*self._settings.issuers, LEGACY_ISSUER)
            return claims if claims.get("iss") in issuers else None
        return None

    def _alive(self, resource: Resource, namespace: str, name: str, uid: str | None) -> Object | None:
        obj = self._lookup(resource, namespace, name)
        if obj is None or (uid and meta.uid(obj) != uid):
            return None
        deleted = meta.deletion_timestamp(obj)
        if deleted and times.parse(deleted) + DELETION_LEEWAY < time.time():
            return None
        return obj

    def _bound(self, claims: dict[str, Any]) -> User | None:
        private = claims.get("kubernetes.io") or {}
        namespace, account = private.get("namespace") or "", private.get("serviceaccount") or {}
        name, uid = account.get("name") or "", account.get("uid") or ""
        if claims.get("sub") != username(namespace, name):
            return None
        if self._alive(SERVICE_ACCOUNTS, namespace, name, uid) is None:
            return None
        extra: dict[str, tuple[str, ...]] = {}
        if claims.get("jti"):
            extra[CREDENTIAL_ID] = (f"JTI={claims['jti']}",)
        for kind, resource in (("pod", PODS), ("secret", SECRETS), ("node", NODES)):
            bound = private.get(kind)
            if not bound:
                continue
            space = namespace if resource.namespaced else ""
            # The node beside a pod is information only; alone it is what the token is bound to.
            informative = kind == "node" and "pod" in private
            if (
                not informative
                and self._alive(resource, space, bound.get("name") or "", bound.get("uid")) is None
            ):
                return None
            if kind != "secret":
                extra[f"authentication.kubernetes.io/{kind}-name"] = (bound.get("name") or "",)
                extra[f"authentication.kubernetes.io/{kind}-uid"] = (bound.get("uid") or "",)
        return User(username(namespace, name), uid, groups(namespace), extra)

    def _legacy(self, claims: dict[str, Any], token: str) -> User | None:
        prefix = f"{LEGACY_ISSUER}/"
        namespace = claims.get(f"{prefix}namespace") or ""
        name = claims.get(f"{prefix}service-account.name") or ""
        uid = claims.get(f"{prefix}service-account.uid") or ""
        secret = self._alive(SECRETS, namespace, claims.get(f"{prefix}secret.name") or "", None)
        if secret is None or claims.get("sub") != username(namespace, name):
            return None
        stored = (secret.get("data") or {}).get("token") or ""
        if base64.b64decode(stored).decode("latin-1") != token:
            return None
        if not uid or self._alive(SERVICE_ACCOUNTS, namespace, name, uid) is None:
            return None
        return User(username(namespace, name), uid, groups(namespace))
