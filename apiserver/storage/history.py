"""Lists as they were at an older revision, read from etcd, for further pages and for exact lists.

Slow compared with the cache and seldom needed: only when something has changed since the first page.
"""

from typing import Final

from apiserver.storage.cache import ResourceCache
from apiserver.storage.entry import Entry, draft_of_value
from apiserver.storage.etcd import Etcd, EtcdError, RevisionCompacted
from apiserver.storage.freshness import unavailable
from apiserver.storage.selection import Selection

_PAGE: Final = 1_000

Page = tuple[list[Entry], bool, int | None]
"""Entries, whether there are more, and how many where that is known."""


class History:
    """Reads the past from etcd."""

    def __init__(self, etcd: Etcd) -> None:
        self._etcd = etcd

    async def page(
        self, cache: ResourceCache, selection: Selection, start: str, limit: int, revision: int
    ) -> Page | None:
        """Return at most `limit` (0: all) selected objects from key `start` on, as they were at `revision`.

        None when etcd has forgotten that revision. Raises StatusError 504 when etcd is away.
        """
        prefix = cache.prefix + (f"{selection.namespace}/" if selection.namespace is not None else "")
        at = (cache.prefix + start if start else prefix).encode()
        end = (prefix[:-1] + "0").encode()
        found: list[Entry] = []
        while True:
            # Without selectors every object read is returned: read no more than asked for.
            size = limit + 1 - len(found) if limit and not selection.has_selectors else _PAGE
            try:
                answer = await self._etcd.range(
                    at, end, limit=size, revision=revision, resource=cache.resource
                )
            except RevisionCompacted:
                return None
            except EtcdError as problem:
                raise unavailable(problem) from None
            before = len(found)
            for kv in answer.kvs:
                key = kv.key.decode("utf-8", "replace")[len(cache.prefix) :]
                entry = draft_of_value(key, kv.value, cache.fields_of).entry(kv.mod_revision)
                if selection.matches(entry):
                    found.append(entry)
            if limit and len(found) > limit:
                remaining = None
                if not selection.has_selectors:
                    remaining = answer.count - (limit - before)
                return found[:limit], True, remaining
            if not answer.more:
                return found, False, None
            at = answer.kvs[-1].key + b"\x00"
