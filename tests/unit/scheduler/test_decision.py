"""Given these nodes and this pod, that node, or that message."""

from __future__ import annotations

import random
from typing import Any

import pytest

from scheduler.decision import Failed, Placed, decide
from scheduler.pod_info import PodInfo
from tests.unit.scheduler.cluster import Bench, node, pod

NO_VICTIMS = "No preemption victims found for incoming pod"
NOT_HELPFUL = "Preemption is not helpful for scheduling"


def taint(key: str, value: str = "", effect: str = "NoSchedule") -> dict[str, str]:
    return {"key": key, "value": value, "effect": effect}


def test_the_emptier_node_is_preferred() -> None:
    bench = Bench(node("a"), node("b"))
    bench.run(pod("running", cpu="2", memory="4Gi"), on="a")
    assert bench.place(pod(cpu="100m")) == "b"


def test_pods_without_requests_spread_too_because_they_count_with_defaults() -> None:
    bench = Bench(node("a"), node("b"))
    bench.run(pod("running"), on="a")
    assert bench.place(pod()) == "b"


def test_equal_nodes_are_chosen_at_random() -> None:
    bench = Bench(*(node(f"n{i}") for i in range(50)))
    rng, info = random.Random(1), PodInfo(pod())
    chosen = [decide(bench.profile, bench.table, info, rng) for _ in range(30)]
    assert len({placed.node for placed in chosen if isinstance(placed, Placed)}) > 10


def test_no_nodes_at_all_has_its_own_message() -> None:
    assert Bench().message(pod()) == "no nodes available to schedule pods"


def test_the_failure_message_counts_reasons_and_says_what_preemption_would_do() -> None:
    bench = Bench(node("a", cpu="1"), node("b", taints=[taint("k", "v")]), node("c", cpu="1"))
    bench.run(pod("x", cpu="900m"), on="a")
    bench.run(pod("y", cpu="900m"), on="c")
    assert bench.message(pod(cpu="500m")) == (
        "0/3 nodes are available: 1 node(s) had untolerated taint {k: v}, 2 Insufficient cpu. "
        f"preemption: 0/3 nodes are available: 1 {NOT_HELPFUL}, 2 {NO_VICTIMS}."
    )


def test_a_request_beyond_the_node_itself_cannot_be_helped_by_preemption() -> None:
    assert Bench(node("a")).message(pod(cpu="64", memory="1Ti")) == (
        "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. "
        f"preemption: 0/1 nodes are available: 1 {NOT_HELPFUL}."
    )


def test_extended_resources_and_the_number_of_pods_count() -> None:
    bench = Bench(node("a", resources={"example.com/gpu": "1", "pods": "1"}))
    gpu = pod(containers=[{"name": "c", "resources": {"requests": {"example.com/gpu": "1"}}}])
    assert bench.place(gpu) == "a"
    bench.run(pod("x"), on="a")
    assert "1 Too many pods" in bench.message(gpu)
    two = pod(containers=[{"name": "c", "resources": {"requests": {"example.com/gpu": "2"}}}])
    assert "1 Insufficient example.com/gpu" in bench.message(two)


def test_what_a_pod_leaves_is_free_again() -> None:
    bench = Bench(node("a", cpu="1"))
    info = bench.run(pod("x", cpu="1"), on="a")
    bench.table.remove_pod(info, 0)
    bench.table.remove_pod(info, 0)
    assert bench.place(pod(cpu="1")) == "a"


def test_cordoned_nodes_take_only_those_that_tolerate_it() -> None:
    bench = Bench(node("a", unschedulable=True))
    assert "1 node(s) were unschedulable" in bench.message(pod())
    toleration = {"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoSchedule"}
    assert bench.place(pod(tolerations=[toleration])) == "a"


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "value": "other"}, False),
        ({"key": "k", "operator": "Exists", "effect": "NoExecute"}, False),
    ],
)
def test_tolerations(toleration: dict[str, str], fits: bool) -> None:
    bench = Bench(node("a", taints=[taint("k", "v")]))
    result = bench.decide(pod(tolerations=[toleration]))
    assert isinstance(result, Failed) is not fits


def test_prefer_no_schedule_only_lowers_the_score() -> None:
    bench = Bench(node("a", taints=[taint("k", "v", "PreferNoSchedule")]), node("b"))
    bench.run(pod("x", cpu="1"), on="b")
    assert bench.place(pod()) == "b"


def test_a_named_node_is_the_only_one() -> None:
    assert Bench(node("a"), node("b")).place(pod(nodeName="b")) == "b"
    assert "2 node(s) didn't match the requested node name" in Bench(node("a"), node("b")).message(
        pod(nodeName="c")
    )


def required(*expressions: dict[str, Any], fields: Any = ()) -> dict[str, Any]:
    term = {"matchExpressions": list(expressions), "matchFields": list(fields)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ({"key": "disk", "operator": "In", "values": ["ssd", "x"]}, {"a"}),
        ({"key": "disk", "operator": "NotIn", "values": ["ssd"]}, {"b", "c"}),
        ({"key": "disk", "operator": "Exists"}, {"a", "b"}),
        ({"key": "disk", "operator": "DoesNotExist"}, {"c"}),
        ({"key": "gen", "operator": "Gt", "values": ["2"]}, {"b"}),
        ({"key": "gen", "operator": "Lt", "values": ["3"]}, {"a"}),
    ],
)
def test_required_node_affinity(expression: dict[str, Any], fits: set[str]) -> None:
    nodes = [
        node("a", labels={"disk": "ssd", "gen": "2"}),
        node("b", labels={"disk": "hdd", "gen": "10"}),
        node("c"),
    ]
    for name in ("a", "b", "c"):
        bench = Bench(next(n for n in nodes if n["metadata"]["name"] == name))
        result = bench.decide(pod(affinity=required(expression)))
        assert (not isinstance(result, Failed)) == (name in fits), name
    assert "3 node(s) didn't match Pod's node affinity/selector" in Bench(*nodes).message(
        pod(nodeSelector={"disk": "tape"})
    )


def test_label_changes_are_seen_by_columns_that_exist_already() -> None:
    bench = Bench(node("a"))
    picky = pod(nodeSelector={"zone": "x"})
    assert "affinity/selector" in bench.message(picky)
    bench.table.set_node(node("a", labels={"zone": "x"}))
    assert bench.place(picky) == "a"


def test_pods_of_one_node_only_are_spared_the_others() -> None:
    bench = Bench(node("a", cpu="1"), node("b"))
    bench.run(pod("x", cpu="1"), on="a")
    affinity = required(fields=[{"key": "metadata.name", "operator": "In", "values": ["a"]}])
    assert bench.message(pod(cpu="1", affinity=affinity)) == (
        "0/2 nodes are available: 1 Insufficient cpu. "
        f"preemption: 0/2 nodes are available: 1 {NO_VICTIMS}, 1 {NOT_HELPFUL}."
    )


def test_preferred_affinity_outweighs_a_little_load() -> None:
    term = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
    preferred = [{"weight": 10, "preference": term}]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    bench = Bench(node("a", labels={"disk": "ssd"}), node("b"))
    bench.run(pod("x", cpu="1"), on="a")
    assert bench.place(pod(affinity=affinity)) == "a"


def test_host_ports_collide_by_address_and_protocol() -> None:
    def with_port(name: str, ip: str = "", protocol: str = "TCP") -> Any:
        port = {"containerPort": 80, "hostPort": 80, "protocol": protocol, "hostIP": ip}
        return pod(name, containers=[{"name": "c", "ports": [port]}])

    bench = Bench(node("a"))
    info = bench.run(with_port("x", "10.0.0.1"), on="a")
    assert bench.place(with_port("y", "10.0.0.2")) == "a"
    assert bench.place(with_port("y", "10.0.0.1", "UDP")) == "a"
    assert bench.message(with_port("y")).startswith(
        "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."
    )
    bench.table.remove_pod(info, 0)
    assert bench.place(with_port("y")) == "a"


def test_a_node_that_has_the_image_is_preferred() -> None:
    image = [{"names": ["i:latest"], "sizeBytes": 1_000_000_000}]
    assert Bench(node("a"), node("b", images=image)).place(pod()) == "b"


def test_most_allocated_packs_and_a_shape_may_say_the_same() -> None:
    for strategy in (
        {"type": "MostAllocated"},
        {
            "type": "RequestedToCapacityRatio",
            "requestedToCapacityRatio": {
                "shape": [{"utilization": 0, "score": 0}, {"utilization": 100, "score": 10}]
            },
        },
    ):
        bench = Bench(
            node("a"),
            node("b"),
            plugins={"score": {"disabled": [{"name": "NodeResourcesBalancedAllocation"}]}},
            pluginConfig=[{"name": "NodeResourcesFit", "args": {"scoringStrategy": strategy}}],
        )
        bench.run(pod("x", cpu="1", memory="1Gi"), on="a")
        assert bench.place(pod(cpu="100m")) == "a"


def test_preemption_evicts_the_fewest_and_least_important() -> None:
    bench = Bench(node("a", cpu="2"), node("b", cpu="2"))
    bench.run(pod("a1", cpu="1", priority=5), on="a")
    bench.run(pod("a2", cpu="1", priority=1), on="a")
    bench.run(pod("b1", cpu="2", priority=5), on="b")
    result = bench.decide(pod(cpu="1", priority=10))
    assert isinstance(result, Failed) and result.plan is not None
    assert (result.plan.node, [v.name for v in result.plan.victims]) == ("a", ["a2"])
    never = bench.message(pod(cpu="1", priority=10, preemptionPolicy="Never"))
    assert never.endswith("preemption: not eligible due to preemptionPolicy=Never.")
    assert len(bench.table.pods[0]) == 2


def test_removed_nodes_leave_clean_rows() -> None:
    bench = Bench(node("a", labels={"zone": "x"}, taints=[taint("k")]), node("b", cpu="1"))
    assert bench.place(pod(nodeSelector={"kubernetes.io/hostname": "b"})) == "b"
    moved = bench.run(pod("x", cpu="1"), on="a")
    assert bench.table.remove_node("a") == [moved]
    bench.table.set_node(node("c", cpu="1"))
    assert bench.place(pod(cpu="1", nodeSelector={"kubernetes.io/hostname": "c"})) == "c"
    assert "affinity/selector" in bench.message(pod(nodeSelector={"zone": "x"}))


def test_the_table_grows() -> None:
    bench = Bench(*(node(f"n{i}", cpu="1") for i in range(300)))
    for index in range(299):
        bench.run(pod(f"p{index}", cpu="1"), on=f"n{index}")
    assert bench.place(pod(cpu="1", nodeSelector={"kubernetes.io/hostname": "n299"})) == "n299"
    assert "300 Insufficient cpu" in bench.message(pod(cpu="2"))
