"""What a Deployment says of itself, in the words that `kubectl rollout status` reads."""

from apimachinery import Object
from controller_manager.deployment import status as statuses
from tests.unit.controller_manager.builders import NOW, at, deployment, replica_set


def find(status: Object, kind: str) -> Object:
    found = statuses.find(status, kind)
    assert found is not None
    return found


def told(status: Object, kind: str) -> tuple[str, str, str]:
    one = find(status, kind)
    return one["status"], one["reason"], one["message"]


def test_counts_and_availability() -> None:
    old, new = replica_set("old", 5, available=4), replica_set("new", 5, available=3, image="v2")
    status = statuses.counted(deployment(10), [old, new], new, NOW)
    counts = {name: value for name, value in status.items() if name != "conditions"}
    assert counts == {
        "observedGeneration": 1,
        "replicas": 10,
        "updatedReplicas": 5,
        "readyReplicas": 7,
        "availableReplicas": 7,
        "unavailableReplicas": 3,
        "terminatingReplicas": 0,
    }
    words = "Deployment does not have minimum availability."
    assert told(status, "Available") == ("False", "MinimumReplicasUnavailable", words)
    status = statuses.counted(deployment(9), [old, new], new, NOW)
    words = "Deployment has minimum availability."
    assert told(status, "Available") == ("True", "MinimumReplicasAvailable", words)


def test_a_condition_moves_its_transition_time_only_with_its_status() -> None:
    first = statuses.with_condition({}, statuses.condition("X", "True", "A", "m", NOW))
    second = statuses.with_condition(first, statuses.condition("X", "True", "B", "m", NOW + 5))
    assert find(second, "X")["lastTransitionTime"] == at(0)
    assert find(second, "X")["lastUpdateTime"] == at(5)
    third = statuses.with_condition(second, statuses.condition("X", "False", "B", "m", NOW + 9))
    assert find(third, "X")["lastTransitionTime"] == at(9)
    assert statuses.with_condition(third, statuses.condition("X", "False", "B", "other", NOW + 10)) is third


def test_progress_is_told_until_the_rollout_is_complete() -> None:
    wanted, old = deployment(2), replica_set("old", 2)
    new = replica_set("new", 1, available=0, image="v2")
    status = statuses.rollout(wanted, [old, new], new, NOW)
    assert told(status, "Progressing") == ("True", "ReplicaSetUpdated", 'ReplicaSet "new" is progressing.')
    wanted["status"] = status
    done = replica_set("new", 2, image="v2")
    status = statuses.rollout(wanted, [replica_set("old", 0), done], done, NOW + 5)
    words = 'ReplicaSet "new" has successfully progressed.'
    assert told(status, "Progressing") == ("True", "NewReplicaSetAvailable", words)
    assert find(status, "Progressing")["lastTransitionTime"] == at(0)


def test_without_progress_the_deadline_passes() -> None:
    stuck = replica_set("new", 2, available=0, image="v2")
    wanted = deployment(2)
    wanted["status"] = statuses.rollout(wanted, [stuck], stuck, NOW)
    assert statuses.seconds_until_deadline(wanted, wanted["status"], NOW) == 601
    same = statuses.rollout(wanted, [stuck], stuck, NOW + 599)
    assert same == wanted["status"]
    late = statuses.rollout(wanted, [stuck], stuck, NOW + 602)
    words = 'ReplicaSet "new" has timed out progressing.'
    assert told(late, "Progressing") == ("False", "ProgressDeadlineExceeded", words)
    assert statuses.seconds_until_deadline(wanted, late, NOW + 602) is None
    wanted["status"] = late
    assert statuses.rollout(wanted, [stuck], stuck, NOW + 700) == late
    better = replica_set("new", 2, available=1, image="v2")
    assert (
        told(statuses.rollout(wanted, [better], better, NOW + 800), "Progressing")[1] == "ReplicaSetUpdated"
    )


def test_a_settled_deployment_does_not_progress_when_pods_come_and_go() -> None:
    done = replica_set("new", 2)
    wanted = deployment(2)
    wanted["status"] = statuses.rollout(wanted, [done], done, NOW)
    hurt = replica_set("new", 2, available=1)
    status = statuses.rollout(wanted, [hurt], hurt, NOW + 1000)
    assert told(status, "Progressing")[1] == "NewReplicaSetAvailable"


def test_no_deadline_means_no_progress_condition() -> None:
    one = replica_set("new", 1)
    for value in (None, 2**31 - 1):
        wanted = deployment(2, progressDeadlineSeconds=value)
        assert statuses.find(statuses.rollout(wanted, [one], one, NOW), "Progressing") is None


def test_pausing_and_resuming_are_told_once() -> None:
    wanted = deployment(paused=True)
    status = statuses.paused(wanted, NOW)
    assert status is not None
    assert told(status, "Progressing") == ("Unknown", "DeploymentPaused", "Deployment is paused")
    wanted["status"] = status
    assert statuses.paused(wanted, NOW) is None
    wanted["spec"]["paused"] = False
    status = statuses.paused(wanted, NOW)
    assert status is not None
    assert told(status, "Progressing") == ("Unknown", "DeploymentResumed", "Deployment is resumed")


def test_a_failure_of_a_replica_set_is_the_deployments_until_it_is_gone() -> None:
    condition = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": "exceeded quota",
        "lastTransitionTime": at(-5),
    }
    failing = replica_set("new", 1, conditions=[condition])
    wanted = deployment(1)
    wanted["status"] = statuses.rollout(wanted, [failing], failing, NOW)
    assert told(wanted["status"], "ReplicaFailure") == ("True", "FailedCreate", "exceeded quota")
    well = replica_set("new", 1)
    assert statuses.find(statuses.rollout(wanted, [well], well, NOW), "ReplicaFailure") is None
