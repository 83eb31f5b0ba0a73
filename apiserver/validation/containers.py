"""Validation of containers: regular, init (one-shot or sidecar) and ephemeral."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apimachinery import field

from . import checks
from .checks import Errors
from .env import validate_env, validate_env_from
from .probes import validate_probes
from .remembered import Remembered
from .resources import validate_requirements
from .security import validate_container_security_context
from .volumes import validate_devices, validate_mounts

Container = dict[str, Any]
PROTOCOLS = ("SCTP", "TCP", "UDP")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_NOT_FOR_EPHEMERAL = (
    "ports",
    "resources",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
)
_ONLY_SIDECARS = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")


@dataclass(slots=True)
class PodContext:
    """What of the pod a container's rules depend on."""

    volumes: dict[str, dict[str, Any]]
    claim_names: set[str]
    grace_period: int | None
    restart_policy: str
    host_users: bool
    host_network: bool
    is_pod: bool  # not a template


_valid = Remembered()
_NOTHING: dict[str, Any] = {}


def _key(container: Container, pod: PodContext) -> bytes:
    """What the verdict on a container depends on, but for its mounts, which name volumes of this very pod."""
    without_mounts = dict(container)
    without_mounts.pop("volumeMounts", None)
    without_mounts.pop("volumeDevices", None)
    return _valid.key(without_mounts, pod.grace_period, pod.restart_policy, pod.host_users, pod.is_pod)


def validate_containers(errors: Errors, containers: list[Container], pod: PodContext, path: str) -> None:
    """Check the regular containers."""
    if not containers:
        errors.append(field.required(path))
        return
    names: set[str] = set()
    for i, container in enumerate(containers):
        at = f"{path}[{i}]"
        name = container.get("name") or ""
        key = _key(container, pod)
        if key in _valid:
            _validate_storage(errors, container, pod, at)
            if name in names:
                errors.append(field.duplicate(f"{at}.name", name))
            names.add(name)
            continue
        before = len(errors)
        _validate_common(errors, container, pod, at)
        if name in names:
            errors.append(field.duplicate(f"{at}.name", name))
        names.add(name)
        validate_probes(errors, container, pod.grace_period, at)
        policy = container.get("restartPolicy")
        if policy is not None or container.get("restartPolicyRules"):
            _validate_restart_policy(errors, container, ("Always", "Never", "OnFailure"), at)
        if len(errors) == before and not (container.get("resources") or _NOTHING).get("claims"):
            _valid.add(key)
    if any(c.get("ports") for c in containers):
        _validate_host_ports(errors, containers, pod, path)


def validate_init_containers(
    errors: Errors, containers: list[Container], regular: list[Container], pod: PodContext, path: str
) -> None:
    """Check the init containers; those with restartPolicy Always are sidecars and may have probes."""
    names = {c.get("name") for c in regular}
    for i, container in enumerate(containers):
        at = f"{path}[{i}]"
        _validate_common(errors, container, pod, at)
        if container.get("restartPolicy") is not None or container.get("restartPolicyRules"):
            _validate_restart_policy(errors, container, ("Always", "Never", "OnFailure"), at)
        name = container.get("name") or ""
        if name in names:
            errors.append(field.duplicate(f"{at}.name", name))
        elif name:
            names.add(name)
        if container.get("ports"):
            _validate_unique_host_ports(errors, [container], path)
        if container.get("restartPolicy") == "Always":
            validate_probes(errors, container, pod.grace_period, at)
            continue
        for name in _ONLY_SIDECARS:
            if container.get(name) is not None:
                errors.append(
                    field.forbidden(
                        f"{at}.{name}", "may not be set for init containers without restartPolicy=Always"
                    )
                )


def _validate_restart_policy(
    errors: Errors, container: Container, supported: tuple[str, ...], path: str
) -> None:
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or []
    if policy is not None and policy not in supported:
        errors.append(field.not_supported(f"{path}.restartPolicy", policy, list(supported)))
    if rules and policy is None:
        errors.append(
            field.required(f"{path}.restartPolicy", "must specify restartPolicy when restart rules are used")
        )
    if len(rules) > 20:
        errors.append(field.too_long(f"{path}.restartPolicyRules", rules, 20))
    for i, rule in enumerate(rules):
        at = f"{path}.restartPolicyRules[{i}]"
        if rule.get("action") not in ("Restart", "RestartAllContainers"):
            errors.append(
                field.not_supported(
                    f"{at}.action", rule.get("action") or "", ["Restart", "RestartAllContainers"]
                )
            )
        codes = rule.get("exitCodes")
        if codes is None:
            errors.append(field.required(f"{at}.exitCodes", "must be specified"))
        elif codes.get("operator") not in ("In", "NotIn"):
            errors.append(
                field.not_supported(f"{at}.exitCodes.operator", codes.get("operator") or "", ["In", "NotIn"])
            )


def validate_ephemeral_containers(
    errors: Errors, containers: list[Container], others: list[Container], pod: PodContext, path: str
) -> None:
    """Check the ephemeral containers, which may have only what debugging needs."""
    targets = {c.get("name") for c in others}
    names = set(targets)
    for i, container in enumerate(containers):
        at = f"{path}[{i}]"
        _validate_common(errors, container, pod, at)
        name = container.get("name") or ""
        if name in names:
            errors.append(field.duplicate(f"{at}.name", name))
        names.add(name)
        target = container.get("targetContainerName")
        if target and target not in targets:
            errors.append(field.not_found(f"{at}.targetContainerName", target))
        for name in _NOT_FOR_EPHEMERAL:
            if container.get(name):
                errors.append(field.forbidden(f"{at}.{name}", "cannot be set for an Ephemeral Container"))
        for j, mount in enumerate(container.get("volumeMounts") or ()):
            for name in ("subPath", "subPathExpr"):
                if mount.get(name):
                    errors.append(
                        field.forbidden(
                            f"{at}.volumeMounts[{j}].{name}", "cannot be set for an Ephemeral Container"
                        )
                    )


def _validate_common(errors: Errors, container: Container, pod: PodContext, path: str) -> None:
    get = container.get
    name = get("name")
    if not name:
        errors.append(field.required(f"{path}.name"))
    elif problems := checks.label(name):
        checks.report(errors, f"{path}.name", name, problems)
    image = get("image")
    if not image:
        errors.append(field.required(f"{path}.image"))
    elif pod.is_pod and image.strip() != image:
        errors.append(field.invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    if (policy := get("terminationMessagePolicy")) not in MESSAGE_POLICIES:
        checks.one_of(errors, f"{path}.terminationMessagePolicy", policy, MESSAGE_POLICIES)
    if ports := get("ports"):
        _validate_ports(errors, ports, f"{path}.ports")
    if env := get("env"):
        validate_env(errors, env, f"{path}.env")
    if env_from := get("envFrom"):
        validate_env_from(errors, env_from, f"{path}.envFrom")
    _validate_storage(errors, container, pod, path)
    if (pull_policy := get("imagePullPolicy")) not in PULL_POLICIES:
        checks.one_of(errors, f"{path}.imagePullPolicy", pull_policy, PULL_POLICIES)
    if requirements := get("resources"):
        validate_requirements(errors, requirements, pod.claim_names, f"{path}.resources")
    if resize := get("resizePolicy"):
        _validate_resize_policy(errors, resize, pod.restart_policy, f"{path}.resizePolicy")
    if context := get("securityContext"):
        validate_container_security_context(errors, context, pod.host_users, f"{path}.securityContext")


def _validate_storage(errors: Errors, container: Container, pod: PodContext, path: str) -> None:
    mounts, devices = container.get("volumeMounts") or [], container.get("volumeDevices") or []
    if mounts:
        privileged = bool((container.get("securityContext") or _NOTHING).get("privileged"))
        validate_mounts(errors, mounts, devices, pod.volumes, privileged, f"{path}.volumeMounts")
    if devices:
        validate_devices(errors, devices, mounts, pod.volumes, f"{path}.volumeDevices")


def _validate_ports(errors: Errors, ports: list[dict[str, Any]], path: str) -> None:
    names: set[str] = set()
    for i, port in enumerate(ports):
        name = port.get("name")
        if name:
            if problems := checks.port_name(name):
                checks.report(errors, f"{path}[{i}].name", name, problems)
            elif name in names:
                errors.append(field.duplicate(f"{path}[{i}].name", name))
            else:
                names.add(name)
        number = port.get("containerPort") or 0
        if not number:
            errors.append(field.required(f"{path}[{i}].containerPort"))
        elif not 1 <= number <= 65535:
            errors.append(field.invalid(f"{path}[{i}].containerPort", number, checks.PORT_RANGE))
        host_port = port.get("hostPort")
        if host_port and not 1 <= host_port <= 65535:
            errors.append(field.invalid(f"{path}[{i}].hostPort", host_port, checks.PORT_RANGE))
        if port.get("protocol") not in PROTOCOLS:
            checks.one_of(errors, f"{path}[{i}].protocol", port.get("protocol"), PROTOCOLS)


def _validate_host_ports(errors: Errors, containers: list[Container], pod: PodContext, path: str) -> None:
    _validate_unique_host_ports(errors, containers, path)
    if not pod.host_network:
        return
    for i, container in enumerate(containers):
        for j, port in enumerate(container.get("ports") or ()):
            host_port = port.get("hostPort") or 0
            if (pod.is_pod or host_port) and host_port != port.get("containerPort"):
                errors.append(
                    field.invalid(
                        f"{path}[{i}].ports[{j}].hostPort",
                        host_port,
                        "must match `containerPort` when `hostNetwork` is true",
                    )
                )


def _validate_unique_host_ports(errors: Errors, containers: list[Container], path: str) -> None:
    seen: set[str] = set()
    for i, container in enumerate(containers):
        for j, port in enumerate(container.get("ports") or ()):
            host_port = port.get("hostPort")
            if not host_port:
                continue
            key = f"{port.get('protocol')}/{port.get('hostIP') or ''}/{host_port}"
            if key in seen:
                errors.append(field.duplicate(f"{path}[{i}].ports[{j}].hostPort", key))
            seen.add(key)


def _validate_resize_policy(
    errors: Errors, policies: list[dict[str, Any]], restart_policy: str, path: str
) -> None:
    seen: set[str] = set()
    for i, policy in enumerate(policies):
        name, action = policy.get("resourceName") or "", policy.get("restartPolicy") or ""
        if name in seen:
            errors.append(field.duplicate(f"{path}[{i}]", name))
        seen.add(name)
        checks.one_of(errors, path, name, ("cpu", "memory"))
        checks.one_of(errors, path, action, ("NotRequired", "RestartContainer"))
        if restart_policy == "Never" and action != "NotRequired":
            errors.append(
                field.invalid(path, action, "must be 'NotRequired' when `restartPolicy` is 'Never'")
            )
