"""Compaction of etcd's history: every five minutes, up to where it was five minutes ago, by one API server.

The servers agree through the key that the original uses (`compact_rev_key`): who bumps its version in a round
compacts, the others learn the version and wait for the next round.
"""

import asyncio
from typing import Any, Final

from apiserver.storage.etcd import Etcd, EtcdError, RevisionCompacted, rpc
from component_base.logs import get_logger

KEY: Final = b"compact_rev_key"
INTERVAL_SECONDS: Final = 300.0

log = get_logger("storage")


class Compactor:
    """One server's part in the agreement."""

    def __init__(self, etcd: Etcd, interval: float = INTERVAL_SECONDS) -> None:
        """`interval` in seconds; 0 switches compaction off."""
        self._etcd = etcd
        self._interval = interval
        self._version = 0
        self._revision = 0

    async def run(self) -> None:
        """Compact until cancelled."""
        while self._interval > 0:
            await asyncio.sleep(self._interval)
            try:
                await self.round()
            except EtcdError as problem:
                log.warning("Compaction of etcd failed", error=str(problem))

    async def round(self) -> bool:
        """Do one round; return whether this server compacted."""
        request = rpc.TxnRequest()
        request.compare.add(target=rpc.Compare.VERSION, key=KEY, version=self._version)
        put = request.success.add().request_put
        put.key = KEY
        put.value = str(self._revision).encode()
        request.failure.add().request_range.key = KEY
        answer: Any = await self._etcd.txn(request)
        revision, self._revision = self._revision, answer.header.revision
        if not answer.succeeded:
            held = answer.responses[0].response_range.kvs
            self._version = held[0].version if held else 0
            return False
        self._version += 1
        if revision == 0:  # the first round knows no old revision yet
            return False
        try:
            await self._etcd.compact(revision)
        except RevisionCompacted:
            return False
        log.debug("Compacted etcd", revision=revision)
        return True
