"""Policy rules as RBAC writes them, compiled so that a decision is a few dictionary look-ups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from apimachinery import Object
from apiserver.http.routes import Route


@dataclass(frozen=True)
class Rule:
    """Verbs on resources (of groups, perhaps of certain names), or on non-resource URLs."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    def as_resource_rule(self) -> Object:
        """The rule as access reviews show it."""
        rule: Object = {
            "verbs": list(self.verbs), "apiGroups": list(self.groups), "resources": list(self.resources),
        }  # fmt: skip
        if self.names:
            rule["resourceNames"] = list(self.names)
        return rule


class RuleSet:
    """Rules indexed by verb; `allows` costs the same however many rules there are for other verbs."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._resources: dict[tuple[str, str, str], set[str] | None] = {}
        self._urls: list[Rule] = []
        for rule in self.rules:
            if rule.urls:
                self._urls.append(rule)
            for verb in rule.verbs:
                for group in rule.groups:
                    for resource in rule.resources:
                        self._add((verb, group, resource), rule.names)

    def _add(self, key: tuple[str, str, str], names: tuple[str, ...]) -> None:
        if not names:
            self._resources[key] = None
        elif self._resources.get(key, names) is not None:
            known = self._resources.setdefault(key, set())
            if known is not None:
                known.update(names)

    def allows(self, route: Route) -> bool:
        """Say whether some rule covers the request."""
        if not route.is_resource:
            return any(self._covers_url(rule, route) for rule in self._urls)
        if route.subresource:
            resources: tuple[str, ...] = (
                f"{route.resource}/{route.subresource}",
                f"*/{route.subresource}",
                "*",
            )
        else:
            resources = (route.resource, "*")
        for verb in (route.verb, "*"):
            for group in (route.group, "*"):
                for resource in resources:
                    index = (verb, group, resource)
                    if index in self._resources:
                        names = self._resources[index]
                        if names is None or route.name in names:
                            return True
        return False

    @staticmethod
    def _covers_url(rule: Rule, route: Route) -> bool:
        if route.verb not in rule.verbs and "*" not in rule.verbs:
            return False
        return any(
            url == route.path or (url.endswith("*") and route.path.startswith(url[:-1])) for url in rule.urls
        )
