"""Addresses of resources: a path and a method become a Route, remembered because clients use few of them.

A Route names what the request is about in the terms of authorization (verb, resource, namespace, name). It
says nothing about whether that may be done.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from apimachinery.selectors import FieldSelector

_VERBS = {
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
    "GET": "get",
    "HEAD": "get",
}
_CACHE = 32768


@dataclass(frozen=True, slots=True)
class Route:
    """What a request is about; for addresses that are no resource only `verb` (the method) and `path` count."""

    verb: str
    path: str
    is_resource: bool = False
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    rest: str = ""
    """What follows the subresource, for proxies."""


class Router:
    """Parses paths; `clear` it when the set of resources changes."""

    def __init__(self) -> None:
        self._cache: dict[tuple[str, str], Route] = {}

    def route(self, method: str, path: str, query: dict[str, list[str]]) -> Route:
        """The route of a request."""
        key = (method, path)
        found = self._cache.get(key)
        if found is None:
            found = parse(method, path)
            if len(self._cache) >= _CACHE:
                self._cache.clear()
            self._cache[key] = found
        if query and found.is_resource and not found.subresource:
            return _with_query(found, query)
        return found


def _with_query(route: Route, query: dict[str, list[str]]) -> Route:
    if route.verb == "list" and "watch" in query and query["watch"][0].lower() not in ("false", "0"):
        route = replace(route, verb="watch")
    if route.verb in ("list", "watch", "deletecollection") and not route.name and "fieldSelector" in query:
        try:
            name = FieldSelector.parse(query["fieldSelector"][0]).exact("metadata.name")
        except ValueError:
            return route  # the handler will say what is wrong with it
        if name:
            route = replace(route, name=name)
    return route


def parse(method: str, path: str) -> Route:
    """Split an address as the API server does: /api/v1/…, /apis/{group}/{version}/…"""
    parts = [part for part in path.split("/") if part]
    other = Route(method.lower(), path)
    if not parts or parts[0] not in ("api", "apis"):
        return other
    group = ""
    if parts[0] == "apis":
        if len(parts) < 4:
            return other
        group, parts = parts[1], parts[1:]
    if len(parts) < 3:
        return other
    version, rest = parts[1], parts[2:]
    verb = _VERBS.get(method, method.lower())
    if rest[0] == "watch" and method in ("GET", "HEAD") and len(rest) > 1:
        verb, rest = "watch", rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in ("status", "finalize"):
            rest = rest[2:]
    resource = rest[0]
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if not name:
        verb = {"get": "list", "delete": "deletecollection"}.get(verb, verb)
    remainder = ""
    if len(rest) > 3:
        remainder = path.split(f"/{name}/{subresource}", 1)[1]
    elif subresource == "proxy" and path.endswith("/"):
        remainder = "/"
    return Route(verb, path, True, group, version, resource, subresource, namespace, name, remainder)
