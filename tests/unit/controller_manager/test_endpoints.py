"""Which addresses a Service has, as Endpoints and as EndpointSlices."""

from typing import Any

import pytest

from apimachinery import Object, meta
from controller_manager import endpoints, service_pods
from controller_manager.endpoint_slice import plan
from tests.unit.controller_manager.builders import pod, service


def slices(
    pods: list[Object], existing: list[Object] | None = None, limit: int = 100, **spec: Any
) -> plan.SlicePlan:
    return plan.plan_slices(service(**spec), pods, {"node-1": "west"}, existing or [], limit)


def stored(created: list[Object]) -> list[Object]:
    """As the server gives them back."""
    return [
        {**one, "metadata": {**one["metadata"], "name": f"s{number}", "uid": f"s{number}"}}
        for number, one in enumerate(created)
    ]


def many(count: int, start: int = 0) -> list[Object]:
    return [pod(f"p{number:03}", ip=f"10.244.0.{number}") for number in range(start, start + count)]


def test_an_endpoint_tells_what_clients_need() -> None:
    todo = slices([pod("a", ip="10.244.0.5")])
    (made,) = todo.create
    assert made["metadata"]["generateName"] == "meow-svc-"
    assert made["metadata"]["labels"] == {
        "team": "a",
        "kubernetes.io/service-name": "meow-svc",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    assert made["metadata"]["ownerReferences"][0]["kind"] == "Service"
    assert made["addressType"] == "IPv4"
    assert made["ports"] == [{"name": "http", "port": 3000, "protocol": "TCP"}]
    assert made["endpoints"] == [
        {
            "addresses": ["10.244.0.5"],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": {"kind": "Pod", "namespace": "default", "name": "a", "uid": "uid-a"},
            "nodeName": "node-1",
            "zone": "west",
        }
    ]


@pytest.mark.parametrize(
    ("ready", "deleting", "publish", "conditions"),
    [
        (True, False, False, (True, True, False)),
        (False, False, False, (False, False, False)),
        (True, True, False, (False, True, True)),
        (False, True, False, (False, False, True)),
        (False, False, True, (True, False, False)),
        (False, True, True, (True, False, True)),
    ],
)
def test_ready_serving_terminating(
    ready: bool, deleting: bool, publish: bool, conditions: tuple[bool, bool, bool]
) -> None:
    todo = slices(
        [pod("a", ip="10.244.0.5", ready=ready, deleting=deleting)], publishNotReadyAddresses=publish
    )
    got = todo.create[0]["endpoints"][0]["conditions"]
    assert (got["ready"], got["serving"], got["terminating"]) == conditions


@pytest.mark.parametrize(
    "absent",
    [pod("a"), pod("a", ip="10.244.0.5", phase="Succeeded"), pod("a", ip="10.244.0.5", phase="Failed")],
)
def test_pods_without_address_or_at_their_end_are_no_endpoints(absent: Object) -> None:
    (made,) = slices([absent]).create
    assert made["endpoints"] is None and made["ports"] is None


def test_a_service_without_pods_keeps_its_one_empty_slice() -> None:
    existing = stored(slices([]).create)
    todo = slices([], existing)
    assert not (todo.create or todo.update or todo.delete)


def test_nothing_is_written_when_nothing_changed() -> None:
    pods = many(150)
    existing = stored(slices(pods).create)
    assert [len(one["endpoints"]) for one in existing] == [100, 50]
    todo = slices(list(reversed(pods)), existing)
    assert not (todo.create or todo.update or todo.delete)


def test_only_the_slice_with_the_changed_pod_is_written() -> None:
    pods = many(150)
    existing = stored(slices(pods).create)
    pods[120] = pod("p120", ip="10.244.0.120", ready=False)
    todo = slices(pods, existing)
    assert [meta.name(one) for one in todo.update] == ["s1"]
    assert not (todo.create or todo.delete)


def test_new_endpoints_fill_changed_slices_then_one_with_room_then_new_ones() -> None:
    pods = many(150)
    existing = stored(slices(pods).create)
    grown = slices(pods + many(10, 150), existing)
    assert [(meta.name(one), len(one["endpoints"])) for one in grown.update] == [("s1", 60)]
    more = slices(pods[1:] + many(60, 150), existing)  # s0 is written anyway and takes one; 59 fit nowhere
    assert [(meta.name(one), len(one["endpoints"])) for one in more.update] == [("s0", 100)]
    assert [len(one["endpoints"]) for one in more.create] == [59]


def test_a_slice_whose_endpoints_are_all_gone_is_deleted() -> None:
    existing = stored(slices(many(150)).create)
    todo = slices(many(100), existing)
    assert [meta.name(one) for one in todo.delete] == ["s1"]
    assert not (todo.create or todo.update)


def test_pods_with_other_port_numbers_of_a_name_have_a_slice_of_their_own() -> None:
    other = pod("b", ip="10.244.0.6", containers=[{"ports": [{"name": "web", "containerPort": 8080}]}])
    without = pod("c", ip="10.244.0.7", containers=[{}])
    ports = [{"name": "", "port": 80, "targetPort": "web", "protocol": "TCP"}]
    todo = slices([pod("a", ip="10.244.0.5"), other, without], ports=ports)
    assert [(one["ports"][0]["port"], len(one["endpoints"])) for one in todo.create] == [(3000, 1), (8080, 1)]


def test_a_headless_service_is_labelled_and_needs_no_ports() -> None:
    named = pod("a", ip="10.244.0.5", hostname="db-0", subdomain="meow-svc")
    (made,) = slices([named], clusterIP="None", ports=[]).create
    assert made["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
    assert made["endpoints"][0]["hostname"] == "db-0"
    assert made["ports"] == []


def test_both_families_have_slices_and_a_family_given_up_loses_them() -> None:
    both = pod("a", ip="10.244.0.5")
    both["status"]["podIPs"].append({"ip": "fd00::5"})
    dual = slices([both], ipFamilies=["IPv4", "IPv6"])
    assert {one["addressType"]: one["endpoints"][0]["addresses"] for one in dual.create} == {
        "IPv4": ["10.244.0.5"],
        "IPv6": ["fd00::5"],
    }
    single = slices([both], stored(dual.create))
    assert [one["addressType"] for one in single.delete] == ["IPv6"]


def test_new_labels_of_the_service_are_copied() -> None:
    existing = stored(slices([pod("a", ip="10.244.0.5")]).create)
    changed = service()
    changed["metadata"]["labels"] = {"team": "b"}
    todo = plan.plan_slices(changed, [pod("a", ip="10.244.0.5")], {"node-1": "west"}, existing, 100)
    assert todo.update[0]["metadata"]["labels"]["team"] == "b"


def test_the_endpoints_object_groups_ready_and_not_ready_by_ports() -> None:
    pods = [
        pod("b", ip="10.244.0.6"),
        pod("a", ip="10.244.0.5"),
        pod("c", ip="10.244.0.7", ready=False),
        pod("d", ip="10.244.0.8", deleting=True),
    ]
    made = endpoints.desired(service(), pods, None)
    assert meta.labels(made) == {"team": "a", "endpoints.kubernetes.io/managed-by": "endpoint-controller"}
    (subset,) = made["subsets"]
    assert [one["ip"] for one in subset["addresses"]] == ["10.244.0.5", "10.244.0.6"]
    assert [one["ip"] for one in subset["notReadyAddresses"]] == ["10.244.0.7"]
    assert subset["ports"] == [{"name": "http", "port": 3000, "protocol": "TCP"}]
    assert subset["addresses"][0]["targetRef"]["uid"] == "uid-a"


def test_addresses_that_are_not_ready_are_published_where_that_is_wanted() -> None:
    wanted = service(publishNotReadyAddresses=True)
    (subset,) = endpoints.desired(wanted, [pod("a", ip="10.244.0.5", ready=False, deleting=True)], None)[
        "subsets"
    ]
    assert "notReadyAddresses" not in subset and len(subset["addresses"]) == 1


def test_more_than_a_thousand_addresses_are_cut_and_said_so() -> None:
    pods = [pod(f"p{number}", ip=f"10.244.{number // 250}.{number % 250}") for number in range(1200)]
    made = endpoints.desired(service(), pods, None)
    assert len(made["subsets"][0]["addresses"]) == 1000
    assert meta.annotations(made)["endpoints.kubernetes.io/over-capacity"] == "truncated"


def test_a_service_without_endpoints_has_an_empty_object() -> None:
    assert "subsets" not in endpoints.desired(service(), [], None)


@pytest.mark.parametrize(
    ("change", "matters"),
    [
        ({}, False),
        ({"ip": "10.244.0.9"}, True),
        ({"ready": False}, True),
        ({"deleting": True}, True),
        ({"phase": "Failed"}, True),
        ({"restarts": 4}, False),
        ({"annotations": {"x": "y"}}, False),
    ],
)
def test_only_changes_that_endpoints_show_matter(change: dict[str, Any], matters: bool) -> None:
    before, after = pod("a", ip="10.244.0.5"), pod("a", **{"ip": "10.244.0.5", **change})
    assert (service_pods._shown(before) != service_pods._shown(after)) is matters
