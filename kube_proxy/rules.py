"""The decision: which rules make one service port work on this node. Pure functions, text out.

Rules are written in the form of `iptables-save`, in the original's order and with its comments. `ServiceRules` keeps
the port's own chains and its lines in the chains that all services share; `rule_set` puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kube_proxy import names
from kube_proxy.endpoints import Endpoint, Endpoints
from kube_proxy.services import ServicePort


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What the rules depend on besides Services. `cluster_cidr` empty: local traffic cannot be told, so only what
    needs it is left out; `service_cidr` empty: unassigned addresses are not refused. `node_port_addresses` are IPv4
    networks, empty for all local addresses. `drop_invalid` is off where conntrack has been told to be liberal."""

    cluster_cidr: str = ""
    service_cidr: str = ""
    masquerade_all: bool = False
    masquerade_bit: int = 14
    localhost_node_ports: bool = True
    drop_invalid: bool = True
    node_port_addresses: tuple[str, ...] = ()

    @property
    def mark(self) -> str:
        """The packet mark that asks for masquerading, in hexadecimal."""
        return f"{1 << self.masquerade_bit:#x}"


@dataclass(slots=True)
class ServiceRules:
    """One service port's rules. `chains` are its own nat chains; the others are lines for shared chains."""

    chains: dict[str, str] = field(default_factory=dict)
    nat_services: str = ""
    nat_node_ports: str = ""
    filter_services: str = ""
    filter_external: str = ""
    filter_node_ports: str = ""
    filter_firewall: str = ""

    @property
    def nat_count(self) -> int:
        """How many rules there are for the nat table."""
        lines = self.nat_services.count("\n") + self.nat_node_ports.count("\n")
        return lines + sum(rules.count("\n") for rules in self.chains.values())


def service_rules(port: ServicePort, endpoints: Endpoints, facts: NodeFacts) -> ServiceRules:
    """All rules of one service port."""
    return _Writer(port, endpoints, facts).write()


class _Writer:
    """Holds what the parts of one service port's rules share; used once."""

    def __init__(self, port: ServicePort, endpoints: Endpoints, facts: NodeFacts) -> None:
        self.port, self.endpoints, self.facts = port, endpoints, facts
        self.rules = ServiceRules()
        code = names.port_hash(port.name, port.protocol)
        self.cluster_chain = names.SERVICE_PREFIX + code
        self.local_chain = names.SERVICE_LOCAL_PREFIX + code
        self.external_chain = names.SERVICE_EXTERNAL_PREFIX + code
        self.firewall_chain = names.SERVICE_FIREWALL_PREFIX + code
        self.internal_chain = self.local_chain if port.internal_policy == "Local" else self.cluster_chain
        self.comment = f'-m comment --comment "{port.name}'
        self.match = f"-m {port.protocol} -p {port.protocol}"
        self.uses_cluster = bool(endpoints.cluster) and (
            port.internal_policy != "Local" or port.externally_accessible
        )
        self.uses_local = bool(endpoints.local) and (
            port.internal_policy == "Local"
            or (port.external_policy == "Local" and port.externally_accessible)
        )

    def write(self) -> ServiceRules:
        self._cluster_ip()
        if self.port.externally_accessible:
            self._external_addresses()
            self._external_chain()
        if self.port.health_check_port:
            self.rules.filter_node_ports = (
                f'-A {names.NODE_PORTS} {self.comment} health check node port" -m tcp -p tcp '
                f"--dport {self.port.health_check_port} -j ACCEPT\n"
            )
        if self.uses_cluster:
            self._balance(self.cluster_chain, self.endpoints.cluster)
        if self.uses_local:
            self._balance(self.local_chain, self.endpoints.local)
        return self.rules

    # -- where traffic comes in ---------------------------------------------------------------------------

    def _cluster_ip(self) -> None:
        port = self.port
        wanted = self.endpoints.local if port.internal_policy == "Local" else self.endpoints.cluster
        to = f"{self.match} -d {port.cluster_ip} --dport {port.port}"
        if wanted:
            self.rules.nat_services += (
                f'-A {names.SERVICES} {self.comment} cluster IP" {to} -j {self.internal_chain}\n'
            )
            self._masquerade_outsiders(to)
        else:
            self.rules.filter_services += self._refusal(names.SERVICES, port.internal_policy, to)

    def _masquerade_outsiders(self, to: str) -> None:
        """Traffic to the cluster IP that does not come from a pod gets this node's address as its source, for the
        answers must come back through here."""
        facts = self.facts
        if facts.masquerade_all:
            who = ""
        elif facts.cluster_cidr:
            who = f" ! -s {facts.cluster_cidr}"
        else:
            return
        self._add(self.internal_chain, f'{self.comment} cluster IP" {to}{who} -j {names.MARK_MASQ}')

    def _external_addresses(self) -> None:
        port, rules = self.port, self.rules
        reachable = self._external_endpoints()
        open_to = f"{self.match} -d {{}} --dport {port.port}"
        for address in port.external_ips:
            to = open_to.format(address)
            if self.endpoints.any:
                rules.nat_services += (
                    f'-A {names.SERVICES} {self.comment} external IP" {to} -j {self.external_chain}\n'
                )
            if not reachable:
                rules.filter_external += self._refusal(names.EXTERNAL_SERVICES, port.external_policy, to)
        for address in port.load_balancer_ips:
            to = open_to.format(address)
            if self.endpoints.any:
                entry = self.firewall_chain if port.source_ranges else self.external_chain
                rules.nat_services += f'-A {names.SERVICES} {self.comment} loadbalancer IP" {to} -j {entry}\n'
            if port.source_ranges:
                rules.filter_firewall += (
                    f'-A {names.PROXY_FIREWALL} {self.comment} traffic not accepted by {self.firewall_chain}" '
                    f"{to} -j DROP\n"
                )
            if not reachable:
                rules.filter_external += self._refusal(names.EXTERNAL_SERVICES, port.external_policy, to)
        if port.node_port:
            to = f"{self.match} --dport {port.node_port}"
            if self.endpoints.any:
                rules.nat_node_ports += (
                    f'-A {names.NODE_PORTS} {self.comment}" {to} -j {self.external_chain}\n'
                )
            if not reachable:
                local = f"-m addrtype --dst-type LOCAL {to}"
                rules.filter_external += self._refusal(names.EXTERNAL_SERVICES, port.external_policy, local)

    def _external_endpoints(self) -> tuple[Endpoint, ...]:
        return self.endpoints.local if self.port.external_policy == "Local" else self.endpoints.cluster

    def _refusal(self, chain: str, policy: str, to: str) -> str:
        """Without any endpoint: refused at once. Without one here, under policy Local: dropped, so that a balancer
        that has not learnt it yet tries another node."""
        if policy == "Local" and self.endpoints.any:
            return f'-A {chain} {self.comment} has no local endpoints" {to} -j DROP\n'
        return f'-A {chain} {self.comment} has no endpoints" {to} -j REJECT\n'

    # -- the port's own chains ----------------------------------------------------------------------------

    def _external_chain(self) -> None:
        """Traffic from outside: masqueraded and sent anywhere, or (policy Local) sent unchanged to this node's own
        endpoints, while the node's and its pods' own traffic may still go anywhere."""
        if not self.endpoints.any:
            return
        port, facts, chain = self.port, self.facts, self.external_chain
        what = f"for {port.name} external destinations"
        if port.external_policy == "Local":
            if facts.cluster_cidr:
                self._add(
                    chain,
                    f'-m comment --comment "pod traffic {what}" -s {facts.cluster_cidr} -j {self.cluster_chain}',
                )
            own = "-m addrtype --src-type LOCAL"
            self._add(
                chain, f'-m comment --comment "masquerade LOCAL traffic {what}" {own} -j {names.MARK_MASQ}'
            )
            self._add(
                chain, f'-m comment --comment "route LOCAL traffic {what}" {own} -j {self.cluster_chain}'
            )
            if self.endpoints.local:
                self._add(chain, f"-j {self.local_chain}")
        else:
            self._add(chain, f'-m comment --comment "masquerade traffic {what}" -j {names.MARK_MASQ}')
            self._add(chain, f"-j {self.cluster_chain}")
        if port.load_balancer_ips and port.source_ranges:
            self._source_ranges()

    def _source_ranges(self) -> None:
        port, chain = self.port, self.firewall_chain
        comment = f'{self.comment} loadbalancer IP"'
        for source in port.source_ranges:
            self._add(chain, f"{comment} -s {source} -j {self.external_chain}")
        for address in port.load_balancer_ips:
            # The node reaching its own balancer address is seen with that address as its source.
            self._add(chain, f"{comment} -s {address} -j {self.external_chain}")
        self._add(
            chain,
            f'-m comment --comment "other traffic to {port.name} will be dropped by {names.PROXY_FIREWALL}"',
        )

    def _balance(self, chain: str, endpoints: tuple[Endpoint, ...]) -> None:
        """Each endpoint with equal probability; clients with session affinity first go where they went before."""
        port = self.port
        chains = [self._endpoint_chain(endpoint) for endpoint in endpoints]
        if port.affinity_seconds:
            for name in chains:
                self._add(
                    chain,
                    f'{self.comment}" -m recent --name {name} --rcheck --seconds {port.affinity_seconds} '
                    f"--reap -j {name}",
                )
        count = len(endpoints)
        for index, (endpoint, name) in enumerate(zip(endpoints, chains, strict=True)):
            chance = (
                f" -m statistic --mode random --probability {1 / (count - index):.10f}"
                if index < count - 1
                else ""
            )
            self._add(chain, f'{self.comment} -> {endpoint.address}"{chance} -j {name}')

    def _endpoint_chain(self, endpoint: Endpoint) -> str:
        """The endpoint's chain. A pod that reaches itself through its own service is masqueraded, else it would
        drop its own packet."""
        address = endpoint.address
        name = names.ENDPOINT_PREFIX + names.port_hash(self.port.name, self.port.protocol, address)
        if name not in self.rules.chains:
            affinity = f" -m recent --name {name} --set" if self.port.affinity_seconds else ""
            self.rules.chains[name] = (
                f'-A {name} {self.comment}" -s {endpoint.ip} -j {names.MARK_MASQ}\n'
                f'-A {name} {self.comment}"{affinity} {self.match} -j DNAT --to-destination {address}\n'
            )
        return name

    def _add(self, chain: str, rule: str) -> None:
        self.rules.chains[chain] = f"{self.rules.chains.get(chain, '')}-A {chain} {rule}\n"
