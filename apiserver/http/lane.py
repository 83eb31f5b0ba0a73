"""The way of every request: who, what, may they, then the verb; and how failures become Status objects.

Resource requests and health checks are answered here, in plain ASGI; everything else (discovery, documents) goes on
to the FastAPI application behind, after the same filters.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

from apimachinery import errors
from apimachinery.errors import StatusError
from apiserver.authentication.authenticator import Authenticator
from apiserver.authentication.impersonation import impersonate
from apiserver.authorization.authorizer import Chain
from apiserver.http import reading
from apiserver.http.health import health, is_health
from apiserver.http.metrics import LONG_RUNNING_SUBRESOURCES, RequestMetrics
from apiserver.http.request import Message, Receive, Request, Scope, Send
from apiserver.http.responses import send_status
from apiserver.http.routes import Router
from apiserver.http.watching import watch
from apiserver.http.writing import Writer
from apiserver.registry.catalog import Catalog
from apiserver.registry.kind import Kind
from apiserver.storage import EtcdError
from component_base import logs
from component_base.health import HealthChecks

Handler = Callable[[Request], Awaitable[None]]
KindHandler = Callable[[Request, Kind], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
_log = logs.get_logger("http")
_NAMED_VERBS = frozenset({"update", "patch"})
_COLLECTION_VERBS = frozenset({"create", "deletecollection"})
_ALL_NAMESPACES_VERBS = frozenset({"list", "watch"})


def not_allowed() -> StatusError:
    """405, in the words of the official server."""
    return StatusError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {}
    )


class Lane:
    """The outermost ASGI application of the API server."""

    def __init__(
        self,
        catalog: Catalog,
        authenticator: Authenticator,
        authorizer: Chain,
        application: ASGIApp,
        metrics: RequestMetrics,
        checks: HealthChecks,
    ) -> None:
        self._catalog, self._authenticator, self._authorizer = catalog, authenticator, authorizer
        self._application, self._metrics, self._checks = application, metrics, checks
        self.router = Router()
        writer = self.writer = Writer(catalog)
        self._verbs: dict[str, KindHandler] = {
            "get": reading.get, "list": reading.list_, "watch": watch, "create": writer.create,
            "update": writer.update, "patch": writer.patch, "delete": writer.delete,
            "deletecollection": writer.delete_collection,
        }  # fmt: skip
        self._special: dict[tuple[str, str, str], tuple[frozenset[str], Handler]] = {}

    def add(self, group: str, resource: str, subresource: str, verbs: set[str], handler: Handler) -> None:
        """Answer a subresource (or a resource that is not stored) with `handler` for these verbs."""
        self._special[group, resource, subresource] = (frozenset(verbs), handler)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive, send)
        request.audit_id = request.headers.get(b"audit-id") or _audit_id()
        try:
            request.user = await self._authenticator.authenticate(request)
            route = request.route = self.router.route(request.method, request.path, request.query)
            if b"impersonate-user" in request.headers:
                await impersonate(request, self._authorizer)
            await self._authorizer.require(request.user, route)
            if not route.is_resource:
                await (health(request, self._checks) if is_health(route.path) else self._pass_on(request))
            elif route.verb == "watch" or route.subresource in LONG_RUNNING_SUBRESOURCES:
                with self._metrics.long_running(request):
                    await self._serve(request)
            else:
                await self._serve(request)
        except StatusError as error:
            if request.status == 0:
                await send_status(request, error)
        except EtcdError as error:
            if request.status == 0:
                await send_status(request, errors.timeout(str(error), 1))
        except ConnectionError:
            return
        except Exception as error:
            _log.error("Request failed", path=request.path, method=request.method, exc_info=True)
            if request.status == 0:
                await send_status(request, errors.internal_error(f"{type(error).__name__}: {error}"))
        finally:
            self._metrics.observe(request)

    async def _serve(self, request: Request) -> None:
        route = request.route
        special = self._special.get((route.group, route.resource, route.subresource))
        if special is not None:
            verbs, handler = special
            if route.verb not in verbs:
                raise not_allowed()
            await handler(request)
            return
        kind = self._catalog.find(route.group, route.version, route.resource)
        if (
            kind is None
            or bool(route.namespace and route.resource != "namespaces") > kind.resource.namespaced
        ):
            raise errors.path_not_found()
        if not route.subresource:
            handle = self._verbs.get(route.verb)
            if handle is None or route.verb not in kind.resource.verbs:
                raise not_allowed()
            if (route.verb == "create" and route.name) or (route.verb in _NAMED_VERBS and not route.name):
                raise not_allowed()
            if kind.resource.namespaced and not route.namespace and route.verb not in _ALL_NAMESPACES_VERBS:
                # Across all namespaces one can only look.
                raise not_allowed() if route.verb in _COLLECTION_VERBS else errors.path_not_found()
            await handle(request, kind)
            return
        sub = kind.resource.subresource(route.subresource)
        if route.subresource not in kind.rules or sub is None:
            raise errors.path_not_found()
        if route.verb not in sub.verbs:
            raise not_allowed()
        await self._verbs[route.verb](request, kind)

    async def _pass_on(self, request: Request) -> None:
        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"audit-id", request.audit_id)]
            await request.send(message)

        request.scope["request"] = request
        await self._application(request.scope, request.receive, send)


def _audit_id() -> bytes:
    raw = os.urandom(16).hex()
    return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-a{raw[17:20]}-{raw[20:]}".encode()
