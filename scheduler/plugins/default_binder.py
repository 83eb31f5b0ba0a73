"""DefaultBinder: tells the API server the pod's node through the `binding` subresource."""

from __future__ import annotations

from apimachinery.resources import PODS
from scheduler.framework.interface import BindPlugin, CycleState
from scheduler.pod_info import PodInfo


class DefaultBinder(BindPlugin):
    """Serves Bind."""

    name = "DefaultBinder"

    async def bind(self, state: CycleState, pod: PodInfo, node: str) -> bool:
        if self.handle.client is None:
            raise RuntimeError("DefaultBinder needs a client")
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        await self.handle.client.create(PODS, binding, pod.namespace, "binding", pod.name)
        return True
