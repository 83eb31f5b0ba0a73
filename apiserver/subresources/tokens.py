"""serviceaccounts/NAME/token: signs a bound token (TokenRequest)."""

from __future__ import annotations

import time

from apimachinery import Object, errors, meta, times
from apimachinery import field as fields
from apimachinery.field import FieldError
from apimachinery.resources import NODES, SERVICE_ACCOUNTS
from apimachinery.schema import decode
from apiserver.authentication.service_accounts import BOUND_KINDS, TokenSigner
from apiserver.http.negotiation import body_type, negotiate
from apiserver.http.request import Request
from apiserver.http.responses import send_object
from apiserver.registry.catalog import Catalog
from apiserver.registry.options import write_options

DEFINITION = "io.k8s.api.authentication.v1.TokenRequest"
DEFAULT_SECONDS, LEAST_SECONDS, MOST_SECONDS = 3600, 600, 1 << 32
_NONE: frozenset[str] = frozenset()


def validate(spec: Object) -> list[FieldError]:
    """Check what may be asked for."""
    seconds, path = spec["expirationSeconds"], "spec.expirationSeconds"
    if seconds < LEAST_SECONDS:
        return [fields.invalid(path, seconds, "may not specify a duration less than 10 minutes")]
    if seconds > MOST_SECONDS:
        return [fields.invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")]
    return []


class TokenRequests:
    """POST to a service account's token."""

    def __init__(self, catalog: Catalog, signer: TokenSigner, audiences: tuple[str, ...]) -> None:
        self._catalog, self._signer, self._audiences = catalog, signer, audiences

    async def __call__(self, request: Request) -> None:
        """Serve a request."""
        media = negotiate(request.headers.get(b"accept"), _NONE)
        options = write_options("CreateOptions", request.query, request.headers.get(b"user-agent", b""))
        content = body_type(request.headers.get(b"content-type"))
        found = decode.check(
            DEFINITION, await request.body(), options.unknown, content_type=content,
            api_version="authentication.k8s.io/v1",
        )  # fmt: skip
        request.warnings += found.messages
        asked, route = found.object, request.route
        entry = await self._catalog.of(SERVICE_ACCOUNTS).get(route.namespace, route.name)
        account = entry.decode()
        metadata = asked.setdefault("metadata", {})
        if (metadata.get("name") or route.name) != route.name:
            raise errors.bad_request(
                f"metadata.name: Invalid value: {errors.quote(metadata['name'])}: must match the service account name "
                f"if specified"
            )
        if (metadata.get("namespace") or route.namespace) != route.namespace:
            raise errors.bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        spec = asked.setdefault("spec", {})
        if spec.get("expirationSeconds") is None:
            spec["expirationSeconds"] = DEFAULT_SECONDS
        if not spec.get("audiences"):
            spec["audiences"] = list(self._audiences)
        problems = validate(spec)
        if problems:
            raise errors.invalid("authentication.k8s.io", "TokenRequest", "", problems)
        bound = await self._bound(spec.get("boundObjectRef"), account)
        now = time.time()
        token, expiry = self._signer.sign(account, spec["audiences"], spec["expirationSeconds"], bound, now)
        metadata.update(name=route.name, namespace=route.namespace, creationTimestamp=times.format(now))
        asked["status"] = {"token": token, "expirationTimestamp": times.format(expiry)}
        await send_object(request, 201, asked, media)

    async def _bound(self, reference: Object | None, account: Object) -> dict[str, Object]:
        """The objects to bind to, by claim name. Raises StatusError."""
        if not reference:
            return {}
        kind, name = reference.get("kind") or "", reference.get("name") or ""
        resource = BOUND_KINDS.get(kind)
        if resource is None or (reference.get("apiVersion") or "v1") != "v1":
            raise errors.bad_request(
                f"cannot bind token to object of type {reference.get('apiVersion') or ''}, Kind={kind}"
            )
        namespace = meta.namespace(account) if resource.namespaced else ""
        obj = (await self._catalog.of(resource).get(namespace, name)).decode()
        if reference.get("uid") and reference["uid"] != meta.uid(obj):
            raise errors.conflict(
                resource.group,
                resource.plural,
                name,
                (
                    f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. The "
                    "object might have been deleted and then recreated"
                ),
            )
        bound = {kind.lower(): obj}
        if kind == "Pod":
            spec = obj.get("spec") or {}
            if spec.get("serviceAccountName") != meta.name(account):
                raise errors.bad_request(
                    f"cannot bind token for serviceaccount {errors.quote(meta.name(account))} to pod running with "
                    "different serviceaccount name."
                )
            node = (
                self._catalog.lookup(NODES, "", spec.get("nodeName") or "") if spec.get("nodeName") else None
            )
            if node is not None:
                bound["node"] = node
        return bound
