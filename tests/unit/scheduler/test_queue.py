"""Who is tried when: priorities, back-off, events that help, gates."""

from __future__ import annotations

from typing import Any

from apimachinery import Object
from scheduler.framework.interface import ClusterEvent
from scheduler.pod_info import PodInfo
from scheduler.queue import Place, SchedulingQueue
from tests.unit.scheduler.cluster import Bench, node, pod

BENCH = Bench()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def gate(info: PodInfo) -> Any:
    for plugin in BENCH.profile.pre_enqueue:
        refusal = plugin.pre_enqueue(info)
        if refusal is not None:
            return plugin.name, refusal
    return None


def make() -> tuple[SchedulingQueue, Clock]:
    clock = Clock()
    sort_key = BENCH.profile.queue_sort.sort_key
    return SchedulingQueue(sort_key, gate, lambda _pod: BENCH.profile.hints, clock), clock


def names(queue: SchedulingQueue) -> list[str]:
    result = []
    while queued := queue.pop():
        result.append(queued.pod.name)
    return result


def fail(queue: SchedulingQueue, obj: Object, *plugins: str) -> None:
    queue.add(PodInfo(obj))
    queued = queue.pop()
    assert queued is not None
    queue.reject(queued, frozenset(plugins))


def test_priority_first_then_age() -> None:
    queue, clock = make()
    for name, priority in (("low", 0), ("high", 9), ("low2", 0)):
        queue.add(PodInfo(pod(name, priority=priority)))
        clock.now += 1
    assert names(queue) == ["high", "low", "low2"]


def test_removed_pods_are_never_popped() -> None:
    queue, _ = make()
    queue.add(PodInfo(pod("a")))
    queue.remove("uid-a")
    assert names(queue) == [] and len(queue) == 0


def test_only_an_event_that_helps_brings_a_pod_back_and_not_before_its_backoff_ends() -> None:
    queue, clock = make()
    fail(queue, pod("a", cpu="2"), "NodeResourcesFit")
    queue.on_event(ClusterEvent.NODE_LABELS, None, node("n"))
    queue.on_event(ClusterEvent.NODE_ADDED, None, node("n", cpu="1"))
    queue.on_event(ClusterEvent.POD_DELETED, None, pod("x", memory="1Gi"))
    assert queue.count(Place.UNSCHEDULABLE) == 1
    queue.on_event(ClusterEvent.NODE_ADDED, None, node("n", cpu="4"))
    assert names(queue) == [] and queue.next_wake() == clock.now + 1
    clock.now += 1
    assert names(queue) == ["a"]


def test_a_pod_resized_in_place_helps_only_if_it_shrank() -> None:
    queue, clock = make()
    fail(queue, pod("a", cpu="2"), "NodeResourcesFit")
    clock.now += 60
    queue.on_event(ClusterEvent.POD_UPDATED, pod("x", cpu="1"), pod("x", cpu="2"))
    assert names(queue) == []
    queue.on_event(ClusterEvent.POD_UPDATED, pod("x", cpu="2"), pod("x", cpu="1"))
    assert names(queue) == ["a"]


def test_backoff_doubles_to_its_limit() -> None:
    queue, clock = make()
    queue.add(PodInfo(pod("a")))
    waits = []
    for _ in range(6):
        queued = queue.pop()
        assert queued is not None
        queue.retry(queued)
        wake = queue.next_wake()
        assert wake is not None
        waits.append(wake - clock.now)
        clock.now = wake
    assert waits == [1, 2, 4, 8, 10, 10]


def test_a_pod_that_failed_long_ago_is_tried_at_once() -> None:
    queue, clock = make()
    fail(queue, pod("a"), "TaintToleration")
    clock.now += 60
    queue.on_event(ClusterEvent.NODE_TAINTS, None, node("n"))
    assert names(queue) == ["a"]


def test_without_a_rejecting_plugin_any_event_helps() -> None:
    queue, clock = make()
    fail(queue, pod("a"))
    clock.now += 60
    queue.on_event(ClusterEvent.POD_ASSIGNED, None, pod("x"))
    assert names(queue) == ["a"]


def test_after_five_minutes_a_pod_is_tried_in_any_case() -> None:
    queue, clock = make()
    fail(queue, pod("a"), "NodeName")
    clock.now += 299
    queue.flush_stale()
    assert names(queue) == []
    clock.now += 2
    queue.flush_stale()
    assert names(queue) == ["a"]


def test_gated_pods_wait_until_their_gates_are_gone() -> None:
    queue, _ = make()
    gated = pod("a", schedulingGates=[{"name": "g"}])
    queue.add(PodInfo(gated))
    assert queue.count(Place.GATED) == 1 and names(queue) == []
    queue.on_event(ClusterEvent.NODE_ADDED, None, node("n"))
    assert names(queue) == []
    queue.update(PodInfo(pod("a")), gated, matters=True)
    assert names(queue) == ["a"]


def test_a_status_update_of_the_pod_itself_does_not_bring_it_back() -> None:
    queue, clock = make()
    obj = pod("a", cpu="2")
    fail(queue, obj, "NodeResourcesFit")
    clock.now += 60
    queue.update(PodInfo(obj), obj, matters=False)
    assert names(queue) == []
    queue.update(PodInfo(pod("a", cpu="1")), obj, matters=True)
    assert names(queue) == ["a"]
