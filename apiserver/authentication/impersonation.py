"""Speaking for others: the Impersonate-* headers, for those who may impersonate.

Follows https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation. Every part
(user, groups, uid, extra) needs its own permission.
"""

from __future__ import annotations

from urllib.parse import unquote

from apiserver.authentication.authenticator import ALL_AUTHENTICATED
from apiserver.authentication.service_accounts import groups as account_groups
from apiserver.authentication.service_accounts import split_username
from apiserver.authorization.authorizer import Chain
from apiserver.http.request import Request
from apiserver.http.routes import Route
from apiserver.registry.strategy import User

_EXTRA = b"impersonate-extra-"


async def impersonate(request: Request, authorizer: Chain) -> None:
    """Replace the request's user by the one it speaks for. Raises StatusError 403."""
    name = request.headers[b"impersonate-user"].decode("latin-1")
    wanted = [
        value.decode("latin-1") for key, value in request.scope["headers"] if key == b"impersonate-group"
    ]
    uid = request.headers.get(b"impersonate-uid", b"").decode("latin-1")
    extra: dict[str, tuple[str, ...]] = {}
    for key, value in request.scope["headers"]:
        if key.startswith(_EXTRA):
            field = unquote(key[len(_EXTRA) :].decode("latin-1")).lower()
            extra[field] = (*extra.get(field, ()), value.decode("latin-1"))
    account = split_username(name)
    path = request.path
    if account is not None:
        checks = [Route("impersonate", path, True, "", "v1", "serviceaccounts", "", account[0], account[1])]
    else:
        checks = [Route("impersonate", path, True, "", "v1", "users", "", "", name)]
    checks += [Route("impersonate", path, True, "", "v1", "groups", "", "", group) for group in wanted]
    reviews = "authentication.k8s.io"
    if uid:
        checks.append(Route("impersonate", path, True, reviews, "v1", "uids", "", "", uid))
    for field, values in extra.items():
        checks += [
            Route("impersonate", path, True, reviews, "v1", "userextras", field, "", v) for v in values
        ]
    for check in checks:
        await authorizer.require(request.user, check)
    if account is not None and not wanted:
        wanted = list(account_groups(account[0]))
    if name != "system:anonymous" and ALL_AUTHENTICATED not in wanted:
        wanted.append(ALL_AUTHENTICATED)
    elif name == "system:anonymous" and "system:unauthenticated" not in wanted:
        wanted.append("system:unauthenticated")
    request.impersonator, request.user = request.user, User(name, uid, tuple(wanted), extra)
