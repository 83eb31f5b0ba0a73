"""Validation of the security contexts of pods and containers."""

from __future__ import annotations

import re
from typing import Any

from apimachinery import field

from . import checks
from .checks import Errors
from .paths import local_descending_path

_ID_RANGE = f"must be between 0 and {checks.MAX_INT32}, inclusive"
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")
_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL_PATTERN = rf"^({_SEGMENT}[\./])*{_SEGMENT}$"
_SYSCTL = re.compile(_SYSCTL_PATTERN)
_SYSCTL_MAX_LENGTH = 253
_IPC_SYSCTLS = ("kernel.shm", "kernel.msg", "fs.mqueue.")


def _user_or_group(errors: Errors, context: dict[str, Any], name: str, path: str) -> None:
    value = context.get(name)
    if value is not None and not 0 <= value <= checks.MAX_INT32:
        errors.append(field.invalid(f"{path}.{name}", value, _ID_RANGE))


def validate_pod_security_context(errors: Errors, spec: dict[str, Any], path: str) -> None:
    """Check a pod's securityContext together with the host namespaces that the pod asks for."""
    if spec.get("hostUsers") is False:
        for name, at in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
            if spec.get(name):
                errors.append(field.forbidden(f"{path}.{at}", "when `pod.Spec.HostUsers` is false"))
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        errors.append(
            field.invalid(
                f"{path}.securityContext.shareProcessNamespace",
                True,
                "ShareProcessNamespace and HostPID cannot both be enabled",
            )
        )
    context = spec.get("securityContext")
    if not context:
        return
    path = f"{path}.securityContext"
    for name in ("fsGroup", "runAsUser", "runAsGroup"):
        _user_or_group(errors, context, name, path)
    for i, group in enumerate(context.get("supplementalGroups") or ()):
        if not 0 <= group <= checks.MAX_INT32:
            errors.append(field.invalid(f"{path}.supplementalGroups[{i}]", group, _ID_RANGE))
    sysctls = context.get("sysctls")
    if sysctls:
        _validate_sysctls(errors, sysctls, spec, f"{path}.sysctls")
    _optional(errors, context, "fsGroupChangePolicy", ("Always", "OnRootMismatch"), path)
    _validate_seccomp(errors, context.get("seccompProfile"), f"{path}.seccompProfile")
    _validate_app_armor(errors, context.get("appArmorProfile"), f"{path}.appArmorProfile")
    _optional(errors, context, "supplementalGroupsPolicy", ("Merge", "Strict"), path)
    _optional(errors, context, "seLinuxChangePolicy", ("MountOption", "Recursive"), path)


def _optional(
    errors: Errors, context: dict[str, Any], name: str, supported: tuple[str, ...], path: str
) -> None:
    value = context.get(name)
    if value is not None and value not in supported:
        errors.append(field.not_supported(f"{path}.{name}", value, list(supported)))


def _validate_sysctls(errors: Errors, sysctls: list[dict[str, Any]], spec: dict[str, Any], path: str) -> None:
    seen: set[str] = set()
    for i, sysctl in enumerate(sysctls):
        name = sysctl.get("name") or ""
        at = f"{path}[{i}].name"
        if not name:
            errors.append(field.required(at))
        elif len(name) > _SYSCTL_MAX_LENGTH or not _SYSCTL.match(name):
            errors.append(
                field.invalid(
                    at,
                    name,
                    f"must have at most {_SYSCTL_MAX_LENGTH} characters and match regex {_SYSCTL_PATTERN}",
                )
            )
        elif name in seen:
            errors.append(field.duplicate(at, name))
        seen.add(name)
        dotted = name.replace("/", ".")
        if spec.get("hostNetwork") and dotted.startswith("net."):
            errors.append(field.invalid(at, name, "may not be specified when 'hostNetwork' is true"))
        elif spec.get("hostIPC") and (dotted == "kernel.sem" or dotted.startswith(_IPC_SYSCTLS)):
            errors.append(field.invalid(at, name, "may not be specified when 'hostIPC' is true"))


def _validate_seccomp(errors: Errors, profile: dict[str, Any] | None, path: str) -> None:
    if profile is None:
        return
    kind, local = profile.get("type") or "", profile.get("localhostProfile")
    if not kind:
        errors.append(field.required(f"{path}.type", "type is required when seccompProfile is set"))
    elif kind not in _PROFILES:
        errors.append(field.not_supported(f"{path}.type", kind, list(_PROFILES)))
    if kind == "Localhost":
        if local is None:
            errors.append(
                field.required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost")
            )
        else:
            local_descending_path(errors, local, f"{path}.localhostProfile")
    elif local is not None:
        errors.append(
            field.invalid(
                f"{path}.localhostProfile", profile, "can only be set when seccomp type is Localhost"
            )
        )


def _validate_app_armor(errors: Errors, profile: dict[str, Any] | None, path: str) -> None:
    if profile is None:
        return
    kind, local = profile.get("type") or "", profile.get("localhostProfile")
    at = f"{path}.localhostProfile"
    if not kind:
        errors.append(field.required(f"{path}.type", "type is required when appArmorProfile is set"))
    elif kind not in _PROFILES:
        errors.append(field.not_supported(f"{path}.type", kind, list(_PROFILES)))
    elif kind != "Localhost":
        if local is not None:
            errors.append(field.invalid(at, local, "can only be set when AppArmor type is Localhost"))
    elif not local:
        errors.append(field.required(at, "must be set when AppArmor type is Localhost"))
    elif local.strip() != local:
        errors.append(field.invalid(at, local, "must not be padded with whitespace"))
    elif len(local) > 4095:
        errors.append(field.too_long(at, "", 4095))


def validate_container_security_context(
    errors: Errors, context: dict[str, Any] | None, host_users: bool, path: str
) -> None:
    """Check a container's securityContext."""
    if not context:
        return
    _user_or_group(errors, context, "runAsUser", path)
    _user_or_group(errors, context, "runAsGroup", path)
    proc_mount = context.get("procMount")
    if proc_mount is not None:
        if proc_mount not in ("Default", "Unmasked"):
            errors.append(field.not_supported(f"{path}.procMount", proc_mount, ["Default", "Unmasked"]))
        if host_users and proc_mount == "Unmasked":
            errors.append(
                field.invalid(f"{path}.procMount", proc_mount, "`hostUsers` must be false to use `Unmasked`")
            )
    _validate_seccomp(errors, context.get("seccompProfile"), f"{path}.seccompProfile")
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            errors.append(
                field.invalid(
                    path, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
                )
            )
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            errors.append(
                field.invalid(
                    path,
                    context,
                    "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
                )
            )
    _validate_app_armor(errors, context.get("appArmorProfile"), f"{path}.appArmorProfile")
