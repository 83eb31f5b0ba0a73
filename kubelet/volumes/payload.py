"""The files that ConfigMap, Secret, downwardAPI and projected volumes consist of; pure.

https://kubernetes.io/docs/concepts/storage/projected-volumes/ ; error texts are the official ones, as users read
them in FailedMount events.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Protocol

from apimachinery import Object
from kubelet.containers.downward import FieldUnknown, PodFacts, field_value, resource_value
from kubelet.containers.environment import Sources
from kubelet.volumes.atomic import File

DEFAULT_MODE = 0o644
TOKEN_MODE = 0o600
DEFAULT_TOKEN_SECONDS = 3600


class MountError(Exception):
    """The volume cannot be set up now; the message goes into a FailedMount event."""


class Tokens(Protocol):
    """Service account tokens that have been fetched for this pod."""

    def token(self, pod: Object, audience: str, expiration_seconds: int) -> str: ...


def config_map_files(found: Object | None, source: Object, mode: int) -> dict[str, File]:
    """Files of a ConfigMap (`found`, None if missing); `source` has name, items, optional."""
    if found is None:
        if source.get("optional"):
            return {}
        raise MountError(f'configmap "{source.get("name", "")}" not found')
    data: dict[str, bytes] = {key: text.encode() for key, text in (found.get("data") or {}).items()}
    data.update({key: base64.b64decode(text) for key, text in (found.get("binaryData") or {}).items()})
    return _chosen(data, source, mode, "references non-existent config key: ")


def secret_files(found: Object | None, source: Object, mode: int) -> dict[str, File]:
    """Files of a Secret; `source` has name or secretName, items, optional."""
    if found is None:
        if source.get("optional"):
            return {}
        raise MountError(f'secret "{source.get("secretName") or source.get("name", "")}" not found')
    data = {key: base64.b64decode(text) for key, text in (found.get("data") or {}).items()}
    return _chosen(data, source, mode, "references non-existent secret key: ")


def _chosen(data: Mapping[str, bytes], source: Object, mode: int, complaint: str) -> dict[str, File]:
    items = source.get("items")
    if not items:
        return {key: File(content, mode) for key, content in data.items()}
    files = {}
    for item in items:
        if item["key"] not in data:
            if source.get("optional"):
                continue
            raise MountError(complaint + item["key"])
        files[item["path"]] = File(data[item["key"]], _mode(item, mode))
    return files


def _mode(item: Object, default: int) -> int:
    mode = item.get("mode")
    return int(mode) if mode is not None else default


def downward_files(pod: Object, source: Object, mode: int, facts: PodFacts) -> dict[str, File]:
    """Files of downwardAPI items."""
    spec = pod["spec"]
    containers = [*spec.get("containers", ()), *(spec.get("initContainers") or ())]
    files = {}
    for item in source.get("items") or ():
        try:
            if item.get("fieldRef"):
                text = field_value(pod, item["fieldRef"]["fieldPath"], facts)
            else:
                text = resource_value(containers, None, item["resourceFieldRef"], facts)
        except FieldUnknown as error:
            raise MountError(str(error)) from error
        files[item["path"]] = File(text.encode(), _mode(item, mode))
    return files


def projected_files(
    pod: Object, source: Object, sources: Sources, tokens: Tokens, facts: PodFacts
) -> dict[str, File]:
    """Files of all sources of a projected volume, later ones winning."""
    namespace = pod["metadata"]["namespace"]
    mode = _default_mode(source)
    files: dict[str, File] = {}
    for part in source.get("sources") or ():
        if part.get("configMap"):
            reference = part["configMap"]
            files |= config_map_files(sources.config_map(namespace, reference["name"]), reference, mode)
        elif part.get("secret"):
            reference = part["secret"]
            files |= secret_files(sources.secret(namespace, reference["name"]), reference, mode)
        elif part.get("downwardAPI"):
            files |= downward_files(pod, part["downwardAPI"], mode, facts)
        elif part.get("serviceAccountToken"):
            token = part["serviceAccountToken"]
            seconds = int(token.get("expirationSeconds") or DEFAULT_TOKEN_SECONDS)
            content = tokens.token(pod, token.get("audience") or "", seconds).encode()
            user = _only_user(pod)
            readable = mode if user is None else TOKEN_MODE
            files[token["path"]] = File(content, readable, user)
        else:
            raise MountError(f"projected source {next(iter(part), '')} is not supported")
    return files


def _only_user(pod: Object) -> int | None:
    """The uid under which every container runs, if it is one and the same: then only it may read the token."""
    if (pod["spec"].get("securityContext") or {}).get("fsGroup") is not None:
        return None
    shared = (pod["spec"].get("securityContext") or {}).get("runAsUser")
    users = {
        (container.get("securityContext") or {}).get("runAsUser", shared)
        for container in [*pod["spec"].get("containers", ()), *(pod["spec"].get("initContainers") or ())]
    }
    user = users.pop() if len(users) == 1 else None
    return int(user) if user is not None else None


def _default_mode(source: Object) -> int:
    mode = source.get("defaultMode")
    return int(mode) if mode is not None else DEFAULT_MODE


def volume_files(
    pod: Object, volume: Object, sources: Sources, tokens: Tokens, facts: PodFacts
) -> dict[str, File] | None:
    """The files of any volume that consists of written files; None for other volumes. Raises MountError."""
    namespace = pod["metadata"]["namespace"]
    if (source := volume.get("configMap")) is not None:
        return config_map_files(
            sources.config_map(namespace, source.get("name", "")), source, _default_mode(source)
        )
    if (source := volume.get("secret")) is not None:
        return secret_files(
            sources.secret(namespace, source.get("secretName", "")), source, _default_mode(source)
        )
    if (source := volume.get("downwardAPI")) is not None:
        return downward_files(pod, source, _default_mode(source), facts)
    if (source := volume.get("projected")) is not None:
        return projected_files(pod, source, sources, tokens, facts)
    return None
