"""ImageLocality: prefer nodes that hold the pod's images already, the large and widespread ones most."""

from __future__ import annotations

import numpy as np

from scheduler.framework.interface import MAX_SCORE, CycleState, Rows, ScorePlugin, Scores
from scheduler.node_table import NodeTable
from scheduler.pod_info import PodInfo

_MEGABYTE = 1024 * 1024
_LEAST = 23 * _MEGABYTE  # bytes below which an image does not count
_MOST_PER_CONTAINER = 1000 * _MEGABYTE


class ImageLocality(ScorePlugin):
    """Serves Score."""

    name = "ImageLocality"

    def pre_score(self, state: CycleState, pod: PodInfo, nodes: NodeTable, feasible: Rows) -> bool:
        return any(image in nodes.images for image in _images(pod))

    def score(self, state: CycleState, pod: PodInfo, nodes: NodeTable, feasible: Rows) -> Scores:
        sizes = np.zeros(len(nodes.valid), np.int64)
        images = _images(pod)
        for image in images:
            holders = nodes.images.get(image, {})
            spread = len(holders) / max(len(nodes), 1)
            for row, size in holders.items():
                sizes[row] += int(size * spread)
        most = _MOST_PER_CONTAINER * len(images)
        return (np.clip(sizes[feasible], _LEAST, most) - _LEAST) * MAX_SCORE // (most - _LEAST)


def _images(pod: PodInfo) -> list[str]:
    containers = [*(pod.spec.get("initContainers") or ()), *(pod.spec.get("containers") or ())]
    return [_normalized(container.get("image") or "") for container in containers]


def _normalized(image: str) -> str:
    """An image without tag means its `latest`, as nodes report it."""
    if ":" not in image.rpartition("/")[2] and "@" not in image:
        return image + ":latest"
    return image
