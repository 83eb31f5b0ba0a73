"""Bridges, veth pairs, addresses and routes, in terms of the pod network.

Every function is blocking and acts on the network namespace of the calling thread (see `namespaces`). Functions that
make something are harmless when it is there already; functions that remove, when it is gone. All raise NetworkError.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from pod_network import namespaces, netlink
from pod_network.errors import NetworkError
from pod_network.netlink import (
    Address,
    Link,
    Netlink,
    RouteEntry,
    attribute,
    link_header,
    nested,
)
from pod_network.routes import Route

POD_INTERFACE = "eth0"
DEFAULT_MTU = 1500
_LOOPBACK = 1  # the index of `lo` in every namespace

# linux/if_link.h, linux/if_addr.h, linux/rtnetlink.h
_ADDRESS, _NAME, _MTU, _MASTER, _PROTINFO, _LINKINFO, _NET_NS_PID, _ALIAS = 1, 3, 4, 10, 12, 18, 19, 20
_KIND, _DATA, _VETH_PEER, _PORT_MODE = 1, 2, 1, 4
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_DESTINATION, _OUTPUT, _GATEWAY = 1, 4, 5
_STATIC, _UP = 4, 1
_AF_BRIDGE = 7


@dataclass(frozen=True)
class PodInterface:
    """What a pod's namespace is seen to have."""

    address: str
    mac: str


@contextmanager
def _connected() -> Iterator[Netlink]:
    try:
        with Netlink() as connection:
            yield connection
    except OSError as error:
        raise NetworkError(f"netlink: {error.strerror}") from error


def _index(name: str) -> int | None:
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return None


def _link(connection: Netlink, index: int) -> Link:
    return Link(connection.get(netlink.GETLINK, link_header(index)))


def _ipv4(text: str) -> bytes:
    return IPv4Address(text).packed


def mac_for(address: str) -> str:
    """The hardware address that goes with an IPv4 address: the same one always, so that no neighbour's ARP entry is
    ever wrong when an address moves on to another pod."""
    return "0a:58:" + ":".join(f"{octet:02x}" for octet in IPv4Address(address).packed)


def _mac(address: str) -> bytes:
    return bytes.fromhex(mac_for(address).replace(":", ""))


def _addresses(connection: Netlink, index: int) -> set[tuple[str, int]]:
    """(address, prefix length) of the interface's IPv4 addresses."""
    found = (Address(body) for body in connection.dump(netlink.GETADDR, netlink.address_header(0, 0)))
    return {
        (str(IPv4Address(each.attributes[_IFA_LOCAL])), each.prefix_length)
        for each in found
        if each.index == index and _IFA_LOCAL in each.attributes
    }


def _change_address(connection: Netlink, kind: int, index: int, address: str, prefix_length: int) -> None:
    body = netlink.address_header(index, prefix_length)
    body += attribute(_IFA_LOCAL, _ipv4(address)) + attribute(_IFA_ADDRESS, _ipv4(address))
    flags = netlink.CREATE | netlink.EXCLUSIVE if kind == netlink.NEWADDR else 0
    connection.change(kind, body, flags, ignore=(errno.EEXIST, *netlink.GONE))


def uplink() -> tuple[str | None, int]:
    """Name and MTU in bytes of the interface that the default route leaves by; (None, 1500) without one."""
    with _connected() as connection:
        entries = [RouteEntry(body) for body in connection.dump(netlink.GETROUTE, netlink.route_header(0, 0))]
        for entry in entries:
            index = netlink.number(entry.attributes.get(_OUTPUT))
            if entry.table == 254 and entry.prefix_length == 0 and index:
                link = _link(connection, index)
                mtu = netlink.number(link.attributes.get(_MTU))
                return netlink.text(link.attributes.get(_NAME)), mtu or DEFAULT_MTU
    return None, DEFAULT_MTU


def ensure_bridge(name: str, gateway: str, prefix_length: int, mtu: int, alias: str) -> None:
    """A bridge that is up with the gateway's address (and no other IPv4 address) and a hardware address of its own,
    so that it does not change as ports come and go. A bridge that somebody else made is used, not marked as ours."""
    with _connected() as connection:
        index = _index(name)
        if index is None:
            body = link_header() + attribute(_NAME, name) + attribute(_ADDRESS, _mac(gateway))
            body += attribute(_MTU, mtu) + nested(_LINKINFO, attribute(_KIND, "bridge"))
            connection.change(netlink.NEWLINK, body, netlink.CREATE | netlink.EXCLUSIVE)
            index = socket.if_nametoindex(name)
            # Linux takes an alias only from SETLINK, and without a terminating zero.
            connection.change(netlink.SETLINK, link_header(index) + attribute(_ALIAS, alias.encode()))
        link = _link(connection, index)
        if netlink.number(link.attributes.get(_MTU)) != mtu or not link.flags & _UP:
            connection.change(netlink.NEWLINK, link_header(index, up=True) + attribute(_MTU, mtu))
        present = _addresses(connection, index)
        for address, length in present - {(gateway, prefix_length)}:
            _change_address(connection, netlink.DELADDR, index, address, length)
        if (gateway, prefix_length) not in present:
            _change_address(connection, netlink.NEWADDR, index, gateway, prefix_length)


def is_ours(name: str, alias: str) -> bool:
    """Whether the interface exists and carries our alias."""
    index = _index(name)
    if index is None:
        return False
    with _connected() as connection:
        return netlink.text(_link(connection, index).attributes.get(_ALIAS)) == alias


def connect_pod(
    bridge: str, host_interface: str, pid: int, address: str, prefix_length: int, gateway: str, mtu: int
) -> None:
    """A veth pair between the bridge (hairpin on) and `eth0` in the namespace of process `pid`, with address and
    default route. The peer is created inside the pod's namespace: it never exists in the node's."""
    bridge_index = _index(bridge)
    if bridge_index is None:
        raise NetworkError(f"bridge {bridge} does not exist")
    delete(host_interface)
    peer = link_header() + attribute(_NAME, POD_INTERFACE) + attribute(_MTU, mtu)
    peer += attribute(_ADDRESS, _mac(address)) + attribute(_NET_NS_PID, pid)
    with _connected() as connection:
        body = link_header(up=True) + attribute(_NAME, host_interface) + attribute(_MTU, mtu)
        body += nested(_LINKINFO, attribute(_KIND, "veth"), nested(_DATA, attribute(_VETH_PEER, peer)))
        connection.change(netlink.NEWLINK, body, netlink.CREATE | netlink.EXCLUSIVE)
        _plug(connection, socket.if_nametoindex(host_interface), bridge_index)
    with namespaces.of_process(pid), _connected() as pod:
        index = socket.if_nametoindex(POD_INTERFACE)
        pod.change(netlink.NEWLINK, link_header(_LOOPBACK, up=True))
        pod.change(netlink.NEWLINK, link_header(index, up=True))
        _change_address(pod, netlink.NEWADDR, index, address, prefix_length)
        route = (
            netlink.route_header(0, _STATIC) + attribute(_GATEWAY, _ipv4(gateway)) + attribute(_OUTPUT, index)
        )
        pod.change(netlink.NEWROUTE, route, netlink.CREATE | netlink.REPLACE)


def _plug(connection: Netlink, index: int, bridge_index: int) -> None:
    """Make the interface a port of the bridge, with hairpin: a pod may reach itself through a service."""
    connection.change(netlink.NEWLINK, link_header(index, up=True) + attribute(_MASTER, bridge_index))
    body = link_header(index, family=_AF_BRIDGE)
    connection.change(netlink.SETLINK, body + nested(_PROTINFO, attribute(_PORT_MODE, b"\1")))


def _veths(connection: Netlink) -> Iterator[tuple[str, Link]]:
    for body in connection.dump(netlink.GETLINK, link_header()):
        link = Link(body)
        kind = netlink.text(netlink.parse(link.attributes.get(_LINKINFO, b"")).get(_KIND))
        if kind == "veth":
            yield netlink.text(link.attributes.get(_NAME)), link


def attach(bridge: str, interfaces: Collection[str]) -> None:
    """Make those of the interfaces that exist ports of the bridge again, after it was made anew."""
    bridge_index = _index(bridge)
    if bridge_index is None or not interfaces:
        return
    with _connected() as connection:
        for name, link in list(_veths(connection)):
            if name in interfaces and netlink.number(link.attributes.get(_MASTER)) != bridge_index:
                _plug(connection, link.index, bridge_index)


def ports_of(bridge: str, prefix: str) -> list[str]:
    """The veth ports of the bridge whose name starts with `prefix`."""
    bridge_index = _index(bridge)
    with _connected() as connection:
        return [
            name
            for name, link in _veths(connection)
            if name.startswith(prefix) and netlink.number(link.attributes.get(_MASTER)) == bridge_index
        ]


def pod_interface(pid: int) -> PodInterface | None:
    """Address and hardware address of the pod's eth0, or None when it is not wired."""
    with namespaces.of_process(pid), _connected() as pod:
        index = _index(POD_INTERFACE)
        if index is None:
            return None
        addresses = sorted(_addresses(pod, index))
        if not addresses:
            return None
        return PodInterface(addresses[0][0], _link(pod, index).attributes.get(_ADDRESS, b"").hex(":"))


def loopback_up() -> None:
    """Bring `lo` up in this namespace."""
    with _connected() as connection:
        connection.change(netlink.NEWLINK, link_header(_LOOPBACK, up=True))


def delete(name: str) -> None:
    """Remove an interface."""
    index = _index(name)
    if index is not None:
        with _connected() as connection:
            connection.change(netlink.DELLINK, link_header(index), ignore=netlink.GONE)


def routes(protocol: int) -> set[Route]:
    """The IPv4 routes that carry the protocol number."""
    found = set()
    with _connected() as connection:
        for body in connection.dump(netlink.GETROUTE, netlink.route_header(0, 0)):
            entry = RouteEntry(body)
            gateway = entry.attributes.get(_GATEWAY)
            if entry.protocol == protocol and gateway is not None:
                destination = IPv4Address(entry.attributes.get(_DESTINATION, b"\0\0\0\0"))
                found.add(Route(f"{destination}/{entry.prefix_length}", str(IPv4Address(gateway))))
    return found


def add_route(route: Route, protocol: int) -> None:
    """Add or replace the route. Fails, for instance, when the gateway is not on a shared link."""
    with _connected() as connection:
        connection.change(netlink.NEWROUTE, _route(route, protocol), netlink.CREATE | netlink.REPLACE)


def delete_route(route: Route, protocol: int) -> None:
    """Remove the route if it carries the protocol number."""
    with _connected() as connection:
        connection.change(netlink.DELROUTE, _route(route, protocol), ignore=netlink.GONE)


def _route(route: Route, protocol: int) -> bytes:
    network = IPv4Network(route.destination)
    body = netlink.route_header(network.prefixlen, protocol)
    return (
        body
        + attribute(_DESTINATION, network.network_address.packed)
        + attribute(_GATEWAY, _ipv4(route.gateway))
    )
