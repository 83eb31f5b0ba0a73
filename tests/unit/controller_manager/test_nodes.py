"""Nodes that fall silent, their taints, how fast they are given up, and what happens to their pods."""

from typing import Any

import pytest

from apimachinery import Object
from controller_manager import taints
from controller_manager.context import Options
from controller_manager.node_ipam import CIDRSet
from controller_manager.node_lifecycle import health
from controller_manager.node_lifecycle.zones import FULL, NORMAL, PARTIAL, Zones, zone_of
from controller_manager.pod_garbage_collector import disruption, surplus
from controller_manager.taint_eviction import seconds_left
from tests.unit.controller_manager.builders import NOW, at, node, pod

OPTIONS = Options()


def test_heartbeats_move_only_when_something_new_was_said() -> None:
    lease = {"spec": {"renewTime": "1"}}
    beat = health.heard(None, node(), None, 10.0)
    assert beat.seen == 10.0
    assert health.heard(beat, node(), None, 20.0).seen == 10.0
    renewed = health.heard(beat, None, lease, 30.0)
    assert renewed.seen == 30.0
    assert health.heard(renewed, node(), lease, 40.0) == renewed


def test_a_silent_node_becomes_unknown() -> None:
    conditions = health.unknown_conditions(node(), at(5))
    assert conditions is not None
    ready = conditions[0]
    assert (ready["status"], ready["reason"]) == ("Unknown", "NodeStatusUnknown")
    assert ready["message"] == "Kubelet stopped posting node status."
    assert (ready["lastTransitionTime"], ready["lastHeartbeatTime"]) == (at(5), at(0))
    assert [one["reason"] for one in conditions[1:]] == ["NodeStatusNeverUpdated"] * 3
    silent = node()
    silent["status"]["conditions"] = conditions
    assert health.unknown_conditions(silent, at(9)) is None


def test_conditions_become_taints_and_foreign_taints_stay() -> None:
    foreign = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
    one = node(ready="Unknown", taints=[foreign, {"key": taints.NOT_READY, "effect": "NoSchedule"}])
    one["spec"]["unschedulable"] = True
    one["status"]["conditions"].append({"type": "DiskPressure", "status": "True"})
    wanted = health.desired_taints(one, taints.UNREACHABLE, at(1))
    assert wanted == [
        foreign,
        {"key": taints.DISK_PRESSURE, "effect": "NoSchedule", "timeAdded": at(1)},
        {"key": taints.UNREACHABLE, "effect": "NoExecute", "timeAdded": at(1)},
        {"key": taints.UNREACHABLE, "effect": "NoSchedule", "timeAdded": at(1)},
        {"key": taints.UNSCHEDULABLE, "effect": "NoSchedule", "timeAdded": at(1)},
    ]
    one["spec"]["taints"] = wanted
    assert health.desired_taints(one, taints.UNREACHABLE, at(9)) is None


def test_a_node_that_is_ready_again_loses_our_taints() -> None:
    one = node(taints=[{"key": taints.UNREACHABLE, "effect": "NoExecute"}])
    assert health.desired_taints(one, health.evicting_taint(one), at(0)) == []


@pytest.mark.parametrize(
    ("ready", "taint"),
    [("True", None), ("False", taints.NOT_READY), ("Unknown", taints.UNREACHABLE), (None, None)],
)
def test_which_taint_evicts(ready: str | None, taint: str | None) -> None:
    assert health.evicting_taint(node(ready=ready)) == taint


def test_a_zone_knows_how_bad_it_is() -> None:
    zones = Zones(OPTIONS)
    for number in range(4):
        zones.note(f"a{number}", "a", True)
    zones.note("b0", "b", True)
    assert zones.state("a") == NORMAL
    assert not zones.note("a0", "a", False)
    assert not zones.note("a1", "a", False)
    assert zones.note("a2", "a", False)  # three, and more than 55 %
    assert zones.state("a") == PARTIAL
    assert zones.seconds_until_free("a", 0.0) is None  # a small cluster: nobody is given up
    zones.note("a3", "a", False)
    assert zones.state("a") == FULL
    assert zones.seconds_until_free("a", 0.0) == 0.0  # the other zone lives: it is not us
    assert zones.note("b0", "b", False)
    assert zones.all_disrupted()
    assert zones.seconds_until_free("a", 0.0) is None


def test_nodes_are_given_up_one_in_ten_seconds() -> None:
    zones = Zones(OPTIONS)
    zones.note("good", "a", True)
    assert zones.seconds_until_free("a", 100.0) == 0.0
    zones.take("a", 100.0)
    assert zones.seconds_until_free("a", 104.0) == 6.0
    assert zones.seconds_until_free("a", 110.0) == 0.0


def test_a_zone_is_region_and_zone() -> None:
    one = node()
    assert zone_of(one) == ""
    one["metadata"]["labels"] = {"topology.kubernetes.io/zone": "z"}
    assert zone_of(one) == "z"


GONE = {"key": taints.UNREACHABLE, "effect": "NoExecute", "timeAdded": at(-100)}
MINE = {"key": "mine", "value": "x", "effect": "NoExecute"}


@pytest.mark.parametrize(
    ("tolerations", "node_taints", "left"),
    [
        ([], [], None),
        ([], [GONE], 0),
        ([{"operator": "Exists"}], [GONE, MINE], None),
        ([{"key": taints.UNREACHABLE, "operator": "Exists", "tolerationSeconds": 300}], [GONE], 200),
        ([{"key": taints.UNREACHABLE, "operator": "Exists", "tolerationSeconds": 60}], [GONE], -40),
        ([{"key": taints.UNREACHABLE, "operator": "Exists", "tolerationSeconds": -1}], [GONE], 0),
        ([{"key": taints.UNREACHABLE, "operator": "Exists"}], [GONE, MINE], 0),
        ([{"key": "mine", "value": "x"}], [MINE], None),
        ([{"key": "mine", "value": "y"}], [MINE], 0),
        ([{"key": "mine", "operator": "Exists", "effect": "NoSchedule"}], [MINE], 0),
        (
            [
                {"operator": "Exists", "tolerationSeconds": 500},
                {"key": "mine", "value": "x", "tolerationSeconds": 300},
            ],
            [GONE, MINE],
            200,
        ),
    ],
)
def test_how_long_a_pod_may_stay(
    tolerations: list[Object], node_taints: list[Object], left: float | None
) -> None:
    assert seconds_left(pod("a", tolerations=tolerations), node_taints, NOW) == left


def test_a_pod_bound_after_the_taint_has_its_time_from_then() -> None:
    late = pod(
        "a",
        created=-10,
        tolerations=[{"key": taints.UNREACHABLE, "operator": "Exists", "tolerationSeconds": 300}],
    )
    assert seconds_left(late, [GONE], NOW) == 290


def test_ended_pods_beyond_the_threshold_go_evicted_and_old_ones_first() -> None:
    ended = [pod(f"p{number}", phase="Succeeded", created=-number) for number in range(4)]
    ended[0]["status"]["reason"] = "Evicted"
    assert [one["metadata"]["name"] for one in surplus(ended, 2)] == ["p0", "p3"]
    assert surplus(ended, 4) == []


def test_a_lost_pod_is_marked_failed_and_disrupted() -> None:
    status = disruption(pod("a"), "PodGC: node no longer exists", at(0))
    assert status["phase"] == "Failed"
    assert status["conditions"][-1] == {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "DeletionByPodGC",
        "message": "PodGC: node no longer exists",
        "lastTransitionTime": at(0),
    }
    assert disruption(pod("a", phase="Succeeded"), "x", at(0))["phase"] == "Succeeded"


def test_pod_networks_are_given_out_once() -> None:
    cidrs = CIDRSet("10.244.0.0/22", 24)
    cidrs.occupy("10.244.1.0/24")
    assert [cidrs.allocate() for _ in range(4)] == ["10.244.0.0/24", "10.244.2.0/24", "10.244.3.0/24", None]
    cidrs.release("10.244.2.0/24")
    assert cidrs.allocate() == "10.244.2.0/24"
    cidrs.release("192.168.0.0/24")
    assert cidrs.allocate() is None


@pytest.mark.parametrize("held", ["10.244.0.0/23", "10.244.0.128/25", "10.0.0.0/8"])
def test_overlapping_networks_count_as_taken(held: str) -> None:
    cidrs = CIDRSet("10.244.0.0/22", 24)
    cidrs.occupy(held)
    free: list[Any] = []
    while (one := cidrs.allocate()) is not None:
        free.append(one)
    assert "10.244.0.0/24" not in free


def test_ipv6_and_masks_that_do_not_fit() -> None:
    assert CIDRSet("fd00:10:244::/56", 64).allocate() == "fd00:10:244::/64"
    with pytest.raises(ValueError, match="larger than the cluster CIDR"):
        CIDRSet("10.244.0.0/24", 16)
