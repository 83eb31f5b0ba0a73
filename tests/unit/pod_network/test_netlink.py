"""Netlink messages as bytes."""

from __future__ import annotations

import errno

import pytest

from pod_network import netlink
from pod_network.netlink import (
    Link,
    Netlink,
    NetlinkError,
    attribute,
    link_header,
    nested,
    number,
    parse,
    text,
)


def test_attributes_are_padded_and_found_again() -> None:
    data = attribute(3, "eth0") + attribute(4, 1450) + attribute(1, b"\x0a\x58\x0a\xf4\x01\x05")
    assert len(data) % 4 == 0
    found = parse(data)
    assert (text(found[3]), number(found[4]), found[1].hex(":")) == ("eth0", 1450, "0a:58:0a:f4:01:05")
    assert parse(b"") == {} and parse(data[:2]) == {} and number(None) is None and text(None) == ""


def test_nested_attributes_lose_their_flag_when_read() -> None:
    found = parse(nested(18, attribute(1, "veth")))
    assert text(parse(found[18])[1]) == "veth"


def test_a_real_kernel_answers() -> None:
    with Netlink() as connection:
        links = [Link(body) for body in connection.dump(netlink.GETLINK, link_header())]
        assert "lo" in [text(link.attributes.get(3)) for link in links]
        assert text(Link(connection.get(netlink.GETLINK, link_header(1))).attributes[3]) == "lo"
        with pytest.raises(NetlinkError) as raised:
            connection.get(netlink.GETLINK, link_header(2**30))
        assert raised.value.errno == errno.ENODEV
        # The socket is good for the next request after an error.
        assert Link(connection.get(netlink.GETLINK, link_header(1))).index == 1
