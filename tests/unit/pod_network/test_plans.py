"""The network's decisions as values: routes, firewall, host ports."""

from __future__ import annotations

from apimachinery import Object
from pod_network import firewall, host_ports, routes
from pod_network.host_ports import HostPort
from pod_network.links import mac_for
from pod_network.routes import Route
from pod_network.wiring import veth_name


def node(name: str, cidr: str | None = None, address: str | None = None) -> Object:
    addresses = [{"type": "Hostname", "address": name}]
    if address:
        addresses.append({"type": "InternalIP", "address": address})
    spec = {"podCIDR": cidr, "podCIDRs": [cidr]} if cidr else {}
    return {"metadata": {"name": name}, "spec": spec, "status": {"addresses": addresses}}


def test_a_route_to_every_other_node_that_is_ready_for_one() -> None:
    nodes = [
        node("node-1", "10.244.0.0/24", "172.31.240.1"),
        node("node-2", "10.244.1.0/24", "172.31.240.2"),
        node("node-3", None, "172.31.240.3"),
        node("node-4", "10.244.3.0/24"),
        node("node-5", "fd00::/64", "fd00::1"),
    ]
    assert routes.desired(nodes, "node-1") == {Route("10.244.1.0/24", "172.31.240.2")}


def test_the_plan_removes_what_is_wrong_and_adds_what_is_missing() -> None:
    right, moved_from = Route("10.244.1.0/24", "172.31.240.2"), Route("10.244.2.0/24", "172.31.240.3")
    moved_to = Route("10.244.2.0/24", "172.31.240.9")
    plan = routes.plan({right, moved_to}, {right, moved_from})
    assert plan.remove == (moved_from,) and plan.add == (moved_to,)
    assert routes.plan({right}, {right}) == routes.Plan((), ())


def test_the_first_ipv4_range_and_address_count() -> None:
    dual = {
        "metadata": {"name": "n"},
        "spec": {"podCIDR": "fd00::/64", "podCIDRs": ["fd00::/64", "10.244.4.0/24"]},
    }
    assert routes.pod_cidr(dual) == "10.244.4.0/24"
    assert routes.internal_ip(dual) is None


def test_masquerading_spares_pods() -> None:
    assert firewall.masquerade_rules("10.244.1.0/24", ["10.244.0.0/16"]).splitlines() == [
        "*nat",
        ":SKIFF-POSTROUTING - [0:0]",
        "-A SKIFF-POSTROUTING -s 10.244.1.0/24 -d 10.244.0.0/16 -j RETURN",
        "-A SKIFF-POSTROUTING -s 10.244.1.0/24 -d 224.0.0.0/4 -j RETURN",
        "-A SKIFF-POSTROUTING -s 10.244.1.0/24 -j MASQUERADE --random-fully",
        "COMMIT",
    ]


def test_forwarding_both_ways() -> None:
    text = firewall.forward_rules(["10.244.0.0/24", "10.244.1.0/24"])
    for way in ("-s", "-d"):
        assert f"-A SKIFF-FORWARD {way} 10.244.1.0/24 -j ACCEPT" in text


def test_host_ports_of_one_pod() -> None:
    chain = host_ports.pod_chain("sandbox")
    assert len(chain) == 28
    text = host_ports.pod_rules(
        "sandbox", "10.244.1.5", "10.244.1.0/24", [HostPort(8080, 80), HostPort(53, 53, "UDP", "192.0.2.1")]
    )
    assert f"-A {chain} -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.244.1.5:80\n" in text
    assert (
        f"-A {chain} -d 192.0.2.1/32 -p udp -m udp --dport 53 -j DNAT --to-destination 10.244.1.5:53\n"
        in text
    )
    assert f"-A CNI-HOSTPORT-DNAT -p tcp -m tcp --dport 8080 -j {chain}\n" in text


def test_names_that_follow_from_addresses_and_sandboxes() -> None:
    assert mac_for("10.244.1.5") == "0a:58:0a:f4:01:05"
    assert veth_name("sandbox") == veth_name("sandbox") != veth_name("other")
    assert len(veth_name("sandbox")) <= 15
