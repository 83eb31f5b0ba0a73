"""Registry credentials from a pod's image pull secrets; pure.

https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/ . Never logged, never stored.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from apimachinery import Object

DOCKER_HUB = "index.docker.io"
_FIELDS = ((".dockerconfigjson", "auths"), (".dockercfg", ""))


def registry_of(reference: str) -> str:
    """The registry of an image reference; the engine's default one where none is named."""
    first, slash, _ = reference.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else DOCKER_HUB


def for_image(reference: str, secrets: Iterable[Object]) -> dict[str, str] | None:
    """User name and password for the image's registry; None where no secret knows it."""
    wanted = registry_of(reference)
    for secret in secrets:
        for name, entry in _entries(secret):
            host = name.removeprefix("https://").removeprefix("http://").partition("/")[0]
            if host in (wanted, "docker.io" if wanted == DOCKER_HUB else wanted):
                found = _login(entry)
                if found:
                    return found
    return None


def _entries(secret: Object) -> Iterable[tuple[str, Mapping[str, Any]]]:
    data = secret.get("data") or {}
    for key, section in _FIELDS:
        if key in data:
            try:
                document = orjson.loads(base64.b64decode(data[key]))
            except (orjson.JSONDecodeError, binascii.Error):
                continue
            entries = document.get(section, {}) if section else document
            yield from entries.items()


def _login(entry: Mapping[str, Any]) -> dict[str, str] | None:
    if entry.get("auth"):
        try:
            user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return {"username": user, "password": password}
    if entry.get("username"):
        return {"username": entry["username"], "password": entry.get("password", "")}
    return None
