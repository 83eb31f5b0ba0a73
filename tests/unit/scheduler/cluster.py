"""Nodes and pods as short as a test needs them, and a decision without a server."""

from __future__ import annotations

import random
from typing import Any

from apimachinery import Object
from scheduler.config import ProfileConfiguration
from scheduler.decision import Failed, Placed, decide, passes
from scheduler.framework.interface import Handle
from scheduler.framework.profile import Profile
from scheduler.node_table import NodeTable
from scheduler.plugins.default_preemption import DefaultPreemption
from scheduler.pod_info import PodInfo


def node(name: str, cpu: str = "4", memory: str = "8Gi", **more: Any) -> Object:
    allocatable = {"cpu": cpu, "memory": memory, "pods": "110", **more.pop("resources", {})}
    metadata = {"name": name, "labels": {"kubernetes.io/hostname": name, **more.pop("labels", {})}}
    status = {"allocatable": allocatable, "images": more.pop("images", [])}
    return {"kind": "Node", "metadata": metadata, "spec": more, "status": status}


def pod(name: str = "p", cpu: str = "", memory: str = "", **spec: Any) -> Object:
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    container = {"name": "c", "image": "i", "resources": {"requests": requests}}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}"},
        "spec": {"schedulerName": "default-scheduler", "containers": [container], **spec},
        "status": {},
    }


class Bench:
    """A table, a profile and decisions."""

    def __init__(self, *nodes: Object, **profile: Any) -> None:
        self.table = NodeTable()
        for entry in nodes:
            self.table.set_node(entry)
        self.profile = Profile(ProfileConfiguration.model_validate(profile), Handle(None, self.table, {}))
        for plugin in self.profile.post_filter:
            if isinstance(plugin, DefaultPreemption):
                plugin.passes = lambda nodes, info: passes(self.profile, nodes, info)

    def run(self, obj: Object, on: str) -> PodInfo:
        info = PodInfo(obj)
        self.table.add_pod(info, self.table.rows[on])
        return info

    def decide(self, obj: Object) -> Placed | Failed:
        return decide(self.profile, self.table, PodInfo(obj), random.Random(1))

    def place(self, obj: Object) -> str:
        result = self.decide(obj)
        assert isinstance(result, Placed), result
        return result.node

    def message(self, obj: Object) -> str:
        result = self.decide(obj)
        assert isinstance(result, Failed), result
        return result.message
