"""One active instance among many: a Lease that the leader renews and the others wait for.

Follows https://kubernetes.io/docs/concepts/architecture/leases/ with the original's timing, so that originals
and ours can stand by for each other. Clocks are not compared between machines: a lease is expired when it has
not changed for its duration on the observer's own clock. The leader must stop before others may start: its
work is cancelled at `renew_deadline`, before `lease_duration` is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

from apimachinery import Object, times
from apimachinery.errors import StatusError
from apimachinery.resources import LEASES
from component_base.logs import get_logger
from kube_client.client import Client
from kube_client.errors import ApiUnavailable
from kube_client.metrics import LEADER

log = get_logger("leaderelection")

_FIRST_RETRY = 0.1  # seconds after the first attempt that the server did not answer


class LeaderElector:
    """Durations are in seconds."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        lease_duration: float = 15,
        renew_deadline: float = 10,
        retry_period: float = 2,
        on_new_leader: Callable[[Object], None] | None = None,
    ) -> None:
        self._client = client
        self._namespace, self._name, self.identity = namespace, name, identity
        self._lease_duration, self._renew_deadline = lease_duration, renew_deadline
        self._retry_period = retry_period
        self._failed = False
        self._on_new_leader = on_new_leader
        self._seen: Object | None = None
        self._seen_at = 0.0
        self.leading = False

    async def run(self, work: Callable[[], Awaitable[None]], stop: asyncio.Event) -> bool:
        """Wait for the lease, run `work()` while it is held. True: `stop` was set; False: the lease was lost.

        An exception of `work` ends the run and is raised. The lease is released on the way out, so that a
        successor need not wait for it to expire.
        """
        LEADER.labels(self._name).set(0)
        if not await self._acquire(stop):
            return True
        log.info("Became leader", lease=f"{self._namespace}/{self._name}", identity=self.identity)
        LEADER.labels(self._name).set(1)
        self.leading = True
        tasks = {
            "work": asyncio.ensure_future(work()),
            "renew": asyncio.create_task(self._renew()),
            "stop": asyncio.create_task(stop.wait()),
        }
        try:
            await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.leading = False
            LEADER.labels(self._name).set(0)
            for task in tasks.values():
                task.cancel()
            results = await asyncio.gather(*tasks.values(), return_exceptions=True)
            await self._release()
        failure = results[0]
        if isinstance(failure, Exception):
            raise failure
        return stop.is_set()

    async def _acquire(self, stop: asyncio.Event) -> bool:
        """Try until the lease is ours. A lease that somebody holds is looked at every `retry_period`; a server that
        does not answer yet is asked sooner at first, because a starting cluster waits for its controllers."""
        soon = _FIRST_RETRY
        while not stop.is_set():
            if await self._try(acquire=True):
                return True
            delay = self._retry_period * random.uniform(1.0, 2.2)
            if self._failed:
                delay = min(delay, soon * random.uniform(1.0, 1.2))
                soon *= 1.5
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await stop.wait()
        return False

    async def _renew(self) -> None:
        """Return when the lease could not be renewed for `renew_deadline`."""
        clock = asyncio.get_running_loop().time
        renewed = clock()
        while clock() - renewed < self._renew_deadline:
            await asyncio.sleep(self._retry_period)
            try:
                async with asyncio.timeout(max(0.1, renewed + self._renew_deadline - clock())):
                    if await self._try(acquire=False):
                        renewed = clock()
                    elif self._seen is not None and _holder(self._seen) not in ("", self.identity):
                        log.error("Leader election lost", holder=_holder(self._seen))
                        return
            except TimeoutError:
                break
        log.error("Leader election lost", reason="failed to renew lease in time")

    async def _try(self, acquire: bool) -> bool:
        self._failed = False
        try:
            return await self._take()
        except (ApiUnavailable, StatusError) as error:
            self._failed = True
            if isinstance(error, StatusError) and error.code in (404, 409):
                self._seen = None  # deleted or changed by somebody: look before the next attempt
            log.debug("Lease not updated", acquire=acquire, error=str(error))
            return False

    async def _take(self) -> bool:
        """One attempt to create, take over or renew. False: somebody else holds it."""
        now = times.now_micro()
        if self._seen is None or _holder(self._seen) != self.identity:
            try:
                lease = await self._client.get(LEASES, self._name, self._namespace)
            except StatusError as error:
                if error.code != 404:
                    raise
                self._note(await self._client.create(LEASES, self._new(now)))
                self._announce()
                return True
            self._note(lease)
            if _holder(lease) not in ("", self.identity) and not self._expired():
                return False
        assert self._seen is not None
        spec = dict(self._seen.get("spec") or {})
        taking_over = spec.get("holderIdentity") != self.identity
        if taking_over:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        spec |= {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(self._lease_duration),
            "renewTime": now,
        }
        self._note(await self._client.update(LEASES, {**self._seen, "spec": spec}))
        if taking_over:
            self._announce()
        return True

    def _new(self, now: str) -> Object:
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self.identity,
                "leaseDurationSeconds": int(self._lease_duration),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        }

    def _note(self, lease: Object) -> None:
        if self._seen is None or self._seen.get("spec") != lease.get("spec"):
            self._seen_at = asyncio.get_running_loop().time()
        self._seen = lease

    def _expired(self) -> bool:
        assert self._seen is not None
        duration = float((self._seen.get("spec") or {}).get("leaseDurationSeconds") or self._lease_duration)
        return asyncio.get_running_loop().time() - self._seen_at > duration

    def _announce(self) -> None:
        if self._on_new_leader is not None and self._seen is not None:
            self._on_new_leader(self._seen)

    async def _release(self) -> None:
        if self._seen is None or _holder(self._seen) != self.identity:
            return
        spec = dict(self._seen["spec"]) | {"leaseDurationSeconds": 1, "renewTime": times.now_micro()}
        del spec["holderIdentity"]  # the server takes no empty one
        with contextlib.suppress(ApiUnavailable, StatusError, TimeoutError):
            async with asyncio.timeout(2):
                await self._client.update(LEASES, {**self._seen, "spec": spec})


def _holder(lease: Object) -> str:
    return str((lease.get("spec") or {}).get("holderIdentity") or "")
