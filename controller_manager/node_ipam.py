"""Node IPAM: gives each node its own piece of the pod network, once and for good.

What is taken is read from the nodes themselves, so that restarts and other leaders give out nothing twice.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from apimachinery import Object, meta
from apimachinery.resources import NODES
from component_base.logs import get_logger
from controller_manager.context import ControllerContext
from kube_client.controller import Controller, Result
from kube_client.informer import key_of

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

FULL_SECONDS = 30.0

log = get_logger("node-ipam")


class CIDRSet:
    """The pieces of one cluster CIDR: `mask` is the prefix length of a node's piece."""

    def __init__(self, cluster: str, mask: int) -> None:
        self._cluster: Network = ipaddress.ip_network(cluster, strict=False)
        if mask < self._cluster.prefixlen:
            raise ValueError(f"node mask /{mask} is larger than the cluster CIDR {cluster}")
        self._mask = mask
        self._count = 1 << (mask - self._cluster.prefixlen)
        self._size = 1 << (self._cluster.max_prefixlen - mask)
        self._taken: set[int] = set()
        self._next = 0

    def occupy(self, cidr: str) -> None:
        """Mark what overlaps `cidr` as taken; networks outside the cluster's are ignored."""
        self._taken.update(self._indexes(cidr))

    def release(self, cidr: str) -> None:
        """Its node is gone: the piece may be given out again."""
        self._taken.difference_update(self._indexes(cidr))

    def allocate(self) -> str | None:
        """The next free piece (not one released a moment ago, if others are free); None when all are taken."""
        if len(self._taken) >= self._count:
            return None
        while self._next % self._count in self._taken:
            self._next += 1
        index = self._next % self._count
        self._next = index + 1
        self._taken.add(index)
        base = int(self._cluster.network_address) + index * self._size
        return f"{ipaddress.ip_address(base)}/{self._mask}"

    def _indexes(self, cidr: str) -> Iterable[int]:
        network: Network = ipaddress.ip_network(cidr, strict=False)
        if network.version != self._cluster.version or not network.overlaps(self._cluster):
            return ()
        start = int(self._cluster.network_address)
        first = max(0, (int(network.network_address) - start) // self._size)
        last = min(self._count - 1, (int(network.broadcast_address) - start) // self._size)
        return range(first, last + 1)


def pod_cidrs(node: Object) -> list[str]:
    """`spec.podCIDRs`, or the older `spec.podCIDR`."""
    spec = node.get("spec") or {}
    return spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])


class NodeIPAMController:
    """Keys are names of nodes. One worker: allocation is a sequence."""

    def __init__(self, context: ControllerContext) -> None:
        self._client, self._events = context.client, context.events.named("cidrAllocator")
        masks = context.options.node_cidr_mask_sizes
        self._sets = [CIDRSet(cidr, masks[":" in cidr]) for cidr in context.options.cluster_cidrs]
        self._given: dict[str, list[str]] = {}
        self._nodes = context.informers.informer(NODES)
        self._controller = Controller("node_ipam", self.reconcile, workers=1)
        self._nodes.add_handler(self._on_node)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._controller.run()

    async def reconcile(self, key: str) -> Result | None:
        """Give the node its CIDRs if it has none."""
        node = self._nodes.get(key)
        if node is None or pod_cidrs(node) or not self._sets:
            return None
        given = self._given.get(meta.uid(node)) or self._allocate()
        if not given:
            self._events.event(
                node, "Normal", "CIDRNotAvailable", f"Node {key} status is now: CIDRNotAvailable"
            )
            log.warning("No free pod CIDR", node=key)
            return Result(FULL_SECONDS)
        # Kept for the retry: an answer that was lost may have been a success.
        self._given[meta.uid(node)] = given
        body = {"metadata": {"uid": meta.uid(node)}, "spec": {"podCIDR": given[0], "podCIDRs": given}}
        self._nodes.observe(await self._client.patch(NODES, key, body, patch_type="merge"))
        log.info("Allocated pod CIDR", node=key, cidrs=given)
        return None

    def _allocate(self) -> list[str]:
        pieces: list[str] = []
        for one in self._sets:
            piece = one.allocate()
            if piece is None:
                for other, taken in zip(self._sets, pieces, strict=False):
                    other.release(taken)
                return []
            pieces.append(piece)
        return pieces

    def _on_node(self, kind: str, old: Object | None, new: Object) -> None:
        held: Sequence[str] = pod_cidrs(new)
        if kind == "DELETED":
            for cidr in held or self._given.get(meta.uid(new), []):
                for one in self._sets:
                    one.release(cidr)
            self._given.pop(meta.uid(new), None)
            return
        if held:
            self._given.pop(meta.uid(new), None)
            for cidr in held:
                for one in self._sets:
                    one.occupy(cidr)
        else:
            self._controller.enqueue(key_of(new))
