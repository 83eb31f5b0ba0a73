"""Packets go where Services say: a node, two pods and a machine outside, all in namespaces of the test's own."""

from __future__ import annotations

import asyncio
import fcntl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from kube_proxy import iptables_backend
from kube_proxy.proxier import Proxier
from kube_proxy.rules import NodeFacts
from pod_network import iptables
from pod_network.namespaces import NetworkThread
from pod_network.sysctls import set_sysctl
from pod_network.wiring import PodNetwork
from tests.integration.network.cluster_state import ClusterState
from tests.integration.network.namespaces import Namespace, namespaces, sh

A, B = "10.77.1.2", "10.77.1.3"
NODE, OUTSIDE = "172.30.7.1", "172.30.7.2"
PORTS = [{"name": "", "port": 3000, "protocol": "TCP"}]
HTTP = {"port": 80, "protocol": "TCP", "targetPort": 3000}


class Node:
    """A node with pods a and b, a proxy, and a machine `outside` on its uplink."""

    def __init__(self, spaces: list[Namespace]) -> None:
        self.node, self.a, self.b, self.outside = spaces
        self.state = ClusterState()
        self.syncs = 0
        self._synced = asyncio.Event()

    # what the proxier tells its health
    def queued(self) -> None:
        self._synced.clear()

    def updated(self) -> None:
        self.syncs += 1
        self._synced.set()

    async def set_services(self, services: Mapping[str, tuple[int, int]]) -> None:
        self.health_ports = dict(services)

    async def synced(self) -> None:
        """Return when everything that the test has put in is in force."""
        async with asyncio.timeout(20):
            await self._synced.wait()


@pytest.fixture
def spaces() -> Iterator[list[Namespace]]:
    with namespaces("node", "a", "b", "out") as made:
        yield made


@pytest.fixture
async def node(spaces: list[Namespace], tmp_path: Path) -> AsyncIterator[Node]:
    built = Node(spaces)
    sh(f"ip -n {built.node.name} link add eth0 type veth peer name eth0 netns {built.outside.name}")
    for space, address in ((built.node, NODE), (built.outside, OUTSIDE)):
        sh(f"ip -n {space.name} addr add {address}/24 dev eth0")
        sh(f"ip -n {space.name} link set eth0 up")
    sh(f"ip -n {built.node.name} route add default via {OUTSIDE}")
    sh(f"ip -n {built.outside.name} route add 10.96.0.0/16 via {NODE}")
    network = PodNetwork("10.77.1.0/24", built.node.name, state_dir=tmp_path)
    for name, space in (("a", built.a), ("b", built.b)):
        await network.setup_pod(name, space.sleeper())
        space.serve(name, tcp=3000, udp=3000)
    thread = NetworkThread(built.node.name)
    await thread.run(set_sysctl, "net/ipv4/conf/all/route_localnet", "1")
    facts = NodeFacts(cluster_cidr="10.77.0.0/16", service_cidr="10.96.0.0/16")
    proxier = Proxier(
        built.state.services, built.state.slices, "node-1", facts, built, thread=thread, sync_period=0.5
    )
    stop = asyncio.Event()
    running = asyncio.create_task(proxier.run(stop))
    await built.synced()
    yield built
    stop.set()
    await running
    await network.close()
    thread.close()


async def eventually(check: Callable[[], bool | Awaitable[bool]], seconds: float = 10) -> None:
    """Wait until the check holds."""
    async with asyncio.timeout(seconds):
        while True:
            result = check()
            if result if isinstance(result, bool) else await result:
                return
            await asyncio.sleep(0.05)


async def test_cluster_ip_answers_from_node_pod_and_outside(node: Node) -> None:
    node.state.service("web", "10.96.1.1", HTTP)
    node.state.endpoints("web", A, B, ports=PORTS)
    await node.synced()
    names = Counter(node.node.ask("10.96.1.1", 80).split()[0] for _ in range(20))
    assert set(names) == {"a", "b"}
    seen = {answer.split()[1] for answer in (node.a.ask("10.96.1.1", 80) for _ in range(10))}
    assert A in seen or "10.77.1.1" in seen
    # Outsiders are masqueraded, pods keep their own address.
    assert node.outside.ask("10.96.1.1", 80).split()[1] == "10.77.1.1"


async def test_a_pod_reaches_itself_through_its_service(node: Node) -> None:
    node.state.service("web", "10.96.1.1", HTTP)
    node.state.endpoints("web", A, ports=PORTS)
    await node.synced()
    assert node.a.ask("10.96.1.1", 80) == "a 10.77.1.1"
    assert node.b.ask("10.96.1.1", 80) == f"a {B}"


async def test_node_port_answers_on_every_address_of_the_node(node: Node) -> None:
    node.state.service("web", "10.96.1.1", HTTP | {"nodePort": 30080}, type="NodePort")
    node.state.endpoints("web", A, ports=PORTS)
    await node.synced()
    assert node.outside.ask(NODE, 30080) == "a 10.77.1.1"
    for address in ("127.0.0.1", NODE, "10.77.1.1"):
        assert node.node.ask(address, 30080).startswith("a ")
        assert address == "127.0.0.1" or node.b.ask(address, 30080).startswith("a ")


async def test_without_endpoints_connections_are_refused_at_once(node: Node) -> None:
    node.state.service("web", "10.96.1.1", HTTP | {"nodePort": 30080}, type="NodePort")
    await node.synced()
    for space, address, port in (
        (node.node, "10.96.1.1", 80),
        (node.a, "10.96.1.1", 80),
        (node.outside, NODE, 30080),
    ):
        assert space.ask(address, port) == "refused"


async def test_addresses_and_ports_without_a_service_are_refused(node: Node) -> None:
    """The machine behind the default route accepts anything; an unserved ClusterIP must not look alive."""
    sh(f"ip -n {node.outside.name} route replace local 10.96.0.0/16 dev lo")
    node.outside.serve("gateway", tcp=80)
    node.state.service("web", "10.96.1.1", HTTP)
    node.state.endpoints("web", A, ports=PORTS)
    await node.synced()
    for space in (node.node, node.a):
        assert space.ask("10.96.9.9", 80) == "refused"
        assert space.ask("10.96.1.1", 81) == "refused"
        assert space.ask("10.96.1.1", 80).startswith("a ")


async def test_session_affinity_keeps_a_client_at_its_pod(node: Node) -> None:
    node.state.service("web", "10.96.1.1", HTTP, sessionAffinity="ClientIP")
    node.state.endpoints("web", A, B, ports=PORTS)
    await node.synced()
    assert len({node.b.ask("10.96.1.1", 80).split()[0] for _ in range(12)}) == 1


async def test_udp_moves_on_when_its_pod_is_gone(node: Node) -> None:
    ports = [{"name": "", "port": 3000, "protocol": "UDP"}]
    node.state.service("dns", "10.96.1.2", {"port": 53, "protocol": "UDP"})
    node.state.endpoints("dns", A, ports=ports)
    await node.synced()
    assert node.node.ask("10.96.1.2", 53, udp=True).startswith("a ")
    flow = "conntrack -L -p udp --orig-dst 10.96.1.2"
    assert f"src={A}" in node.node.run(flow)
    node.state.endpoints("dns", B, ports=ports)
    await node.synced()
    assert f"src={A}" not in node.node.run(flow)
    assert node.node.ask("10.96.1.2", 53, udp=True).startswith("b ")


async def test_several_ports_lead_to_their_own_targets(node: Node) -> None:
    node.b.serve("b-admin", tcp=9000)
    node.state.service("web", "10.96.1.1", HTTP | {"name": "http"}, {"name": "admin", "port": 81})
    node.state.endpoints("web", B, ports=[{"name": "http", "port": 3000}, {"name": "admin", "port": 9000}])
    await node.synced()
    assert node.a.ask("10.96.1.1", 80).split()[0] == "b"
    assert node.a.ask("10.96.1.1", 81).split()[0] == "b-admin"


async def test_policy_local_keeps_the_client_address_and_stays_on_the_node(node: Node) -> None:
    local = {"addresses": [A], "conditions": {"ready": True}, "nodeName": "node-1"}
    other = {"addresses": ["10.77.2.9"], "conditions": {"ready": True}, "nodeName": "node-2"}
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31999}
    node.state.service("web", "10.96.1.1", HTTP | {"nodePort": 30080}, **spec)
    node.state.endpoints("web", local, other, ports=PORTS)
    await node.synced()
    assert {node.outside.ask(NODE, 30080) for _ in range(6)} == {f"a {OUTSIDE}"}
    assert node.health_ports == {"default/web": (31999, 1)}
    node.state.endpoints("web", other, ports=PORTS)
    await node.synced()
    assert node.outside.ask(NODE, 30080, timeout=0.5) == "timeout"
    assert node.health_ports == {"default/web": (31999, 0)}


async def test_external_ip_and_balancer_with_source_ranges(node: Node) -> None:
    for address in ("203.0.113.5", "203.0.113.6"):
        sh(f"ip -n {node.outside.name} route add {address}/32 via {NODE}")
    balancer = {"loadBalancer": {"ingress": [{"ip": "203.0.113.6"}]}}
    spec = {"type": "LoadBalancer", "externalIPs": ["203.0.113.5"], "status": balancer}
    node.state.service("web", "10.96.1.1", HTTP, **spec, loadBalancerSourceRanges=["198.51.100.0/24"])
    node.state.endpoints("web", A, ports=PORTS)
    await node.synced()
    assert node.outside.ask("203.0.113.5", 80) == "a 10.77.1.1"
    assert node.outside.ask("203.0.113.6", 80, timeout=0.5) == "timeout"
    node.state.service("web", "10.96.1.1", HTTP, **spec, loadBalancerSourceRanges=[f"{OUTSIDE}/32"])
    await node.synced()
    assert node.outside.ask("203.0.113.6", 80) == "a 10.77.1.1"


async def test_terminating_endpoints_serve_until_others_are_ready(node: Node) -> None:
    last = {"addresses": [A], "conditions": {"ready": False, "serving": True, "terminating": True}}
    node.state.service("web", "10.96.1.1", HTTP)
    node.state.endpoints("web", last, ports=PORTS)
    await node.synced()
    assert node.node.ask("10.96.1.1", 80).startswith("a ")
    node.state.endpoints("web", last, B, ports=PORTS)
    await node.synced()
    assert {node.node.ask("10.96.1.1", 80)[0] for _ in range(8)} == {"b"}


async def test_flushed_rules_come_back_and_foreign_ones_stay(node: Node) -> None:
    node.node.run("iptables-legacy -t nat -N MINE")
    node.node.run("iptables-legacy -t nat -A MINE -j RETURN")
    node.state.service("web", "10.96.1.1", HTTP)
    node.state.endpoints("web", A, ports=PORTS)
    await node.synced()
    wanted = ("-A PREROUTING", "-A KUBE-PROXY-CANARY", "-A KUBE-FORWARD", "-A FORWARD")

    def complete() -> bool:
        rules = node.node.run("iptables-legacy-save")
        return all(line in rules for line in wanted)

    for broken in ("-t nat -F KUBE-PROXY-CANARY", "-t nat -F PREROUTING", "-t filter -F"):
        node.node.run(f"iptables-legacy {broken}")
        await eventually(complete)
        await eventually(lambda: node.a.ask("10.96.1.1", 80).startswith("a "))
    assert "-A MINE -j RETURN" in node.node.run("iptables-legacy-save -t nat")


async def test_a_sync_that_fails_is_followed_by_a_full_one(node: Node) -> None:
    """Somebody removes a chain that our next change leads to: the kernel refuses it, and everything is written anew."""
    node.state.service("web", "10.96.1.1", HTTP)
    node.state.endpoints("web", A, ports=PORTS)
    await node.synced()
    node.node.run("iptables-legacy -t nat -F")
    node.node.run("iptables-legacy -t nat -X")
    node.state.service("api", "10.96.1.2", HTTP)
    node.state.endpoints("api", B, ports=PORTS)
    await node.synced()
    assert node.a.ask("10.96.1.2", 80) == f"b {A}"
    await eventually(lambda: node.b.ask("10.96.1.1", 80, timeout=0.5).startswith("a "))


async def test_a_restarted_proxy_removes_what_its_predecessor_left(node: Node) -> None:
    node.state.service("old", "10.96.1.7", HTTP)
    node.state.endpoints("old", A, ports=PORTS)
    await node.synced()
    assert "10.96.1.7" in node.node.run("iptables-legacy-save")
    thread = NetworkThread(node.node.name)
    fresh = ClusterState()
    facts = NodeFacts(cluster_cidr="10.77.0.0/16")
    successor = Proxier(fresh.services, fresh.slices, "node-1", facts, node, thread=thread)
    stop = asyncio.Event()
    running = asyncio.create_task(successor.run(stop))
    await eventually(lambda: "KUBE-SVC" not in node.node.run("iptables-legacy-save"))
    stop.set()
    await running
    # Its rules stay when it ends; --cleanup takes them all, and nothing else.
    assert "KUBE-SERVICES" in node.node.run("iptables-legacy-save")
    node.node.run("iptables-legacy -N MINE")
    await thread.run(iptables_backend.cleanup)
    left = node.node.run("iptables-legacy-save")
    assert "KUBE-" not in left and ":MINE" in left
    thread.close()


async def test_a_lock_held_by_somebody_else_only_delays(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "xtables.lock"
    monkeypatch.setenv("XTABLES_LOCKFILE", str(lock))
    iptables.lock_file.cache_clear()
    node.state.service("web", "10.96.1.1", HTTP)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        node.state.endpoints("web", A, ports=PORTS)
        await asyncio.sleep(1.5)
        assert "10.96.1.1" not in sh(
            f"ip netns exec {node.node.name} env -u XTABLES_LOCKFILE iptables-legacy-save"
        )
    await node.synced()
    assert node.a.ask("10.96.1.1", 80).startswith("a ")
    iptables.lock_file.cache_clear()
