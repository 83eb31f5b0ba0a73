"""A container's environment: services, envFrom, env, in the official order and precedence.

https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables and
https://kubernetes.io/docs/tasks/inject-data-application/. Reads ConfigMaps and Secrets through `Sources`, which
the caller has filled before; nothing is fetched here.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Protocol

from apimachinery import Object, names
from kubelet.containers.downward import FieldUnknown, PodFacts, field_value, resource_value
from kubelet.containers.expansion import expand

MASTER_SERVICE = ("default", "kubernetes")


class ConfigError(Exception):
    """The container cannot be configured (CreateContainerConfigError); the message is the official one."""


class Sources(Protocol):
    """ConfigMaps and Secrets by namespace and name; None where there is none."""

    def config_map(self, namespace: str, name: str) -> Object | None: ...
    def secret(self, namespace: str, name: str) -> Object | None: ...


def resolve(
    pod: Object,
    container: Object,
    sources: Sources,
    services: Iterable[Object],
    facts: PodFacts,
) -> tuple[dict[str, str], list[tuple[str, list[str]]]]:
    """The environment, and per envFrom source the keys that are no variable names (for an event).

    Raises ConfigError.
    """
    result = {}
    enabled = pod["spec"].get("enableServiceLinks", True)
    namespace = pod["metadata"]["namespace"]
    result.update(service_variables(namespace, services, include_namespace=enabled))
    skipped: list[tuple[str, list[str]]] = []
    for source in container.get("envFrom") or ():
        values, bad = _from_source(namespace, source, sources)
        result.update(values)
        if bad:
            skipped.append(bad)
    own: dict[str, str] = {}
    for entry in container.get("env") or ():
        name = entry["name"]
        if entry.get("valueFrom"):
            value = _value_from(pod, container, entry["valueFrom"], sources, facts)
            if value is None:
                continue
        else:
            value = expand(entry.get("value") or "", {**result, **own})
        own[name] = value
    return {**result, **own}, skipped


def _from_source(
    namespace: str, source: Object, sources: Sources
) -> tuple[dict[str, str], tuple[str, list[str]] | None]:
    prefix = source.get("prefix") or ""
    if source.get("configMapRef"):
        reference, kind = source["configMapRef"], "configMap"
        found = sources.config_map(namespace, reference["name"])
        values = dict((found or {}).get("data") or {})
    else:
        reference, kind = source["secretRef"], "secret"
        found = sources.secret(namespace, reference["name"])
        values = {key: _decode(text) for key, text in ((found or {}).get("data") or {}).items()}
    if found is None and not reference.get("optional"):
        raise ConfigError(f'{kind.lower()} "{reference["name"]}" not found')
    named = {prefix + key: value for key, value in sorted(values.items())}
    bad = [key for key in named if names.is_env_var_name(key)]
    kept = {key: value for key, value in named.items() if key not in bad}
    return kept, (f"{kind} {namespace}/{reference['name']}", bad) if bad else None


def _value_from(
    pod: Object, container: Object, source: Object, sources: Sources, facts: PodFacts
) -> str | None:
    namespace = pod["metadata"]["namespace"]
    try:
        if source.get("fieldRef"):
            return field_value(pod, source["fieldRef"]["fieldPath"], facts)
        if source.get("resourceFieldRef"):
            return resource_value(_containers(pod), container, source["resourceFieldRef"], facts)
    except FieldUnknown as error:
        raise ConfigError(str(error)) from error
    if source.get("configMapKeyRef"):
        selector = source["configMapKeyRef"]
        found = sources.config_map(namespace, selector["name"])
        return _key(found, selector, "ConfigMap", namespace, decode=False)
    if source.get("secretKeyRef"):
        selector = source["secretKeyRef"]
        found = sources.secret(namespace, selector["name"])
        return _key(found, selector, "Secret", namespace, decode=True)
    raise ConfigError("invalid valueFrom")


def _key(found: Object | None, selector: Object, kind: str, namespace: str, *, decode: bool) -> str | None:
    name, key, optional = selector["name"], selector["key"], bool(selector.get("optional"))
    if found is None:
        if optional:
            return None
        raise ConfigError(f'{kind.lower()} "{name}" not found')
    data = found.get("data") or {}
    if key not in data:
        if optional:
            return None
        raise ConfigError(f"couldn't find key {key} in {kind} {namespace}/{name}")
    return _decode(data[key]) if decode else str(data[key])


def _decode(text: str) -> str:
    return base64.b64decode(text).decode("utf-8", "surrogateescape")


def _containers(pod: Object) -> Sequence[Object]:
    return [*pod["spec"].get("containers", ()), *(pod["spec"].get("initContainers") or ())]


def service_variables(
    namespace: str, services: Iterable[Object], *, include_namespace: bool = True
) -> dict[str, str]:
    """{NAME}_SERVICE_HOST and its companions for the services that a pod of `namespace` sees."""
    result: dict[str, str] = {}
    for service in sorted(services, key=lambda found: str(found["metadata"]["name"])):
        metadata, spec = service["metadata"], service.get("spec") or {}
        address = spec.get("clusterIP") or ""
        where = (metadata["namespace"], metadata["name"])
        if address in ("", "None") or not spec.get("ports"):
            continue
        # A service of the pod's own namespace hides the master service of the same name.
        if where[0] != namespace and (where != MASTER_SERVICE or "KUBERNETES_SERVICE_HOST" in result):
            continue
        if where[0] == namespace and not include_namespace and where != MASTER_SERVICE:
            continue
        result.update(_service(where[1], address, spec["ports"]))
    return result


def _service(name: str, address: str, ports: Sequence[Object]) -> dict[str, str]:
    prefix = name.upper().replace("-", "_")
    host = f"[{address}]" if ":" in address else address
    result = {f"{prefix}_SERVICE_HOST": address, f"{prefix}_SERVICE_PORT": str(ports[0]["port"])}
    for port in ports:
        if port.get("name"):
            result[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
    for index, port in enumerate(ports):
        protocol = port.get("protocol") or "TCP"
        url = f"{protocol.lower()}://{host}:{port['port']}"
        if index == 0:
            result[f"{prefix}_PORT"] = url
        one = f"{prefix}_PORT_{port['port']}_{protocol.upper()}"
        result.update(
            {
                one: url,
                f"{one}_PROTO": protocol.lower(),
                f"{one}_PORT": str(port["port"]),
                f"{one}_ADDR": address,
            }
        )
    return result
