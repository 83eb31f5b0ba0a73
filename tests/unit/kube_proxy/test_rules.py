"""Given this Service and these endpoints, these are the rules: text in, text out."""

from __future__ import annotations

from typing import Any

from kube_proxy import names
from kube_proxy.endpoints import Endpoint, categorize
from kube_proxy.rule_set import RuleSet, assemble, difference
from kube_proxy.rules import NodeFacts, ServiceRules, service_rules
from kube_proxy.services import ServicePort

FACTS = NodeFacts(cluster_cidr="10.244.0.0/16", service_cidr="10.96.0.0/16")
A = Endpoint("10.244.1.2", 3000)
B = Endpoint("10.244.1.3", 3000)
C = Endpoint("10.244.2.4", 3000)
HERE = Endpoint("10.244.1.2", 3000, local=True)


def port(**changes: Any) -> ServicePort:
    values: dict[str, Any] = {
        "name": "default/meow-svc:http",
        "port_name": "http",
        "protocol": "tcp",
        "cluster_ip": "10.96.1.1",
        "port": 80,
    }
    return ServicePort(**{**values, **changes})


def rules(service: ServicePort, *endpoints: Endpoint, facts: NodeFacts = FACTS) -> ServiceRules:
    return service_rules(service, categorize(service, endpoints), facts)


def chain(found: ServiceRules, prefix: str) -> list[str]:
    (name,) = (name for name in found.chains if name.startswith(prefix))
    return found.chains[name].replace(f"-A {name} ", "").splitlines()


def test_chain_names_are_those_of_the_original() -> None:
    # Taken from a cluster of the original's: kubernetes:https, kube-dns:dns, kube-dns:dns-tcp.
    assert names.port_hash("default/kubernetes:https", "tcp") == "NPX46M4PTMTKRN6Y"
    assert names.port_hash("kube-system/kube-dns:dns", "udp") == "TCOU7JCQXEZGVUNU"
    assert names.port_hash("kube-system/kube-dns:dns-tcp", "tcp") == "ERIFXISQEP7F7OF4"


def test_a_cluster_ip_of_three_endpoints() -> None:
    found = rules(port(), A, B, C)
    assert found.nat_services == (
        '-A KUBE-SERVICES -m comment --comment "default/meow-svc:http cluster IP" -m tcp -p tcp -d 10.96.1.1 '
        "--dport 80 -j KUBE-SVC-CSWKRBPOIYG34QVI\n"
    )
    assert chain(found, "KUBE-SVC-") == [
        '-m comment --comment "default/meow-svc:http cluster IP" -m tcp -p tcp -d 10.96.1.1 --dport 80 '
        "! -s 10.244.0.0/16 -j KUBE-MARK-MASQ",
        '-m comment --comment "default/meow-svc:http -> 10.244.1.2:3000" -m statistic --mode random '
        "--probability 0.3333333333 -j KUBE-SEP-QSMKXBJ6SHR2ABK6",
        '-m comment --comment "default/meow-svc:http -> 10.244.1.3:3000" -m statistic --mode random '
        "--probability 0.5000000000 -j KUBE-SEP-J3IWITH3ERGODIZE",
        f'-m comment --comment "default/meow-svc:http -> 10.244.2.4:3000" -j KUBE-SEP-{_code(C)}',
    ]
    assert found.chains["KUBE-SEP-QSMKXBJ6SHR2ABK6"] == (
        '-A KUBE-SEP-QSMKXBJ6SHR2ABK6 -m comment --comment "default/meow-svc:http" -s 10.244.1.2 '
        "-j KUBE-MARK-MASQ\n"
        '-A KUBE-SEP-QSMKXBJ6SHR2ABK6 -m comment --comment "default/meow-svc:http" -m tcp -p tcp -j DNAT '
        "--to-destination 10.244.1.2:3000\n"
    )
    assert not (found.filter_services or found.filter_external or found.nat_node_ports)


def _code(endpoint: Endpoint) -> str:
    return names.port_hash("default/meow-svc:http", "tcp", endpoint.address)


def test_without_endpoints_everything_is_refused() -> None:
    found = rules(port(node_port=30080, external_ips=("203.0.113.5",)))
    assert found.filter_services == (
        '-A KUBE-SERVICES -m comment --comment "default/meow-svc:http has no endpoints" -m tcp -p tcp '
        "-d 10.96.1.1 --dport 80 -j REJECT\n"
    )
    assert found.filter_external.splitlines() == [
        '-A KUBE-EXTERNAL-SERVICES -m comment --comment "default/meow-svc:http has no endpoints" -m tcp -p tcp '
        "-d 203.0.113.5 --dport 80 -j REJECT",
        '-A KUBE-EXTERNAL-SERVICES -m comment --comment "default/meow-svc:http has no endpoints" -m addrtype '
        "--dst-type LOCAL -m tcp -p tcp --dport 30080 -j REJECT",
    ]
    assert found.chains == {} and found.nat_services == found.nat_node_ports == ""


def test_a_node_port_is_masqueraded_and_sent_anywhere() -> None:
    found = rules(port(node_port=30080), A)
    assert found.nat_node_ports == (
        '-A KUBE-NODEPORTS -m comment --comment "default/meow-svc:http" -m tcp -p tcp --dport 30080 '
        "-j KUBE-EXT-CSWKRBPOIYG34QVI\n"
    )
    assert chain(found, "KUBE-EXT-") == [
        '-m comment --comment "masquerade traffic for default/meow-svc:http external destinations" '
        "-j KUBE-MARK-MASQ",
        "-j KUBE-SVC-CSWKRBPOIYG34QVI",
    ]


def test_external_policy_local_with_and_without_endpoints_here() -> None:
    local = port(node_port=30080, external_policy="Local", health_check_port=31000)
    found = rules(local, HERE, C)
    what = "for default/meow-svc:http external destinations"
    assert chain(found, "KUBE-EXT-") == [
        f'-m comment --comment "pod traffic {what}" -s 10.244.0.0/16 -j KUBE-SVC-CSWKRBPOIYG34QVI',
        f'-m comment --comment "masquerade LOCAL traffic {what}" -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ',
        f'-m comment --comment "route LOCAL traffic {what}" -m addrtype --src-type LOCAL '
        "-j KUBE-SVC-CSWKRBPOIYG34QVI",
        "-j KUBE-SVL-CSWKRBPOIYG34QVI",
    ]
    assert len(chain(found, "KUBE-SVL-")) == 1
    assert found.filter_node_ports == (
        '-A KUBE-NODEPORTS -m comment --comment "default/meow-svc:http health check node port" -m tcp -p tcp '
        "--dport 31000 -j ACCEPT\n"
    )
    elsewhere = rules(local, C)
    assert "KUBE-SVL-CSWKRBPOIYG34QVI" not in elsewhere.chains
    assert "has no local endpoints" in elsewhere.filter_external and "-j DROP" in elsewhere.filter_external
    assert elsewhere.nat_services  # the cluster IP still works


def test_internal_policy_local() -> None:
    assert "KUBE-SVL-" in rules(port(internal_policy="Local"), HERE, C).nat_services
    elsewhere = rules(port(internal_policy="Local"), C)
    assert elsewhere.nat_services == "" and elsewhere.chains == {}
    assert elsewhere.filter_services.endswith("-j DROP\n")


def test_session_affinity_looks_before_it_chooses() -> None:
    found = rules(port(affinity_seconds=10800), A, B)
    lines = chain(found, "KUBE-SVC-")
    assert lines[1] == (
        '-m comment --comment "default/meow-svc:http" -m recent --name KUBE-SEP-QSMKXBJ6SHR2ABK6 --rcheck '
        "--seconds 10800 --reap -j KUBE-SEP-QSMKXBJ6SHR2ABK6"
    )
    assert "statistic" in lines[3] and "statistic" not in lines[4]
    assert "-m recent --name KUBE-SEP-QSMKXBJ6SHR2ABK6 --set" in found.chains["KUBE-SEP-QSMKXBJ6SHR2ABK6"]


def test_source_ranges_pass_the_firewall_chain() -> None:
    found = rules(port(load_balancer_ips=("203.0.113.6",), source_ranges=("198.51.100.0/24",)), A)
    assert "-d 203.0.113.6 --dport 80 -j KUBE-FW-CSWKRBPOIYG34QVI" in found.nat_services
    assert chain(found, "KUBE-FW-") == [
        '-m comment --comment "default/meow-svc:http loadbalancer IP" -s 198.51.100.0/24 '
        "-j KUBE-EXT-CSWKRBPOIYG34QVI",
        '-m comment --comment "default/meow-svc:http loadbalancer IP" -s 203.0.113.6 -j KUBE-EXT-CSWKRBPOIYG34QVI',
        '-m comment --comment "other traffic to default/meow-svc:http will be dropped by KUBE-PROXY-FIREWALL"',
    ]
    assert found.filter_firewall == (
        '-A KUBE-PROXY-FIREWALL -m comment --comment "default/meow-svc:http traffic not accepted by '
        'KUBE-FW-CSWKRBPOIYG34QVI" -m tcp -p tcp -d 203.0.113.6 --dport 80 -j DROP\n'
    )


def test_masquerade_all_and_no_cluster_range() -> None:
    everything = NodeFacts(cluster_cidr="10.244.0.0/16", masquerade_all=True)
    assert "! -s" not in chain(rules(port(), A, facts=everything), "KUBE-SVC-")[0]
    assert "KUBE-MARK-MASQ" not in "".join(chain(rules(port(), A, facts=NodeFacts()), "KUBE-SVC-"))


def test_fixed_rules_and_their_order() -> None:
    found = assemble(
        [rules(port(node_port=30080), A), rules(port(name="default/empty", cluster_ip="10.96.1.2"))], FACTS
    )
    assert found.nat["KUBE-SERVICES"].splitlines()[-1] == (
        '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in '
        'this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS'
    )
    refused = found.filter["KUBE-SERVICES"].splitlines()
    assert "default/empty has no endpoints" in refused[0] and "-d 10.96.0.0/16 -j REJECT" in refused[-1]
    assert found.nat["KUBE-MARK-MASQ"] == "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000\n"
    assert "block incoming localnet connections" in found.filter["KUBE-FIREWALL"]


def test_node_ports_only_on_chosen_addresses() -> None:
    chosen = assemble([], NodeFacts(node_port_addresses=("192.0.2.0/24",))).nat["KUBE-SERVICES"]
    assert "-d 192.0.2.0/24 -m addrtype --dst-type LOCAL" in chosen
    quiet = assemble([], NodeFacts(localhost_node_ports=False))
    assert "! -d 127.0.0.0/8" in quiet.nat["KUBE-SERVICES"] and "KUBE-FIREWALL" not in quiet.filter


def test_a_changed_endpoint_changes_two_chains_and_removes_one() -> None:
    other = rules(port(name="default/other", cluster_ip="10.96.1.2"), C)
    before = assemble([rules(port(), A, B), other], FACTS)
    after = assemble([rules(port(), A, C), other], FACTS)
    text = difference(before, after)
    assert [line for line in text.splitlines() if line[0] in "*:"] == [
        "*nat",
        ":KUBE-SVC-CSWKRBPOIYG34QVI - [0:0]",
        f":KUBE-SEP-{_code(C)} - [0:0]",
        ":KUBE-SEP-J3IWITH3ERGODIZE - [0:0]",
    ]
    assert text.endswith("-X KUBE-SEP-J3IWITH3ERGODIZE\nCOMMIT\n")
    assert difference(after, after) == ""


def test_a_full_sync_removes_stale_chains() -> None:
    text = difference(RuleSet(), assemble([], FACTS), ["KUBE-SVC-OLD"])
    assert ":KUBE-SVC-OLD - [0:0]\n" in text and text.endswith("-X KUBE-SVC-OLD\nCOMMIT\n")
    assert text.index("*filter") < text.index("*nat")
