"""Why a namespace does not go away, in the official words."""

from collections import Counter

from controller_manager.namespaces import Remaining, next_status
from tests.unit.controller_manager.builders import at


def told(remaining: Remaining) -> dict[str, tuple[str, str, str]]:
    status = next_status({"status": {"phase": "Active"}}, remaining, at(0))
    assert status["phase"] == "Terminating"
    return {one["type"]: (one["status"], one["reason"], one["message"]) for one in status["conditions"]}


def test_an_empty_namespace() -> None:
    conditions = told(Remaining())
    assert conditions == {
        "NamespaceDeletionDiscoveryFailure": (
            "False", "ResourcesDiscovered", "All resources successfully discovered",
        ),
        "NamespaceDeletionGroupVersionParsingFailure": (
            "False", "ParsedGroupVersions", "All legacy kube types successfully parsed",
        ),
        "NamespaceDeletionContentFailure": (
            "False", "ContentDeleted", "All content successfully deleted, may be waiting on finalization",
        ),
        "NamespaceContentRemaining": ("False", "ContentRemoved", "All content successfully removed"),
        "NamespaceFinalizersRemaining": (
            "False", "ContentHasNoFinalizers", "All content-preserving finalizers finished",
        ),
    }  # fmt: skip
    assert Remaining().empty


def test_what_remains_is_counted() -> None:
    remaining = Remaining(Counter({"pods.": 2, "deployments.apps": 1}), Counter({"example.com/hold": 1}))
    conditions = told(remaining)
    assert conditions["NamespaceContentRemaining"] == (
        "True",
        "SomeResourcesRemain",
        "Some resources are remaining: deployments.apps has 1 resource instances, pods. has 2 resource instances",
    )
    assert conditions["NamespaceFinalizersRemaining"] == (
        "True",
        "SomeFinalizersRemain",
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
    )
    assert not remaining.empty


def test_conditions_move_only_when_they_change() -> None:
    first = next_status({}, Remaining(Counter({"pods.": 2})), at(0))
    second = next_status({"status": first}, Remaining(Counter({"pods.": 1})), at(5))
    third = next_status({"status": second}, Remaining(), at(9))

    def moved(status: dict[str, list[dict[str, str]]]) -> str:
        return next(
            one["lastTransitionTime"]
            for one in status["conditions"]
            if one["type"] == "NamespaceContentRemaining"
        )

    assert (moved(first), moved(second), moved(third)) == (at(0), at(0), at(9))
    assert next_status({"status": third}, Remaining(), at(20)) == third


def test_what_is_unknown_is_not_empty() -> None:
    assert not Remaining(discovery_failures=["metrics.k8s.io/v1beta1"]).empty
    assert not Remaining(errors=["pods: forbidden"]).empty
