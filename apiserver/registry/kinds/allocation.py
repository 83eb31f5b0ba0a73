"""Which address or port a Service is given when it does not ask for one: a random free one, upper band first.

Whether a value is free is decided by storage: each is a key that is created in the transaction of its Service, so
that several API servers never hand out one twice. A pool only remembers which keys it has found taken of late,
to choose better; forgetting costs another try, never a double allocation.
"""

from __future__ import annotations

import ipaddress
import random
import time
from collections.abc import Callable

from apiserver.registry.settings import Network

_REMEMBERED_SECONDS = 60.0
_TRIES = 64
ADDRESS_KEYS = "ipaddresses"
PORT_KEYS = "ranges/servicenodeports"


def address_key(address: str) -> str:
    """The claim key of a cluster IP: that of its IPAddress object."""
    return f"{ADDRESS_KEYS}/{ipaddress.ip_address(address)}"


def port_key(port: int) -> str:
    """The claim key of a node port."""
    return f"{PORT_KEYS}/{port}"


class Pool:
    """Offsets 0 … size-1, of which the lowest `reserved` are left for those who ask for a value by name."""

    def __init__(self, size: int, reserved: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.size = size
        self.reserved = min(reserved, size)
        self._clock = clock
        self._taken: dict[int, float] = {}

    def remember_taken(self, offset: int) -> None:
        """Avoid this offset for a while."""
        self._taken[offset] = self._clock() + _REMEMBERED_SECONDS

    def choose(self) -> int | None:
        """A random offset not known to be taken; None when every one is."""
        now = self._clock()
        if len(self._taken) > 1024:
            self._taken = {o: until for o, until in self._taken.items() if until > now}
        for low, high in ((self.reserved, self.size), (0, self.reserved)):
            offset = self._choose_between(low, high, now)
            if offset is not None:
                return offset
        return None

    def _choose_between(self, low: int, high: int, now: float) -> int | None:
        if low >= high:
            return None
        for _ in range(_TRIES):
            offset = random.randrange(low, high)
            if self._taken.get(offset, 0) <= now:
                return offset
        start = random.randrange(low, high)
        for step in range(min(high - low, len(self._taken) + 1)):
            offset = low + (start - low + step) % (high - low)
            if self._taken.get(offset, 0) <= now:
                return offset
        return None


class AddressPool:
    """The cluster IPs of one family."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.family = "IPv6" if network.version == 6 else "IPv4"
        # The network address is never handed out, nor, for IPv4, the broadcast address.
        size = min(network.num_addresses, 1 << 16) - (2 if network.version == 4 else 1)
        self._pool = Pool(size, min(max(16, size // 16), 256))

    def choose(self) -> str | None:
        """A random address; None when all are taken."""
        offset = self._pool.choose()
        return None if offset is None else str(self.network[offset + 1])

    def remember_taken(self, address: str) -> None:
        """Avoid this address for a while."""
        self._pool.remember_taken(int(ipaddress.ip_address(address)) - int(self.network.network_address) - 1)

    def __contains__(self, address: str) -> bool:
        value = ipaddress.ip_address(address)
        if value.version != self.network.version or value not in self.network:
            return False
        return value != self.network.network_address and not (
            value.version == 4 and value == self.network.broadcast_address
        )


class PortPool:
    """The node ports."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        size = last - first + 1
        self._pool = Pool(size, 0 if size < 16 else min(max(16, size // 32), 128))

    def choose(self) -> int | None:
        """A random port; None when all are taken."""
        offset = self._pool.choose()
        return None if offset is None else self.first + offset

    def remember_taken(self, port: int) -> None:
        """Avoid this port for a while."""
        self._pool.remember_taken(port - self.first)

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last
