"""Container specifications from a pod: everything the engine needs to know, resolved. No I/O but small files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from apimachinery import Object
from kubelet.containers import names_files
from kubelet.containers.downward import PodFacts
from kubelet.containers.environment import ConfigError, Sources, resolve
from kubelet.containers.expansion import MissingVariable, expand, expand_strict
from kubelet.containers.resources import SANDBOX_OOM_SCORE, all_containers, container_resources
from kubelet.containers.security import security
from kubelet.paths import PodPaths
from kubelet.pods.record import container_hash
from kubelet.runtime import types
from kubelet.runtime.types import ContainerSpec, Image, Mount, Resources, SandboxSpec
from kubelet.volumes.manager import sub_path

__all__ = ["Builder", "all_containers", "sandbox"]

DEFAULT_TERMINATION_PATH = "/dev/termination-log"
# Volumes that the kubelet writes are mounted read-only, whatever the container asks for.
_READ_ONLY = frozenset({"configMap", "secret", "downwardAPI", "projected"})
_PROPAGATION = {"None": "rprivate", "HostToContainer": "rslave", "Bidirectional": "rshared"}


def sandbox(
    pod: Object, attempt: int, image: str, network: str, parent: str, cluster_domain: str
) -> SandboxSpec:
    """The pod's sandbox."""
    metadata, spec = pod["metadata"], pod["spec"]
    context = spec.get("securityContext") or {}
    return SandboxSpec(
        pod_uid=metadata["uid"],
        pod_name=metadata["name"],
        pod_namespace=metadata["namespace"],
        attempt=attempt,
        image=image,
        hostname=names_files.sandbox_hostname(pod, cluster_domain),
        network=network,
        host_pid=bool(spec.get("hostPID")),
        host_ipc=bool(spec.get("hostIPC")),
        sysctls={one["name"]: one["value"] for one in context.get("sysctls") or ()},
        resources=Resources(cpu_shares=2, oom_score_adj=SANDBOX_OOM_SCORE, cgroup_parent=parent),
        labels={types.RESTART_COUNT: str(attempt)},
    )


@dataclass(frozen=True)
class Builder:
    """Everything about the pod and the node that its containers' specifications depend on."""

    pod: Object
    paths: PodPaths
    sources: Sources
    services: Iterable[Object]
    facts: PodFacts
    volumes: Mapping[str, Path]
    memory_capacity: int
    cgroup_parent: str
    seccomp_profiles: Path
    seccomp_default: bool = False

    def container(
        self, container: Object, attempt: int, sandbox_id: str, image: Image
    ) -> tuple[ContainerSpec, list[tuple[str, list[str]]]]:
        """The specification, and the envFrom keys that were skipped. Raises ConfigError, MountError, OSError."""
        metadata, spec = self.pod["metadata"], self.pod["spec"]
        variables, skipped = resolve(self.pod, container, self.sources, self.services, self.facts)
        made = ContainerSpec(
            pod_uid=metadata["uid"],
            pod_name=metadata["name"],
            pod_namespace=metadata["namespace"],
            name=container["name"],
            attempt=attempt,
            sandbox_id=sandbox_id,
            image=container["image"],
            command=_expanded(container.get("command"), variables),
            args=_expanded(container.get("args"), variables),
            env=tuple(f"{name}={value}" for name, value in variables.items()),
            working_dir=container.get("workingDir") or "",
            mounts=tuple(self._mounts(container, attempt, variables)),
            resources=container_resources(self.pod, container, self.memory_capacity, self.cgroup_parent),
            security=security(
                self.pod, container, image.user, self.seccomp_profiles, seccomp_default=self.seccomp_default
            ),
            labels=self._labels(container),
            stdin=bool(container.get("stdin")),
            stdin_once=bool(container.get("stdinOnce")),
            tty=bool(container.get("tty")),
            host_pid=bool(spec.get("hostPID")),
            share_pid=bool(spec.get("shareProcessNamespace")),
            host_ipc=bool(spec.get("hostIPC")),
            stop_signal=(container.get("lifecycle") or {}).get("stopSignal") or "",
        )
        return made, skipped

    def _labels(self, container: Object) -> dict[str, str]:
        grace = self.pod["spec"].get("terminationGracePeriodSeconds")
        return {
            types.HASH: container_hash(container),
            types.TERMINATION_PATH: container.get("terminationMessagePath") or DEFAULT_TERMINATION_PATH,
            types.TERMINATION_POLICY: container.get("terminationMessagePolicy") or "File",
            types.GRACE_PERIOD: str(30 if grace is None else grace),
        }

    def _mounts(self, container: Object, attempt: int, variables: Mapping[str, str]) -> list[Mount]:
        mounts = []
        targets = set()
        fixed = {one["name"] for one in self.pod["spec"].get("volumes") or () if _READ_ONLY & one.keys()}
        for mount in container.get("volumeMounts") or ():
            if mount["name"] not in self.volumes:
                raise ConfigError(
                    f'cannot find volume "{mount["name"]}" to mount into container "{container["name"]}"'
                )
            source = self.volumes[mount["name"]]
            relative = mount.get("subPath") or ""
            if mount.get("subPathExpr"):
                try:
                    relative = expand_strict(mount["subPathExpr"], variables)
                except MissingVariable as error:
                    raise ConfigError(f"missing value for {str(error)!r}") from error
            if relative:
                source = sub_path(source, relative, create=True)
            targets.add(mount["mountPath"].rstrip("/"))
            propagation = _PROPAGATION[mount.get("mountPropagation") or "None"]
            read_only = bool(mount.get("readOnly")) or mount["name"] in fixed
            mounts.append(Mount(str(source), mount["mountPath"], read_only, propagation))
        for target, path in (
            ("/etc/hosts", self.paths.etc_hosts),
            ("/etc/resolv.conf", self.paths.resolv_conf),
        ):
            if target not in targets and not (target == "/etc/hosts" and "/etc" in targets):
                mounts.append(Mount(str(path), target))
        log = self.paths.termination_log(container["name"], attempt)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
        log.chmod(0o666)
        target = container.get("terminationMessagePath") or DEFAULT_TERMINATION_PATH
        mounts.append(Mount(str(log), target))
        return mounts


def _expanded(words: Iterable[str] | None, variables: Mapping[str, str]) -> tuple[str, ...] | None:
    return tuple(expand(word, variables) for word in words) if words else None
