"""Security contexts of pod and container merged into what the engine has to apply; pure but for profile files.

https://kubernetes.io/docs/tasks/configure-pod-container/security-context/
"""

from __future__ import annotations

from pathlib import Path

from apimachinery import Object
from kubelet.containers.environment import ConfigError
from kubelet.runtime.types import Security

UNCONFINED = "unconfined"


def effective(pod: Object, container: Object) -> Object:
    """The container's security context with the pod's values where it says nothing."""
    shared = pod["spec"].get("securityContext") or {}
    inherited = ("runAsUser", "runAsGroup", "runAsNonRoot", "seccompProfile", "appArmorProfile")
    merged: Object = {name: shared[name] for name in inherited if shared.get(name) is not None}
    own = container.get("securityContext") or {}
    merged.update({name: value for name, value in own.items() if value is not None})
    return merged


def security(
    pod: Object, container: Object, image_user: str, profiles: Path, *, seccomp_default: bool = False
) -> Security:
    """What the engine applies. `image_user` is the image's USER, `profiles` the node's seccomp directory.

    `seccomp_default` is the node's choice for containers that name no profile: the engine's own, or none.

    Raises ConfigError where runAsNonRoot does not hold or a profile is missing.
    """
    context = effective(pod, container)
    shared = pod["spec"].get("securityContext") or {}
    verify_non_root(pod, container, context, image_user)
    groups = [int(group) for group in shared.get("supplementalGroups") or ()]
    if shared.get("fsGroup") is not None:
        groups.append(int(shared["fsGroup"]))
    capabilities = context.get("capabilities") or {}
    privileged = bool(context.get("privileged"))
    return Security(
        user=_user(context, image_user),
        groups=tuple(groups),
        privileged=privileged,
        add_capabilities=_capabilities(capabilities.get("add")),
        drop_capabilities=_capabilities(capabilities.get("drop")),
        read_only_root=bool(context.get("readOnlyRootFilesystem")),
        no_new_privileges=context.get("allowPrivilegeEscalation") is False and not privileged,
        seccomp=_seccomp(
            context.get("seccompProfile") or {"type": "RuntimeDefault" if seccomp_default else "Unconfined"},
            profiles,
        ),
        apparmor=_apparmor(context.get("appArmorProfile")),
        mask_paths=context.get("procMount") != "Unmasked",
    )


def _user(context: Object, image_user: str) -> str:
    user, group = context.get("runAsUser"), context.get("runAsGroup")
    if user is None and group is None:
        return ""
    name = str(user) if user is not None else image_user.partition(":")[0] or "0"
    return f"{name}:{group}" if group is not None else name


def _capabilities(names: list[str] | None) -> tuple[str, ...]:
    return tuple(name.removeprefix("CAP_") for name in names or ())


def _seccomp(profile: Object, profiles: Path) -> str:
    kind = profile["type"]
    if kind == "RuntimeDefault":
        return ""
    if kind == "Unconfined":
        return UNCONFINED
    name = profile.get("localhostProfile") or ""
    try:
        return (profiles / name).read_text()
    except OSError as error:
        raise ConfigError(f'cannot load seccomp profile "{profiles / name}": {error.strerror}') from error


def _apparmor(profile: Object | None) -> str:
    kind = (profile or {}).get("type", "RuntimeDefault")
    if kind == "Unconfined":
        return UNCONFINED
    return str((profile or {}).get("localhostProfile", "")) if kind == "Localhost" else ""


def verify_non_root(pod: Object, container: Object, context: Object, image_user: str) -> None:
    """Raises ConfigError where runAsNonRoot is asked for and the user is, or may be, root."""
    if not context.get("runAsNonRoot"):
        return
    metadata = pod["metadata"]
    who = f'(pod: "{metadata["name"]}_{metadata["namespace"]}({metadata["uid"]})", container: {container["name"]})'
    user = context.get("runAsUser")
    if user is not None:
        if int(user) == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {who}")
        return
    name = image_user.partition(":")[0]
    if name in ("", "0"):
        raise ConfigError(f"container has runAsNonRoot and image will run as root {who}")
    if not name.isdigit():
        raise ConfigError(
            f"container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root {who}"
        )
