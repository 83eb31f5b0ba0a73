"""Joins this node's pods with those of the other nodes: routes, forwarding, masquerading.

Watches Node objects, computes what is wanted, and puts it in force; everything is looked at again twice a minute, so
that what somebody else removed comes back. Runs inside the kubelet or by itself; its work outlives it.
"""

from __future__ import annotations

import asyncio

from apimachinery import Object, meta, times
from apimachinery.errors import StatusError
from apimachinery.resources import NODES
from component_base.daemon import Backoff
from component_base.logs import get_logger
from kube_client.client import Client
from kube_client.errors import ApiUnavailable
from kube_client.informer import Informer, InformerFactory
from pod_network import firewall, host_ports, links, routes
from pod_network.errors import NetworkError
from pod_network.namespaces import NetworkThread
from pod_network.routes import ROUTE_PROTOCOL, Route
from pod_network.sysctls import set_sysctl
from pod_network.wiring import BRIDGE_ALIAS, DEFAULT_BRIDGE, VETH_PREFIX

RESYNC_SECONDS = 30.0
CONDITION = "NetworkUnavailable"

log = get_logger("network-agent")


class NetworkAgent:
    """The agent of one node.

    `cluster_cidr` is the range of all pods; without it the ranges of the nodes known so far are used. `informer` is
    one of all Nodes to share; without it the agent keeps its own. `node_netns` as in PodNetwork.
    """

    def __init__(
        self,
        client: Client,
        node_name: str,
        *,
        cluster_cidr: str = "",
        node_netns: str | None = None,
        informer: Informer | None = None,
        resync: float = RESYNC_SECONDS,
    ) -> None:
        self._client, self._node_name, self._cluster_cidr = client, node_name, cluster_cidr
        self._factory = InformerFactory(client)
        self._nodes = informer if informer is not None else self._factory.informer(NODES)
        self._resync = resync
        self._thread = NetworkThread(node_netns)
        self._wake = asyncio.Event()
        self._nodes.add_handler(self._on_node)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the node's part of the network right until `stop`. Errors are logged and tried again, never raised."""
        self._factory.start()
        stopping = asyncio.create_task(stop.wait())
        try:
            synced = asyncio.create_task(self._nodes.wait_synced())
            await asyncio.wait((synced, stopping), return_when=asyncio.FIRST_COMPLETED)
            synced.cancel()
            await self._loop(stop, stopping)
        finally:
            stopping.cancel()
            await self._factory.stop()
            self._thread.close()

    async def _loop(self, stop: asyncio.Event, stopping: asyncio.Task[bool]) -> None:
        backoff, failing = Backoff(initial=0.5, cap=self._resync), False
        while not stop.is_set():
            self._wake.clear()
            try:
                await self._reconcile()
            except (NetworkError, StatusError, ApiUnavailable) as error:
                if not failing:
                    log.warning("Pod network is not in order, trying again", error=error)
                failing = True
                await asyncio.wait((stopping,), timeout=backoff.next())
                continue
            if failing:
                log.info("Pod network is in order again")
            failing = False
            backoff.reset()
            woken = asyncio.create_task(self._wake.wait())
            await asyncio.wait((woken, stopping), timeout=self._resync, return_when=asyncio.FIRST_COMPLETED)
            woken.cancel()

    def _on_node(self, kind: str, old: Object | None, new: Object) -> None:
        # Nodes report every few seconds; only their ranges and addresses are of interest.
        if kind != "MODIFIED" or old is None or _relevant(old) != _relevant(new):
            self._wake.set()

    def _facts(self) -> tuple[set[Route], str | None, list[str]]:
        nodes = self._nodes.list()
        own = self._nodes.get(self._node_name)
        cidrs = sorted({cidr for node in nodes if (cidr := routes.pod_cidr(node)) is not None})
        return (
            routes.desired(nodes, self._node_name),
            routes.pod_cidr(own) if own is not None else None,
            [self._cluster_cidr] if self._cluster_cidr else cidrs,
        )

    async def _reconcile(self) -> None:
        wanted, own_cidr, pod_cidrs = self._facts()
        failures = await self._thread.run(_apply, wanted, own_cidr, pod_cidrs)
        if failures:
            raise NetworkError("; ".join(failures))
        if own_cidr is not None:
            await self._report()

    async def _report(self) -> None:
        """Tell the scheduler's side that pods can be reached here, once and whenever it was lost."""
        node = self._nodes.get(self._node_name)
        present = meta.condition(node, CONDITION) if node is not None else None
        if node is None or (present is not None and present.get("status") == "False"):
            return
        now = times.now()
        condition = {
            "type": CONDITION,
            "status": "False",
            "reason": "RouteCreated",
            "message": "Routes to the pods of all nodes are in place",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        await self._client.patch(
            NODES, self._node_name, {"status": {"conditions": [condition]}}, patch_type="strategic",
            subresource="status",
        )  # fmt: skip


def _relevant(node: Object) -> tuple[str | None, str | None]:
    return routes.pod_cidr(node), routes.internal_ip(node)


def _apply(wanted: set[Route], own_cidr: str | None, pod_cidrs: list[str]) -> list[str]:
    """Make kernel and plan agree (blocking); what could not be done, as sentences: one node that cannot be reached
    must not keep the others from being so."""
    failures = []
    set_sysctl("net/ipv4/ip_forward", "1")
    todo = routes.plan(wanted, links.routes(ROUTE_PROTOCOL))
    for route in todo.remove:
        links.delete_route(route, ROUTE_PROTOCOL)
        log.info("Route removed", pods=route.destination, via=route.gateway)
    for route in todo.add:
        try:
            links.add_route(route, ROUTE_PROTOCOL)
        except NetworkError as error:
            failures.append(f"no route to pods {route.destination} via {route.gateway}: {error}")
            continue
        log.info("Route added", pods=route.destination, via=route.gateway)
    if own_cidr is not None:
        firewall.apply(own_cidr, pod_cidrs)
    return failures


def cleanup(bridge: str = DEFAULT_BRIDGE) -> None:
    """Remove routes, rules, the bridge and its veth pairs, all of ours and nothing else (blocking).

    Raises NetworkError.
    """
    for route in links.routes(ROUTE_PROTOCOL):
        links.delete_route(route, ROUTE_PROTOCOL)
    firewall.remove()
    host_ports.remove_all()
    if links.is_ours(bridge, BRIDGE_ALIAS):
        for port in links.ports_of(bridge, VETH_PREFIX):
            links.delete(port)
        links.delete(bridge)
