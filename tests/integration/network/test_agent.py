"""Pods of two nodes reach each other and the world outside, in namespaces of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from apimachinery import Object
from apimachinery.resources import NODES
from pod_network import agent as agents
from pod_network.agent import NetworkAgent
from pod_network.namespaces import NetworkThread
from pod_network.wiring import PodNetwork
from tests.integration.network.cluster_state import HandFedInformer
from tests.integration.network.namespaces import Namespace, namespaces, sh
from tests.integration.network.test_proxy_packets import eventually

ADDRESSES = ("172.30.8.1", "172.30.8.2", "172.30.8.9")


class RecordingClient:
    """Takes the agent's status patches."""

    def __init__(self) -> None:
        self.patches: list[Object] = []

    async def patch(self, _resource: object, _name: str, body: Object, **_options: Any) -> Object:
        self.patches.append(body)
        return body


def node(name: str, cidr: str | None, address: str) -> Object:
    spec = {"podCIDR": cidr, "podCIDRs": [cidr]} if cidr else {}
    addresses = [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]
    return {"metadata": {"name": name}, "spec": spec, "status": {"addresses": addresses}}


@pytest.fixture
def spaces() -> Iterator[list[Namespace]]:
    with namespaces("fab", "n1", "n2", "out", "a", "b") as made:
        fabric = made[0]
        sh(f"ip -n {fabric.name} link add br0 type bridge")
        sh(f"ip -n {fabric.name} link set br0 up")
        for index, (space, address) in enumerate(zip(made[1:4], ADDRESSES, strict=True)):
            sh(f"ip -n {space.name} link add eth0 type veth peer name p{index} netns {fabric.name}")
            sh(f"ip -n {fabric.name} link set p{index} master br0 up")
            sh(f"ip -n {space.name} addr add {address}/24 dev eth0")
            sh(f"ip -n {space.name} link set eth0 up")
        for space in made[1:3]:
            sh(f"ip -n {space.name} route add default via {ADDRESSES[2]}")
        yield made


class Nodes:
    def __init__(self, spaces: list[Namespace]) -> None:
        self.fabric, self.first, self.second, self.outside, self.a, self.b = spaces
        self.informer = HandFedInformer(NODES)
        self.client = RecordingClient()


@pytest.fixture
async def nodes(spaces: list[Namespace], tmp_path: Path) -> AsyncIterator[Nodes]:
    built = Nodes(spaces)
    stop = asyncio.Event()
    tasks, networks = [], []
    for number, (space, pod) in enumerate(((built.first, built.a), (built.second, built.b)), start=1):
        network = PodNetwork(f"10.77.{number}.0/24", space.name, state_dir=tmp_path / str(number))
        await network.setup_pod(f"pod-{number}", pod.sleeper())
        networks.append(network)
        agent = NetworkAgent(
            built.client,  # type: ignore[arg-type]
            f"node-{number}",
            node_netns=space.name,
            informer=built.informer,
            resync=0.5,
        )
        tasks.append(asyncio.create_task(agent.run(stop)))
        pod.serve(f"pod-{number}", tcp=80)
        built.informer.put(node(f"node-{number}", f"10.77.{number}.0/24", ADDRESSES[number - 1]))
    yield built
    stop.set()
    await asyncio.gather(*tasks)
    for network in networks:
        await network.close()


async def test_pods_of_two_nodes_reach_each_other_with_their_own_addresses(nodes: Nodes) -> None:
    await eventually(lambda: nodes.a.ask("10.77.2.2", 80, timeout=0.5) == "pod-2 10.77.1.2")
    assert nodes.b.ask("10.77.1.2", 80) == "pod-1 10.77.2.2"
    assert nodes.second.ask("10.77.1.2", 80) == f"pod-1 {ADDRESSES[1]}"
    await eventually(lambda: len(nodes.client.patches) >= 2)
    condition = nodes.client.patches[0]["status"]["conditions"][0]
    assert (condition["type"], condition["status"]) == ("NetworkUnavailable", "False")


async def test_traffic_that_leaves_the_cluster_has_the_address_of_the_node(nodes: Nodes) -> None:
    nodes.outside.serve("outside", tcp=80)
    await eventually(lambda: nodes.a.ask(ADDRESSES[2], 80, timeout=0.5) == f"outside {ADDRESSES[0]}")


async def test_forwarding_works_where_another_program_has_set_its_policy_to_drop(nodes: Nodes) -> None:
    """dockerd does so, in the nft variant's tables or in the legacy ones, depending on the machine."""
    for variant in ("legacy", "nft"):
        nodes.first.run(f"iptables-{variant} -P FORWARD DROP")
    await eventually(lambda: nodes.a.ask("10.77.2.2", 80, timeout=0.5) == "pod-2 10.77.1.2")
    assert "SKIFF-FORWARD" in nodes.first.run("iptables-nft-save")
    assert "SKIFF-FORWARD" not in nodes.second.run("iptables-nft-save")


async def test_removed_routes_and_rules_come_back_and_foreign_routes_stay(nodes: Nodes) -> None:
    await eventually(lambda: "10.77.2.0/24 via 172.30.8.2" in nodes.first.run("ip route"))
    nodes.first.run("ip route add 10.78.0.0/16 via 172.30.8.9")
    nodes.first.run("ip route del 10.77.2.0/24")
    nodes.first.run("iptables-legacy -t nat -F")
    await eventually(lambda: "10.77.2.0/24 via 172.30.8.2" in nodes.first.run("ip route"))
    await eventually(
        lambda: "-s 10.77.1.0/24 -j MASQUERADE" in nodes.first.run("iptables-legacy-save -t nat")
    )
    assert "10.78.0.0/16" in nodes.first.run("ip route")


async def test_routes_follow_the_nodes(nodes: Nodes) -> None:
    nodes.informer.put(node("node-3", "10.77.3.0/24", ADDRESSES[2]))
    await eventually(lambda: "10.77.3.0/24 via 172.30.8.9" in nodes.first.run("ip route"))
    nodes.informer.put(node("node-3", "10.77.4.0/24", ADDRESSES[2]))
    await eventually(lambda: "10.77.4.0/24" in nodes.first.run("ip route"))
    assert "10.77.3.0/24" not in nodes.first.run("ip route")
    nodes.informer.remove("node-3")
    await eventually(lambda: "10.77.4.0/24" not in nodes.first.run("ip route"))


async def test_one_unreachable_node_does_not_keep_the_others_away(nodes: Nodes) -> None:
    nodes.informer.put(node("node-3", "10.77.3.0/24", "192.0.2.77"))
    nodes.informer.put(node("node-4", "10.77.4.0/24", ADDRESSES[2]))
    await eventually(lambda: "10.77.4.0/24" in nodes.first.run("ip route"))


async def test_cleanup_leaves_the_node_as_it_was(spaces: list[Namespace], tmp_path: Path) -> None:
    space, pod = spaces[1], spaces[4]

    def look() -> list[str]:
        rules = space.run("iptables-legacy-save").splitlines() + space.run("iptables-nft-save").splitlines()
        state = [line.split("[")[0] for line in rules if not line.startswith("#")]
        return state + space.run("ip -o route").splitlines() + space.run("ls /sys/class/net").split()

    space.run("iptables-nft -P FORWARD DROP")
    for table in ("nat", "filter"):
        space.run(f"iptables-legacy -t {table} -S")
    before = look()
    network = PodNetwork("10.77.1.0/24", space.name, state_dir=tmp_path)
    await network.setup_pod("pod-1", pod.sleeper())
    informer = HandFedInformer(NODES)
    for number in (1, 2):
        informer.put(node(f"node-{number}", f"10.77.{number}.0/24", ADDRESSES[number - 1]))
    stop = asyncio.Event()
    agent = NetworkAgent(RecordingClient(), "node-1", node_netns=space.name, informer=informer)  # type: ignore[arg-type]
    running = asyncio.create_task(agent.run(stop))
    await eventually(lambda: "SKIFF-FORWARD" in space.run("iptables-nft-save"))
    stop.set()
    await running
    assert look() != before
    thread = NetworkThread(space.name)
    await thread.run(agents.cleanup)
    await thread.run(agents.cleanup)
    assert look() == before
    await network.close()
    thread.close()
