"""The interface of authorizers, the chain that asks them in order, and the official text of a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from apimachinery import errors
from apimachinery.errors import StatusError
from apiserver.authorization.rules import Rule
from apiserver.http.routes import Route
from apiserver.registry.strategy import User


class Decision(Enum):
    """An authorizer's answer; NO_OPINION passes the question on."""

    ALLOW = "allow"
    DENY = "deny"
    NO_OPINION = "no opinion"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision and why."""

    decision: Decision
    reason: str = ""


ALLOWED = Verdict(Decision.ALLOW)
NO_OPINION = Verdict(Decision.NO_OPINION)


class Authorizer(Protocol):
    """Decides about requests, and can say which rules hold for a user."""

    async def authorize(self, user: User, route: Route) -> Verdict:
        """Decide about one request."""

    def rules_for(self, user: User, namespace: str) -> Sequence[Rule]:
        """What the user may do in a namespace, as far as this authorizer allows it (for rules reviews)."""


class Chain:
    """Asks each authorizer until one decides; when none does, the answer is no."""

    def __init__(self, authorizers: Sequence[Authorizer]) -> None:
        self._authorizers = tuple(authorizers)

    async def authorize(self, user: User, route: Route) -> Verdict:
        """The first decision; NO_OPINION when nobody has one, which callers take as a refusal."""
        reasons = []
        for authorizer in self._authorizers:
            verdict = await authorizer.authorize(user, route)
            if verdict.decision is not Decision.NO_OPINION:
                return verdict
            if verdict.reason:
                reasons.append(verdict.reason)
        return Verdict(Decision.NO_OPINION, ", ".join(reasons)) if reasons else NO_OPINION

    def rules_for(self, user: User, namespace: str) -> list[Rule]:
        """The rules of all authorizers."""
        return [rule for authorizer in self._authorizers for rule in authorizer.rules_for(user, namespace)]

    async def require(self, user: User, route: Route) -> None:
        """Raise StatusError 403 unless the request is allowed."""
        verdict = await self.authorize(user, route)
        if verdict.decision is not Decision.ALLOW:
            raise refusal(user, route, verdict.reason)


class Masters:
    """The members of system:masters may do everything."""

    async def authorize(self, user: User, route: Route) -> Verdict:
        """Allow masters."""
        return ALLOWED if "system:masters" in user.groups else NO_OPINION

    def rules_for(self, user: User, namespace: str) -> Sequence[Rule]:
        """Everything, for masters."""
        if "system:masters" not in user.groups:
            return ()
        return (Rule(("*",), ("*",), ("*",)), Rule(("*",), urls=("*",)))


def refusal(user: User, route: Route, reason: str = "") -> StatusError:
    """The official 403."""
    if route.is_resource:
        resource = f"{route.resource}/{route.subresource}" if route.subresource else route.resource
        message = (
            f'User "{user.name}" cannot {route.verb} resource "{resource}" in API group "{route.group}" '
        )
        message += f'in the namespace "{route.namespace}"' if route.namespace else "at the cluster scope"
    else:
        message = f'User "{user.name}" cannot {route.verb} path "{route.path}"'
    if reason:
        message += f": {reason}"
    return errors.forbidden(route.group, route.resource, route.name if route.is_resource else "", message)
