"""Values that cross the runtime interface: what to create, what runs, what went wrong.

No engine's words here. Times are seconds since the epoch, 0.0 where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

State = Literal["created", "running", "exited"]

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
CONTAINER_TYPE = "io.kubernetes.docker.type"
SANDBOX_ID = "io.kubernetes.sandbox.id"
RESTART_COUNT = "io.kubernetes.container.restartCount"
HASH = "io.kubernetes.container.hash"
TERMINATION_PATH = "io.kubernetes.container.terminationMessagePath"
TERMINATION_POLICY = "io.kubernetes.container.terminationMessagePolicy"
GRACE_PERIOD = "io.kubernetes.pod.terminationGracePeriod"
LOG_TAIL_ON_ERROR = "FallbackToLogsOnError"
CLUSTER = "skiff.dev/cluster"
NODE = "skiff.dev/node"

SANDBOX_NAME = "POD"


class RuntimeFailure(Exception):
    """The engine refused or failed; the message is fit for a pod's events."""


class RuntimeUnavailable(RuntimeFailure):
    """The engine does not answer. Nothing is known; try again later."""


class NotFound(RuntimeFailure):
    """No such container or image."""


class PullFailed(RuntimeFailure):
    """An image could not be pulled; the message is the registry's or the resolver's."""


class InvalidImageName(RuntimeFailure):
    """The image reference cannot be parsed."""


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """A container or sandbox as the engine knows it. `exit_code` is meaningful once `state` is exited."""

    id: str
    name: str
    pod_uid: str
    pod_name: str
    pod_namespace: str
    state: State
    attempt: int = 0
    pid: int = 0
    image: str = ""
    image_id: str = ""
    created_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    sandbox_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_sandbox(self) -> bool:
        return self.name == SANDBOX_NAME


@dataclass(frozen=True)
class Mount:
    """A directory or file of the node inside the container."""

    source: str
    target: str
    read_only: bool = False
    propagation: str = "rprivate"


@dataclass(frozen=True)
class Resources:
    """cgroup values: shares and quota in the kernel's units, memory in bytes; 0 or None is unlimited."""

    cpu_shares: int = 0
    cpu_quota: int = 0
    cpu_period: int = 0
    memory_limit: int = 0
    oom_score_adj: int = 0
    cgroup_parent: str = ""


@dataclass(frozen=True)
class Security:
    """What of the security contexts the engine has to apply. `user` is `uid[:gid]` or empty."""

    user: str = ""
    groups: tuple[int, ...] = ()
    privileged: bool = False
    add_capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()
    read_only_root: bool = False
    no_new_privileges: bool = False
    seccomp: str = ""
    apparmor: str = ""
    mask_paths: bool = True


@dataclass(frozen=True)
class SandboxSpec:
    """A pod's sandbox. `network` is "none" (to be wired), "host", or the path of a network namespace."""

    pod_uid: str
    pod_name: str
    pod_namespace: str
    attempt: int
    image: str
    hostname: str
    network: str = "none"
    host_pid: bool = False
    host_ipc: bool = False
    sysctls: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = field(default_factory=Resources)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ContainerSpec:
    """A container of a pod, everything resolved. `command` and `args` as in the API (None: the image's)."""

    pod_uid: str
    pod_name: str
    pod_namespace: str
    name: str
    attempt: int
    sandbox_id: str
    image: str
    command: tuple[str, ...] | None = None
    args: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()
    working_dir: str = ""
    mounts: tuple[Mount, ...] = ()
    resources: Resources = field(default_factory=Resources)
    security: Security = field(default_factory=Security)
    labels: Mapping[str, str] = field(default_factory=dict)
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    host_pid: bool = False
    share_pid: bool = False
    pid_target: str = ""
    host_ipc: bool = False
    stop_signal: str = ""


@dataclass(frozen=True)
class Image:
    """An image that is present."""

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size: int = 0
    user: str = ""

    @property
    def reference(self) -> str:
        """What `imageID` of a container status shows."""
        return f"docker-pullable://{self.digests[0]}" if self.digests else f"docker://{self.id}"


@dataclass(frozen=True)
class RuntimeVersion:
    """The engine's name and version, and how it manages cgroups."""

    name: str
    version: str
    cgroup_driver: str = "cgroupfs"
    data_root: str = ""


@dataclass(frozen=True)
class RuntimeEvent:
    """Something changed about a container. An empty `container_id` asks for a relist."""

    container_id: str
    action: str


@dataclass(frozen=True)
class ExecResult:
    """The end of a command that was run without a client."""

    exit_code: int
    output: bytes


@dataclass(frozen=True)
class LogOptions:
    """As in PodLogOptions: `tail` in lines (None: all), `since` in seconds since the epoch."""

    follow: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: float | None = None
