"""The ownership graph says what to look at, and forgets nothing that is still named."""

from apimachinery import Object
from controller_manager.garbage_collector.graph import FOREGROUND, ORPHAN, Graph, Todo
from tests.unit.controller_manager.builders import at

NOTHING = Todo([], [])


def obj(
    name: str,
    *owners: str,
    namespace: str = "default",
    finalizers: tuple[str, ...] = (),
    deleting: bool = False,
    block: bool = False,
    kind: str = "ConfigMap",
) -> Object:
    metadata: Object = {"name": name, "namespace": namespace, "uid": name, "finalizers": list(finalizers)}
    if deleting:
        metadata["deletionTimestamp"] = at(0)
    metadata["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": owner, "blockOwnerDeletion": block}
        for owner in owners
    ]
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


def test_when_an_owner_goes_its_dependents_are_looked_at() -> None:
    graph = Graph()
    graph.put(obj("owner"))
    assert graph.put(obj("child", "owner")) == NOTHING
    assert graph.remove("owner") == Todo(["child"], [])
    assert graph.remove("child") == NOTHING
    assert len(graph) == 0


def test_an_owner_that_was_never_seen_is_to_be_verified() -> None:
    graph = Graph()
    assert graph.put(obj("child", "owner")) == Todo(["owner"], [])
    owner = graph.get("owner")
    assert owner is not None and owner.virtual
    assert graph.put(obj("owner")) == NOTHING
    assert not owner.virtual
    assert graph.remove("owner") == Todo(["child"], [])


def test_a_virtual_owner_is_forgotten_with_its_last_dependent() -> None:
    graph = Graph()
    graph.put(obj("child", "owner"))
    graph.remove("child")
    assert len(graph) == 0


def test_the_same_state_again_is_nothing_to_do() -> None:
    graph = Graph()
    graph.put(obj("owner"))
    graph.put(obj("child", "owner"))
    assert graph.put(obj("child", "owner")) == NOTHING


def test_foreground_deletion_looks_at_dependents_and_then_at_the_owner() -> None:
    graph = Graph()
    graph.put(obj("owner"))
    graph.put(obj("blocking", "owner", block=True))
    graph.put(obj("other", "owner"))
    todo = graph.put(obj("owner", finalizers=(FOREGROUND,), deleting=True))
    assert (sorted(todo.delete), todo.orphan) == (["blocking", "other", "owner"], [])
    owner = graph.get("owner")
    assert owner is not None and [one.uid for one in owner.blocking_dependents()] == ["blocking"]
    assert graph.remove("blocking").delete == ["owner"]
    assert owner.blocking_dependents() == []


def test_a_reference_that_no_longer_blocks_frees_the_owner() -> None:
    graph = Graph()
    graph.put(obj("owner", finalizers=(FOREGROUND,), deleting=True))
    graph.put(obj("child", "owner", block=True))
    assert graph.put(obj("child", "owner", block=False)).delete == ["owner"]
    assert graph.put(obj("child")).delete == ["owner"]


def test_a_dependent_that_comes_late_is_looked_at() -> None:
    graph = Graph()
    graph.put(obj("owner", finalizers=(FOREGROUND,), deleting=True))
    assert graph.put(obj("late", "owner")).delete == ["late"]


def test_orphaning_is_asked_for_once() -> None:
    graph = Graph()
    graph.put(obj("owner"))
    assert graph.put(obj("owner", finalizers=(ORPHAN,), deleting=True)) == Todo([], ["owner"])
    assert graph.put(obj("owner", finalizers=(ORPHAN,), deleting=True)) == NOTHING


def test_an_owner_in_another_namespace_or_of_another_name_is_suspicious() -> None:
    graph = Graph()
    graph.put(obj("owner", namespace="elsewhere"))
    assert graph.put(obj("child", "owner")).delete == ["child"]
    early = Graph()
    early.put(obj("child", "owner"))
    assert early.put(obj("owner", namespace="elsewhere")).delete == ["child"]


def test_a_circle_of_owners_is_no_problem_for_the_graph() -> None:
    graph = Graph()
    graph.put(obj("a", "b"))
    graph.put(obj("b", "a"))
    assert graph.remove("a").delete == ["b"]
    graph.remove("b")
    assert len(graph) == 0
