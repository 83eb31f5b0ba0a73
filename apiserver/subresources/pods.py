"""binding and eviction of pods: small objects that are never stored, but make something happen to a Pod."""

from __future__ import annotations

from apimachinery import Object, errors
from apimachinery.meta import deep_copy
from apimachinery.resources import PODS
from apimachinery.schema import decode
from apiserver.admission.plugin import CREATE, Attributes
from apiserver.http.negotiation import body_type, negotiate
from apiserver.http.request import Request
from apiserver.http.responses import send_object
from apiserver.http.writing import Writer
from apiserver.registry.catalog import Catalog
from apiserver.registry.delete import delete
from apiserver.registry.kinds.bindings import assign
from apiserver.registry.options import delete_options, write_options
from apiserver.registry.strategy import UpdateRules
from apiserver.registry.update import modify
from apiserver.validation.pods import validate_binding

BINDING = "io.k8s.api.core.v1.Binding"
EVICTION = "io.k8s.api.policy.v1.Eviction"
_NONE: frozenset[str] = frozenset()
_NO_RULES = UpdateRules(lambda obj, old, ctx: None, lambda obj, old: [])


def created() -> Object:
    """What these answer when they have worked."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


class PodActions:
    """POST to pods/NAME/binding, to bindings, and to pods/NAME/eviction."""

    def __init__(self, catalog: Catalog, writer: Writer) -> None:
        self._kind, self._writer = catalog.of(PODS), writer

    async def bind(self, request: Request) -> None:
        """Give a pod its node."""
        media = negotiate(request.headers.get(b"accept"), _NONE)
        options = write_options("CreateOptions", request.query, request.headers.get(b"user-agent", b""))
        content = body_type(request.headers.get(b"content-type"))
        found = decode.check(
            BINDING, await request.body(), options.unknown, content_type=content, api_version="v1"
        )
        request.warnings += found.messages
        binding = found.object
        name = (binding.get("metadata") or {}).get("name") or ""
        if request.route.name and name and name != request.route.name:
            raise errors.bad_request("name in URL does not match name in Binding object")
        problems = validate_binding(binding)
        if problems:
            raise errors.invalid("", "Binding", name, problems)
        ctx = self._writer.context(request, self._kind, dry_run=options.dry_run)
        ctx.name, ctx.subresource = request.route.name or name, "binding"
        if not ctx.name:
            raise errors.bad_request("name is required")
        await self._kind.admission.admit(Attributes(CREATE, ctx, binding))
        await self._kind.admission.validate(Attributes(CREATE, ctx, binding))

        def compute(old: Object) -> Object:
            pod: Object = deep_copy(old)
            assign(pod, binding, ctx.now)
            return pod

        await modify(
            self._kind, ctx, compute, options, subresource="binding", manages_itself=True, rules=_NO_RULES
        )
        await send_object(request, 201, created(), media)

    async def evict(self, request: Request) -> None:
        """Delete a pod on behalf of somebody who moves pods away."""
        media = negotiate(request.headers.get(b"accept"), _NONE)
        options = write_options("CreateOptions", request.query, request.headers.get(b"user-agent", b""))
        content = body_type(request.headers.get(b"content-type"))
        found = decode.check(
            EVICTION, await request.body(), options.unknown, content_type=content, api_version="policy/v1"
        )
        request.warnings += found.messages
        eviction = found.object
        name = (eviction.get("metadata") or {}).get("name") or ""
        if name and name != request.route.name:
            raise errors.bad_request("name in URL does not match name in Eviction object")
        deletion = delete_options(b"", {})
        given = eviction.get("deleteOptions") or {}
        deletion.grace_period_seconds = given.get("gracePeriodSeconds")
        deletion.propagation_policy = given.get("propagationPolicy")
        preconditions = given.get("preconditions") or {}
        deletion.uid = preconditions.get("uid")
        deletion.resource_version = preconditions.get("resourceVersion")
        ctx = self._writer.context(request, self._kind, dry_run=options.dry_run or bool(given.get("dryRun")))
        await self._kind.admission.admit(Attributes(CREATE, ctx, eviction))
        await delete(self._kind, ctx, deletion)
        await send_object(request, 201, created(), media)
