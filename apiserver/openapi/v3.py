"""OpenAPI v3: one document per group and version, as ``/openapi/v3`` lists them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from apimachinery.resources import Resource
from apiserver.openapi import schemas
from apiserver.openapi.operations import PATCH, PATCH_TYPES, Operation, Parameter, operations

Document = dict[str, Any]


def document(raw: dict[str, Any], resources: Iterable[Resource], version: str) -> Document:
    """The document of resources that share a group and version; ``version`` is the server's.

    Its parts are encoded as they are made (``orjson.Fragment``), so that the whole never exists as dicts.
    """
    paths: dict[str, Document] = {}
    roots: set[str] = set()
    for resource in resources:
        roots.add(resource.definition)
        for operation in operations(resource):
            paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
            roots.update(name for name in (operation.body, operation.result) if name)
    definitions = schemas.closure(raw, roots)
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": {path: orjson.Fragment(orjson.dumps(paths[path])) for path in sorted(paths)},
        "components": {
            "schemas": {
                name: orjson.Fragment(orjson.dumps(schemas.publish(name, schema, 3)))
                for name, schema in definitions.items()
            },
            "securitySchemes": {
                "BearerToken": {
                    "type": "apiKey",
                    "description": "Bearer Token authentication",
                    "name": "authorization",
                    "in": "header",
                }
            },
        },
    }


def _parameter(parameter: Parameter) -> Document:
    out: Document = {"name": parameter.name, "in": parameter.where, "description": parameter.description}
    if parameter.where == "path":
        out["required"] = True
    out["schema"] = {"type": parameter.type, "uniqueItems": True}
    return out


def _content(definition: str, types: Iterable[str]) -> Document:
    schema = {"$ref": f"#/components/schemas/{definition}"}
    return {media: {"schema": schema} for media in types}


def _operation(operation: Operation) -> Document:
    group, version, kind = operation.kind
    out: Document = {
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.operation_id,
        "parameters": [_parameter(p) for p in operation.parameters],
    }
    if operation.body:
        types = PATCH_TYPES if operation.body == PATCH else ("*/*",)
        out["requestBody"] = {"content": _content(operation.body, types)}
        if operation.method != "delete":
            out["requestBody"]["required"] = True
    answer: Document = {"description": "OK"}
    if operation.result:
        answer["content"] = _content(operation.result, ("application/json", "application/yaml"))
    else:
        answer["content"] = {"*/*": {"schema": {"type": "string"}}}
    out["responses"] = {"200": answer}
    if operation.created:
        out["responses"]["201"] = {**answer, "description": "Created"}
    out["responses"]["401"] = {"description": "Unauthorized"}
    out["x-kubernetes-action"] = operation.action
    out["x-kubernetes-group-version-kind"] = {"group": group, "version": version, "kind": kind}
    return out
