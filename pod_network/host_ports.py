"""Host ports: connections to a port of the node go on to a pod of it.

The chains have the names that the CNI portmap plugin gives them. The rules of one pod are a chain of their own, so
that pods come and go without touching each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pod_network import iptables

DNAT_CHAIN = "CNI-HOSTPORT-DNAT"
MARK_CHAIN = "CNI-HOSTPORT-SETMARK"
MASQUERADE_CHAIN = "CNI-HOSTPORT-MASQ"
POD_CHAIN_PREFIX = "CNI-DN-"
MARK = "0x2000/0x2000"
_JUMPS = (
    ("PREROUTING", f"-m addrtype --dst-type LOCAL -j {DNAT_CHAIN}"),
    ("OUTPUT", f"-m addrtype --dst-type LOCAL -j {DNAT_CHAIN}"),
    ("POSTROUTING", f'-m comment --comment "CNI portfwd requiring masquerade" -j {MASQUERADE_CHAIN}'),
)


@dataclass(frozen=True)
class HostPort:
    """One container port that asks for a port of the node; `host_ip` empty means every address of the node."""

    host_port: int
    container_port: int
    protocol: str = "TCP"
    host_ip: str = ""


def pod_chain(sandbox_id: str) -> str:
    """The chain of one sandbox's host ports."""
    return POD_CHAIN_PREFIX + hashlib.sha512(sandbox_id.encode()).hexdigest()[:21]


def _match(port: HostPort) -> str:
    protocol = port.protocol.lower()
    destination = f"-d {port.host_ip}/32 " if port.host_ip not in ("", "0.0.0.0", "::") else ""
    return f"{destination}-p {protocol} -m {protocol} --dport {port.host_port}"


def pod_rules(sandbox_id: str, ip: str, pod_cidr: str, ports: Sequence[HostPort]) -> str:
    """The nat table's text that opens the ports of one pod: a pure function."""
    chain = pod_chain(sandbox_id)
    lines = ["*nat", f":{chain} - [0:0]"]
    for port in ports:
        match = _match(port)
        # From the node's own pods (hairpin) and from loopback the answer must find its way back through the node.
        lines.append(f"-A {chain} -s {pod_cidr} {match} -j {MARK_CHAIN}")
        lines.append(f"-A {chain} -s 127.0.0.1/32 {match} -j {MARK_CHAIN}")
        lines.append(f"-A {chain} {match} -j DNAT --to-destination {ip}:{port.container_port}")
    for port in ports:
        lines.append(f"-A {DNAT_CHAIN} {_entry(chain, port)}")
    return "\n".join([*lines, "COMMIT", ""])


def _entry(chain: str, port: HostPort) -> str:
    return f"{_match(port)} -j {chain}"


def base_rules() -> str:
    """The nat table's text of the chains that all pods share, without emptying the one that points to pods."""
    return "\n".join(
        (
            "*nat",
            f":{MARK_CHAIN} - [0:0]",
            f":{MASQUERADE_CHAIN} - [0:0]",
            f'-A {MARK_CHAIN} -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark {MARK}',
            f"-A {MASQUERADE_CHAIN} -m mark --mark {MARK} -j MASQUERADE",
            "COMMIT",
            "",
        )
    )


def open_ports(sandbox_id: str, ip: str, pod_cidr: str, ports: Sequence[HostPort]) -> None:
    """Make the node's ports lead to the pod (blocking). Raises IptablesError; then nothing was opened."""
    close_ports(sandbox_id)
    if not in_use():
        iptables.iptables("nat", f"-N {DNAT_CHAIN}")
    iptables.restore(base_rules())
    for chain, rule in _JUMPS:
        iptables.ensure_rule("nat", chain, rule)
    iptables.restore(pod_rules(sandbox_id, ip, pod_cidr, ports))


def in_use() -> bool:
    """Whether any pod has had host ports on this node (blocking); most nodes need not look further."""
    return iptables.in_use("nat") and iptables.succeeds("nat", f"-S {DNAT_CHAIN}")


def close_ports(sandbox_id: str) -> None:
    """Remove the pod's rules (blocking); harmless when it has none. Raises IptablesError."""
    _remove_chains({pod_chain(sandbox_id)})


def remove_all() -> None:
    """Remove every rule and chain of host ports (blocking)."""
    present = set(iptables.chains("nat")) if iptables.in_use("nat") else set()
    if DNAT_CHAIN not in present:
        return
    for chain, rule in _JUMPS:
        iptables.delete_rule("nat", chain, rule)
    _remove_chains({chain for chain in present if chain.startswith(POD_CHAIN_PREFIX)})
    for chain in (DNAT_CHAIN, MASQUERADE_CHAIN, MARK_CHAIN):
        if chain in present:
            iptables.iptables("nat", f"-F {chain}")
            iptables.iptables("nat", f"-X {chain}")


def _remove_chains(names: Collection[str]) -> None:
    rules = iptables.iptables("nat", "-S").splitlines()
    present = {line.split()[1] for line in rules if line.startswith("-N ")} & set(names)
    if not present:
        return
    pointing = [
        line for line in rules if line.startswith(f"-A {DNAT_CHAIN} ") and line.split()[-1] in present
    ]
    lines = ["*nat", *(f":{chain} - [0:0]" for chain in sorted(present))]
    lines += ["-D" + line[2:] for line in pointing]
    lines += [f"-X {chain}" for chain in sorted(present)]
    iptables.restore("\n".join([*lines, "COMMIT", ""]))
