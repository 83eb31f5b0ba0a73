"""Which pod sandbox has which address of the node's range: remembered over restarts, never given out twice.

Addresses are handed out round robin, so that one just released is the last to be used again: a client that still
talks to the old pod does not reach a new one. The book is written (fsync, rename) before an address is used.
"""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from pod_network.errors import AddressesExhausted, NetworkError

GATEWAY_OFFSET = 1  # .1, as the bridge plugin's isGateway does
_UNUSABLE_AT_END = 1  # the broadcast address


class AddressBook:
    """The addresses of one node's IPv4 range by sandbox id. Not thread-safe: used from one thread.

    `path` is the file of the book; None keeps it in memory only. Raises NetworkError when the file is damaged and
    ValueError for a range of fewer than four addresses.
    """

    def __init__(self, pod_cidr: str, path: Path | None) -> None:
        self.network = ipaddress.IPv4Network(pod_cidr)
        if self.network.prefixlen > 30:
            raise ValueError(f"pod range {pod_cidr} is too small")
        self._path = path
        self._owners: dict[str, str] = {}
        self._last = ""
        self._load()

    @property
    def gateway(self) -> str:
        """The bridge's own address."""
        return str(self.network[GATEWAY_OFFSET])

    def get(self, owner: str) -> str | None:
        """The owner's address, or None."""
        return self._owners.get(owner)

    def owners(self) -> Mapping[str, str]:
        """Address by owner; not to be changed."""
        return self._owners

    def allocate(self, owner: str) -> str:
        """The owner's address: the one it has, or the next free one after the last given out.

        Raises AddressesExhausted, and OSError when the book cannot be written (nothing is then given out).
        """
        known = self._owners.get(owner)
        if known is not None:
            return known
        address = self._next_free()
        previous, self._last = self._last, address
        self._owners[owner] = address
        try:
            self._save()
        except OSError:
            del self._owners[owner]
            self._last = previous
            raise
        return address

    def record(self, owner: str, address: str) -> None:
        """Note an address that `owner` is seen to use already, for instance after the book was lost."""
        if self._owners.get(owner) != address:
            self._owners[owner] = address
            self._save()

    def release(self, owner: str) -> None:
        """Free the owner's address; harmless when it has none."""
        if self._owners.pop(owner, None) is not None:
            self._save()

    def keep_only(self, owners: Collection[str]) -> list[str]:
        """Free the addresses of all other owners, and return who they were."""
        gone = [owner for owner in self._owners if owner not in owners]
        for owner in gone:
            del self._owners[owner]
        if gone:
            self._save()
        return gone

    def _next_free(self) -> str:
        first = int(self.network.network_address) + GATEWAY_OFFSET + 1
        count = self.network.num_addresses - GATEWAY_OFFSET - 1 - _UNUSABLE_AT_END
        used = set(self._owners.values())
        start = 0
        if self._last and ipaddress.IPv4Address(self._last) in self.network:
            start = int(ipaddress.IPv4Address(self._last)) - first + 1
        for step in range(count):
            address = str(ipaddress.IPv4Address(first + (start + step) % count))
            if address not in used:
                return address
        raise AddressesExhausted(
            "failed to allocate for range 0: no IP addresses available in range set: "
            f"{self.network[1]}-{self.network[-2]}"
        )

    def _load(self) -> None:
        if self._path is None:
            return
        try:
            state = json.loads(self._path.read_text())
            self._owners = {str(owner): str(address) for owner, address in state["addresses"].items()}
            self._last = str(state["last"])
        except FileNotFoundError:
            return
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise NetworkError(f"address book {self._path} is damaged: {error}") from error

    def _save(self) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        written = self._path.with_suffix(".new")
        with written.open("w") as file:
            json.dump({"last": self._last, "addresses": self._owners}, file)
            file.flush()
            os.fsync(file.fileno())
        written.replace(self._path)
