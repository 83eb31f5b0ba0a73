"""Carries rule sets into the kernel: partial syncs, full syncs, flush detection, removal. Blocking.

What is in force is remembered as a value; a sync tells the kernel only the difference. A full sync looks at the
kernel first: chains of services that are gone (perhaps from before a restart) go, missing jumps from the built-in
chains come back. Used from one NetworkThread.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kube_proxy import metrics, names
from kube_proxy.rule_set import CANARY_RULE, RuleSet, difference
from pod_network import iptables
from pod_network.iptables import IptablesError


@dataclass(frozen=True)
class Jump:
    """A rule of a built-in chain that leads to one of ours."""

    table: str
    chain: str
    target: str
    comment: str
    only_new: bool = False

    @property
    def rule(self) -> str:
        """The rule without its chain."""
        state = "-m conntrack --ctstate NEW " if self.only_new else ""
        return f'{state}-m comment --comment "{self.comment}" -j {self.target}'


_PORTALS = "kubernetes service portals"
_EXTERNAL = "kubernetes externally-visible service portals"
_FIREWALL = "kubernetes load balancer firewall"
JUMPS = (
    Jump("filter", "INPUT", names.EXTERNAL_SERVICES, _EXTERNAL, only_new=True),
    Jump("filter", "FORWARD", names.EXTERNAL_SERVICES, _EXTERNAL, only_new=True),
    Jump("filter", "INPUT", names.NODE_PORTS, "kubernetes health check service ports"),
    Jump("filter", "FORWARD", names.SERVICES, _PORTALS, only_new=True),
    Jump("filter", "OUTPUT", names.SERVICES, _PORTALS, only_new=True),
    Jump("filter", "FORWARD", names.FORWARD, "kubernetes forwarding rules"),
    Jump("filter", "INPUT", names.PROXY_FIREWALL, _FIREWALL, only_new=True),
    Jump("filter", "OUTPUT", names.PROXY_FIREWALL, _FIREWALL, only_new=True),
    Jump("filter", "FORWARD", names.PROXY_FIREWALL, _FIREWALL, only_new=True),
    Jump("nat", "OUTPUT", names.SERVICES, _PORTALS),
    Jump("nat", "PREROUTING", names.SERVICES, _PORTALS),
    Jump("nat", "POSTROUTING", names.POSTROUTING, "kubernetes postrouting rules"),
)
LOCALNET_JUMPS = (
    Jump("filter", "INPUT", names.KUBELET_FIREWALL, "kubernetes localnet firewall"),
    Jump("filter", "OUTPUT", names.KUBELET_FIREWALL, "kubernetes localnet firewall"),
)
TABLES = ("filter", "nat")


class IptablesBackend:
    """The kernel's side of the proxy in one network namespace. Not thread-safe."""

    def __init__(self, *, localnet: bool = True) -> None:
        self._jumps = JUMPS + (LOCALNET_JUMPS if localnet else ())
        self._applied: RuleSet | None = None

    @property
    def needs_full_sync(self) -> bool:
        """True until a full sync has succeeded, and again after any failure."""
        return self._applied is None

    def sync(self, wanted: RuleSet) -> bool:
        """Bring the kernel to `wanted`; returns whether anything had to be changed.

        Raises IptablesError; the table that failed is then as it was, and the next sync will be a full one.
        """
        if self._applied is None:
            self.full_sync(wanted)
            return True
        text = difference(self._applied, wanted)
        if not text:
            return False
        try:
            iptables.restore(text)
        except IptablesError:
            metrics.PARTIAL_RESTORE_FAILURES.inc()
            metrics.RESTORE_FAILURES.inc()
            self._applied = None
            raise
        self._applied = wanted
        return True

    def full_sync(self, wanted: RuleSet) -> None:
        """Write every chain anew and remove what is left of services that are gone. Raises IptablesError."""
        self._applied = None
        present = {table: _look(table) for table in TABLES}
        stale = [
            chain
            for chain in present["nat"].chains
            if chain.startswith(names.PER_SERVICE_PREFIXES) and chain not in wanted.nat
        ]
        text = difference(RuleSet(), wanted, stale)
        for table in TABLES:
            missing = [
                f"-I {jump.chain} 1 {jump.rule}\n"
                for jump in self._jumps
                if jump.table == table and (jump.chain, jump.target) not in present[table].jumps
            ]
            head, mark, tail = text.partition(f"*{table}\n")
            before, commit, after = tail.partition("COMMIT\n")
            text = head + mark + before + "".join(missing) + commit + after
        try:
            iptables.restore(text)
        except IptablesError:
            metrics.RESTORE_FAILURES.inc()
            raise
        self._applied = wanted

    def in_force(self) -> bool:
        """Whether our rules still stand: the canaries live and every jump is there. Raises IptablesError."""
        for table in TABLES:
            if not iptables.succeeds(table, f"-C {names.CANARY} {CANARY_RULE}"):
                return False
            chains = {jump.chain for jump in self._jumps if jump.table == table}
            jumps = {jump for chain in chains for jump in _jumps(iptables.iptables(table, f"-S {chain}"))}
            if any((jump.chain, jump.target) not in jumps for jump in self._jumps if jump.table == table):
                return False
        return True

    def forget(self) -> None:
        """Somebody else changed the tables: the next sync is a full one."""
        self._applied = None


@dataclass(frozen=True)
class _Present:
    chains: tuple[str, ...]
    jumps: frozenset[tuple[str, str]]


def _look(table: str) -> _Present:
    """Our chains and the jumps to them, as they are in the kernel."""
    lines = iptables.iptables(table, "-S").splitlines()
    chains = tuple(line.split()[1] for line in lines if line.startswith("-N KUBE-"))
    builtin = ("-A INPUT ", "-A OUTPUT ", "-A FORWARD ", "-A PREROUTING ", "-A POSTROUTING ")
    return _Present(chains, frozenset(_jumps("\n".join(line for line in lines if line.startswith(builtin)))))


def _jumps(listing: str) -> Iterable[tuple[str, str]]:
    for line in listing.splitlines():
        words = line.split()
        if words[0] == "-A" and words[-2] == "-j":
            yield words[1], words[-1]


def cleanup() -> None:
    """Remove everything that the proxy has ever put into the tables, and nothing else. Raises IptablesError."""
    owned = {
        names.SERVICES, names.EXTERNAL_SERVICES, names.NODE_PORTS, names.POSTROUTING, names.MARK_MASQ,
        names.FORWARD, names.PROXY_FIREWALL, names.KUBELET_FIREWALL, names.CANARY,
    }  # fmt: skip
    for table in filter(iptables.in_use, TABLES):
        lines = iptables.iptables(table, "-S").splitlines()
        chains = sorted(
            chain
            for chain in (line.split()[1] for line in lines if line.startswith("-N "))
            if chain in owned or chain.startswith(names.PER_SERVICE_PREFIXES)
        )
        if not chains:
            continue
        jumps = ["-D" + line[2:] for line in lines if _leads_to(line, chains)]
        text = [f"*{table}", *(f":{chain} - [0:0]" for chain in chains), *jumps]
        text += [f"-X {chain}" for chain in chains]
        iptables.restore("\n".join([*text, "COMMIT", ""]))


def _leads_to(line: str, chains: list[str]) -> bool:
    words = line.split()
    return len(words) > 3 and words[0] == "-A" and words[1] not in chains and words[-1] in chains
