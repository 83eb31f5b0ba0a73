"""Bridges, veth pairs, addresses and routes: the only file that speaks netlink.

Every function is blocking and acts on the network namespace of the calling thread (see `namespaces`). Functions that
make something are harmless when it is there already; functions that remove, when it is gone.
"""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from pod_network import namespaces
from pod_network.errors import NetworkError
from pod_network.routes import Route

POD_INTERFACE = "eth0"
DEFAULT_MTU = 1500


@dataclass(frozen=True)
class PodInterface:
    """What a pod's namespace is seen to have."""

    address: str
    mac: str


@contextmanager
def _netlink() -> Iterator[Any]:
    try:
        with IPRoute() as netlink:
            yield netlink
    except NetlinkError as error:
        raise NetworkError(f"netlink: {error.args[-1] if error.args else error}") from error


def _unless_exists(call: Callable[..., Any], *args: object, **kwargs: object) -> None:
    _unless(errno.EEXIST, call, *args, **kwargs)


def _unless(code: int, call: Callable[..., Any], *args: object, **kwargs: object) -> None:
    try:
        call(*args, **kwargs)
    except NetlinkError as error:
        if error.code != code:
            raise


def _index(netlink: Any, name: str) -> int | None:
    found = netlink.link_lookup(ifname=name)
    return int(found[0]) if found else None


def mac_for(address: str) -> str:
    """The hardware address that goes with an IPv4 address: the same one always, so that no neighbour's ARP entry is
    ever wrong when an address moves on to another pod."""
    return "0a:58:" + ":".join(f"{octet:02x}" for octet in ipaddress.IPv4Address(address).packed)


def uplink() -> tuple[str | None, int]:
    """Name and MTU in bytes of the interface that the default route leaves by; (None, 1500) without one."""
    with _netlink() as netlink:
        for route in netlink.get_default_routes():
            index = route.get("oif")
            if index:
                link = netlink.get_links(index)[0]
                return str(link.get("ifname")), int(link.get("mtu") or DEFAULT_MTU)
    return None, DEFAULT_MTU


def ensure_bridge(name: str, gateway: str, prefix_length: int, mtu: int, alias: str) -> None:
    """A bridge that is up with the gateway's address (and no other IPv4 address) and a hardware address of its own,
    so that it does not change as ports come and go. A bridge that somebody else made is used, not marked as ours."""
    with _netlink() as netlink:
        index = _index(netlink, name)
        if index is None:
            netlink.link("add", ifname=name, kind="bridge", address=mac_for(gateway), mtu=mtu)
            index = _index(netlink, name)
            netlink.link("set", index=index, ifalias=alias)
        link = netlink.get_links(index)[0]
        if link.get("mtu") != mtu or link.get("state") != "up":
            netlink.link("set", index=index, mtu=mtu, state="up")
        present = {
            (address.get("address"), address["prefixlen"])
            for address in netlink.get_addr(index=index, family=2)
        }
        for address, length in present - {(gateway, prefix_length)}:
            netlink.addr("del", index=index, address=address, prefixlen=length)
        if (gateway, prefix_length) not in present:
            _unless_exists(netlink.addr, "add", index=index, address=gateway, prefixlen=prefix_length)


def is_ours(name: str, alias: str) -> bool:
    """Whether the interface exists and carries our alias."""
    with _netlink() as netlink:
        index = _index(netlink, name)
        return index is not None and netlink.get_links(index)[0].get("ifalias") == alias


def connect_pod(
    bridge: str, host_interface: str, pid: int, address: str, prefix_length: int, gateway: str, mtu: int
) -> None:
    """A veth pair between the bridge (hairpin on) and `eth0` in the namespace of process `pid`, with address and
    default route. The peer is created inside the pod's namespace: it never exists in the node's."""
    mac = mac_for(address)
    with _netlink() as netlink:
        bridge_index = _index(netlink, bridge)
        if bridge_index is None:
            raise NetworkError(f"bridge {bridge} does not exist")
        stale = _index(netlink, host_interface)
        if stale is not None:
            netlink.link("del", index=stale)
        peer = {"ifname": POD_INTERFACE, "net_ns_pid": pid, "mtu": mtu, "address": mac}
        netlink.link("add", ifname=host_interface, kind="veth", mtu=mtu, peer=peer)
        host_index = _index(netlink, host_interface)
        netlink.link("set", index=host_index, master=bridge_index, state="up")
        netlink.brport("set", index=host_index, mode=1)
        with namespaces.of_process(pid), _netlink() as pod:
            index = _index(pod, POD_INTERFACE)
            pod.link("set", index=1, state="up")
            pod.link("set", index=index, state="up")
            _unless_exists(pod.addr, "add", index=index, address=address, prefixlen=prefix_length)
            pod.route("replace", dst="0.0.0.0/0", gateway=gateway, oif=index)


def attach(bridge: str, interfaces: Collection[str]) -> None:
    """Make those of the interfaces that exist ports of the bridge again, with hairpin, after it was made anew."""
    with _netlink() as netlink:
        bridge_index = _index(netlink, bridge)
        for link in netlink.get_links(kind="veth"):
            if link.get("ifname") in interfaces and link.get("master") != bridge_index:
                netlink.link("set", index=link["index"], master=bridge_index, state="up")
                netlink.brport("set", index=link["index"], mode=1)


def pod_interface(pid: int) -> PodInterface | None:
    """Address and hardware address of the pod's eth0, or None when it is not wired."""
    with namespaces.of_process(pid), _netlink() as pod:
        index = _index(pod, POD_INTERFACE)
        if index is None:
            return None
        addresses = pod.get_addr(index=index, family=2)
        if not addresses:
            return None
        return PodInterface(str(addresses[0].get("address")), str(pod.get_links(index)[0].get("address")))


def loopback_up() -> None:
    """Bring `lo` up in this namespace."""
    with _netlink() as netlink:
        netlink.link("set", index=1, state="up")


def delete(name: str) -> None:
    """Remove an interface."""
    with _netlink() as netlink:
        index = _index(netlink, name)
        if index is not None:
            _unless(errno.ENODEV, netlink.link, "del", index=index)


def ports_of(bridge: str, prefix: str) -> list[str]:
    """The bridge's ports whose name starts with `prefix`."""
    with _netlink() as netlink:
        index = _index(netlink, bridge)
        if index is None:
            return []
        names = [str(link.get("ifname")) for link in netlink.get_links(master=index)]
    return [name for name in names if name.startswith(prefix)]


def routes(protocol: int) -> set[Route]:
    """The routes that carry the protocol number."""
    with _netlink() as netlink:
        return {
            Route(f"{route.get('dst')}/{route['dst_len']}", str(route.get("gateway")))
            for route in netlink.get_routes(family=2, proto=protocol)
            if route["proto"] == protocol and route.get("gateway")
        }


def add_route(route: Route, protocol: int) -> None:
    """Add or replace the route. Raises NetworkError, for instance when the gateway is not on a shared link."""
    with _netlink() as netlink:
        netlink.route("replace", dst=route.destination, gateway=route.gateway, proto=protocol)


def delete_route(route: Route, protocol: int) -> None:
    """Remove the route if it carries the protocol number."""
    with _netlink() as netlink:
        _unless(
            errno.ESRCH, netlink.route, "del", dst=route.destination, gateway=route.gateway, proto=protocol
        )
