"""Connects pod sandboxes to the node's bridge: what the kubelet calls for each pod.

`SandboxNetwork` is the interface; `PodNetwork` is the built-in wiring (a bridge and a veth pair per pod). Everything
is idempotent: after a restart the kubelet may set up again what is connected already and gets the same answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

from component_base.logs import get_logger
from pod_network import host_ports, links
from pod_network.addresses import AddressBook
from pod_network.errors import NetworkError
from pod_network.host_ports import HostPort
from pod_network.namespaces import NetworkThread, is_own
from pod_network.sysctls import set_bridge_netfilter, set_sysctl

DEFAULT_BRIDGE = "cni0"
BRIDGE_ALIAS = "skiff pod network"
VETH_PREFIX = "veth"


P = ParamSpec("P")
T = TypeVar("T")
log = get_logger("pod_network")


def veth_name(sandbox_id: str) -> str:
    """The node's end of the sandbox's veth pair: 12 characters, well within the kernel's 15."""
    return VETH_PREFIX + hashlib.sha256(sandbox_id.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class PodAddresses:
    """How a pod is reached: `interface` is its name inside the pod, `mac` that interface's hardware address."""

    ip: str
    gateway: str
    interface: str
    mac: str


class SandboxNetwork(Protocol):
    """What the kubelet needs of a pod network, whoever provides it."""

    async def setup_pod(
        self, sandbox_id: str, pid: int, *, host_ports: Sequence[HostPort] = ()
    ) -> PodAddresses:
        """Connect the sandbox whose pause process is `pid`. Raises NetworkError; to be tried again."""
        ...

    async def teardown_pod(self, sandbox_id: str) -> None:
        """Disconnect and free the address; harmless when done already. Raises NetworkError."""
        ...

    async def reconcile(self, sandboxes: Mapping[str, int]) -> None:
        """After a restart: `sandboxes` (pause pid by id) is all that lives; whatever belongs to others is freed."""
        ...

    async def check(self) -> None:
        """Return when the node's part is in order (repairing it if need be). Raises NetworkError."""
        ...


class PodNetwork:
    """The built-in wiring: bridge `cni0` holding the first address of `pod_cidr`, a veth pair per pod.

    `state_dir` keeps the address book over restarts (None: memory only). `node_netns` is the node's network
    namespace (name or path), None for the one that the process runs in. The MTU is that of the node's uplink.
    """

    def __init__(
        self,
        pod_cidr: str,
        node_netns: str | None = None,
        *,
        state_dir: Path | None = None,
        bridge: str = DEFAULT_BRIDGE,
        mtu: int | None = None,
    ) -> None:
        self.pod_cidr = pod_cidr
        self._bridge = bridge
        self._book = _open_book(pod_cidr, state_dir / f"addresses-{bridge}.json" if state_dir else None)
        self._wanted_mtu = mtu
        self._mtu = 0
        self._ready = False
        self._host_ports_used = False
        self._thread = NetworkThread(node_netns)

    async def setup_pod(
        self, sandbox_id: str, pid: int, *, host_ports: Sequence[HostPort] = ()
    ) -> PodAddresses:
        """Connect the sandbox, or find it connected. Takes about 5 ms. Raises NetworkError."""
        return await self._call(self._setup, sandbox_id, pid, tuple(host_ports))

    async def teardown_pod(self, sandbox_id: str) -> None:
        """Remove the pod's interface and host ports, and free its address; harmless when done already."""
        await self._call(self._teardown, sandbox_id)

    async def reconcile(self, sandboxes: Mapping[str, int]) -> None:
        """Note the addresses of all living sandboxes, free those of others. To be called once at start-up."""
        await self._call(self._reconcile, dict(sandboxes))

    async def check(self) -> None:
        """Make bridge and kernel settings right. Raises NetworkError when that is not possible."""
        await self._call(self._prepare)

    async def close(self) -> None:
        """End the worker thread. Pods stay connected."""
        self._thread.close()

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await self._thread.run(function, *args, **kwargs)
        except NetworkError:
            raise
        except OSError as error:
            raise NetworkError(f"pod network: {error}") from error

    # Everything below runs in the node's network thread, one call at a time.

    def _prepare(self) -> None:
        self._mtu = self._wanted_mtu or links.uplink()[1]
        network = self._book.network
        links.loopback_up()
        links.ensure_bridge(self._bridge, self._book.gateway, network.prefixlen, self._mtu, BRIDGE_ALIAS)
        set_sysctl("net/ipv4/ip_forward", "1")
        set_bridge_netfilter()
        links.attach(self._bridge, [veth_name(owner) for owner in self._book.owners()])
        self._ready = True

    def _setup(self, sandbox_id: str, pid: int, ports: Sequence[HostPort]) -> PodAddresses:
        if not self._ready:
            self._prepare()
        if is_own(pid):
            raise NetworkError(f"sandbox {sandbox_id} is in the node's own network namespace")
        present = links.pod_interface(pid)
        address = self._book.allocate(sandbox_id)
        if present is None or present.address != address:
            try:
                self._connect(sandbox_id, pid, address)
            except (NetworkError, OSError):
                self._ready = False
                if present is None:
                    self._book.release(sandbox_id)
                raise
        if ports:
            self._host_ports_used = True
            host_ports.open_ports(sandbox_id, address, self.pod_cidr, ports)
        return PodAddresses(address, self._book.gateway, links.POD_INTERFACE, links.mac_for(address))

    def _connect(self, sandbox_id: str, pid: int, address: str) -> None:
        links.connect_pod(
            self._bridge,
            veth_name(sandbox_id),
            pid,
            address,
            self._book.network.prefixlen,
            self._book.gateway,
            self._mtu,
        )

    def _teardown(self, sandbox_id: str) -> None:
        links.delete(veth_name(sandbox_id))
        if self._host_ports_used:
            host_ports.close_ports(sandbox_id)
        self._book.release(sandbox_id)

    def _reconcile(self, sandboxes: Mapping[str, int]) -> None:
        for sandbox_id, pid in sandboxes.items():
            try:
                present = None if is_own(pid) else links.pod_interface(pid)
            except FileNotFoundError:
                continue  # ended between the kubelet's look and ours; it will be torn down
            if present is not None:
                self._book.record(sandbox_id, present.address)
        self._host_ports_used = host_ports.in_use()
        for gone in self._book.keep_only(sandboxes):
            links.delete(veth_name(gone))
            if self._host_ports_used:
                host_ports.close_ports(gone)
            log.info("Freed the address of a sandbox that is gone", sandbox=gone)
        self._prepare()


def _open_book(pod_cidr: str, path: Path | None) -> AddressBook:
    """The address book; a damaged one is set aside, for `reconcile` learns everything again from the sandboxes."""
    try:
        return AddressBook(pod_cidr, path)
    except NetworkError as error:
        if path is None:
            raise
        aside = path.with_suffix(".damaged")
        path.replace(aside)
        log.error("Address book set aside", error=error, kept=str(aside))
        return AddressBook(pod_cidr, path)
