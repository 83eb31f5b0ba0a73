"""Manifests and the registry's steps without storage, for the tests of this folder."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from apimachinery import Object
from apimachinery.field import FieldError
from apimachinery.resources import Resource
from apiserver.registry.settings import Settings
from apiserver.registry.strategy import RequestContext, Strategy, User, load

NOW = "2026-01-02T03:04:05Z"
_strategies = load(Settings())


def strategy(resource: Resource) -> Any:
    """The strategy that serves a resource."""
    return _strategies[resource]


def context(rules: Strategy, obj: Object) -> RequestContext:
    """A request for this object."""
    meta = obj["metadata"]
    return RequestContext(
        User("tester"), "create", rules.resource, "", meta.get("namespace", ""), meta.get("name", ""), NOW
    )


def prepared(rules: Strategy, obj: Object) -> Object:
    """A copy as it would be validated on create."""
    obj = copy.deepcopy(obj)
    if rules.resource.namespaced:
        obj["metadata"].setdefault("namespace", "default")
    rules.default(obj)
    rules.prepare_for_create(obj, context(rules, obj))
    return obj


def create_errors(resource: Resource, obj: Object) -> list[str]:
    """What is wrong with creating this object."""
    rules = strategy(resource)
    return messages(rules.validate(prepared(rules, obj)))


def stored(resource: Resource, obj: Object) -> Object:
    """The object as it would be stored; the test fails if it is not valid."""
    rules = strategy(resource)
    result = prepared(rules, obj)
    problems = messages(rules.validate(result))
    if problems:
        pytest.fail(f"not valid: {problems}")
    result["metadata"] |= {"uid": "4b8f1a2e", "creationTimestamp": NOW, "resourceVersion": "1"}
    return result


def updated(resource: Resource, old: Object, new: Object, path: str = "") -> tuple[Object, list[str]]:
    """The object after an update through `path`, and what is wrong with it."""
    rules = strategy(resource)
    new = copy.deepcopy(new)
    rules.default(new)
    way = rules.update_rules()[path]
    way.prepare(new, old, context(rules, new))
    return new, messages(way.validate(new, old))


def messages(problems: list[FieldError]) -> list[str]:
    return [problem.message() for problem in problems]


def merged(obj: Any, change: Any) -> Any:
    """`change` laid over a copy of `obj`: objects are merged, all else replaced; None removes."""
    if not isinstance(obj, dict) or not isinstance(change, dict):
        return copy.deepcopy(change)
    result = copy.deepcopy(obj)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def pod(spec: dict[str, Any] | None = None, **container: Any) -> Object:
    """A Pod with one container `main`; `spec` and `container` are laid over it."""
    base = {"containers": [merged({"name": "main", "image": "busybox:1.36"}, container)]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web"},
        "spec": merged(base, spec or {}),
    }


def deployment(**spec: Any) -> Object:
    """A Deployment of `app: meow`; `spec` is laid over it."""
    base = {
        "selector": {"matchLabels": {"app": "meow"}},
        "template": {
            "metadata": {"labels": {"app": "meow"}},
            "spec": {"containers": [{"name": "echo", "image": "echo:1"}]},
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "meow"},
        "spec": merged(base, spec),
    }


def service(**spec: Any) -> Object:
    """A Service with port 80; `spec` is laid over it."""
    base = {"selector": {"app": "meow"}, "ports": [{"port": 80, "targetPort": 3000}]}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "meow-svc"},
        "spec": merged(base, spec),
    }
