"""Fixed permissions of the daemons' own identities and of everybody who is authenticated.

They follow the default cluster roles of
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings. The controller
manager runs all controllers under one identity here, so it may do what all of its controllers may.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from apiserver.authorization.authorizer import ALLOWED, NO_OPINION, Verdict
from apiserver.authorization.rules import Rule, RuleSet
from apiserver.http.routes import Route
from apiserver.registry.strategy import User

_READ = ("get", "list", "watch")
_EVENTS = Rule(("create", "patch", "update"), ("", "events.k8s.io"), ("events",))
_LEASES = "coordination.k8s.io"
_REVIEWS = (
    Rule(("create",), ("authentication.k8s.io",), ("tokenreviews",)),
    Rule(("create",), ("authorization.k8s.io",), ("subjectaccessreviews",)),
)

DISCOVERY: Final = (
    Rule(("get",), urls=("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", "/version", "/version/",
                         "/healthz", "/livez", "/readyz")),
)  # fmt: skip
BASIC: Final = (
    Rule(("create",), ("authorization.k8s.io",), ("selfsubjectaccessreviews", "selfsubjectrulesreviews")),
    Rule(("create",), ("authentication.k8s.io",), ("selfsubjectreviews",)),
)
PUBLIC: Final = (
    Rule(("get",), urls=("/healthz", "/healthz/*", "/livez", "/livez/*", "/readyz", "/readyz/*",
                         "/version", "/version/")),
)  # fmt: skip
ISSUER_DISCOVERY: Final = (
    Rule(("get",), urls=("/.well-known/openid-configuration", "/.well-known/openid-configuration/",
                         "/openid/v1/jwks", "/openid/v1/jwks/")),
)  # fmt: skip
MONITORING: Final = (
    Rule(("get",), urls=("/healthz", "/healthz/*", "/livez", "/livez/*", "/readyz", "/readyz/*", "/metrics",
                         "/metrics/slis")),
)  # fmt: skip

SCHEDULER: Final = (
    _EVENTS,
    *_REVIEWS,
    Rule(("create",), (_LEASES,), ("leases",)),
    Rule(("get", "update", "patch", *_READ), (_LEASES,), ("leases",)),
    Rule(_READ, ("",), ("configmaps", "namespaces", "nodes", "persistentvolumeclaims", "persistentvolumes",
                        "pods", "replicationcontrollers", "services")),
    Rule(("delete",), ("",), ("pods",)),
    Rule(("create",), ("",), ("bindings", "pods/binding")),
    Rule(("patch", "update"), ("",), ("pods/status", "persistentvolumeclaims", "persistentvolumes")),
    Rule(_READ, ("apps",), ("replicasets", "statefulsets")),
    Rule(_READ, ("policy",), ("poddisruptionbudgets",)),
    Rule(_READ, ("scheduling.k8s.io",), ("priorityclasses",)),
    Rule(_READ, ("storage.k8s.io",), ("csidrivers", "csinodes", "csistoragecapacities", "storageclasses",
                                      "volumeattachments", "volumeattributesclasses")),
    Rule(_READ, ("resource.k8s.io",), ("deviceclasses", "resourceclaims", "resourceslices")),
    Rule(("patch", "update"), ("resource.k8s.io",), ("resourceclaims", "resourceclaims/status")),
)  # fmt: skip

CONTROLLER_MANAGER: Final = (
    Rule(("create", "delete", "deletecollection", "patch", "update", *_READ), ("*",), ("*",)),
    Rule(("get",), urls=("*",)),
)

NODE_PROXIER: Final = (
    _EVENTS,
    Rule(("list", "watch"), ("",), ("endpoints", "services")),
    Rule(_READ, ("",), ("nodes", "configmaps")),
    Rule(("list", "watch"), ("discovery.k8s.io",), ("endpointslices",)),
    Rule(("list", "watch"), ("networking.k8s.io",), ("servicecidrs",)),
)

NODE: Final = (
    *_REVIEWS,
    Rule(("create",), ("authorization.k8s.io",), ("localsubjectaccessreviews",)),
    Rule(("create", "patch", "update"), ("",), ("events",)),
    Rule(("create", "patch", "update"), ("events.k8s.io",), ("events",)),
    Rule(_READ, ("",), ("services", "namespaces", "endpoints")),
    Rule(("create", "patch", "update", *_READ), ("",), ("nodes",)),
    Rule(("patch", "update", "get"), ("",), ("nodes/status",)),
    Rule(("create", "delete", *_READ), ("",), ("pods",)),
    Rule(("patch", "update", "get"), ("",), ("pods/status",)),
    Rule(("create",), ("",), ("pods/eviction", "serviceaccounts/token")),
    Rule(_READ, ("",), ("configmaps", "secrets", "serviceaccounts")),
    Rule(("get", "list", "watch"), ("",), ("persistentvolumes", "persistentvolumeclaims")),
    Rule(("get", "patch", "update"), ("",), ("persistentvolumeclaims/status",)),
    Rule(("create", *_READ), ("certificates.k8s.io",), ("certificatesigningrequests",)),
    Rule(("create", "delete", "patch", "update", *_READ), (_LEASES,), ("leases",)),
    Rule(_READ, ("discovery.k8s.io",), ("endpointslices",)),
    Rule(_READ, ("networking.k8s.io",), ("networkpolicies",)),
    Rule(_READ, ("node.k8s.io",), ("runtimeclasses",)),
    Rule(_READ, ("storage.k8s.io",), ("csidrivers", "volumeattachments")),
    Rule(("create", "delete", "patch", "update", "get"), ("storage.k8s.io",), ("csinodes",)),
    Rule(_READ, ("resource.k8s.io",), ("resourceclaims", "resourceslices")),
    Rule(
        ("create", "update", "patch", "delete", "deletecollection"), ("resource.k8s.io",), ("resourceslices",)
    ),
)

USERS: Final[Mapping[str, Sequence[Rule]]] = {
    "system:kube-scheduler": SCHEDULER,
    "system:kube-controller-manager": CONTROLLER_MANAGER,
    "system:kube-proxy": NODE_PROXIER,
}
GROUPS: Final[Mapping[str, Sequence[Rule]]] = {
    "system:authenticated": (*DISCOVERY, *BASIC, *PUBLIC),
    "system:unauthenticated": PUBLIC,
    "system:serviceaccounts": ISSUER_DISCOVERY,
    "system:monitoring": MONITORING,
    "system:nodes": NODE,
}
_REMEMBERED = 4096


class Tables:
    """Allows what the tables hold for the user's name or one of the groups."""

    def __init__(
        self,
        users: Mapping[str, Sequence[Rule]] = USERS,
        groups: Mapping[str, Sequence[Rule]] = GROUPS,
    ) -> None:
        self._users, self._groups = users, groups
        self._sets: dict[tuple[str, tuple[str, ...]], RuleSet] = {}

    def _rule_set(self, user: User) -> RuleSet:
        key = (user.name, user.groups)
        found = self._sets.get(key)
        if found is None:
            if len(self._sets) >= _REMEMBERED:
                self._sets.clear()
            rules = list(self._users.get(user.name, ()))
            for group in user.groups:
                rules += self._groups.get(group, ())
            found = self._sets[key] = RuleSet(rules)
        return found

    async def authorize(self, user: User, route: Route) -> Verdict:
        """Allow what a rule covers."""
        return ALLOWED if self._rule_set(user).allows(route) else NO_OPINION

    def rules_for(self, user: User, namespace: str) -> Sequence[Rule]:
        """The user's rules; they hold in every namespace."""
        return self._rule_set(user).rules
