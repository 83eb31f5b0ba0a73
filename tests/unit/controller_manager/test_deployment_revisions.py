"""Template hashes, revision numbers and the history that `kubectl rollout` reads."""

import re

from apimachinery import meta
from controller_manager.deployment import revisions
from tests.unit.controller_manager.builders import deployment, replica_set, template


def test_a_hash_is_stable_safe_and_changes_with_the_template_and_each_collision() -> None:
    first = revisions.template_hash(template("v1"), 0)
    assert re.fullmatch("[bcdfghjklmnpqrstvwxz2456789]{1,10}", first)
    reordered = {"spec": template("v1")["spec"], "metadata": template("v1")["metadata"]}
    assert revisions.template_hash(reordered, 0) == first
    others = {revisions.template_hash(template("v2"), 0), revisions.template_hash(template("v1"), 1)}
    assert len(others | {first}) == 3


def test_templates_are_equal_but_for_the_hash_label_and_for_what_is_empty() -> None:
    labelled = template()
    labelled["metadata"] = {
        "labels": {"app": "meow", revisions.HASH_LABEL: "abc"},
        "annotations": {},
        "creationTimestamp": None,
    }
    assert revisions.same_template(template(), labelled)
    assert not revisions.same_template(template("v1"), template("v2"))


def test_the_oldest_replica_set_with_the_present_template_is_the_new_one() -> None:
    sets = [
        replica_set("late", 0, created=9),
        replica_set("other", 1, image="v0"),
        replica_set("early", 0, created=5),
    ]
    found = revisions.find_new(deployment(), sets)
    assert found is not None and meta.name(found) == "early"
    assert revisions.find_new(deployment(template=template("v9")), sets) is None


def test_a_new_replica_set_is_named_labelled_and_annotated() -> None:
    wanted = deployment(3)
    wanted["metadata"]["annotations"] = {
        "team": "a",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        revisions.REVISION: "6",
    }
    made = revisions.new_replica_set(wanted, 2, (3, 4), 7)
    suffix = revisions.template_hash(template(), 0)
    assert meta.name(made) == f"meow-{suffix}"
    assert made["metadata"]["labels"] == {"app": "meow", "pod-template-hash": suffix}
    assert made["spec"]["selector"] == {"matchLabels": {"app": "meow", "pod-template-hash": suffix}}
    assert made["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] == suffix
    assert made["spec"]["replicas"] == 2
    assert meta.annotations(made) == {
        "team": "a",
        "deployment.kubernetes.io/revision": "7",
        "deployment.kubernetes.io/desired-replicas": "3",
        "deployment.kubernetes.io/max-replicas": "4",
    }
    assert "pod-template-hash" not in wanted["spec"]["template"]["metadata"]["labels"]


def test_a_long_name_is_cut_so_that_pods_fit() -> None:
    wanted = deployment()
    wanted["metadata"]["name"] = "x" * 80
    name = meta.name(revisions.new_replica_set(wanted, 0, (1, 1), 1))
    assert len(name) == 63 and name.endswith(revisions.template_hash(template(), 0))


def test_after_a_rollback_the_revision_given_up_goes_into_the_history() -> None:
    before = {revisions.REVISION: "1"}
    after = revisions.annotate_new(deployment(), before, 3, None)
    assert after == {revisions.REVISION: "3", revisions.REVISION_HISTORY: "1"}
    again = revisions.annotate_new(deployment(), after, 5, None)
    assert again[revisions.REVISION_HISTORY] == "1,3"
    assert revisions.annotate_new(deployment(), again, 4, None) == again


def test_the_history_does_not_grow_for_ever() -> None:
    long = {revisions.REVISION: "999", revisions.REVISION_HISTORY: ",".join(["12345"] * 400)}
    history = revisions.annotate_new(deployment(), long, 1000, None)[revisions.REVISION_HISTORY]
    assert len(history) <= revisions.HISTORY_LENGTH and history.endswith(",999")


def test_old_empty_settled_replica_sets_beyond_the_limit_are_cleaned_up() -> None:
    old = [replica_set(f"r{number}", 0, revision=number) for number in (3, 1, 2, 4)]
    names = [meta.name(one) for one in revisions.to_clean_up(deployment(revisionHistoryLimit=2), old)]
    assert names == ["r1", "r2"]
    assert revisions.to_clean_up(deployment(revisionHistoryLimit=None), old) == []
    assert len(revisions.to_clean_up(deployment(revisionHistoryLimit=0), old)) == 4
    busy = [replica_set("r1", 1, revision=1), replica_set("r2", 0, revision=2)]
    busy[1]["metadata"]["generation"] = 2  # not yet observed
    assert revisions.to_clean_up(deployment(revisionHistoryLimit=0), busy) == []
