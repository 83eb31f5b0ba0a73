"""etcd leases for objects that expire (Events): shared, because a lease per object would burden etcd.

Objects written within a minute of each other share a lease, which lasts that minute longer than asked for, so
that none expires early.
"""

import asyncio
from typing import Final

from apiserver.storage.etcd import Etcd

_REUSE_SECONDS: Final = 60
_MOST_OBJECTS: Final = 1_000


class _Lease:
    __slots__ = ("granted", "id", "objects")

    def __init__(self, granted: float, id: int) -> None:
        self.granted = granted
        self.id = id
        self.objects = 0


class Leases:
    """Hands out lease ids."""

    def __init__(self, etcd: Etcd) -> None:
        self._etcd = etcd
        self._by_ttl: dict[int, _Lease] = {}
        self._lock = asyncio.Lock()

    async def get(self, ttl: int | None) -> int:
        """Return a lease for an object that shall last `ttl` seconds; 0, no lease, for None. Raises EtcdError."""
        if not ttl:
            return 0
        async with self._lock:
            now = asyncio.get_running_loop().time()
            lease = self._by_ttl.get(ttl)
            reuse = min(_REUSE_SECONDS, ttl)
            if lease is None or now - lease.granted > reuse or lease.objects >= _MOST_OBJECTS:
                lease = self._by_ttl[ttl] = _Lease(now, await self._etcd.lease_grant(ttl + reuse))
            lease.objects += 1
            return lease.id
