"""When the cache may answer: consistent reads without reading objects from etcd.

A consistent read asks etcd for its revision and waits until the feed has reached it. One question serves all
readers that wait; a reader never joins a question that was sent before it came, because that answer may be
older than a write which the reader has already seen acknowledged.
"""

import asyncio
from typing import Final

from apimachinery import errors
from apimachinery.errors import StatusError
from apiserver.storage.etcd import Etcd, EtcdError, EtcdUnavailable
from apiserver.storage.feed import Feed

_WAIT_SECONDS: Final = 3.0
"""How long a reader waits for the cache to reach a revision, as the original's watch cache does."""
_LOAD_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 1


def unavailable(problem: EtcdError) -> StatusError:
    """Return the Status for an operation that etcd did not carry out, or of which it is not known."""
    if "too large" in problem.message:
        return errors.entity_too_large(problem.message)
    if isinstance(problem, EtcdUnavailable) and not problem.sent:
        return errors.timeout("etcdserver: request timed out", _RETRY_SECONDS)
    if problem.code in (4, 14):
        return errors.timeout("etcdserver: request timed out")
    return errors.internal_error(problem.message)


class Freshness:
    """Waits until the feed is as fresh as a read demands."""

    def __init__(self, etcd: Etcd, feed: Feed, *, timeout: float) -> None:
        """`timeout` in seconds bounds the question to etcd."""
        self._etcd = etcd
        self._feed = feed
        self._timeout = timeout
        self._next: asyncio.Future[int] | None = None
        self._asking: asyncio.Task[None] | None = None

    async def current_revision(self) -> int:
        """Return a revision that no write acknowledged before this call exceeds; raises StatusError 504."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask())
        try:
            return await asyncio.shield(self._next)
        except EtcdError as problem:
            raise unavailable(problem) from None

    async def _ask(self) -> None:
        while self._next is not None:
            answer, self._next = self._next, None
            try:
                answer.set_result(await self._etcd.current_revision(self._timeout))
            except EtcdError as problem:
                answer.set_exception(problem)
                answer.exception()  # nobody may be waiting any more
            except BaseException:
                answer.cancel()
                raise
        self._asking = None

    async def consistent(self) -> None:
        """Wait until the cache has everything that was acknowledged before this call; raises StatusError."""
        revision = await self.current_revision()
        if self._feed.revision < revision and not await self._feed.reach(revision, _WAIT_SECONDS):
            raise errors.timeout(
                f"Too large resource version: {revision}, current: {self._feed.revision}", _RETRY_SECONDS
            )

    async def not_older_than(self, revision: int) -> None:
        """Wait until the cache has reached a revision; raises StatusError 504 when it does not in 3 s."""
        if self._feed.revision < revision and not await self._feed.reach(revision, _WAIT_SECONDS):
            raise errors.too_large_resource_version(revision, self._feed.revision, _RETRY_SECONDS)

    async def loaded(self, event: asyncio.Event) -> None:
        """Wait for a cache's first load; raises StatusError 429 when it takes too long."""
        if event.is_set():
            return
        try:
            async with asyncio.timeout(_LOAD_SECONDS):
                await event.wait()
        except TimeoutError:
            raise errors.too_many_requests("storage is (re)initializing", _RETRY_SECONDS) from None


def parse_revision(text: str | None) -> int | None:
    """Return the number of a `resourceVersion` parameter, None where it is not set; raises StatusError 400."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 20 or int(text) >= 1 << 64:
        raise errors.invalid_resource_version(text)
    return int(text)
