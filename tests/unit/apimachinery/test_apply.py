"""Server-side apply and field ownership, told as a sequence of writes by different managers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apimachinery import Object, errors
from apimachinery.meta import deep_copy
from apimachinery.patch import apply as ssa
from apimachinery.patch import field_sets

T1, T2, T3 = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"
WEB = 'k:{"name":"web"}'


def deployment(**spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [{"name": "web", "image": "nginx:1", "ports": [{"containerPort": 80}]}]
                },
            },
            **spec,
        },
    }


def config_map(name: str = "c", **data: str) -> Object:
    obj: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n"}}
    return {**obj, "data": data} if data else obj


def update(old: Object | None, new: Object, manager: str, now: str = T2, subresource: str = "") -> Object:
    new = deep_copy(new)
    fields = ssa.update_managers(old, new, manager, subresource=subresource, now=now)
    new["metadata"]["managedFields"] = fields
    return new


def owners(obj: Object) -> dict[str, Any]:
    return {f"{e['manager']}/{e['operation']}": e["fieldsV1"] for e in obj["metadata"]["managedFields"]}


def test_an_applier_owns_what_it_states() -> None:
    live = ssa.apply(None, deployment(), "me", now=T1)
    assert live["metadata"]["managedFields"] == [
        {
            "manager": "me",
            "operation": "Apply",
            "apiVersion": "apps/v1",
            "time": T1,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {
                    "f:replicas": {},
                    "f:selector": {},
                    "f:template": {
                        "f:metadata": {"f:labels": {"f:app": {}}},
                        "f:spec": {
                            "f:containers": {
                                WEB: {
                                    ".": {},
                                    "f:image": {},
                                    "f:name": {},
                                    "f:ports": {
                                        'k:{"containerPort":80,"protocol":"TCP"}': {
                                            ".": {},
                                            "f:containerPort": {},
                                        }
                                    },
                                }
                            }
                        },
                    },
                },
            },
        }
    ]


def test_an_updater_owns_what_it_creates_with_the_levels_that_came_to_be() -> None:
    live = update(None, deployment(), "kubectl-create")
    fields = owners(live)["kubectl-create/Update"]
    assert fields["f:metadata"] == {"f:labels": {".": {}, "f:app": {}}}
    containers = fields["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert list(containers) == [WEB]
    assert containers[WEB]["f:ports"]["."] == {}


def test_applying_again_changes_nothing_not_even_the_time() -> None:
    live = ssa.apply(None, deployment(), "me", now=T1)
    assert ssa.apply(live, deployment(), "me", now=T2) == live


def test_a_conflict_names_the_owner_and_the_field() -> None:
    live = ssa.apply(None, deployment(), "me", now=T1)
    live = update(live, {**live, "spec": {**live["spec"], "replicas": 5}}, "kubectl")
    with pytest.raises(errors.StatusError) as raised:
        ssa.apply(live, deployment(), "me")
    assert raised.value.status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'Apply failed with 1 conflict: conflict with "kubectl" using apps/v1: .spec.replicas',
        "reason": "Conflict",
        "details": {
            "causes": [
                {
                    "reason": "FieldManagerConflict",
                    "message": 'conflict with "kubectl" using apps/v1',
                    "field": ".spec.replicas",
                }
            ]
        },
        "code": 409,
    }


def test_several_conflicts_are_listed_by_owner() -> None:
    live = ssa.apply(None, deployment(), "first", now=T1)
    other = deployment(replicas=5)
    other["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:2"
    with pytest.raises(errors.StatusError) as raised:
        ssa.apply(live, other, "second")
    assert raised.value.message == (
        'Apply failed with 2 conflicts: conflicts with "first":\n- .spec.replicas\n'
        '- .spec.template.spec.containers[name="web"].image'
    )


def test_force_takes_the_fields_over() -> None:
    live = ssa.apply(None, config_map(a="1", b="1"), "first", now=T1)
    live = ssa.apply(live, config_map(a="2"), "second", force=True, now=T2)
    assert live["data"] == {"a": "2", "b": "1"}
    assert owners(live) == {
        "first/Apply": {"f:data": {"f:b": {}}},
        "second/Apply": {"f:data": {"f:a": {}}},
    }


def test_equal_values_are_shared_without_conflict() -> None:
    live = ssa.apply(None, config_map(a="1"), "first", now=T1)
    live = ssa.apply(live, config_map(a="1"), "second", now=T2)
    assert set(owners(live)) == {"first/Apply", "second/Apply"}


def test_what_is_no_longer_stated_goes_unless_somebody_else_owns_it() -> None:
    live = ssa.apply(None, config_map(a="1", b="1"), "first", now=T1)
    live = ssa.apply(live, config_map(b="1"), "second", now=T2)
    live = ssa.apply(live, config_map(), "first", now=T3)
    assert live["data"] == {"b": "1"}
    assert set(owners(live)) == {"second/Apply"}


def test_an_emptied_parent_goes_with_its_last_field() -> None:
    live = ssa.apply(None, deployment(), "me", now=T1)
    changed = deployment()
    del changed["metadata"]["labels"]
    del changed["spec"]["replicas"]
    live = ssa.apply(live, changed, "me", now=T2)
    assert "labels" not in live["metadata"]
    assert "replicas" not in live["spec"]


def test_identity_stays_when_all_owned_metadata_goes() -> None:
    labelled = config_map(a="1")
    labelled["metadata"]["labels"] = {"a": "b"}
    live = ssa.apply(None, labelled, "me", now=T1)
    live["metadata"]["uid"] = "u"
    live = ssa.apply(live, config_map(a="1"), "me", now=T2)
    assert {k: v for k, v in live["metadata"].items() if k != "managedFields"} == {
        "name": "c",
        "namespace": "n",
        "uid": "u",
    }


def test_items_of_keyed_lists_come_and_go_and_keep_the_stated_order() -> None:
    two = deployment()
    two["spec"]["template"]["spec"]["containers"].insert(0, {"name": "first", "image": "x"})
    live = ssa.apply(None, deployment(), "me", now=T1)
    live = ssa.apply(live, two, "me", now=T2)
    assert [c["name"] for c in live["spec"]["template"]["spec"]["containers"]] == ["first", "web"]
    live = ssa.apply(live, deployment(), "me", now=T3)
    assert [c["name"] for c in live["spec"]["template"]["spec"]["containers"]] == ["web"]


def test_two_appliers_share_a_list_by_item() -> None:
    sidecar = deployment()
    sidecar["spec"] = {"template": {"spec": {"containers": [{"name": "sidecar", "image": "s"}]}}}
    sidecar["metadata"].pop("labels")
    live = ssa.apply(None, deployment(), "app", now=T1)
    live = ssa.apply(live, sidecar, "mesh", now=T2)
    assert [c["name"] for c in live["spec"]["template"]["spec"]["containers"]] == ["web", "sidecar"]
    live = ssa.apply(live, deployment(), "app", now=T3)
    assert [c["name"] for c in live["spec"]["template"]["spec"]["containers"]] == ["web", "sidecar"]


def test_sets_are_merged_by_value() -> None:
    def with_finalizers(*names: str) -> Object:
        obj = config_map()
        obj["metadata"]["finalizers"] = list(names)
        return obj

    live = ssa.apply(None, with_finalizers("x/a"), "first", now=T1)
    live = ssa.apply(live, with_finalizers("x/b"), "second", now=T2)
    assert live["metadata"]["finalizers"] == ["x/a", "x/b"]
    assert owners(live)["second/Apply"] == {"f:metadata": {"f:finalizers": {'v:"x/b"': {}}}}
    live = ssa.apply(live, config_map(), "first", now=T3)
    assert live["metadata"]["finalizers"] == ["x/b"]


def test_atomic_values_are_owned_and_replaced_as_a_whole() -> None:
    live = ssa.apply(None, deployment(), "me", now=T1)
    other = deployment(selector={"matchLabels": {"app": "other"}})
    with pytest.raises(errors.StatusError, match=r"conflict with \"me\": .spec.selector"):
        ssa.apply(live, other, "you")
    live = ssa.apply(live, other, "you", force=True, now=T2)
    assert live["spec"]["selector"] == {"matchLabels": {"app": "other"}}


def test_quantities_are_compared_by_value() -> None:
    def with_cpu(cpu: Any) -> Object:
        obj = deployment()
        obj["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"cpu": cpu}}
        return obj

    live = ssa.apply(None, with_cpu("1"), "me", now=T1)
    ssa.apply(live, with_cpu("1000m"), "you", now=T2)


def test_objects_from_before_the_first_apply_belong_to_somebody() -> None:
    live = config_map(a="1")
    with pytest.raises(errors.StatusError, match=r'conflict with "before-first-apply" using v1: \.data\.a'):
        ssa.apply(live, config_map(a="2"), "me")
    applied = ssa.apply(live, config_map(b="2"), "me", now=T1)
    assert set(owners(applied)) == {"before-first-apply/Update", "me/Apply"}


def test_updates_of_untracked_objects_stay_untracked() -> None:
    assert ssa.update_managers(config_map(a="1"), config_map(a="2"), "me") == []


def test_kubectl_takes_over_what_its_client_side_apply_wrote() -> None:
    stated = config_map(a="1")
    live = config_map(a="1")
    live["metadata"]["annotations"] = {ssa.LAST_APPLIED: json.dumps(stated)}
    live = update(None, live, "kubectl-client-side-apply", now=T1)
    taken = ssa.apply(live, config_map(a="2"), "kubectl", now=T2)
    assert taken["data"] == {"a": "2"}
    with pytest.raises(errors.StatusError, match="kubectl-client-side-apply"):
        ssa.apply(live, config_map(a="2"), "somebody")


def test_updates_move_ownership_and_removals_end_it() -> None:
    live = update(None, config_map(a="1", b="1"), "first", now=T1)
    live = update(live, {**live, "data": {"a": "2"}}, "second", now=T2)
    assert owners(live) == {
        "first/Update": {"f:data": {}},
        "second/Update": {"f:data": {"f:a": {}}},
    }


def test_an_update_without_change_keeps_the_entries() -> None:
    live = update(None, config_map(a="1"), "first", now=T1)
    assert ssa.update_managers(live, live, "second", now=T2) == live["metadata"]["managedFields"]


def test_subresources_are_managers_of_their_own() -> None:
    live = update(None, deployment(), "me", now=T1)
    status = deep_copy(live)
    status["status"] = {"replicas": 3, "conditions": [{"type": "Available", "status": "True"}]}
    live = update(live, status, "me", subresource="status")
    entry = live["metadata"]["managedFields"][1]
    assert entry["subresource"] == "status"
    assert entry["fieldsV1"] == {
        "f:status": {
            "f:conditions": {
                ".": {},
                'k:{"type":"Available"}': {".": {}, "f:status": {}, "f:type": {}},
            },
            "f:replicas": {},
        }
    }


def test_one_empty_entry_resets_the_owners() -> None:
    live = update(None, config_map(a="1"), "first")
    new = config_map(a="2")
    new["metadata"]["managedFields"] = [{}]
    assert ssa.update_managers(live, new, "second") == []


def test_only_ten_updaters_are_kept_apart() -> None:
    live = update(None, config_map(a="1"), "m0", now=T1)
    for i in range(14):
        time = f"2026-01-01T00:00:{i + 1:02}Z"
        live = update(live, {**live, "data": {**live.get("data", {}), f"k{i}": "v"}}, f"m{i:02}", now=time)
    names = [e["manager"] for e in live["metadata"]["managedFields"]]
    assert len(names) == 10
    assert "ancient-changes" in names
    assert names[-1] == "m13"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"foo": 1}, "failed to create typed patch object (default/web; apps/v1, Kind=Deployment): "
                     ".spec.foo: field not declared in schema"),
        ({"replicas": "x"}, "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"),
    ],
)  # fmt: skip
def test_configurations_that_do_not_fit_the_schema(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(errors.StatusError) as raised:
        ssa.apply(None, deployment(**change), "me")
    assert problem in raised.value.message


def test_repeated_and_missing_keys_are_refused() -> None:
    twice = deployment()
    twice["spec"]["template"]["spec"]["containers"] *= 2
    with pytest.raises(errors.StatusError, match=r'containers: duplicate entries for key \[name="web"\]'):
        ssa.apply(None, twice, "me")
    keyless = deployment()
    keyless["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"protocol": "TCP"}]
    with pytest.raises(errors.StatusError, match='omits key field "containerPort"'):
        ssa.apply(None, keyless, "me")


def test_managed_fields_cannot_be_applied() -> None:
    body = config_map(a="1")
    body["metadata"]["managedFields"] = [{"manager": "x"}]
    with pytest.raises(errors.StatusError, match=r"metadata\.managedFields must be nil"):
        ssa.apply(None, body, "me")


def test_ignored_fields_are_neither_applied_nor_owned() -> None:
    body = deployment()
    body["status"] = {"replicas": 9}
    live = ssa.apply(None, body, "me", ignored=field_sets.from_paths("status"), now=T1)
    assert "status" not in live
    assert "f:status" not in owners(live)["me/Apply"]


def test_set_algebra() -> None:
    a = {"f:x": {".": {}, "f:y": {}}, "f:z": {}}
    b = {"f:x": {"f:y": {}}}
    assert field_sets.difference(a, b) == {"f:x": {}, "f:z": {}}
    assert field_sets.intersection(a, b) == {"f:x": {"f:y": {}}}
    assert field_sets.union(b, {"f:x": {}}) == {"f:x": {".": {}, "f:y": {}}}
    assert field_sets.recursive_difference(a, {"f:x": {}}) == {"f:z": {}}
    assert [field_sets.render(p) for p in field_sets.paths(a)] == [".x", ".z", ".x.y"]


_names = st.sampled_from(["a", "b", "c"])
_containers = st.lists(
    st.fixed_dictionaries({"name": _names}, optional={"image": _names, "args": st.lists(_names, max_size=2)}),
    min_size=1,  # an empty keyed list states nothing
    max_size=3,
    unique_by=lambda c: str(c["name"]),
)
_configurations = st.builds(
    lambda labels, containers: {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "n", **({"labels": labels} if labels else {})},
        "spec": {"containers": containers},
    },
    st.dictionaries(_names, _names, max_size=3),
    _containers,
)


def states(live: Any, config: Any) -> bool:
    """Say whether everything in the configuration is in the live value."""
    if isinstance(config, dict):
        return all(states(live.get(k), v) for k, v in config.items())
    if isinstance(config, list) and config and isinstance(config[0], dict):
        by_name = {item["name"]: item for item in live}
        return all(states(by_name.get(item["name"]), item) for item in config)
    return bool(live == config)


@settings(max_examples=60)
@given(_configurations, _configurations, _configurations)
def test_whatever_is_applied_is_there_and_stays_there(one: Object, two: Object, three: Object) -> None:
    live = ssa.apply(None, one, "first", now=T1)
    live = ssa.apply(live, two, "second", force=True, now=T2)
    assert states(live, two)
    live = ssa.apply(live, three, "first", force=True, now=T3)
    assert states(live, three)
    assert ssa.apply(live, three, "first", force=True, now=T1) == live
    named = [c["name"] for c in live["spec"]["containers"]]
    assert len(named) == len(set(named))


@settings(max_examples=60)
@given(_configurations, _configurations)
def test_a_single_applier_gets_exactly_what_it_states(one: Object, two: Object) -> None:
    live = ssa.apply(ssa.apply(None, one, "me", now=T1), two, "me", now=T2)
    live["metadata"].pop("managedFields")
    assert live == two
