"""TokenReview, SelfSubjectReview and the access reviews."""

from __future__ import annotations

from typing import Any

from apimachinery import Object, errors, times
from apimachinery import field as fields
from apimachinery.resources import (
    LOCAL_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_REVIEWS,
    SELF_SUBJECT_RULES_REVIEWS,
    SUBJECT_ACCESS_REVIEWS,
    TOKEN_REVIEWS,
    Resource,
)
from apimachinery.schema import decode
from apiserver.authentication.service_accounts import ServiceAccountAuthenticator
from apiserver.authorization.authorizer import Chain, Decision
from apiserver.http.negotiation import body_type, negotiate
from apiserver.http.request import Request
from apiserver.http.responses import send_object
from apiserver.http.routes import Route
from apiserver.registry.options import write_options
from apiserver.registry.strategy import User

RESOURCES = (
    TOKEN_REVIEWS, SELF_SUBJECT_REVIEWS, SUBJECT_ACCESS_REVIEWS, SELF_SUBJECT_ACCESS_REVIEWS,
    SELF_SUBJECT_RULES_REVIEWS, LOCAL_SUBJECT_ACCESS_REVIEWS,
)  # fmt: skip
_NONE: frozenset[str] = frozenset()


def user_info(user: User) -> Object:
    """A user as reviews show it."""
    info: Object = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    if user.groups:
        info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra.items()}
    return info


class Reviews:
    """The handlers of all review kinds."""

    def __init__(
        self, authorizer: Chain, accounts: ServiceAccountAuthenticator, audiences: tuple[str, ...]
    ) -> None:
        self._authorizer, self._accounts, self._audiences = authorizer, accounts, audiences

    async def _read(self, request: Request, resource: Resource) -> Object:
        options = write_options("CreateOptions", request.query, request.headers.get(b"user-agent", b""))
        content = body_type(request.headers.get(b"content-type"))
        found = decode.check(resource, await request.body(), options.unknown, content_type=content)
        request.warnings += found.messages
        review = found.object
        review.setdefault("metadata", {})["creationTimestamp"] = None
        review.setdefault("spec", {})
        return review

    @staticmethod
    async def _answer(request: Request, review: Object, status: Any) -> None:
        review["status"] = status
        await send_object(request, 201, review, negotiate(request.headers.get(b"accept"), _NONE))

    async def token(self, request: Request) -> None:
        """TokenReview: whose is this token?"""
        review = await self._read(request, TOKEN_REVIEWS)
        spec = review["spec"]
        if not spec.get("token"):
            raise errors.bad_request("token is required for TokenReview in authentication")
        audiences = spec.get("audiences") or list(self._audiences)
        found = self._accounts.review(spec["token"], audiences)
        if found is None:
            await self._answer(request, review, {"user": {}, "error": "invalid bearer token"})
            return
        user, shared = found
        await self._answer(
            request, review, {"authenticated": True, "user": user_info(user), "audiences": shared}
        )

    async def self_subject(self, request: Request) -> None:
        """SelfSubjectReview: who am I?"""
        review = await self._read(request, SELF_SUBJECT_REVIEWS)
        review.pop("spec")
        review["metadata"]["creationTimestamp"] = times.now()
        await self._answer(request, review, {"userInfo": user_info(request.user)})

    async def self_subject_access(self, request: Request) -> None:
        """SelfSubjectAccessReview: may I?"""
        review = await self._read(request, SELF_SUBJECT_ACCESS_REVIEWS)
        await self._decide(request, review, SELF_SUBJECT_ACCESS_REVIEWS, request.user)

    async def subject_access(self, request: Request) -> None:
        """SubjectAccessReview: may they?"""
        review = await self._read(request, SUBJECT_ACCESS_REVIEWS)
        await self._decide(
            request, review, SUBJECT_ACCESS_REVIEWS, self._subject(review, SUBJECT_ACCESS_REVIEWS)
        )

    async def local_subject_access(self, request: Request) -> None:
        """LocalSubjectAccessReview: may they, in this namespace?"""
        review = await self._read(request, LOCAL_SUBJECT_ACCESS_REVIEWS)
        attributes = review["spec"].get("resourceAttributes") or {}
        if (attributes.get("namespace") or "") != request.route.namespace:
            raise errors.bad_request(
                f"spec.resourceAttributes.namespace must match namespace: {request.route.namespace}"
            )
        user = self._subject(review, LOCAL_SUBJECT_ACCESS_REVIEWS)
        await self._decide(request, review, LOCAL_SUBJECT_ACCESS_REVIEWS, user)

    @staticmethod
    def _subject(review: Object, resource: Resource) -> User:
        spec = review["spec"]
        if not spec.get("user") and not spec.get("groups"):
            problem = fields.required("spec.user", "at least one of user or group must be specified")
            raise errors.invalid(resource.group, resource.kind, "", [problem])
        extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
        return User(spec.get("user") or "", spec.get("uid") or "", tuple(spec.get("groups") or ()), extra)

    async def _decide(self, request: Request, review: Object, resource: Resource, user: User) -> None:
        spec = review["spec"]
        about, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if (about is None) == (path is None):
            problem = fields.invalid(
                "spec.resourceAttributes", about,
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            )  # fmt: skip
            raise errors.invalid(resource.group, resource.kind, "", [problem])
        if about is not None:
            route = Route(
                about.get("verb") or "", "", True, about.get("group") or "", about.get("version") or "",
                about.get("resource") or "", about.get("subresource") or "", about.get("namespace") or "",
                about.get("name") or "",
            )  # fmt: skip
        else:
            route = Route(path.get("verb") or "", path.get("path") or "")
        verdict = await self._authorizer.authorize(user, route)
        status: Object = {"allowed": verdict.decision is Decision.ALLOW}
        if verdict.decision is Decision.DENY:
            status["denied"] = True
        if verdict.reason:
            status["reason"] = verdict.reason
        await self._answer(request, review, status)

    async def self_subject_rules(self, request: Request) -> None:
        """SelfSubjectRulesReview: what may I do here?"""
        review = await self._read(request, SELF_SUBJECT_RULES_REVIEWS)
        namespace = review["spec"].get("namespace") or ""
        if not namespace:
            raise errors.bad_request("no namespace on request")
        resource_rules, other_rules = [], []
        for rule in self._authorizer.rules_for(request.user, namespace):
            if rule.urls:
                other_rules.append({"verbs": list(rule.verbs), "nonResourceURLs": list(rule.urls)})
            else:
                resource_rules.append(rule.as_resource_rule())
        await self._answer(request, review, {
            "resourceRules": resource_rules, "nonResourceRules": other_rules, "incomplete": False,
        })  # fmt: skip
