"""Pods are connected to the node and to each other, in namespaces of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pod_network.errors import AddressesExhausted, NetworkError
from pod_network.host_ports import HostPort
from pod_network.wiring import PodNetwork, veth_name
from tests.integration.network.namespaces import Namespace, namespaces


@pytest.fixture
def spaces() -> Iterator[list[Namespace]]:
    with namespaces("node", "a", "b") as made:
        yield made


@pytest.fixture
async def network(spaces: list[Namespace], tmp_path: Path) -> AsyncIterator[PodNetwork]:
    network = PodNetwork("10.77.1.0/24", spaces[0].name, state_dir=tmp_path)
    yield network
    await network.close()


async def test_pods_reach_each_other_and_the_node(network: PodNetwork, spaces: list[Namespace]) -> None:
    node, a, b = spaces
    first = await network.setup_pod("sandbox-a", a.sleeper())
    second = await network.setup_pod("sandbox-b", b.sleeper())
    assert (first.ip, second.ip) == ("10.77.1.2", "10.77.1.3")
    assert (first.gateway, first.interface, first.mac) == ("10.77.1.1", "eth0", "0a:58:0a:4d:01:02")
    b.serve("b", tcp=80)
    assert a.ask("10.77.1.3", 80) == "b 10.77.1.2"
    assert node.ask("10.77.1.3", 80) == "b 10.77.1.1"
    assert "1" in node.run("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/bridge/bridge-nf-call-iptables")
    assert node.run(f"cat /sys/class/net/{veth_name('sandbox-a')}/brport/hairpin_mode").strip() == "1"
    assert "10.77.1.1/24" in node.run("ip -4 -o addr show dev cni0")


async def test_setting_up_again_changes_nothing(network: PodNetwork, spaces: list[Namespace]) -> None:
    pid = spaces[1].sleeper()
    first = await network.setup_pod("sandbox-a", pid)
    before = spaces[1].run("ip -o link show eth0")
    assert await network.setup_pod("sandbox-a", pid) == first
    assert spaces[1].run("ip -o link show eth0") == before


async def test_teardown_removes_the_interface_and_is_harmless_twice(
    network: PodNetwork, spaces: list[Namespace]
) -> None:
    await network.setup_pod("sandbox-a", spaces[1].sleeper())
    await network.teardown_pod("sandbox-a")
    await network.teardown_pod("sandbox-a")
    assert veth_name("sandbox-a") not in spaces[0].run("ip -o link")
    assert "eth0" not in spaces[1].run("ip -o link")
    assert (await network.setup_pod("sandbox-b", spaces[2].sleeper())).ip == "10.77.1.3"


async def test_addresses_survive_a_restart_of_the_kubelet(
    network: PodNetwork, spaces: list[Namespace], tmp_path: Path
) -> None:
    pids = [space.sleeper() for space in spaces[1:]]
    await network.setup_pod("sandbox-a", pids[0])
    await network.setup_pod("sandbox-b", pids[1])
    again = PodNetwork("10.77.1.0/24", spaces[0].name, state_dir=tmp_path)
    await again.reconcile({"sandbox-b": pids[1]})  # a ended while the kubelet was away
    assert (await again.setup_pod("sandbox-b", pids[1])).ip == "10.77.1.3"
    assert veth_name("sandbox-a") not in spaces[0].run("ip -o link")
    await again.close()


async def test_a_lost_address_book_is_learned_again_from_the_sandboxes(
    network: PodNetwork, spaces: list[Namespace], tmp_path: Path
) -> None:
    pids = [space.sleeper() for space in spaces[1:]]
    await network.setup_pod("sandbox-a", pids[0])
    (tmp_path / "addresses-cni0.json").write_text('{"last": "10.7')  # as good as lost
    again = PodNetwork("10.77.1.0/24", spaces[0].name, state_dir=tmp_path)
    await again.reconcile({"sandbox-a": pids[0]})
    assert (await again.setup_pod("sandbox-b", pids[1])).ip == "10.77.1.3"
    await again.close()


async def test_host_ports_lead_to_the_pod(network: PodNetwork, spaces: list[Namespace]) -> None:
    node, a, b = spaces
    node.run("sysctl -qw net.ipv4.conf.all.route_localnet=1")
    await network.setup_pod("sandbox-a", a.sleeper(), host_ports=[HostPort(8080, 80)])
    await network.setup_pod("sandbox-b", b.sleeper())
    a.serve("a", tcp=80)
    assert node.ask("10.77.1.1", 8080).startswith("a ")
    assert node.ask("127.0.0.1", 8080).startswith("a ")
    assert b.ask("10.77.1.1", 8080).startswith("a ")
    assert a.ask("10.77.1.1", 8080).startswith("a ")
    await network.teardown_pod("sandbox-a")
    assert "CNI-DN-" not in node.run("iptables-legacy-save -t nat")


async def test_a_full_range_says_so_and_a_dead_process_is_an_error(
    spaces: list[Namespace], tmp_path: Path
) -> None:
    network = PodNetwork("10.77.1.0/30", spaces[0].name, state_dir=tmp_path)
    with pytest.raises(NetworkError):
        await network.setup_pod("gone", 2**22 - 1)
    await network.setup_pod("sandbox-a", spaces[1].sleeper())
    with pytest.raises(AddressesExhausted, match="no IP addresses available in range set"):
        await network.setup_pod("sandbox-b", spaces[2].sleeper())
    await network.close()


async def test_a_removed_bridge_is_made_again_and_pods_are_attached(
    network: PodNetwork, spaces: list[Namespace]
) -> None:
    node, a, _ = spaces
    await network.setup_pod("sandbox-a", a.sleeper())
    a.serve("a", tcp=80)
    node.run("ip link del cni0")
    await network.check()
    assert node.ask("10.77.1.2", 80) == "a 10.77.1.1"
    assert node.run(f"cat /sys/class/net/{veth_name('sandbox-a')}/brport/hairpin_mode").strip() == "1"


async def test_sandboxes_on_the_network_of_the_node_are_left_alone(
    network: PodNetwork, spaces: list[Namespace]
) -> None:
    own = spaces[0].sleeper()
    await network.reconcile({"host-network": own})
    with pytest.raises(NetworkError, match="own network namespace"):
        await network.setup_pod("host-network", own)
    assert (await network.setup_pod("sandbox-a", spaces[1].sleeper())).ip == "10.77.1.2"
