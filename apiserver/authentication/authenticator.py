"""The chain of authenticators, with remembered answers.

Credentials are long; what they mean changes seldom. A certificate or token that was accepted is remembered by
its bytes for a few seconds, so that a request pays one dictionary look-up. Refusals are not remembered.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from apimachinery import errors
from apimachinery.errors import StatusError
from apiserver.http.request import Request
from apiserver.registry.strategy import User

ALL_AUTHENTICATED = "system:authenticated"
ANONYMOUS = User("system:anonymous", groups=("system:unauthenticated",))
ANONYMOUS_PATHS = ("/healthz", "/livez", "/readyz", "/version")
REMEMBER = 10.0
"""Seconds for which an accepted credential is believed without being checked again."""
_LIMIT = 10_000


class CertificateAuthenticator(Protocol):
    """Knows whose a verified client certificate is."""

    def authenticate(self, der: bytes) -> User | None:
        """The user, None when the certificate names nobody."""


class TokenAuthenticator(Protocol):
    """Knows whose a bearer token is."""

    async def authenticate(self, token: str) -> User | None:
        """The user, None when this authenticator does not know the token."""


class Authenticator:
    """Client certificate first, then bearer token, then (health and version only) anonymous."""

    def __init__(
        self,
        certificates: CertificateAuthenticator | None,
        tokens: Sequence[TokenAuthenticator],
        anonymous: bool = True,
    ) -> None:
        self._certificates, self._tokens, self._anonymous = certificates, tuple(tokens), anonymous
        self._remembered: dict[bytes, tuple[float, User]] = {}

    async def authenticate(self, request: Request) -> User:
        """Say who makes the request. Raises StatusError 401."""
        header = request.headers.get(b"authorization")
        certificate = self._certificate(request)
        credential = certificate or header
        if credential is None:
            if self._anonymous and request.path.startswith(ANONYMOUS_PATHS):
                return ANONYMOUS
            raise errors.unauthorized()
        known = self._remembered.get(credential)
        now = time.monotonic()
        if known is not None and known[0] > now:
            return known[1]
        user = None
        if certificate is not None and self._certificates is not None:
            user = self._certificates.authenticate(certificate)
        if user is None and header is not None:
            credential = header
            user = await self.authenticate_token(bearer(header))
        if user is None:
            raise errors.unauthorized()
        if ALL_AUTHENTICATED not in user.groups:
            user = replace(user, groups=(*user.groups, ALL_AUTHENTICATED))
        if len(self._remembered) >= _LIMIT:
            self._remembered.clear()
        self._remembered[credential] = (now + REMEMBER, user)
        return user

    @staticmethod
    def _certificate(request: Request) -> bytes | None:
        tls = request.scope["extensions"].get("tls")
        return tls["client_cert_der"] if tls else None

    async def authenticate_token(self, token: str) -> User | None:
        """Whose token this is, asking each authenticator in turn; None when nobody knows it."""
        if not token:
            return None
        for authenticator in self._tokens:
            try:
                user = await authenticator.authenticate(token)
            except StatusError:
                continue
            if user is not None:
                return user
        return None


def bearer(header: bytes) -> str:
    """The token of an Authorization header, "" when it holds none."""
    scheme, _, token = header.decode("latin-1").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
