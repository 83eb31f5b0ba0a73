"""Which UDP flows are stale."""

from __future__ import annotations

from kube_proxy.conntrack import Flow, Frontend, parse, stale_flows

LISTING = """\
udp      17 25 src=10.244.1.9 dst=10.96.0.10 sport=4000 dport=53 src=10.244.1.2 dst=10.244.1.9 sport=53 dport=4000 mark=0 use=1
udp      17 12 src=10.244.1.9 dst=10.96.0.10 sport=4001 dport=53 [UNREPLIED] src=10.96.0.10 dst=10.244.1.9 sport=53 dport=4001 mark=0 use=1
udp      17 12 src=192.0.2.9 dst=192.0.2.1 sport=4001 dport=30053 src=10.244.1.2 dst=10.244.1.1 sport=53 dport=1 [ASSURED] mark=0 use=1
"""  # noqa: E501


def test_the_listing_is_read() -> None:
    assert parse(LISTING) == {
        Flow("10.96.0.10", 53, "10.244.1.2"),
        Flow("10.96.0.10", 53, "10.96.0.10"),
        Flow("192.0.2.1", 30053, "10.244.1.2"),
    }


def test_flows_to_pods_that_are_gone_and_from_before_there_were_pods_are_stale() -> None:
    flows = sorted(parse(LISTING), key=str)
    moved = frozenset({"10.244.1.3"})
    assert stale_flows(flows, {Frontend("10.96.0.10", 53): moved, Frontend("", 30053): moved}) == flows
    right = frozenset({"10.244.1.2"})
    assert stale_flows(flows, {Frontend("10.96.0.10", 53): right}) == [Flow("10.96.0.10", 53, "10.96.0.10")]


def test_other_flows_are_none_of_our_business() -> None:
    flows = parse(LISTING)
    assert stale_flows(flows, {Frontend("10.96.0.99", 53): frozenset({"10.244.1.3"})}) == []
    assert stale_flows(flows, {Frontend("10.96.0.10", 53): frozenset()}) == []
