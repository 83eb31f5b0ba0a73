"""OpenAPI v2 (Swagger): one document for everything, which older clients read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from apimachinery.resources import Resource
from apiserver.openapi import schemas
from apiserver.openapi.operations import PATCH, PATCH_TYPES, Operation, Parameter, operations

Document = dict[str, Any]
_JSON = ["application/json", "application/yaml"]


def paths(resources: Iterable[Resource]) -> Iterator[tuple[str, Document]]:
    """The paths in order, each with its operations by method."""
    found: dict[str, list[Operation]] = {}
    for resource in resources:
        for operation in operations(resource):
            found.setdefault(operation.path, []).append(operation)
    for path in sorted(found):
        yield path, {operation.method: _operation(operation) for operation in found[path]}


def definitions(raw: dict[str, Any]) -> Iterator[tuple[str, Document]]:
    """All definitions in order."""
    for name in sorted(raw):
        yield name, schemas.publish(name, raw[name], 2)


def document(raw: dict[str, Any], resources: Iterable[Resource], version: str) -> Document:
    """The one document; ``version`` is the server's. Its parts are encoded as they are made."""
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": {path: orjson.Fragment(orjson.dumps(item)) for path, item in paths(resources)},
        "definitions": {name: orjson.Fragment(orjson.dumps(s)) for name, s in definitions(raw)},
        "securityDefinitions": {
            "BearerToken": {
                "description": "Bearer Token authentication",
                "in": "header",
                "name": "authorization",
                "type": "apiKey",
            }
        },
        "security": [{"BearerToken": []}],
    }


def _parameter(parameter: Parameter) -> Document:
    out: Document = {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.description,
        "type": parameter.type,
        "uniqueItems": True,
    }
    if parameter.where == "path":
        out["required"] = True
    return out


def _operation(operation: Operation) -> Document:
    group, version, kind = operation.kind
    parameters = [_parameter(p) for p in operation.parameters]
    if operation.body:
        body: Document = {"name": "body", "in": "body", "schema": {"$ref": f"#/definitions/{operation.body}"}}
        if operation.method != "delete":
            body["required"] = True
        parameters.append(body)
    answer: Document = {"description": "OK", "schema": {"type": "string"}}
    if operation.result:
        answer["schema"] = {"$ref": f"#/definitions/{operation.result}"}
    responses: Document = {"200": answer}
    if operation.created:
        responses["201"] = {**answer, "description": "Created"}
    responses["401"] = {"description": "Unauthorized"}
    return {
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.operation_id,
        "consumes": list(PATCH_TYPES) if operation.body == PATCH else ["*/*"],
        "produces": _JSON if operation.result else ["*/*"],
        "schemes": ["https"],
        "parameters": parameters,
        "responses": responses,
        "x-kubernetes-action": operation.action,
        "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
    }
