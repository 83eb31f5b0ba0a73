"""Validation of ConfigMaps and Secrets."""

from __future__ import annotations

import base64
from typing import Any

import orjson

from apimachinery import Object, field
from apimachinery.field import FieldError

from . import checks
from .checks import Errors
from .meta import validate_object_meta, validate_object_meta_update

MAX_SIZE = 1024 * 1024
_LOCKED = "field is immutable when `immutable` is set"
_REDACTED = "<secret contents redacted>"


def _decoded_length(text: str) -> int:
    """Bytes that base64 text stands for."""
    return len(text) * 3 // 4 - (text[-2:].count("=") if text else 0)


def validate_config_map(config_map: Object) -> list[FieldError]:
    """Check a ConfigMap: its keys, each in one of the two bags only, and at most 1 MiB in all."""
    errors = validate_object_meta(config_map)
    data, binary = config_map.get("data") or {}, config_map.get("binaryData") or {}
    size = 0
    for key, value in data.items():
        if problems := checks.config_map_key(key):
            checks.report(errors, f"data[{key}]", key, problems)
        if key in binary:
            errors.append(field.invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
        size += len(value) if value.isascii() else len(value.encode())
    for key, value in binary.items():
        if problems := checks.config_map_key(key):
            checks.report(errors, f"binaryData[{key}]", key, problems)
        size += _decoded_length(value)
    if size > MAX_SIZE:
        errors.append(field.too_long("", "", MAX_SIZE))
    return errors


def validate_config_map_update(config_map: Object, old: Object) -> list[FieldError]:
    """Check an update of a ConfigMap."""
    errors = validate_object_meta_update(config_map, old)
    _validate_lock(errors, config_map, old, ("data", "binaryData"))
    return _merged(errors, validate_config_map(config_map))


def _validate_lock(errors: Errors, new: Object, old: Object, bags: tuple[str, ...]) -> None:
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        errors.append(field.forbidden("immutable", _LOCKED))
    for bag in bags:
        if (new.get(bag) or {}) != (old.get(bag) or {}):
            errors.append(field.forbidden(bag, _LOCKED))


def _merged(errors: Errors, more: Errors) -> Errors:
    seen = {e.message() for e in errors} if errors else set()
    return errors + [e for e in more if e.message() not in seen]


def validate_secret(secret: Object) -> list[FieldError]:
    """Check a Secret: its keys, at most 1 MiB in all, and what its type asks for."""
    errors = validate_object_meta(secret)
    data = secret.get("data") or {}
    size = 0
    for key, value in data.items():
        if problems := checks.config_map_key(key):
            checks.report(errors, f"data[{key}]", key, problems)
        size += _decoded_length(value)
    if size > MAX_SIZE:
        errors.append(field.too_long("data", "", MAX_SIZE))
    _validate_by_type(errors, secret, data)
    return errors


def _validate_by_type(errors: Errors, secret: Object, data: dict[str, str]) -> None:
    kind = secret.get("type") or ""
    if kind == "kubernetes.io/service-account-token":
        key = "kubernetes.io/service-account.name"
        if not (secret["metadata"].get("annotations") or {}).get(key):
            errors.append(field.required(f"metadata.annotations[{key}]"))
    elif kind in _JSON_KEYS:
        _validate_json(errors, data, _JSON_KEYS[kind])
    elif kind == "kubernetes.io/basic-auth":
        if "username" not in data and "password" not in data:
            errors.append(field.required("data[username]"))
            errors.append(field.required("data[password]"))
    elif kind == "kubernetes.io/ssh-auth":
        if not data.get("ssh-privatekey"):
            errors.append(field.required("data[ssh-privatekey]"))
    elif kind == "kubernetes.io/tls":
        errors.extend(field.required(f"data[{key}]") for key in ("tls.crt", "tls.key") if key not in data)


_JSON_KEYS = {"kubernetes.io/dockercfg": ".dockercfg", "kubernetes.io/dockerconfigjson": ".dockerconfigjson"}


def _validate_json(errors: Errors, data: dict[str, str], key: str) -> None:
    if key not in data:
        errors.append(field.required(f"data[{key}]"))
        return
    try:
        content: Any = orjson.loads(base64.b64decode(data[key]))
    except ValueError:
        problem = "invalid character in JSON" if data[key] else "unexpected end of JSON input"
        errors.append(field.invalid(f"data[{key}]", _REDACTED, problem))
        return
    if not isinstance(content, dict):
        errors.append(
            field.invalid(
                f"data[{key}]",
                _REDACTED,
                "json: cannot unmarshal into Go value of type map[string]interface {}",
            )
        )


def validate_secret_update(secret: Object, old: Object) -> list[FieldError]:
    """Check an update of a Secret: its type stays."""
    errors = validate_object_meta_update(secret, old)
    checks.immutable(errors, "type", secret.get("type"), old.get("type"))
    _validate_lock(errors, secret, old, ("data",))
    return _merged(errors, validate_secret(secret))
