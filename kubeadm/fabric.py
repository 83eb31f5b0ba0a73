"""The node network of a one-machine cluster: a bridge to which the machine and every further node are plugged.

A node is a machine, that is, a network namespace with an address of its own. Node 1 is the machine itself; the others
are made here. The bridge stands in a namespace of its own, so that the machine's firewall and connection
tracking never see traffic between two other nodes.

Everything carries the cluster's name and is found again by it: `create` may run twice, `remove` after a crash.
"""

from __future__ import annotations

import contextlib
import ipaddress
import shutil
import subprocess
from pathlib import Path

from pyroute2 import IPRoute, NetNS, netns
from pyroute2.netlink.exceptions import NetlinkError

from kubeadm.errors import UserError
from kubeadm.settings import Node, Settings

EEXIST = 17
MTU = 1500


def create(settings: Settings) -> None:
    """Makes the fabric and the nodes' namespaces; what exists already is left alone.

    Raises UserError when the kernel refuses (no CAP_NET_ADMIN) or the node network is used by another interface.
    """
    network = ipaddress.ip_network(settings.node_network)
    try:
        _refuse_foreign_use(settings)
        _ensure_namespace(settings.fabric_namespace)
        with NetNS(settings.fabric_namespace, flags=0) as fabric:
            if not fabric.link_lookup(ifname="br0"):
                fabric.link("add", ifname="br0", kind="bridge", br_stp_state=0, br_forward_delay=0)
                fabric.link("set", index=fabric.link_lookup(ifname="br0")[0], state="up", mtu=MTU)
                fabric.link("set", index=1, state="up")
        for node in settings.all_nodes():
            if node.namespace is None:
                with IPRoute() as machine:
                    _plug(settings, machine, settings.fabric_interface, "machine", node.address, network)
                continue
            _ensure_namespace(node.namespace)
            with NetNS(node.namespace, flags=0) as inside:
                inside.link("set", index=1, state="up")
                _plug(settings, inside, "eth0", node.name, node.address, network)
                with contextlib.suppress(NetlinkError):
                    inside.route("add", dst="default", gateway=settings.machine_address)
            _set_in_namespace(node.namespace, "net/ipv4/ip_forward", "1")
        _set("net/ipv4/ip_forward", "1")
        _firewall(settings, present=True)
    except (NetlinkError, PermissionError) as error:
        raise UserError(f"The node network could not be made: {error}.") from error


def _refuse_foreign_use(settings: Settings) -> None:
    """An address of ours on somebody else's interface would make two networks out of one."""
    network = ipaddress.ip_network(settings.node_network)
    with IPRoute() as machine:
        for address in machine.get_addr():
            text, label = address.get_attr("IFA_ADDRESS"), address.get_attr("IFA_LABEL")
            if label != settings.fabric_interface and text and ipaddress.ip_address(text) in network:
                raise UserError(
                    f"The node network {network} is used by interface {label} ({text}); "
                    "choose another with --node-network."
                )


def _plug(
    settings: Settings,
    side: IPRoute,
    interface: str,
    port: str,
    address: str,
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> None:
    """A veth pair: `interface` with the address on this side, `port` on the bridge."""
    if not side.link_lookup(ifname=interface):
        side.link(
            "add",
            ifname=interface,
            kind="veth",
            peer={"ifname": port, "net_ns_fd": settings.fabric_namespace},
        )
        with NetNS(settings.fabric_namespace, flags=0) as fabric:
            bridge = fabric.link_lookup(ifname="br0")[0]
            fabric.link("set", index=fabric.link_lookup(ifname=port)[0], master=bridge, state="up", mtu=MTU)
    index = side.link_lookup(ifname=interface)[0]
    try:
        side.addr("add", index=index, address=address, prefixlen=network.prefixlen)
    except NetlinkError as error:
        if error.code != EEXIST:
            raise
    side.link("set", index=index, state="up", mtu=MTU)


def _ensure_namespace(name: str) -> None:
    if name not in netns.listnetns():
        netns.create(name)


def _set(key: str, value: str) -> None:
    path = Path("/proc/sys") / key
    if path.read_text().strip() != value:
        path.write_text(value)


def _set_in_namespace(namespace: str, key: str, value: str) -> None:
    subprocess.run(
        ["nsenter", f"--net=/run/netns/{namespace}", "sh", "-c", f"echo {value} > /proc/sys/{key}"],
        check=True,
    )


def firewall_rules(settings: Settings) -> list[tuple[str, str, list[str]]]:
    """(table, chain, rule) on the machine: other nodes reach the outside through it, as through a router."""
    network, comment = settings.node_network, ["-m", "comment", "--comment", f"{settings.name} nodes"]
    return [
        ("nat", "POSTROUTING", ["-s", network, "!", "-d", network, *comment, "-j", "MASQUERADE"]),
        ("filter", "FORWARD", ["-i", settings.fabric_interface, *comment, "-j", "ACCEPT"]),
        ("filter", "FORWARD", ["-o", settings.fabric_interface, *comment, "-j", "ACCEPT"]),
    ]


def _firewall(settings: Settings, *, present: bool) -> None:
    for table, chain, rule in firewall_rules(settings):
        for binary in _variants(table, present=present):
            command = [binary, "-w", "5", "-t", table]
            there = _succeeds([*command, "-C", chain, *rule])
            if present and not there:
                subprocess.run([*command, "-I", chain, *rule], check=True, capture_output=True)
            while there and not present:
                subprocess.run([*command, "-D", chain, *rule], check=True, capture_output=True)
                there = _succeeds([*command, "-C", chain, *rule])


def _variants(table: str, *, present: bool) -> list[str]:
    """The iptables variants to write to. A packet passes both; ours is the legacy one. Where the engine uses the other
    and refuses to forward there, that one needs our rule too; it is not touched otherwise, because
    even a look would leave empty tables behind."""
    variants = ["iptables-legacy"]
    if table == "filter" and shutil.which("iptables-nft-save"):
        saved = subprocess.run(
            ["iptables-nft-save", "-t", table], capture_output=True, text=True, check=False
        ).stdout
        if ":FORWARD DROP" in saved or (not present and ":FORWARD" in saved):
            variants.append("iptables-nft")
    return variants


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def remove_node(settings: Settings, node: Node) -> None:
    """Takes one node's namespace away, and with it the node's links, routes and rules."""
    if node.namespace is not None:
        with contextlib.suppress(FileNotFoundError):
            netns.remove(node.namespace)


def remove(settings: Settings) -> None:
    """Takes namespaces, links and rules away again; what is missing already is no error."""
    with contextlib.suppress(FileNotFoundError):
        _firewall(settings, present=False)
    with IPRoute() as machine:
        for index in machine.link_lookup(ifname=settings.fabric_interface):
            machine.link("del", index=index)
    ours = [settings.fabric_namespace]
    ours += [name for name in netns.listnetns() if name.startswith(f"{settings.name}-node-")]
    for name in ours:
        with contextlib.suppress(FileNotFoundError):
            netns.remove(name)
