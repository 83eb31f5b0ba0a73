"""SchedulingGates: a pod with `spec.schedulingGates` does not enter the queue until they are removed."""

from __future__ import annotations

from typing import ClassVar

from scheduler.framework.interface import ClusterEvent, Events, PreEnqueuePlugin, Unschedulable
from scheduler.pod_info import PodInfo


class SchedulingGates(PreEnqueuePlugin):
    """Serves PreEnqueue."""

    name = "SchedulingGates"
    events: ClassVar[Events] = {
        ClusterEvent.SELF_UPDATED: lambda _pod, _old, new: not new["spec"].get("schedulingGates")
    }

    def pre_enqueue(self, pod: PodInfo) -> Unschedulable | None:
        gates = pod.spec.get("schedulingGates")
        if not gates:
            return None
        names = " ".join(gate["name"] for gate in gates)
        return Unschedulable((f"waiting for scheduling gates: [{names}]",), resolvable=False)
