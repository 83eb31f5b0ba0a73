"""How many pods a ReplicaSet makes or deletes, which go first, and what it reports."""

import asyncio
from typing import Any

import pytest

from apimachinery.errors import StatusError
from controller_manager.replica_set import plan, ranking
from controller_manager.replica_set.controller import slow_start
from kube_client.errors import ApiUnavailable
from tests.unit.controller_manager.builders import NOW, at, pod, replica_set


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (pod("a", node=""), pod("b")),
        (pod("a", phase="Pending"), pod("b")),
        (pod("a", phase="Unknown"), pod("b", phase="Running")),
        (pod("a", phase="Pending"), pod("b", phase="Unknown")),
        (pod("a", ready=False), pod("b")),
        (pod("a", annotations={ranking.DELETION_COST: "-5"}), pod("b")),
        (pod("a"), pod("b", annotations={ranking.DELETION_COST: "5"})),
        (pod("a", node="crowded"), pod("b", node="lonely")),
        (pod("a", ready_at=-10), pod("b", ready_at=-1000)),
        (pod("a", restarts=3), pod("b")),
        (pod("a", created=-10), pod("b", created=-1000)),
        # The earlier rule decides: an unassigned pod goes before one of low cost.
        (pod("a", node=""), pod("b", annotations={ranking.DELETION_COST: "-100"})),
    ],
)
def test_which_of_two_pods_goes_first(first: Any, second: Any) -> None:
    crowd = [pod(f"other-{number}", node="crowded") for number in range(3)]
    for candidates in ([first, second], [second, first]):
        assert ranking.choose(candidates, [*candidates, *crowd], 1, NOW) == [first]


def test_pods_of_about_the_same_age_go_in_an_order_that_does_not_depend_on_age() -> None:
    older, younger = pod("a", ready_at=-1010, created=-1010), pod("b", ready_at=-1000, created=-1000)
    assert ranking.choose([younger, older], [], 1, NOW) == [older]


@pytest.mark.parametrize("text", ["", "+5", "007", "one", "99999999999", "-0"])
def test_a_deletion_cost_that_is_no_number_counts_as_none(text: str) -> None:
    assert ranking.deletion_cost(pod("a", annotations={ranking.DELETION_COST: text})) == 0


@pytest.mark.parametrize(
    ("wanted", "present", "create", "delete"),
    [(3, 0, 3, 0), (3, 3, 0, 0), (3, 5, 0, 2), (0, 2, 0, 2), (1000, 0, 500, 0)],
)
def test_the_number_of_pods(wanted: int, present: int, create: int, delete: int) -> None:
    pods = [pod(f"p{number}") for number in range(present)]
    planned = plan.plan_replicas(replica_set("rs", wanted), pods, pods, NOW)
    assert (planned.create, len(planned.delete)) == (create, delete)


def test_a_replica_set_that_is_being_deleted_does_nothing() -> None:
    doomed = replica_set("rs", 3)
    doomed["metadata"]["deletionTimestamp"] = at(0)
    assert plan.plan_replicas(doomed, [], [], NOW) == plan.ReplicaPlan()


def test_replicas_default_to_one() -> None:
    one = replica_set("rs", 1)
    del one["spec"]["replicas"]
    assert plan.plan_replicas(one, [], [], NOW).create == 1


def test_a_pod_has_the_templates_metadata_and_its_owner() -> None:
    made = plan.pod_from_template(replica_set("rs", 1))
    assert made["metadata"] == {
        "generateName": "rs-",
        "namespace": "default",
        "labels": {"app": "meow"},
        "ownerReferences": [
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "name": "rs",
                "uid": "uid-rs",
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }


def test_the_status_counts_pods() -> None:
    one = replica_set("rs", 4)
    one["spec"]["minReadySeconds"] = 60
    one["metadata"]["generation"] = 7
    active = [
        pod("a", labels={"app": "meow", "x": "y"}, ready_at=-100),
        pod("b", labels={"app": "meow"}, ready_at=-10),
        pod("c", ready=False),
    ]
    status = plan.next_status(one, active, 1, None, NOW, at(0))
    assert status == {
        "replicas": 3,
        "fullyLabeledReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 1,
        "terminatingReplicas": 1,
        "observedGeneration": 7,
    }
    assert plan.seconds_until_change(one, active, NOW) == 50


def test_a_failure_becomes_a_condition_and_leaves_when_all_is_well() -> None:
    one = replica_set("rs", 1)
    failed = plan.next_status(one, [], 0, plan.Failure("FailedCreate", "exceeded quota"), NOW, at(0))
    assert failed["conditions"] == [
        {
            "type": "ReplicaFailure",
            "status": "True",
            "reason": "FailedCreate",
            "message": "exceeded quota",
            "lastTransitionTime": at(0),
        }
    ]
    again = plan.next_status({**one, "status": failed}, [], 0, plan.Failure("FailedCreate", "x"), NOW, at(9))
    assert again == failed
    assert "conditions" not in plan.next_status({**one, "status": failed}, [], 0, None, NOW, at(9))


async def test_slow_start_doubles_its_batches_and_stops_at_the_first_failure() -> None:
    calls = active = 0
    batches: list[int] = []

    async def action() -> None:
        nonlocal calls, active
        calls += 1
        active += 1
        await asyncio.sleep(0)
        if active:
            batches.append(active)
            active = 0

    assert await slow_start(10, action) is None
    assert batches == [1, 2, 4, 3]

    async def refused() -> None:
        nonlocal calls
        calls += 1
        raise StatusError(403, "Forbidden", "exceeded quota")

    calls = 0
    assert str(await slow_start(500, refused)) == "exceeded quota"
    assert calls == 1


async def test_a_lost_answer_matters_more_than_a_refusal() -> None:
    errors: list[Exception] = [StatusError(403, "Forbidden", "x"), ApiUnavailable("lost")]
    calls = 0

    async def action() -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise errors.pop(0)

    assert isinstance(await slow_start(3, action), ApiUnavailable)
