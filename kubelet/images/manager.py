"""Makes a container's image present, by its pull policy, with the official events and back-off.

https://kubernetes.io/docs/concepts/containers/images/ . One pull of an image runs at a time; others wait for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from apimachinery import Object
from kubelet.images.credentials import for_image
from kubelet.pods.backoff import BackoffTable
from kubelet.runtime.interface import Runtime
from kubelet.runtime.types import Image, InvalidImageName, PullFailed, RuntimeUnavailable

Event = Callable[[str, str, str], None]
PULLS_AT_ONCE = 4


class ImageFailed(Exception):
    """The container waits with this reason and message; try again at `retry_at` (epoch seconds)."""

    def __init__(self, reason: str, message: str, retry_at: float) -> None:
        super().__init__(message)
        self.reason, self.message, self.retry_at = reason, message, retry_at


class ImageManager:
    """For all pods of the node."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._backoff = BackoffTable()
        self._last_failure: dict[str, tuple[float, str]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._slots = asyncio.Semaphore(PULLS_AT_ONCE)

    async def ensure(self, pod: Object, container: Object, secrets: Iterable[Object], event: Event) -> Image:
        """The image, pulled if need be. Raises ImageFailed, RuntimeUnavailable."""
        reference, policy = (
            container["image"],
            container.get("imagePullPolicy") or _default_policy(container["image"]),
        )
        now = time.time()
        try:
            present = await self._runtime.image(reference)
        except InvalidImageName as error:
            text = f'Failed to apply default image tag "{reference}": couldn\'t parse image name "{reference}": {error}'
            event("Warning", "InspectFailed", text)
            event("Warning", "Failed", "Error: InvalidImageName")
            raise ImageFailed("InvalidImageName", text, now + 10) from error
        if policy == "Never" and present is None:
            text = f'Container image "{reference}" is not present with pull policy of Never'
            event("Warning", "ErrImageNeverPull", text)
            event("Warning", "Failed", "Error: ErrImageNeverPull")
            raise ImageFailed("ErrImageNeverPull", text, now + 10)
        if present is not None and policy != "Always":
            text = f'Container image "{reference}" already present on machine and can be accessed by the pod'
            event("Normal", "Pulled", text)
            return present
        return await self._pull(pod, reference, secrets, event)

    async def _pull(self, pod: Object, reference: str, secrets: Iterable[Object], event: Event) -> Image:
        key = f"{pod['metadata']['uid']}/{reference}"
        now = time.time()
        failed_at, why = self._last_failure.get(key, (0.0, ""))
        until = failed_at + self._backoff.wait(key, failed_at) if failed_at else 0.0
        if now < until:
            text = f'Back-off pulling image "{reference}"'
            event("Normal", "BackOff", text)
            event("Warning", "Failed", "Error: ImagePullBackOff")
            raise ImageFailed("ImagePullBackOff", f"{text}: ErrImagePull: {why}", until)
        event("Normal", "Pulling", f'Pulling image "{reference}"')
        began = time.monotonic()
        lock = self._locks.setdefault(reference, asyncio.Lock())
        try:
            async with lock, self._slots:
                waited = time.monotonic() - began
                image = await self._runtime.pull(reference, for_image(reference, secrets))
        except RuntimeUnavailable:
            raise
        except PullFailed as error:
            why = f"{error}"
            self._backoff.next(key, failed_at or time.time(), time.time())
            self._last_failure[key] = (time.time(), why)
            event("Warning", "Failed", f'Failed to pull image "{reference}": {why}')
            event("Warning", "Failed", "Error: ErrImagePull")
            wait = self._backoff.wait(key, time.time())
            raise ImageFailed("ErrImagePull", why, time.time() + min(wait, 2.0)) from error
        finally:
            if not lock.locked():
                self._locks.pop(reference, None)
        self._last_failure.pop(key, None)
        took = time.monotonic() - began
        event(
            "Normal",
            "Pulled",
            f'Successfully pulled image "{reference}" in {_seconds(took - waited)} '
            f"({_seconds(took)} including waiting). Image size: {image.size} bytes.",
        )
        return image

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        self._backoff.forget(uid)
        for key in [key for key in self._last_failure if key.startswith(uid)]:
            del self._last_failure[key]


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f}ms" if value < 1 else f"{value:.3f}s"


def _default_policy(reference: str) -> str:
    last = reference.rpartition("/")[2]
    return "Always" if ":" not in last or last.endswith(":latest") else "IfNotPresent"
