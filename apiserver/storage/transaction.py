"""Writes: one etcd transaction each, that succeeds only if the object is still as the writer saw it.

Claims are further keys that come or go in the same transaction (a cluster IP, a node port): they make sure
that several API servers never hand out the same thing twice, without locks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apimachinery import Object
from apiserver.storage import codec
from apiserver.storage.entry import Draft, draft_of_value
from apiserver.storage.etcd import Etcd, rpc
from apiserver.storage.feed import Change, Feed

_MOD = rpc.Compare.MOD
_CREATE = rpc.Compare.CREATE


@dataclass(frozen=True)
class Claim:
    """A key to hold for one object alone, created only if nobody holds it.

    `key` is relative to the store's prefix (`ranges/servicenodeports/30080`, `ipaddresses/10.96.0.7`). `value` says
    who holds it; where the key belongs to a resource, it is that resource's object.
    """

    key: str
    value: Object | bytes = b"{}"

    def encoded(self) -> bytes:
        """Return the bytes to store."""
        return self.value if isinstance(self.value, bytes) else codec.encode(self.value)


class ClaimTaken(Exception):
    """Somebody else holds a claimed key; nothing was written. `key` as in the Claim."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} is taken")
        self.key = key


@dataclass(frozen=True)
class Outcome:
    """What a transaction did: `revision` of the write, or 0 and the object's present `kv` (None: there is none)."""

    revision: int
    kv: Any = None


class Writer:
    """Carries out transactions and tells the feed. Keys are whole etcd keys."""

    def __init__(self, etcd: Etcd, feed: Feed, prefix: str) -> None:
        self._etcd = etcd
        self._feed = feed
        self._prefix = prefix

    async def write(
        self,
        key: str,
        draft: Draft | None,
        seen: int,
        *,
        lease: int = 0,
        claims: Sequence[Claim] = (),
        releases: Sequence[str] = (),
        resource: str = "",
    ) -> Outcome:
        """Put `draft`, or delete the key with None, if its revision is still `seen` (0: it must not exist).

        Raises EtcdError, and ClaimTaken when the object is as seen but a claimed key is held.
        """
        raw_key = key.encode()
        request = rpc.TxnRequest()
        request.compare.add(target=_MOD, key=raw_key, mod_revision=seen)
        success = request.success
        if draft is not None:
            put = success.add().request_put
            put.key = raw_key
            put.value = draft.value
            put.lease = lease
        else:
            success.add().request_delete_range.key = raw_key
        request.failure.add().request_range.key = raw_key
        if not claims and not releases:
            changes: list[Change] = [(key, draft)]
        else:
            changes = self._with_claims(request, (key, draft), claims, releases)
        operation = "delete" if draft is None else ("update" if seen else "create")
        feed = self._feed
        expected = [(changed, state) for changed, state in changes if state is not None]
        for changed, state in expected:
            feed.expect(changed, state)
        try:
            answer = await self._etcd.txn(request, operation=operation, resource=resource)
            if answer.succeeded:
                revision: int = answer.header.revision
                feed.wrote(revision, changes)
                return Outcome(revision)
        finally:
            for changed, state in expected:
                feed.settle(changed, state)
        held = answer.responses[0].response_range.kvs
        kv = held[0] if held else None
        if (kv.mod_revision if kv is not None else 0) == seen:
            for claim, response in zip(claims, answer.responses[1:], strict=True):
                if response.response_range.kvs:
                    raise ClaimTaken(claim.key)
        return Outcome(0, kv)

    def _with_claims(
        self, request: Any, main: Change, claims: Sequence[Claim], releases: Sequence[str]
    ) -> list[Change]:
        """Add claims and releases to the request; return all changes that it makes."""
        changes = [main]
        for claim in claims:
            key, value = self._prefix + claim.key, claim.encoded()
            raw_key = key.encode()
            request.compare.add(target=_CREATE, key=raw_key, create_revision=0)
            put = request.success.add().request_put
            put.key = raw_key
            put.value = value
            lookup = request.failure.add().request_range
            lookup.key = raw_key
            lookup.keys_only = True
            cache = self._feed.cache_of(key)
            draft = None
            if cache is not None:
                draft = draft_of_value(key[len(cache.prefix) :], value, cache.fields_of)
            changes.append((key, draft))
        for release in releases:
            key = self._prefix + release
            request.success.add().request_delete_range.key = key.encode()
            changes.append((key, None))
        return changes
