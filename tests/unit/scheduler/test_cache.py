"""Assumed pods count at once, are confirmed or given back, and nothing is counted twice."""

from __future__ import annotations

from apimachinery import Object
from scheduler.cache import Cache
from scheduler.node_table import CPU
from scheduler.pod_info import PodInfo
from tests.unit.scheduler.cluster import node, pod


def used(cache: Cache, name: str) -> int:
    return int(cache.nodes.requested[CPU, cache.nodes.rows[name]])


def bound(name: str, on: str, cpu: str = "1") -> Object:
    return pod(name, cpu=cpu, nodeName=on)


def make() -> Cache:
    cache = Cache()
    cache.set_node(node("a"))
    cache.set_node(node("b"))
    return cache


def test_assumed_then_confirmed_counts_once() -> None:
    cache = make()
    cache.assume(PodInfo(pod("p", cpu="1")), "a")
    assert used(cache, "a") == 1000 and cache.is_assumed("uid-p")
    cache.set_pod(PodInfo(bound("p", "a")))
    assert used(cache, "a") == 1000 and not cache.is_assumed("uid-p")
    assert cache.remove_pod("uid-p")
    assert used(cache, "a") == 0 and not cache.remove_pod("uid-p")


def test_a_failed_binding_gives_back_but_never_what_was_confirmed() -> None:
    cache = make()
    info = PodInfo(pod("p", cpu="1"))
    cache.assume(info, "a")
    cache.forget(info)
    assert used(cache, "a") == 0
    cache.assume(info, "a")
    cache.set_pod(PodInfo(bound("p", "a")))
    cache.forget(info)
    assert used(cache, "a") == 1000


def test_a_pod_bound_elsewhere_by_somebody_else_moves() -> None:
    cache = make()
    cache.assume(PodInfo(pod("p", cpu="1")), "a")
    cache.set_pod(PodInfo(bound("p", "b")))
    assert (used(cache, "a"), used(cache, "b")) == (0, 1000)


def test_pods_survive_their_node_s_absence() -> None:
    cache = make()
    cache.set_pod(PodInfo(bound("early", "c")))
    cache.set_node(node("c"))
    assert used(cache, "c") == 1000
    cache.remove_node("c")
    cache.set_node(node("c"))
    assert used(cache, "c") == 1000
    cache.remove_node("c")
    cache.remove_pod("uid-early")
    cache.set_node(node("c"))
    assert used(cache, "c") == 0
