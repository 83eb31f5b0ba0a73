"""How large the ReplicaSets of a Deployment become, step by step."""

import pytest

from apimachinery import Object, meta
from controller_manager.deployment import scaling
from controller_manager.deployment.revisions import DESIRED_REPLICAS, MAX_REPLICAS
from controller_manager.deployment.scaling import Scale
from tests.unit.controller_manager.builders import deployment, replica_set


def rolling(surge: int | str, unavailable: int | str) -> dict[str, Object]:
    return {
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
        }
    }


def sizes(plan: list[Scale]) -> dict[str, int]:
    return {meta.name(one.replica_set): one.replicas for one in plan}


@pytest.mark.parametrize(
    ("surge", "unavailable", "replicas", "expected"),
    [
        ("25%", "25%", 10, (3, 2)),  # surge is rounded up, unavailable down
        ("25%", "25%", 1, (1, 0)),
        ("0%", "10%", 5, (0, 1)),  # never both nothing
        (0, 0, 5, (0, 1)),
        (2, "50%", 5, (2, 2)),
        ("100%", "100%", 3, (3, 3)),
    ],
)
def test_percentages(
    surge: int | str, unavailable: int | str, replicas: int, expected: tuple[int, int]
) -> None:
    assert scaling.fenceposts(deployment(replicas, **rolling(surge, unavailable))) == expected


def test_unavailable_is_never_more_than_all_and_surge_is_only_for_rolling() -> None:
    assert scaling.max_unavailable(deployment(2, **rolling(0, 10))) == 2
    assert scaling.max_unavailable(deployment(0)) == 0
    recreate = deployment(4, strategy={"type": "Recreate"})
    assert (scaling.max_surge(recreate), scaling.max_unavailable(recreate)) == (0, 0)


@pytest.mark.parametrize(
    ("new", "new_available", "old", "old_available", "expected"),
    [
        (0, 0, 10, 10, {"new": 3}),  # 13 pods at most
        (3, 0, 10, 10, {"old": 8}),  # 8 must stay available
        (3, 0, 8, 8, {"new": 5}),  # room for two more
        (3, 3, 8, 8, {"new": 5}),
        (5, 3, 8, 8, {"old": 5}),
        (10, 10, 3, 3, {"old": 0}),
        (10, 10, 0, 0, {}),
        (5, 0, 8, 8, {}),  # the new ones are not available: wait
        (3, 0, 10, 5, {"old": 8}),  # unhealthy old pods go first, and only as many as may be missing
        (12, 12, 0, 0, {"new": 10}),  # scaled down meanwhile
    ],
)
def test_each_step_of_a_rolling_update_of_ten(
    new: int, new_available: int, old: int, old_available: int, expected: dict[str, int]
) -> None:
    plan = scaling.plan_rolling(
        deployment(10),
        replica_set("new", new, available=new_available, image="v2"),
        [replica_set("old", old, available=old_available)],
    )
    assert sizes(plan) == expected


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable"), [(1, "25%", "25%"), (10, "25%", "25%"), (5, 0, 1), (7, 2, 0)]
)
def test_a_rollout_finishes_and_never_leaves_its_limits(
    replicas: int, surge: int | str, unavailable: int | str
) -> None:
    wanted = deployment(replicas, **rolling(surge, unavailable))
    top = replicas + scaling.max_surge(wanted)
    bottom = replicas - scaling.max_unavailable(wanted)
    current = {"new": 0, "old": replicas}
    for _ in range(100):
        new = replica_set("new", current["new"], image="v2")
        plan = scaling.plan_rolling(wanted, new, [replica_set("old", current["old"])])
        if not plan:
            break
        current |= sizes(plan)
        assert sum(current.values()) <= top
        assert sum(current.values()) >= bottom
    assert current == {"new": replicas, "old": 0}


def told(desired: int, maximum: int) -> dict[str, str]:
    return {DESIRED_REPLICAS: str(desired), MAX_REPLICAS: str(maximum)}


def test_the_only_running_replica_set_takes_the_whole_size() -> None:
    new, old = replica_set("new", 3), replica_set("old", 0)
    assert sizes(scaling.plan_scaling(deployment(5), new, [old])) == {"new": 5}
    # Even the newest old one, when the template of a paused Deployment has no ReplicaSet yet.
    first, second = replica_set("first", 0, created=0), replica_set("second", 0, created=5)
    assert sizes(scaling.plan_scaling(deployment(5), None, [first, second])) == {"second": 5}
    assert scaling.plan_scaling(deployment(5), None, []) == []


def test_in_the_middle_of_a_rollout_a_change_is_spread_by_size() -> None:
    # The documented example: 10 replicas, maxSurge 3, maxUnavailable 2; 8 old and 5 new; scaled to 15.
    wanted = deployment(15, **rolling(3, 2))
    old = replica_set("old", 8, annotations=told(10, 13))
    new = replica_set("new", 5, annotations=told(10, 13), created=10, image="v2")
    assert sizes(scaling.plan_scaling(wanted, new, [old])) == {"old": 11, "new": 7}


def test_scaling_down_is_spread_too_and_to_zero_takes_all() -> None:
    old = replica_set("old", 8, annotations=told(10, 13))
    new = replica_set("new", 5, annotations=told(10, 13), created=10)
    assert sizes(scaling.plan_scaling(deployment(5, **rolling(3, 2)), new, [old])) == {"old": 5, "new": 3}
    assert sizes(scaling.plan_scaling(deployment(0, **rolling(3, 2)), new, [old])) == {"old": 0, "new": 0}


def test_among_equals_the_newest_grows_and_the_oldest_shrinks() -> None:
    old = replica_set("old", 5, annotations=told(10, 10))
    new = replica_set("new", 5, annotations=told(10, 10), created=10)
    assert sizes(scaling.plan_scaling(deployment(11, **rolling(0, 1)), new, [old])) == {"old": 5, "new": 6}
    assert sizes(scaling.plan_scaling(deployment(9, **rolling(0, 1)), new, [old])) == {"old": 4, "new": 5}


def test_when_the_new_one_is_complete_the_old_ones_end() -> None:
    new = replica_set("new", 5, annotations=told(5, 7), created=10)
    old = replica_set("old", 2, annotations=told(4, 5))
    assert sizes(scaling.plan_scaling(deployment(5), new, [old])) == {"old": 0}


def test_a_change_of_size_is_known_by_what_the_running_sets_were_told() -> None:
    running = replica_set("new", 3, annotations=told(3, 4))
    assert not scaling.is_scaling_event(deployment(3), [running])
    assert scaling.is_scaling_event(deployment(4), [running])
    assert not scaling.is_scaling_event(deployment(4), [replica_set("new", 0, annotations=told(3, 4))])
