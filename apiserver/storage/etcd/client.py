"""The few operations of etcd that the API server needs, typed, over a `Channel`.

This is the whole interface between storage and etcd: nothing else sends messages. Keys and values are bytes,
revisions are etcd's store revisions. See https://etcd.io/docs/v3.4/learning/api/.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from apiserver.storage.etcd.channel import Channel, ClientStream
from apiserver.storage.etcd.endpoints import parse, tls_context
from apiserver.storage.etcd.errors import EtcdError, RevisionCompacted, from_status
from apiserver.storage.etcd.messages import rpc

_RANGE = "/etcdserverpb.KV/Range"
_TXN = "/etcdserverpb.KV/Txn"
_COMPACT = "/etcdserverpb.KV/Compact"
_WATCH = "/etcdserverpb.Watch/Watch"
_GRANT = "/etcdserverpb.Lease/LeaseGrant"
_STATUS = "/etcdserverpb.Maintenance/Status"
_PROBE: bytes = rpc.RangeRequest(key=b"\x00", limit=1, count_only=True).SerializeToString()
_EVERY_KEY = b"\x00"


class Observe(Protocol):
    """Called after each request with the operation, the kind of key it concerned and the seconds it took."""

    def __call__(self, operation: str, resource: str, seconds: float, failed: bool) -> None: ...


class Etcd:
    """A client of one etcd cluster. All methods raise `errors.EtcdError` kinds."""

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        ca_file: str | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        timeout: float = 10.0,
    ) -> None:
        """`endpoints` as in --etcd-servers; `timeout` in seconds bounds each operation.

        Raises ValueError for a bad endpoint, OSError or ssl.SSLError for bad TLS files.
        """
        parsed = [parse(url) for url in endpoints]
        tls = tls_context(ca_file, cert_file, key_file) if any(e.secure for e in parsed) else None
        self._channel = Channel(parsed, tls, timeout=timeout)
        self.observe: Observe | None = None

    @property
    def connected(self) -> bool:
        """True while a connection to some member stands."""
        return self._channel.connected

    async def close(self) -> None:
        """Close the connections."""
        await self._channel.close()

    async def get(self, key: bytes, *, revision: int = 0) -> Any:
        """Return the `KeyValue` of a key, or None. Linearizable; `revision` 0 means now."""
        answer = await self._range(rpc.RangeRequest(key=key, revision=revision), "get", "")
        return answer.kvs[0] if answer.kvs else None

    async def range(
        self,
        start: bytes,
        end: bytes,
        *,
        limit: int = 0,
        revision: int = 0,
        keys_only: bool = False,
        resource: str = "",
    ) -> Any:
        """Return the `RangeResponse` for the keys of [start, end) in key order, at `revision` (0: now)."""
        request = rpc.RangeRequest(
            key=start, range_end=end, limit=limit, revision=revision, keys_only=keys_only
        )
        return await self._range(request, "list", resource)

    async def current(self, timeout: float | None = None) -> Any:
        """Return the `ResponseHeader` of now (`cluster_id`, `revision`), linearizable."""
        answer = await self._channel.call(_RANGE, _PROBE, repeatable=True, timeout=timeout)
        return rpc.RangeResponse.FromString(answer).header

    async def current_revision(self, timeout: float | None = None) -> int:
        """Return etcd's revision: no write acknowledged before the call has a later one."""
        revision: int = (await self.current(timeout)).revision
        return revision

    async def txn(self, request: Any, *, operation: str = "txn", resource: str = "") -> Any:
        """Carry out a `TxnRequest` and return the `TxnResponse`. Never repeated once sent."""
        return rpc.TxnResponse.FromString(
            await self._timed(_TXN, request.SerializeToString(), operation, resource, repeatable=False)
        )

    async def watch(
        self,
        start_revision: int,
        on_response: Callable[[Any], None],
        on_end: Callable[[EtcdError | None], None],
    ) -> ClientStream:
        """Watch every key of etcd from `start_revision` on.

        All keys, not ours alone: each revision of etcd then arrives as an event, so that a follower knows
        without asking how far it has come (progress notices of etcd before 3.4.25 and 3.5.8 may overtake events).
        `on_response` gets each `WatchResponse`; `on_end` is called once, with RevisionCompacted when the
        start is no longer in etcd's history.
        """
        stream: ClientStream | None = None
        ended = False

        def end(error: EtcdError | None) -> None:
            nonlocal ended
            if not ended:
                ended = True
                on_end(error)

        def on_message(data: bytes) -> None:
            response = rpc.WatchResponse.FromString(data)
            if response.canceled:
                if stream is not None:
                    stream.cancel()
                if response.compact_revision:
                    end(RevisionCompacted(response.compact_revision))
                else:
                    end(from_status(14, "etcd cancelled the watch"))
            elif not ended:
                on_response(response)

        create = rpc.WatchCreateRequest(
            key=_EVERY_KEY, range_end=_EVERY_KEY, start_revision=start_revision, progress_notify=False
        )
        stream = await self._channel.stream(_WATCH, on_message, end)
        stream.send(rpc.WatchRequest(create_request=create).SerializeToString())
        return stream

    async def lease_grant(self, seconds: int) -> int:
        """Return the id of a new lease that lasts `seconds`."""
        request = rpc.LeaseGrantRequest(TTL=seconds).SerializeToString()
        answer = await self._timed(_GRANT, request, "leaseGrant", "", repeatable=True)
        lease: int = rpc.LeaseGrantResponse.FromString(answer).ID
        return lease

    async def compact(self, revision: int) -> None:
        """Discard history before `revision`."""
        request = rpc.CompactionRequest(revision=revision).SerializeToString()
        await self._timed(_COMPACT, request, "compact", "", repeatable=False)

    async def status(self, timeout: float = 2.0) -> Any:
        """Return the `StatusResponse` of the member in use (version, dbSize, leader)."""
        request = rpc.StatusRequest().SerializeToString()
        return rpc.StatusResponse.FromString(
            await self._channel.call(_STATUS, request, repeatable=True, timeout=timeout)
        )

    async def _range(self, request: Any, operation: str, resource: str) -> Any:
        return rpc.RangeResponse.FromString(
            await self._timed(_RANGE, request.SerializeToString(), operation, resource, repeatable=True)
        )

    async def _timed(
        self, path: str, message: bytes, operation: str, resource: str, *, repeatable: bool
    ) -> bytes:
        if self.observe is None:
            return await self._channel.call(path, message, repeatable=repeatable)
        loop = asyncio.get_running_loop()
        began, failed = loop.time(), True
        try:
            answer = await self._channel.call(path, message, repeatable=repeatable)
            failed = False
            return answer
        finally:
            self.observe(operation, resource, loop.time() - began, failed)
