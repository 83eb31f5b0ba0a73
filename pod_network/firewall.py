"""What packets of pods need of the node's firewall: to be forwarded, and to leave the cluster under its address.

The rules are in chains of our own, appended to the built-in ones: whatever refuses (services without endpoints, network
policies, the administrator) comes before them. A packet passes the tables of both iptables variants. Ours is the
legacy one; where another program has set FORWARD to DROP in the nft variant, as dockerd does, that one gets the
forwarding rules too. It is looked at with `iptables-nft-save` only, for any other command would leave empty tables.
"""

from __future__ import annotations

from collections.abc import Sequence

from pod_network import iptables
from pod_network.iptables import Variant

FORWARD_CHAIN = "SKIFF-FORWARD"
POSTROUTING_CHAIN = "SKIFF-POSTROUTING"
_SERVICE_MARK = "0x4000/0x4000"  # kube-proxy's: traffic that a Service sends on


def forward_rules(pod_cidrs: Sequence[str]) -> str:
    """The filter table's text: traffic from and to pods, and of services, is forwarded."""
    lines = ["*filter", f":{FORWARD_CHAIN} - [0:0]"]
    for cidr in pod_cidrs:
        lines.append(f"-A {FORWARD_CHAIN} -s {cidr} -j ACCEPT")
        lines.append(f"-A {FORWARD_CHAIN} -d {cidr} -j ACCEPT")
    lines.append(f"-A {FORWARD_CHAIN} -m mark --mark {_SERVICE_MARK} -j ACCEPT")
    lines.append(f"-A {FORWARD_CHAIN} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")
    return "\n".join([*lines, "COMMIT", ""])


def masquerade_rules(own_cidr: str, pod_cidrs: Sequence[str]) -> str:
    """The nat table's text: what this node's pods send to anything but pods leaves under the node's address."""
    lines = ["*nat", f":{POSTROUTING_CHAIN} - [0:0]"]
    lines += [f"-A {POSTROUTING_CHAIN} -s {own_cidr} -d {cidr} -j RETURN" for cidr in pod_cidrs]
    lines.append(f"-A {POSTROUTING_CHAIN} -s {own_cidr} -d 224.0.0.0/4 -j RETURN")
    lines.append(f"-A {POSTROUTING_CHAIN} -s {own_cidr} -j MASQUERADE --random-fully")
    return "\n".join([*lines, "COMMIT", ""])


def apply(own_cidr: str, pod_cidrs: Sequence[str]) -> None:
    """Put the rules in force, or back in force (blocking). `pod_cidrs` are the ranges of all pods of the cluster.

    Raises IptablesError.
    """
    forward = forward_rules(pod_cidrs)
    iptables.restore(forward + masquerade_rules(own_cidr, pod_cidrs))
    iptables.ensure_rule("nat", "POSTROUTING", f"-j {POSTROUTING_CHAIN}")
    for variant in _forwarding_variants():
        if variant != "legacy":
            iptables.restore(forward, variant)
        iptables.ensure_rule("filter", "FORWARD", f"-j {FORWARD_CHAIN}", variant=variant)


def remove() -> None:
    """Take our rules and chains out of both variants (blocking); harmless when there are none."""
    _remove_chain("nat", "POSTROUTING", POSTROUTING_CHAIN, "legacy")
    _remove_chain("filter", "FORWARD", FORWARD_CHAIN, "legacy")
    if f":{FORWARD_CHAIN} " in iptables.save("filter", "nft"):
        _remove_chain("filter", "FORWARD", FORWARD_CHAIN, "nft")


def _forwarding_variants() -> tuple[Variant, ...]:
    return ("legacy", "nft") if ":FORWARD DROP" in iptables.save("filter", "nft") else ("legacy",)


def _remove_chain(table: str, built_in: str, chain: str, variant: Variant) -> None:
    if (variant == "nft" or iptables.in_use(table)) and iptables.succeeds(table, f"-S {chain}", variant):
        iptables.delete_rule(table, built_in, f"-j {chain}", variant)
        iptables.iptables(table, f"-F {chain}", variant)
        iptables.iptables(table, f"-X {chain}", variant)
