"""The whole rule set as a value, and the text that turns one rule set into another.

A rule set maps each chain of ours to the text of its rules, per table. Comparing two of them by chain gives the least
that `iptables-restore --noflush` must be told; a full sync is the same against an empty one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from kube_proxy import names
from kube_proxy.rules import NodeFacts, ServiceRules

Chains = dict[str, str]
# A rule, not only a chain: a plain `iptables -F` leaves chains, but it takes their rules.
CANARY_RULE = '-m comment --comment "flush detection"'
CANARY = f"-A {names.CANARY} {CANARY_RULE}\n"


@dataclass(slots=True)
class RuleSet:
    """Rules by chain of the tables filter and nat."""

    filter: Chains = field(default_factory=dict)
    nat: Chains = field(default_factory=dict)


def assemble(services: Iterable[ServiceRules], facts: NodeFacts) -> RuleSet:
    """Put all services' rules and the fixed ones together."""
    nat: Chains = {}
    services = list(services)
    for rules in services:
        nat.update(rules.chains)
    nat[names.SERVICES] = "".join([rules.nat_services for rules in services]) + _node_port_entry(facts)
    nat[names.NODE_PORTS] = "".join([rules.nat_node_ports for rules in services])
    nat[names.POSTROUTING] = _postrouting(facts)
    nat[names.MARK_MASQ] = f"-A {names.MARK_MASQ} -j MARK --or-mark {facts.mark}\n"
    filter_ = {
        names.SERVICES: "".join([rules.filter_services for rules in services]) + _unassigned(facts),
        names.EXTERNAL_SERVICES: "".join([rules.filter_external for rules in services]),
        names.NODE_PORTS: "".join([rules.filter_node_ports for rules in services]),
        names.PROXY_FIREWALL: "".join([rules.filter_firewall for rules in services]),
        names.FORWARD: _forward(facts),
        names.CANARY: CANARY,
    }
    nat[names.CANARY] = CANARY
    if facts.localhost_node_ports:
        filter_[names.KUBELET_FIREWALL] = _localnet_firewall()
    return RuleSet(filter_, nat)


def difference(old: RuleSet, new: RuleSet, stale: Collection[str] = ()) -> str:
    """The text for `iptables-restore --noflush` that turns `old` into `new`, empty when they are equal.

    `stale` are chains of the nat table, seen in the kernel, that `new` may do without.
    """
    filter_ = _table("filter", old.filter, new.filter, ())
    # filter first: what is to be refused is refused before it stops being translated.
    return filter_ + _table("nat", old.nat, new.nat, stale)


def _table(table: str, old: Chains, new: Chains, stale: Collection[str]) -> str:
    changed = {chain: rules for chain, rules in new.items() if old.get(chain) != rules}
    removed = sorted({chain for chains in (old, stale) for chain in chains if chain not in new})
    if not changed and not removed:
        return ""
    lines = [f"*{table}\n"]
    lines += [f":{chain} - [0:0]\n" for chain in (*changed, *removed)]
    lines += changed.values()
    lines += [f"-X {chain}\n" for chain in removed]
    lines.append("COMMIT\n")
    return "".join(lines)


def _node_port_entry(facts: NodeFacts) -> str:
    comment = (
        '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"'
    )
    if facts.node_port_addresses:
        return "".join(
            f"-A {names.SERVICES} {comment} -d {network} -m addrtype --dst-type LOCAL -j {names.NODE_PORTS}\n"
            for network in facts.node_port_addresses
        )
    loopback = "" if facts.localhost_node_ports else "! -d 127.0.0.0/8 "
    return f"-A {names.SERVICES} {comment} {loopback}-m addrtype --dst-type LOCAL -j {names.NODE_PORTS}\n"


def _unassigned(facts: NodeFacts) -> str:
    """What is still addressed to the service range here was translated by no service: refused, for beyond the
    node's gateway somebody might accept it and make a missing service look alive."""
    if not facts.service_cidr:
        return ""
    return (
        f'-A {names.SERVICES} -m comment --comment "no service has this address and port" '
        f"-d {facts.service_cidr} -j REJECT\n"
    )


def _postrouting(facts: NodeFacts) -> str:
    mark = facts.mark
    return (
        f"-A {names.POSTROUTING} -m mark ! --mark {mark}/{mark} -j RETURN\n"
        # Cleared, so that the packet is not masqueraded again where it passes this chain a second time.
        f"-A {names.POSTROUTING} -j MARK --xor-mark {mark}\n"
        f'-A {names.POSTROUTING} -m comment --comment "kubernetes service traffic requiring SNAT" '
        "-j MASQUERADE --random-fully\n"
    )


def _forward(facts: NodeFacts) -> str:
    mark = facts.mark
    # Packets that conntrack does not understand would leave untranslated and reset good connections.
    invalid = f"-A {names.FORWARD} -m conntrack --ctstate INVALID -j DROP\n" if facts.drop_invalid else ""
    return (
        f"{invalid}"
        f'-A {names.FORWARD} -m comment --comment "kubernetes forwarding rules" '
        f"-m mark --mark {mark}/{mark} -j ACCEPT\n"
        f'-A {names.FORWARD} -m comment --comment "kubernetes forwarding conntrack rule" '
        "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
    )


def _localnet_firewall() -> str:
    """route_localnet, which node ports on 127.0.0.1 need, must not let neighbours reach the node's loopback."""
    return (
        f'-A {names.KUBELET_FIREWALL} -m comment --comment "block incoming localnet connections" '
        "-d 127.0.0.0/8 ! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP\n"
    )
