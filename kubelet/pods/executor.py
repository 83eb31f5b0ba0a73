"""Carries out a pod's plan: sandbox, images, containers, hooks, events. Decides nothing.

Each action leaves the runtime view up to date, so that the next plan sees its effect. Actions may be cancelled at
any await (the pod is to be stopped); calls to the engine that change something are finished first, so that
nothing is started behind the back of the one who stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from apimachinery import Object
from apimachinery.meta import object_reference
from component_base.logs import get_logger
from kubelet.containers import names_files
from kubelet.containers.downward import PodFacts
from kubelet.containers.environment import ConfigError
from kubelet.containers.resources import cgroup_parent, pod_resources, qos_class
from kubelet.images.manager import ImageFailed
from kubelet.node import cgroups
from kubelet.paths import PodPaths
from kubelet.pods import hooks, specification
from kubelet.pods.actions import (
    Action,
    KillContainer,
    Remove,
    StartContainer,
    StartSandbox,
    StopSandbox,
    Waiting,
)
from kubelet.pods.state import ActionFailed, PodState, host_network
from kubelet.probes.prober import Prober
from kubelet.runtime import types
from kubelet.runtime.types import Image, RuntimeFailure, RuntimeUnavailable
from kubelet.services import Services
from kubelet.volumes.manager import VolumeFailed, describe
from kubelet.volumes.payload import MountError
from pod_network.errors import NetworkError
from pod_network.host_ports import HostPort

T = TypeVar("T")
RETRY_SECONDS = 2.0
MINIMUM_GRACE = 2.0
log = get_logger("pods")


async def uninterrupted(work: Awaitable[T]) -> T:
    """Await to the end even when cancelled; the cancellation is raised afterwards."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is not None:
            log.debug("Interrupted action failed", error=str(task.exception()))
        raise


class PodExecutor:
    """Acts for one pod. `pod` is kept current by the worker."""

    def __init__(self, services: Services, pod: Object, state: PodState, prober: Prober) -> None:
        self._services, self.pod, self._state, self._prober = services, pod, state, prober
        self._runtime, self._view = services.runtime, services.view

    @property
    def uid(self) -> str:
        return str(self.pod["metadata"]["uid"])

    @property
    def paths(self) -> PodPaths:
        return PodPaths(self._services.root, self.uid)

    def event(
        self,
        type_: Literal["Normal", "Warning"],
        reason: str,
        message: str,
        container: str = "",
        kind: str = "",
    ) -> None:
        """An event about the pod or one of its containers."""
        reference = object_reference(self.pod)
        if container:
            reference["fieldPath"] = f"spec.{kind or self._field(container)}{{{container}}}"
        self._services.recorder.event(reference, type_, reason, message)

    def _field(self, container: str) -> str:
        init = self.pod["spec"].get("initContainers") or ()
        return "initContainers" if any(one["name"] == container for one in init) else "containers"

    def facts(self) -> PodFacts:
        services = self._services
        return PodFacts(services.node_name, services.node_ips, self._state.pod_ips, services.allocatable)

    async def do(self, action: Action) -> None:
        """Carry out one action. Raises ActionFailed, RuntimeUnavailable."""
        match action:
            case StartSandbox(attempt):
                await self.start_sandbox(attempt)
            case StartContainer():
                await self.start_container(action)
            case KillContainer(container_id, name, message, probe):
                await self.kill_container(container_id, name, message, self._kill_grace(name, probe))
            case StopSandbox(sandbox_id):
                await self.stop_sandbox(sandbox_id)
            case Remove(container_id):
                await self.remove(container_id)

    async def remove(self, container_id: str) -> None:
        """Remove an ended container, or a sandbox with its address. Raises ActionFailed, RuntimeUnavailable."""
        known, network = self._view.find(container_id), self._services.network
        try:
            if known is not None and known.is_sandbox and network is not None and not host_network(self.pod):
                await network.teardown_pod(container_id)
            await uninterrupted(self._runtime.remove(container_id))
        except RuntimeUnavailable:
            raise
        except (RuntimeFailure, NetworkError) as error:
            raise ActionFailed(str(error), time.time() + RETRY_SECONDS) from error
        self._state.messages.pop(container_id, None)
        self._view.forget(container_id)

    def _kill_grace(self, name: str, probe: str) -> float:
        """A liveness or startup probe may have a grace period of its own."""
        for container in specification.all_containers(self.pod):
            if container["name"] == name and probe:
                own = (container.get(f"{probe}Probe") or {}).get("terminationGracePeriodSeconds")
                if own is not None:
                    return float(own)
        asked = self.pod["spec"].get("terminationGracePeriodSeconds")
        return float(30 if asked is None else asked)

    # -- preparation -------------------------------------------------------------------------------------

    async def set_up_volumes(self) -> None:
        """Volumes and name files; again when their sources have changed. Raises ActionFailed."""
        complaint = await self._services.objects.wait(self.pod)
        try:
            if complaint:
                raise VolumeFailed("kube-api-access", complaint)
            self._state.volumes = await self._services.volumes.set_up(self.pod, self.facts())
            self._state.volumes_dirty = False
        except VolumeFailed as error:
            self.event("Warning", "FailedMount", str(error))
            raise ActionFailed(str(error), time.time() + RETRY_SECONDS) from error

    def write_name_files(self, *, missing_only: bool = False) -> None:
        """/etc/hosts and /etc/resolv.conf for the pod's containers (blocking). Raises OSError.

        With `missing_only` files that are there stay: containers may have changed them.
        """
        if missing_only and self.paths.etc_hosts.exists() and self.paths.resolv_conf.exists():
            return
        config = self._services.config
        self.paths.directory.mkdir(parents=True, exist_ok=True)
        node_hosts = _read("/etc/hosts") if host_network(self.pod) else ""
        hosts = names_files.hosts_file(self.pod, self._state.pod_ips, config.clusterDomain, node_hosts)
        self.paths.etc_hosts.write_text(hosts)
        node = names_files.parse_resolver(_read(config.resolvConf))
        resolver = names_files.resolver(self.pod, node, config.clusterDNS, config.clusterDomain)
        self.paths.resolv_conf.write_text(resolver.render())

    # -- sandbox -----------------------------------------------------------------------------------------

    async def start_sandbox(self, attempt: int) -> None:
        """Raises ActionFailed; whatever was made is gone then."""
        services = self._services
        if attempt > 0:
            self.event("Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
        network = "none"
        if host_network(self.pod):
            if services.host_network is None:
                text = (
                    "host network is not possible here: the engine cannot reach the node's network namespace"
                )
                self.event("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {text}")
                raise ActionFailed(text, time.time() + 60.0)
            network = services.host_network
        elif services.network is None:
            text = f"network is not ready: container runtime network not ready: {services.network_problem}"
            self.event("Warning", "NetworkNotReady", text)
            raise ActionFailed(text, time.time() + RETRY_SECONDS)
        parent = cgroup_parent(self.uid, qos_class(self.pod), services.cgroup_driver)
        spec = specification.sandbox(
            self.pod, attempt, services.pause_image, network, parent, services.config.clusterDomain
        )
        try:
            await asyncio.to_thread(self._limit_pod, parent)
            sandbox_id = await uninterrupted(self._create_sandbox(spec))
            self._state.pod_ips = await self.connect(sandbox_id)
            await asyncio.to_thread(self.write_name_files)
            self._state.connected = sandbox_id
        except RuntimeUnavailable:
            raise
        except (RuntimeFailure, NetworkError, OSError) as error:
            self.event("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
            await self._discard_sandboxes()
            raise ActionFailed(str(error), time.time() + RETRY_SECONDS) from error

    def _limit_pod(self, parent: str) -> None:
        """The pod's own cgroup. A node that does not let us write it runs the pod without."""
        if self._services.cgroup_driver != "cgroupfs":
            return
        try:
            cgroups.apply(pod_resources(self.pod, parent))
        except OSError as error:
            log.debug("Pod cgroup not set", pod=self.pod["metadata"]["name"], error=str(error))

    def forget_cgroup(self) -> None:
        """Remove the pod's own cgroup; the kernel does it late while processes are still ending."""
        if self._services.cgroup_driver == "cgroupfs":
            with contextlib.suppress(OSError):
                cgroups.remove(cgroup_parent(self.uid, qos_class(self.pod), "cgroupfs"))

    async def _create_sandbox(self, spec: types.SandboxSpec) -> str:
        sandbox_id = await self._runtime.create_sandbox(spec)
        self._view.observe(await self._runtime.start(sandbox_id))
        return sandbox_id

    async def _discard_sandboxes(self) -> None:
        for sandbox in self._view.record(self.uid).sandboxes:
            await self.stop_sandbox(sandbox.id)

    async def connect(self, sandbox_id: str) -> tuple[str, ...]:
        """Plug the sandbox into the pod network, or find it plugged; the pod's addresses. Raises NetworkError."""
        if host_network(self.pod):
            return self._services.node_ips
        status, network = self._view.find(sandbox_id), self._services.network
        if network is None or status is None:
            raise NetworkError(self._services.network_problem)
        ports = [
            HostPort(
                int(port["hostPort"]),
                int(port["containerPort"]),
                port.get("protocol") or "TCP",
                port.get("hostIP") or "",
            )
            for container in specification.all_containers(self.pod)
            for port in container.get("ports") or ()
            if port.get("hostPort")
        ]
        addresses = await network.setup_pod(sandbox_id, status.pid, host_ports=ports)
        return (addresses.ip,)

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """Disconnect and stop. Raises ActionFailed, RuntimeUnavailable."""
        try:
            if self._services.network is not None and not host_network(self.pod):
                await self._services.network.teardown_pod(sandbox_id)
            await uninterrupted(self._runtime.stop(sandbox_id, 0))
            await self._view.refresh(sandbox_id)
        except RuntimeUnavailable:
            raise
        except (RuntimeFailure, NetworkError) as error:
            self.event("Warning", "FailedKillPod", f"error killing pod: {error}")
            raise ActionFailed(str(error), time.time() + RETRY_SECONDS) from error

    # -- containers --------------------------------------------------------------------------------------

    async def start_container(self, action: StartContainer) -> None:
        """Pull, create, start, postStart. A failure shows as the container's waiting reason."""
        container, name = action.container, action.container["name"]
        image = await self._image(container)
        if action.previous_end is not None:
            key = f"{self.uid}/{name}"
            self._services.restarts.next(key, action.previous_end, time.time())
        try:
            spec = self._specification(action, image)
        except (ConfigError, MountError) as error:
            self._fail(name, "CreateContainerConfigError", str(error))
        except OSError as error:
            self._fail(name, "CreateContainerError", describe(error))
        self._state.hooks_pending.add(name)
        try:
            await uninterrupted(self._create_and_start(spec))
            status = self._view.record(self.uid).latest(name)
            self._state.waiting.pop(name, None)
            if status is not None and status.state == "running":
                await self._post_start(container, status.id)
        finally:
            self._state.hooks_pending.discard(name)
        status = self._view.record(self.uid).latest(name)
        if status is not None and status.state == "running":
            self._prober.add(container, status)

    async def _image(self, container: Object) -> Image:
        name = container["name"]
        secrets = [
            secret
            for reference in self.pod["spec"].get("imagePullSecrets") or ()
            if (secret := self._services.objects.secret(self.pod["metadata"]["namespace"], reference["name"]))
        ]

        def event(type_: str, reason: str, message: str) -> None:
            self.event("Warning" if type_ == "Warning" else "Normal", reason, message, name)

        try:
            image = await self._services.images.ensure(self.pod, container, secrets, event)
        except ImageFailed as error:
            self._state.waiting[name] = Waiting(error.reason, error.message)
            raise ActionFailed(error.message, error.retry_at) from error
        self._state.images[image.id] = image.reference
        return image

    def _fail(self, name: str, reason: str, message: str) -> None:
        self._state.waiting[name] = Waiting(reason, message)
        self.event("Warning", "Failed", f"Error: {message}", name)
        raise ActionFailed(message, time.time() + RETRY_SECONDS * 5)

    def _specification(self, action: StartContainer, image: Image) -> types.ContainerSpec:
        sandbox = self._view.record(self.uid).running_sandbox
        if sandbox is None:
            raise ActionFailed("the sandbox has ended", time.time())
        services = self._services
        builder = specification.Builder(
            self.pod,
            self.paths,
            services.objects,
            services.services(),
            self.facts(),
            self._state.volumes or {},
            services.memory_capacity,
            cgroup_parent(self.uid, qos_class(self.pod), services.cgroup_driver),
            services.root / "seccomp",
            services.config.seccompDefault,
        )
        spec, skipped = builder.container(action.container, action.attempt, sandbox.id, image)
        for source, keys in skipped:
            text = (
                f"Keys [{', '.join(keys)}] from the EnvFrom {source} were skipped since they are considered "
                "invalid environment variable names."
            )
            self.event("Warning", "InvalidEnvironmentVariableNames", text)
        return spec

    async def _create_and_start(self, spec: types.ContainerSpec) -> None:
        try:
            container_id = await self._runtime.create_container(spec)
        except RuntimeUnavailable:
            raise
        except RuntimeFailure as error:
            self._fail(spec.name, "CreateContainerError", f"Error response from daemon: {error}")
        self.event("Normal", "Created", "Container created", spec.name)
        try:
            self._view.observe(await self._runtime.start(container_id))
        except RuntimeUnavailable:
            raise
        except RuntimeFailure as error:
            await self._view.refresh(container_id)
            text = f'failed to start container "{spec.name}": Error response from daemon: {error}'
            self._state.waiting[spec.name] = Waiting("RunContainerError", text)
            self.event("Warning", "Failed", f"Error: {text}", spec.name)
            return
        self.event("Normal", "Started", "Container started", spec.name)
        limits = getattr(self._runtime, "privileged_works", None)
        if spec.security.privileged and limits is False:
            text = "This machine cannot run privileged containers; all capabilities that it has were granted instead"
            self.event("Warning", "PrivilegedLimited", text, spec.name)

    async def _post_start(self, container: Object, container_id: str) -> None:
        hook = (container.get("lifecycle") or {}).get("postStart")
        if not hook:
            return
        name = container["name"]
        try:
            await hooks.run(hook, container, container_id, self._first_ip(), self._runtime)
        except hooks.HookFailed as error:
            self.event("Warning", "FailedPostStartHook", f"PostStartHook failed: {error}", name)
            await self.kill_container(container_id, name, "FailedPostStartHook", MINIMUM_GRACE)
            self._state.waiting[name] = Waiting("PostStartHookError", str(error))

    def _first_ip(self) -> str:
        return self._state.pod_ips[0] if self._state.pod_ips else ""

    async def kill_container(
        self,
        container_id: str,
        name: str,
        message: str,
        grace: float,
        before_signal: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """preStop, the stop signal, the rest of the grace period, SIGKILL."""
        self.event("Normal", "Killing", message, name)
        clock = asyncio.get_running_loop().time
        deadline = clock() + grace
        known: dict[str, Object] = {one["name"]: one for one in specification.all_containers(self.pod)}
        container = known.get(name, {"name": name})
        hook = (container.get("lifecycle") or {}).get("preStop")
        if hook and grace > 0:
            await self._pre_stop(hook, container, container_id, grace)
        if before_signal is not None:
            await before_signal()
        left = max(deadline - clock(), MINIMUM_GRACE) if grace > 0 else 0.0
        try:
            await self._runtime.stop(container_id, left)
            await self._view.refresh(container_id)
        except RuntimeUnavailable:
            raise
        except RuntimeFailure as error:
            raise ActionFailed(str(error), time.time() + RETRY_SECONDS) from error
        self._prober.remove(container_id)

    async def _pre_stop(self, hook: Object, container: Object, container_id: str, grace: float) -> None:
        try:
            async with asyncio.timeout(grace):
                await hooks.run(hook, container, container_id, self._first_ip(), self._runtime)
        except hooks.HookFailed as error:
            self.event("Warning", "FailedPreStopHook", f"PreStopHook failed: {error}", container["name"])
        except TimeoutError:
            log.info("preStop hook did not end within the grace period", container=container["name"])


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
