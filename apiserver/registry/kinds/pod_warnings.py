"""Advice about a new Pod (or pod template) that is valid but probably not what its author meant."""

from __future__ import annotations

from typing import Any

from apimachinery import Object
from apiserver.validation import checks
from apiserver.validation.pod_annotations import APP_ARMOR_PREFIX, SECCOMP_CONTAINER_PREFIX, SECCOMP_POD
from apiserver.validation.resources import amount

_NODE_LABELS = {
    "beta.kubernetes.io/arch": ("v1.14", "kubernetes.io/arch"),
    "beta.kubernetes.io/os": ("v1.14", "kubernetes.io/os"),
    "failure-domain.beta.kubernetes.io/region": ("v1.17", "topology.kubernetes.io/region"),
    "failure-domain.beta.kubernetes.io/zone": ("v1.17", "topology.kubernetes.io/zone"),
    "beta.kubernetes.io/instance-type": ("v1.17", "node.kubernetes.io/instance-type"),
}
_RETIRED_VOLUMES = {
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "flexVolume": "deprecated since v1.23",
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}


def pod_warnings(pod: Object) -> list[str]:
    """Warnings about a Pod."""
    warnings = []
    name = pod["metadata"].get("name") or ""
    if problems := checks.label(name):
        warnings.append(
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; "
            f"a DNS label is recommended: [{' '.join(problems)}]"
        )
    return warnings + spec_warnings(pod["metadata"], pod["spec"], "metadata", "spec")


def template_warnings(template: dict[str, Any], path: str = "spec.template") -> list[str]:
    """Warnings about the pod template of a workload."""
    return spec_warnings(
        template.get("metadata") or {}, template.get("spec") or {}, f"{path}.metadata", f"{path}.spec"
    )


def spec_warnings(meta: dict[str, Any], spec: dict[str, Any], meta_path: str, path: str) -> list[str]:
    """Warnings about a PodSpec and the metadata that belong to it."""
    warnings: list[str] = []
    for key in spec.get("nodeSelector") or ():
        if key in _NODE_LABELS:
            since, instead = _NODE_LABELS[key]
            warnings.append(f'{path}.nodeSelector[{key}]: deprecated since {since}; use "{instead}" instead')
    for key in meta.get("annotations") or ():
        if key == SECCOMP_POD or key.startswith(SECCOMP_CONTAINER_PREFIX):
            warnings.append(
                f'{meta_path}.annotations[{key}]: non-functional in v1.27+; use the "seccompProfile" field instead'
            )
        elif key.startswith(APP_ARMOR_PREFIX):
            warnings.append(
                f'{meta_path}.annotations[{key}]: deprecated since v1.30; use the "appArmorProfile" field instead'
            )
    _duplicates(warnings, spec.get("imagePullSecrets") or [], "name", f"{path}.imagePullSecrets")
    for i, volume in enumerate(spec.get("volumes") or ()):
        for kind, problem in _RETIRED_VOLUMES.items():
            if kind in volume:
                warnings.append(f"{path}.volumes[{i}].{kind}: {problem}")
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        warnings.append(
            f"{path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        )
    for kind in ("containers", "initContainers"):
        for i, container in enumerate(spec.get(kind) or ()):
            _container(warnings, container, f"{path}.{kind}[{i}]")
    return warnings


def _duplicates(warnings: list[str], items: list[dict[str, Any]], key: str, path: str) -> None:
    seen: set[str] = set()
    for i, item in enumerate(items):
        value = item.get(key) or ""
        if not value:
            warnings.append(f'{path}[{i}].{key}: invalid empty {key} ""')
        elif value in seen:
            warnings.append(f'{path}[{i}].{key}: duplicate {key} "{value}"')
        seen.add(value)


def _container(warnings: list[str], container: dict[str, Any], path: str) -> None:
    resources = container.get("resources") or {}
    for kind in ("limits", "requests"):
        for name in ("memory", "ephemeral-storage"):
            value = (resources.get(kind) or {}).get(name)
            if value is not None and amount(value) % 1 != 0:
                warnings.append(
                    f'{path}.resources.{kind}[{name}]: fractional byte value "{value}" is invalid, must be an integer'
                )
    names: set[str] = set()
    for i, variable in enumerate(container.get("env") or ()):
        name = variable.get("name") or ""
        if name in names:
            warnings.append(
                f'{path}.env[{i}]: hides previous definition of "{name}", which may be unexpected when using apply'
            )
        names.add(name)
    ports: dict[tuple[Any, ...], int] = {}
    port_names: dict[str, int] = {}
    for i, port in enumerate(container.get("ports") or ()):
        key = (port.get("containerPort"), port.get("protocol"), port.get("hostIP"), port.get("hostPort"))
        if key in ports:
            warnings.append(f"{path}.ports[{i}]: duplicate port definition with {path}.ports[{ports[key]}]")
        ports.setdefault(key, i)
        name = port.get("name") or ""
        if name and name in port_names:
            first = f"{path}.ports[{port_names[name]}]"
            warnings.append(
                f'{path}.ports[{i}].name: duplicate port name "{name}" with {first}.name, '
                f"services and probes that select ports by name will use {first}"
            )
        port_names.setdefault(name, i)
