"""Ends a pod: containers gracefully and at once, sidecars after them in reverse order, then the sandbox.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination . May be cancelled and begun
again with a shorter grace period.
"""

from __future__ import annotations

import asyncio

from kubelet.pods.executor import PodExecutor
from kubelet.pods.plan import is_sidecar
from kubelet.pods.record import PodRecord
from kubelet.runtime.types import ContainerStatus


async def stop_containers(executor: PodExecutor, record: PodRecord, grace: float) -> None:
    """End everything that runs of the pod within `grace` seconds. Raises ActionFailed, RuntimeUnavailable."""
    order = [one["name"] for one in executor.pod["spec"].get("initContainers") or () if is_sidecar(one)]
    running = record.running()
    sidecars = sorted(
        (status for status in running if status.name in order), key=lambda status: -order.index(status.name)
    )
    clock = asyncio.get_running_loop().time
    deadline = clock() + grace
    await _all(executor, [status for status in running if status.name not in order], grace)
    for status in sidecars:
        await _all(executor, [status], max(0.0, deadline - clock()))


async def _all(executor: PodExecutor, statuses: list[ContainerStatus], grace: float) -> None:
    results = await asyncio.gather(
        *(
            executor.kill_container(status.id, status.name, f"Stopping container {status.name}", grace)
            for status in statuses
        ),
        return_exceptions=True,
    )
    for result in results:
        if isinstance(result, BaseException):
            raise result
