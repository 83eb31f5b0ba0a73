"""All nodes as columns: one numpy array per resource, per label key in use, and for taints.

Filters and scores are vector operations over these columns, so their cost hardly grows with the number of
nodes. Rows are reused after a node has gone; `valid` says which rows hold a node. Only the cache changes the
table, never a plugin.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from apimachinery import Object
from scheduler.framework.interface import ClusterEvent, Mask
from scheduler.pod_info import HostPort, PodInfo, amounts

CPU, MEMORY, EPHEMERAL_STORAGE, PODS = range(4)
_FIRST_RESOURCES = ("cpu", "memory", "ephemeral-storage", "pods")
_FIRST_ROWS = 64

# Amounts are whole numbers kept as floats: exact below 2**53, and dividing them is several times faster.
Amounts = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int32]


class Taint(NamedTuple):
    """A node's taint, without the time at which it was added."""

    key: str
    value: str
    effect: str


class LabelColumn:
    """One label key over all nodes: 0 where a node lacks it, else the id of its value."""

    def __init__(self, rows: int) -> None:
        self.ids: Ids = np.zeros(rows, np.int32)
        self.values: list[str] = [""]
        self._known: dict[str, int] = {}

    def set(self, row: int, value: str | None) -> None:
        """Record the node's value; None when it lacks the label."""
        if value is None:
            self.ids[row] = 0
            return
        known = self._known.get(value)
        if known is None:
            known = self._known[value] = len(self.values)
            self.values.append(value)
        self.ids[row] = known

    def equals(self, values: Iterable[str]) -> Mask:
        """Rows whose value is one of `values`."""
        wanted = [known for value in values if (known := self._known.get(value)) is not None]
        if len(wanted) == 1:
            return np.equal(self.ids, wanted[0])
        return np.isin(self.ids, wanted)

    def where(self, test: Sequence[bool]) -> Mask:
        """Rows whose value id passes: `test` has one entry per id."""
        return np.asarray(test, dtype=np.bool_)[self.ids]


class NodeTable:
    """See the module. `requested` counts every assigned and assumed pod, `nonzero` with default requests."""

    def __init__(self, rows: int = _FIRST_ROWS) -> None:
        self.rows: dict[str, int] = {}
        self.names: list[str] = [""] * rows
        self.resources: dict[str, int] = {name: index for index, name in enumerate(_FIRST_RESOURCES)}
        self.valid: Mask = np.zeros(rows, np.bool_)
        self.allocatable: Amounts = np.zeros((len(_FIRST_RESOURCES), rows))
        self.requested: Amounts = np.zeros((len(_FIRST_RESOURCES), rows))
        self.nonzero: Amounts = np.zeros((2, rows))
        self.unschedulable: Mask = np.zeros(rows, np.bool_)
        self.taints: Ids = np.zeros(rows, np.int32)
        self.taint_sets: list[tuple[Taint, ...]] = [()]
        self.taint_set_nodes: list[int] = [0]  # how many nodes have each set
        self._taint_ids: dict[tuple[Taint, ...], int] = {(): 0}
        self.labels: list[dict[str, str]] = [{} for _ in range(rows)]
        self._columns: dict[str, LabelColumn] = {}
        self.pods: list[dict[str, PodInfo]] = [{} for _ in range(rows)]
        self.ports: dict[tuple[str, int], dict[int, Counter[str]]] = {}
        self.images: dict[str, dict[int, int]] = {}
        self._node_images: list[tuple[str, ...]] = [()] * rows
        self._free = list(range(rows - 1, -1, -1))

    def __len__(self) -> int:
        return len(self.rows)

    def set_node(self, node: Object) -> set[ClusterEvent]:
        """Add or update a node; returns what changed for pods that wait."""
        name = node["metadata"]["name"]
        row = self.rows.get(name)
        events: set[ClusterEvent] = set()
        if row is None:
            row = self._take_row()
            self.rows[name] = row
            self.names[row] = name
            self.valid[row] = True
            self.taint_set_nodes[0] += 1
            events.add(ClusterEvent.NODE_ADDED)
        spec, status = node.get("spec") or {}, node.get("status") or {}
        if self._set_allocatable(row, amounts(status.get("allocatable"))):
            events.add(ClusterEvent.NODE_ALLOCATABLE)
        if self._set_labels(row, node["metadata"].get("labels") or {}):
            events.add(ClusterEvent.NODE_LABELS)
        if self._set_taints(row, spec):
            events.add(ClusterEvent.NODE_TAINTS)
        self._set_images(row, status.get("images") or ())
        return events

    def remove_node(self, name: str) -> list[PodInfo]:
        """Forget a node; returns the pods that were counted on it."""
        row = self.rows.pop(name, None)
        if row is None:
            return []
        pods = list(self.pods[row].values())
        for pod in pods:
            self.remove_pod(pod, row)
        self._set_labels(row, {})
        self._set_images(row, ())
        self.valid[row] = self.unschedulable[row] = False
        self.allocatable[:, row] = 0
        self.taint_set_nodes[self.taints[row]] -= 1
        self.taints[row] = 0
        self.names[row] = ""
        self._free.append(row)
        return pods

    def add_pod(self, pod: PodInfo, row: int) -> None:
        """Count a pod on a node."""
        self.pods[row][pod.uid] = pod
        self._count(pod, row, 1)
        for port in pod.host_ports:
            self.ports.setdefault(port[:2], {}).setdefault(row, Counter())[port.ip] += 1

    def remove_pod(self, pod: PodInfo, row: int) -> None:
        """Take a pod off a node; nothing happens if it is not counted there."""
        counted = self.pods[row].pop(pod.uid, None)
        if counted is None:
            return
        self._count(counted, row, -1)
        for port in counted.host_ports:
            self._free_port(port, row)

    def only(self, row: int) -> NodeTable:
        """A table of one node, a copy of `row`, on which changes can be tried out."""
        table = NodeTable(rows=1)
        table.rows, table.names, table._free = {self.names[row]: 0}, [self.names[row]], []
        table.resources = dict(self.resources)
        table.valid, table.unschedulable = self.valid[row : row + 1], self.unschedulable[row : row + 1]
        table.taints, table.taint_sets = self.taints[row : row + 1], self.taint_sets
        table.taint_set_nodes = [0] * len(self.taint_sets)
        table.taint_set_nodes[self.taints[row]] = 1
        table.allocatable = self.allocatable[:, row : row + 1]
        table.requested = self.requested[:, row : row + 1].copy()
        table.nonzero = self.nonzero[:, row : row + 1].copy()
        table.labels, table.pods = [self.labels[row]], [dict(self.pods[row])]
        for pod in table.pods[0].values():
            for port in pod.host_ports:
                table.ports.setdefault(port[:2], {}).setdefault(0, Counter())[port.ip] += 1
        return table

    def column(self, key: str) -> LabelColumn:
        """The column of a label key, made when first asked for and kept current from then on."""
        column = self._columns.get(key)
        if column is None:
            column = self._columns[key] = LabelColumn(len(self.valid))
            for row in self.rows.values():
                column.set(row, self.labels[row].get(key))
        return column

    def resource(self, name: str) -> int:
        """The index of a resource in `allocatable` and `requested`, made when first seen."""
        index = self.resources.get(name)
        if index is None:
            index = self.resources[name] = len(self.resources)
            padding = ((0, 1), (0, 0))
            self.allocatable = np.pad(self.allocatable, padding)
            self.requested = np.pad(self.requested, padding)
        return index

    def _count(self, pod: PodInfo, row: int, sign: int) -> None:
        for name, amount in pod.requests.items():
            self.requested[self.resource(name), row] += sign * amount
        self.requested[PODS, row] += sign
        self.nonzero[0, row] += sign * pod.nonzero_cpu
        self.nonzero[1, row] += sign * pod.nonzero_memory

    def _free_port(self, port: HostPort, row: int) -> None:
        rows = self.ports[port[:2]]
        rows[row][port.ip] -= 1
        rows[row] = +rows[row]
        if not rows[row]:
            del rows[row]
        if not rows:
            del self.ports[port[:2]]

    def _set_allocatable(self, row: int, allocatable: dict[str, int]) -> bool:
        for name in allocatable:
            self.resource(name)
        new = np.zeros(len(self.resources))
        for name, amount in allocatable.items():
            new[self.resources[name]] = amount
        changed = not np.array_equal(self.allocatable[:, row], new)
        self.allocatable[:, row] = new
        return changed

    def _set_labels(self, row: int, labels: dict[str, str]) -> bool:
        if labels == self.labels[row]:
            return False
        self.labels[row] = dict(labels)
        for key, column in self._columns.items():
            column.set(row, labels.get(key))
        return True

    def _set_taints(self, row: int, spec: Object) -> bool:
        taints = tuple(Taint(t["key"], t.get("value") or "", t["effect"]) for t in spec.get("taints") or ())
        known = self._taint_ids.get(taints)
        if known is None:
            known = self._taint_ids[taints] = len(self.taint_sets)
            self.taint_sets.append(taints)
            self.taint_set_nodes.append(0)
        unschedulable = bool(spec.get("unschedulable"))
        changed = bool(self.taints[row] != known or self.unschedulable[row] != unschedulable)
        self.taint_set_nodes[self.taints[row]] -= 1
        self.taint_set_nodes[known] += 1
        self.taints[row], self.unschedulable[row] = known, unschedulable
        return changed

    def _set_images(self, row: int, images: Iterable[Object]) -> None:
        sizes = {name: image.get("sizeBytes") or 0 for image in images for name in image.get("names") or ()}
        for name in self._node_images[row]:
            if name not in sizes:
                self.images[name].pop(row)
                if not self.images[name]:
                    del self.images[name]
        for name, size in sizes.items():
            self.images.setdefault(name, {})[row] = size
        self._node_images[row] = tuple(sizes)

    def _take_row(self) -> int:
        if not self._free:
            self._grow()
        return self._free.pop()

    def _grow(self) -> None:
        old = len(self.valid)
        more = max(_FIRST_ROWS, old // 4)
        wide, flat = ((0, 0), (0, more)), (0, more)
        self.valid, self.unschedulable = np.pad(self.valid, flat), np.pad(self.unschedulable, flat)
        self.taints = np.pad(self.taints, flat)
        self.allocatable, self.requested = np.pad(self.allocatable, wide), np.pad(self.requested, wide)
        self.nonzero = np.pad(self.nonzero, wide)
        for column in self._columns.values():
            column.ids = np.pad(column.ids, flat)
        self.names += [""] * more
        self.labels += [{} for _ in range(more)]
        self.pods += [{} for _ in range(more)]
        self._node_images += [()] * more
        self._free += range(old + more - 1, old - 1, -1)
