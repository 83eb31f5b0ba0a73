"""Deployments and ReplicaSets."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.resources import DEPLOYMENTS, REPLICA_SETS

from .manifests import create_errors, deployment, merged, stored, strategy, updated


def test_a_deployment_gets_the_official_defaults() -> None:
    result = stored(DEPLOYMENTS, deployment())
    assert result["metadata"]["generation"] == 1
    assert result["status"] == {}
    spec = result["spec"]
    assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (1, 10, 600)
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    assert spec["template"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert "enableServiceLinks" not in spec["template"]["spec"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"selector": {"matchLabels": {"app": "purr"}}},
            [
                'spec.template.metadata.labels: Invalid value: {"app":"meow"}: `selector` does not match template `labels`',
            ],
        ),
        (
            {"selector": None},
            [
                "spec.selector: Required value",
                'spec.template.metadata.labels: Invalid value: {"app":"meow"}: `selector` does not match template `labels`',
            ],
        ),
        (
            {"selector": {"matchLabels": None}},
            [
                "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
            ],
        ),
        (
            {"selector": {"matchLabels": None, "matchExpressions": [{"key": "app", "operator": "Is"}]}},
            [
                'spec.selector.matchExpressions[0].operator: Invalid value: "Is": not a valid selector operator',
            ],
        ),
        (
            {"selector": None, "template": None},
            [
                "spec.selector: Required value",
                "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`",
                "spec.template.spec.containers: Required value",
            ],
        ),
        ({"replicas": -1}, ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]),
        (
            {"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}},
            [
                "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
            ],
        ),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}},
            [
                "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0",
            ],
        ),
        (
            {"strategy": {"rollingUpdate": {"maxUnavailable": "120%"}}},
            [
                'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "120%": must not be greater than 100%',
            ],
        ),
        (
            {"minReadySeconds": 600},
            [
                "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds",
            ],
        ),
        (
            {"template": {"spec": {"restartPolicy": "Never"}}},
            [
                'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
            ],
        ),
        (
            {"template": {"spec": {"containers": [{"name": "a", "image": ""}]}}},
            [
                "spec.template.spec.containers[0].image: Required value",
            ],
        ),
    ],
)
def test_validation(spec: dict[str, Any], expected: list[str]) -> None:
    assert create_errors(DEPLOYMENTS, deployment(**spec)) == expected


def test_the_selector_stays() -> None:
    old = stored(DEPLOYMENTS, deployment())
    labels = {"app": "meow", "x": "y"}
    change = {"spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}}
    assert updated(DEPLOYMENTS, old, merged(old, change))[1] == [
        'spec.selector: Invalid value: {"matchLabels":{"app":"meow","x":"y"}}: field is immutable'
    ]


def test_generation_counts_changes_of_spec_only() -> None:
    old = stored(DEPLOYMENTS, deployment())
    same, _ = updated(
        DEPLOYMENTS, old, merged(old, {"metadata": {"labels": {"a": "b"}}, "status": {"replicas": 9}})
    )
    assert (same["metadata"]["generation"], same["status"]) == (1, {})
    new, _ = updated(DEPLOYMENTS, old, merged(old, {"spec": {"replicas": 5}}))
    assert new["metadata"]["generation"] == 2


def test_a_status_update_leaves_spec_and_labels() -> None:
    old = stored(DEPLOYMENTS, deployment())
    status = {"replicas": 1, "readyReplicas": 2}
    change = {"spec": {"replicas": 7}, "metadata": {"labels": {"a": "b"}}, "status": status}
    new, problems = updated(DEPLOYMENTS, old, merged(old, change), "status")
    assert new["spec"] == old["spec"]
    assert "labels" not in new["metadata"]
    assert problems == ["status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"]


def test_the_tables() -> None:
    obj = stored(DEPLOYMENTS, deployment(replicas=3))
    obj["status"] = {"replicas": 3, "readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1}
    row = strategy(DEPLOYMENTS).row(obj)
    assert row[:4] == ["meow", "2/3", 3, 1]
    assert row[5:] == ["echo", "echo:1", "app=meow"]
    replica_set = {**deployment(), "kind": "ReplicaSet"}
    obj = stored(REPLICA_SETS, replica_set)
    assert obj["status"] == {"replicas": 0}
    row = strategy(REPLICA_SETS).row(obj)
    assert row[:4] == ["meow", 1, 0, 0]
    assert strategy(REPLICA_SETS).selectable_fields(obj) == {"status.replicas": "0"}
