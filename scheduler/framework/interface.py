"""The extension points that plugins serve and the values that pass between them and the framework.

A plugin derives from `Plugin` and from the class of each point that it serves. Everything up to Permit is
synchronous and must neither do I/O nor change the node table; PreBind, Bind and PostBind are asynchronous.
Arrays are indexed by the node table's rows; masks cover all rows, scores only the feasible ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from apimachinery import Object
    from kube_client.client import Client
    from scheduler.node_table import NodeTable
    from scheduler.pod_info import PodInfo

Mask: TypeAlias = npt.NDArray[np.bool_]
Rows: TypeAlias = npt.NDArray[np.intp]
Scores: TypeAlias = npt.NDArray[np.int64]

MAX_SCORE = 100


class ClusterEvent(Enum):
    """What happened in the cluster that may make an unschedulable pod schedulable."""

    NODE_ADDED = "NodeAdd"
    NODE_ALLOCATABLE = "NodeAllocatableChange"
    NODE_LABELS = "NodeLabelChange"
    NODE_TAINTS = "NodeTaintChange"
    POD_ASSIGNED = "AssignedPodAdd"
    POD_UPDATED = "AssignedPodUpdate"
    POD_DELETED = "AssignedPodDelete"
    SELF_UPDATED = "UnscheduledPodUpdate"
    TIMEOUT = "UnschedulableTimeout"


# Says whether the event may help the pod: (pod, old object, new object). For POD_DELETED new is the last state.
Hint = Callable[["PodInfo", "Object | None", "Object"], bool]

# The events that may turn a plugin's no into a yes; None as hint: always.
Events: TypeAlias = Mapping[ClusterEvent, Hint | None]


@dataclass(frozen=True)
class Unschedulable:
    """A plugin's no to the pod as a whole. `resolvable`: preemption might change it."""

    reasons: tuple[str, ...]
    resolvable: bool = True


@dataclass(frozen=True)
class Wait:
    """Permit's answer "not yet": the pod keeps its node reserved for at most `timeout` seconds."""

    timeout: float


class Rejection(NamedTuple):
    """Filter's no to some nodes.

    `explain(rows)` counts the reasons for the given rejected rows (a mask) and is called only when the pod
    fits nowhere; so is `hopeless`, which marks the rows on which preemption cannot help.
    """

    rejected: Mask
    explain: Callable[[Mask], Iterable[tuple[str, int]]]
    hopeless: Callable[[], Mask] | bool = False


def one_reason(reason: str) -> Callable[[Mask], Iterable[tuple[str, int]]]:
    """The `explain` of a plugin that has the same reason for every node."""
    return lambda rows: ((reason, int(np.count_nonzero(rows))),)


class CycleState(dict[str, Any]):
    """What plugins pass from one point to the next within one scheduling cycle, by a key of their own."""


@dataclass
class Handle:
    """What the framework gives to plugins when it makes them."""

    client: Client | None
    nodes: NodeTable
    nominated: Mapping[str, str]


@dataclass(frozen=True)
class Diagnosis:
    """Why a pod fits nowhere: for PostFilter and for the message."""

    total: int
    reasons: Mapping[str, int]
    hopeless: Mask
    rejected_by: frozenset[str]
    pre_filter_message: str = ""


@dataclass(frozen=True)
class PostFilterResult:
    """PostFilter's plan: evict `victims` so that the pod fits on `node` later; or only a message."""

    message: str
    node: str | None = None
    victims: tuple[PodInfo, ...] = ()


class Plugin(ABC):
    """A plugin is made with its arguments from the configuration and the framework's handle."""

    name: ClassVar[str]
    events: ClassVar[Events] = {}

    def __init__(self, args: Mapping[str, Any], handle: Handle) -> None:
        self.args, self.handle = args, handle


class PreEnqueuePlugin(Plugin):
    """May keep a pod out of the active queue."""

    @abstractmethod
    def pre_enqueue(self, pod: PodInfo) -> Unschedulable | None:
        """None lets the pod in."""


class QueueSortPlugin(Plugin):
    """Orders the active queue; exactly one per scheduler."""

    @abstractmethod
    def sort_key(self, pod: PodInfo, queued_at: float) -> Any:
        """Pods with smaller keys are scheduled first."""


class PreFilterPlugin(Plugin):
    """Looks at the pod once before the nodes."""

    @abstractmethod
    def pre_filter(
        self, state: CycleState, pod: PodInfo, nodes: NodeTable
    ) -> Unschedulable | set[str] | None:
        """None, or the names of the only nodes to look at, or a no to the pod as a whole."""


class FilterPlugin(Plugin):
    """Says which nodes cannot take the pod."""

    @abstractmethod
    def filter(self, state: CycleState, pod: PodInfo, nodes: NodeTable) -> Rejection | None:
        """None when every node passes; rows that hold no node are ignored."""


class PostFilterPlugin(Plugin):
    """Looks for a way out when no node passes."""

    @abstractmethod
    def post_filter(
        self, state: CycleState, pod: PodInfo, nodes: NodeTable, diagnosis: Diagnosis
    ) -> PostFilterResult | None:
        """None: this plugin has nothing to say."""


class ScorePlugin(Plugin):
    """Ranks the feasible nodes from 0 to MAX_SCORE (after `normalize`)."""

    def pre_score(self, state: CycleState, pod: PodInfo, nodes: NodeTable, feasible: Rows) -> bool:
        """False: this plugin would give every node the same, leave it out for this pod."""
        return True

    @abstractmethod
    def score(self, state: CycleState, pod: PodInfo, nodes: NodeTable, feasible: Rows) -> Scores:
        """One score per feasible row."""

    def normalize(self, state: CycleState, pod: PodInfo, scores: Scores) -> Scores:
        """Bring the scores into range, where `score` did not."""
        return scores


class ReservePlugin(Plugin):
    """Keeps state about pods that have been given a node but are not bound yet."""

    @abstractmethod
    def reserve(self, state: CycleState, pod: PodInfo, node: str) -> Unschedulable | None:
        """Take what the pod needs on the node."""

    @abstractmethod
    def unreserve(self, state: CycleState, pod: PodInfo, node: str) -> None:
        """Give it back; also called for a pod that was never reserved."""


class PermitPlugin(Plugin):
    """Lets a pod bind, refuses it, or makes it wait."""

    @abstractmethod
    def permit(self, state: CycleState, pod: PodInfo, node: str) -> Unschedulable | Wait | None:
        """None permits."""


class PreBindPlugin(Plugin):
    """Prepares the binding (volumes, claims)."""

    @abstractmethod
    async def pre_bind(self, state: CycleState, pod: PodInfo, node: str) -> None:
        """Raises when the pod cannot be bound; it goes back to the queue."""


class BindPlugin(Plugin):
    """Binds the pod."""

    @abstractmethod
    async def bind(self, state: CycleState, pod: PodInfo, node: str) -> bool:
        """True when done; False leaves it to the next plugin. Raises StatusError or ApiUnavailable."""


class PostBindPlugin(Plugin):
    """Is told of bound pods."""

    @abstractmethod
    def post_bind(self, state: CycleState, pod: PodInfo, node: str) -> None:
        """For information only."""


def default_normalize(scores: Scores, *, reverse: bool = False) -> Scores:
    """Scale so that the greatest score is MAX_SCORE; with `reverse` the greatest becomes 0."""
    greatest = int(scores.max(initial=0))
    if greatest == 0:
        return np.full_like(scores, MAX_SCORE) if reverse else scores
    scaled = scores * MAX_SCORE // greatest
    return MAX_SCORE - scaled if reverse else scaled
