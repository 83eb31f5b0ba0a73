"""Between the kubelet's values and the engine's API documents; pure, so that every mapping has a plain test.

Follows the Docker Engine API v1.41. Must never talk to the engine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kubelet.runtime import types
from kubelet.runtime.types import ContainerSpec, ContainerStatus, Image, SandboxSpec, State

NETNS_LABEL = "skiff.dev/network-namespace"
NETNS_MOUNT = "/.skiff/net"
NSENTER_MOUNT = "/.skiff/busybox"
DEFAULT_LOG_LIMITS = (10 << 20, 5)
NO_SYSTEM_PATHS: list[str] = []

_REFERENCE = re.compile(
    r"^(?P<name>(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]{32,}))?$"
)
_LONGEST_NAME = 255


def container_name(name: str, pod_name: str, namespace: str, uid: str, attempt: int) -> str:
    """The official name of a pod's container in the engine."""
    return f"k8s_{name}_{pod_name}_{namespace}_{uid}_{attempt}"


def parse_reference(reference: str) -> tuple[str, str]:
    """(repository, tag or digest) of an image reference; `latest` where none is given.

    Raises types.InvalidImageName.
    """
    match = _REFERENCE.match(reference)
    if match is None or len(match["name"]) > _LONGEST_NAME:
        text = (
            "repository name must be lowercase"
            if reference != reference.lower()
            else "invalid reference format"
        )
        if reference != reference.lower() and _REFERENCE.match(reference.lower()):
            text = f"invalid reference format: {text}"
        elif text != "invalid reference format":
            text = "invalid reference format"
        raise types.InvalidImageName(text)
    return match["name"], match["digest"] or match["tag"] or "latest"


def sandbox_config(
    spec: SandboxSpec, owner: Mapping[str, str], image_command: list[str], busybox: str
) -> dict[str, Any]:
    """The create document of a sandbox.

    A sandbox in a given network namespace enters it by itself: the engine has no mode for a namespace that is
    not a container's. `image_command` is the pause image's own entrypoint and command.
    """
    labels = {
        **spec.labels,
        **owner,
        types.POD_NAME: spec.pod_name,
        types.POD_NAMESPACE: spec.pod_namespace,
        types.POD_UID: spec.pod_uid,
        types.CONTAINER_NAME: types.SANDBOX_NAME,
        types.CONTAINER_TYPE: "podsandbox",
    }
    host: dict[str, Any] = {
        "NetworkMode": spec.network,
        "IpcMode": "host" if spec.host_ipc else "shareable",
        "PidMode": "host" if spec.host_pid else "",
        "LogConfig": {"Type": "none"},
        "Sysctls": dict(spec.sysctls),
        "OomScoreAdj": spec.resources.oom_score_adj,
        "CpuShares": spec.resources.cpu_shares,
        "SecurityOpt": ["no-new-privileges"],
    }
    if spec.resources.cgroup_parent:
        host["CgroupParent"] = spec.resources.cgroup_parent
    config: dict[str, Any] = {"Image": spec.image, "Labels": labels, "HostConfig": host}
    if spec.network == "none":
        config["Hostname"] = spec.hostname
    elif spec.network != "host":
        labels[NETNS_LABEL] = spec.network
        host["NetworkMode"] = "host"
        host["CapAdd"] = ["SYS_ADMIN"]
        host["SecurityOpt"] = ["seccomp=unconfined", "apparmor=unconfined"]
        host["Binds"] = [f"{spec.network}:{NETNS_MOUNT}:ro", f"{busybox}:{NSENTER_MOUNT}:ro"]
        config["Entrypoint"] = [NSENTER_MOUNT, "nsenter", f"--net={NETNS_MOUNT}", "--", *image_command]
        config["Cmd"] = []
    return config


def container_config(
    spec: ContainerSpec,
    owner: Mapping[str, str],
    all_capabilities: list[str] | None,
    log_limits: tuple[int, int] = DEFAULT_LOG_LIMITS,
) -> dict[str, Any]:
    """The create document of a container that joins its sandbox.

    `all_capabilities`, when given, stands in for the engine's privileged mode. `log_limits` are bytes per log file
    and how many files are kept.
    """
    labels = {
        **spec.labels,
        **owner,
        types.POD_NAME: spec.pod_name,
        types.POD_NAMESPACE: spec.pod_namespace,
        types.POD_UID: spec.pod_uid,
        types.CONTAINER_NAME: spec.name,
        types.CONTAINER_TYPE: "container",
        types.SANDBOX_ID: spec.sandbox_id,
        types.RESTART_COUNT: str(spec.attempt),
    }
    resources, sandbox = spec.resources, f"container:{spec.sandbox_id}"
    host: dict[str, Any] = {
        "NetworkMode": sandbox,
        "IpcMode": "host" if spec.host_ipc else sandbox,
        "PidMode": _pid_mode(spec, sandbox),
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": str(log_limits[0]), "max-file": str(log_limits[1])},
        },
        "Mounts": [_mount(mount) for mount in spec.mounts],
        "OomScoreAdj": resources.oom_score_adj,
        "CpuShares": resources.cpu_shares,
        "CpuQuota": resources.cpu_quota,
        "CpuPeriod": resources.cpu_period,
        "Memory": resources.memory_limit,
        # Swap counts as memory: a limit means that much and nothing on top.
        "MemorySwap": resources.memory_limit,
        **_security(spec, all_capabilities),
    }
    if resources.cgroup_parent:
        host["CgroupParent"] = resources.cgroup_parent
    config: dict[str, Any] = {
        "Image": spec.image,
        "Env": list(spec.env),
        "Labels": labels,
        "HostConfig": host,
        "OpenStdin": spec.stdin,
        "StdinOnce": spec.stdin_once,
        "AttachStdin": spec.stdin,
        "Tty": spec.tty,
        "Healthcheck": {"Test": ["NONE"]},
    }
    if spec.command:
        config["Entrypoint"] = list(spec.command)
    if spec.args:
        config["Cmd"] = list(spec.args)
    elif spec.command:
        # A command without arguments hides the image's CMD as well.
        config["Cmd"] = []
    if spec.working_dir:
        config["WorkingDir"] = spec.working_dir
    if spec.security.user:
        config["User"] = spec.security.user
    if spec.stop_signal:
        config["StopSignal"] = spec.stop_signal
    return config


def _pid_mode(spec: ContainerSpec, sandbox: str) -> str:
    if spec.host_pid:
        return "host"
    if spec.pid_target:
        return f"container:{spec.pid_target}"
    return sandbox if spec.share_pid else ""


def _mount(mount: types.Mount) -> dict[str, Any]:
    return {
        "Type": "bind",
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        "BindOptions": {"Propagation": mount.propagation},
    }


def _security(spec: ContainerSpec, all_capabilities: list[str] | None) -> dict[str, Any]:
    security = spec.security
    options: list[str] = []
    if security.no_new_privileges:
        options.append("no-new-privileges")
    host: dict[str, Any] = {
        "GroupAdd": [str(group) for group in security.groups],
        "ReadonlyRootfs": security.read_only_root,
    }
    if security.privileged and all_capabilities is None:
        host["Privileged"] = True
    elif security.privileged:
        options += ["seccomp=unconfined", "apparmor=unconfined"]
        host["CapAdd"] = list(all_capabilities or ())
        host["MaskedPaths"] = host["ReadonlyPaths"] = NO_SYSTEM_PATHS
    else:
        if security.seccomp:
            options.append(f"seccomp={security.seccomp}")
        if security.apparmor:
            options.append(f"apparmor={security.apparmor}")
        host["CapAdd"] = list(security.add_capabilities)
        host["CapDrop"] = list(security.drop_capabilities)
        if not security.mask_paths:
            host["MaskedPaths"] = host["ReadonlyPaths"] = NO_SYSTEM_PATHS
    host["SecurityOpt"] = options
    return host


def status_from_summary(summary: Mapping[str, Any]) -> ContainerStatus:
    """A row of the engine's list; times of start and end, pid and exit code are not in it."""
    labels = summary.get("Labels") or {}
    return ContainerStatus(
        id=summary["Id"],
        state=_state(summary.get("State", "")),
        image=summary.get("Image", ""),
        image_id=summary.get("ImageID", ""),
        created_at=float(summary.get("Created") or 0),
        **_identity(labels),
    )


def status_from_inspect(document: Mapping[str, Any]) -> ContainerStatus:
    """The engine's full answer about one container.

    A container that failed to start is reported as exited: the engine leaves it `created` with an exit code.
    """
    state, config = document["State"], document["Config"]
    what = _state(state.get("Status", ""))
    finished, code = parse_time(state.get("FinishedAt", "")), int(state.get("ExitCode") or 0)
    created = parse_time(document.get("Created", ""))
    started = parse_time(state.get("StartedAt", ""))
    if what == "created" and (code != 0 or state.get("Error")):
        what, finished, started = "exited", finished or created, started or created
    return ContainerStatus(
        id=document["Id"],
        state=what,
        pid=int(state.get("Pid") or 0),
        image=config.get("Image", ""),
        image_id=document.get("Image", ""),
        created_at=created,
        started_at=started,
        finished_at=finished,
        exit_code=code,
        oom_killed=bool(state.get("OOMKilled")),
        error=state.get("Error", ""),
        **_identity(config.get("Labels") or {}),
    )


def may_be_out_of_memory(document: Mapping[str, Any]) -> bool:
    """Whether the container ended as one that has met its memory limit does, without the engine saying so."""
    state, limit = document["State"], document["HostConfig"].get("Memory")
    return bool(
        limit and state.get("Status") == "exited" and state.get("ExitCode") == 137 and not state["OOMKilled"]
    )


def _identity(labels: Mapping[str, str]) -> dict[str, Any]:
    attempt = labels.get(types.RESTART_COUNT, "0")
    return {
        "name": labels.get(types.CONTAINER_NAME, ""),
        "pod_uid": labels.get(types.POD_UID, ""),
        "pod_name": labels.get(types.POD_NAME, ""),
        "pod_namespace": labels.get(types.POD_NAMESPACE, ""),
        "attempt": int(attempt) if attempt.isdigit() else 0,
        "sandbox_id": labels.get(types.SANDBOX_ID, ""),
        "labels": {key: value for key, value in labels.items() if key not in _REDUNDANT},
    }


_REDUNDANT = frozenset(
    (
        types.POD_NAME,
        types.POD_NAMESPACE,
        types.POD_UID,
        types.CONTAINER_NAME,
        types.SANDBOX_ID,
        types.CLUSTER,
    )
)
_STATES: Mapping[str, State] = {"created": "created", "running": "running", "paused": "running"}


def _state(text: str) -> State:
    return _STATES.get(text, "exited")


def parse_time(text: str) -> float:
    """Seconds since the epoch of the engine's RFC 3339 time with nanoseconds; 0.0 for its zero time."""
    if not text or text.startswith("0001-"):
        return 0.0
    head, _, fraction = text.rstrip("Z").partition(".")
    seconds = datetime.fromisoformat(head + "+00:00").timestamp()
    digits = fraction.partition("+")[0].partition("-")[0]
    return seconds + (float("0." + digits) if digits.isdigit() else 0.0)


def image_from_document(document: Mapping[str, Any]) -> Image:
    """An image from the engine's list or inspect answer."""
    none = "<none>"
    return Image(
        id=document["Id"],
        tags=tuple(tag for tag in document.get("RepoTags") or () if none not in tag),
        digests=tuple(digest for digest in document.get("RepoDigests") or () if none not in digest),
        size=int(document.get("Size") or 0),
        user=(document.get("Config") or {}).get("User") or "",
    )
