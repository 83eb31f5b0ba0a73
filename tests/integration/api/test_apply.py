"""Server-side apply: owners, conflicts, force, giving up fields, apply beside updates, status and scale."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.integration.api.conftest import APPLY, Api, Object, apps, config_map, core, deployment, refused


def apply(api: Api, path: str, body: Object, manager: str = "one", force: bool = False) -> httpx.Response:
    query = f"?fieldManager={manager}" + ("&force=true" if force else "")
    return api("PATCH", path + query, json.dumps(body), APPLY)


def owners(obj: Object) -> list[tuple[str, str, str]]:
    return [
        (m["manager"], m["operation"], m.get("subresource", "")) for m in obj["metadata"]["managedFields"]
    ]


def test_create_change_and_give_up(api: Api, namespace: str) -> None:
    path = core(namespace, "configmaps/a")
    made = apply(api, path, config_map("a", x="1", y="2"))
    assert made.status_code == 201
    assert owners(made.json()) == [("one", "Apply", "")]
    same = apply(api, path, config_map("a", x="1", y="2"))
    assert same.status_code == 200
    assert same.json() == made.json(), "an apply without a change writes nothing"
    fewer = apply(api, path, config_map("a", x="1"))
    assert fewer.json()["data"] == {"x": "1"}, "what the manager no longer says is taken away"


def test_conflicts_name_manager_and_field(api: Api, namespace: str) -> None:
    path = apps(namespace, "deployments/d")
    apply(api, path, deployment("d"))
    other: Any = deployment("d")
    other["spec"]["replicas"] = 5
    other["spec"]["template"]["spec"]["containers"][0]["image"] = "other:1"
    details = refused(apply(api, path, other, "two"), 409, "Conflict", (
        'Apply failed with 2 conflicts: conflicts with "one":\n- .spec.replicas\n- .spec.template.spec.containers'
        '[name="c"].image'
    ))  # fmt: skip
    assert [(cause["reason"], cause["field"]) for cause in details["causes"]] == [
        ("FieldManagerConflict", ".spec.replicas"),
        ("FieldManagerConflict", '.spec.template.spec.containers[name="c"].image'),
    ]
    assert api.get(path)["spec"]["replicas"] == 1
    forced = apply(api, path, other, "two", force=True)
    assert forced.json()["spec"]["replicas"] == 5
    back = apply(api, path, deployment("d"), "one")
    assert (back.status_code, back.json()["reason"]) == (409, "Conflict")


def test_shared_fields_stay_until_the_last_owner_goes(api: Api, namespace: str) -> None:
    path = core(namespace, "configmaps/a")
    apply(api, path, config_map("a", x="1"), "one")
    assert apply(api, path, config_map("a", x="1"), "two").status_code == 200
    assert apply(api, path, config_map("a"), "one").json()["data"] == {"x": "1"}
    assert "x" not in apply(api, path, config_map("a"), "two").json().get("data", {})


def test_updates_own_what_they_change(api: Api, namespace: str) -> None:
    path = core(namespace, "configmaps/a")
    apply(api, path, config_map("a", x="1"), "one")
    answer = api("PATCH", f"{path}?fieldManager=hand", {"data": {"x": "9"}}, "application/merge-patch+json")
    assert owners(answer.json()) == [("one", "Apply", ""), ("hand", "Update", "")]
    refused(
        apply(api, path, config_map("a", x="1"), "one"), 409, "Conflict",
        'Apply failed with 1 conflict: conflict with "hand" using v1: .data.x',
    )  # fmt: skip
    assert apply(api, path, config_map("a", x="1"), "one", force=True).json()["data"] == {"x": "1"}


def test_status_and_scale_are_owned_apart(api: Api, namespace: str) -> None:
    path = apps(namespace, "deployments/d")
    apply(api, path, deployment("d"), "one")
    status = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "status": {"replicas": 1},
    }
    found = apply(api, f"{path}/status", status, "controller").json()
    assert ("controller", "Apply", "status") in owners(found)
    assert found["spec"]["replicas"] == 1
    api.patch(f"{path}/scale?fieldManager=scaler", {"spec": {"replicas": 4}})
    assert ("scaler", "Update", "scale") in owners(api.get(path))
    refused(
        apply(api, path, deployment("d"), "one"), 409, "Conflict",
        'Apply failed with 1 conflict: conflict with "scaler" with subresource "scale" using apps/v1: .spec.replicas',
    )  # fmt: skip


def test_what_cannot_be_applied(api: Api, namespace: str) -> None:
    path = core(namespace, "configmaps/a")
    body = config_map("a")
    refused(
        api("PATCH", path, json.dumps(body), APPLY), 422, "Invalid",
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    )  # fmt: skip
    managed = config_map("a")
    managed["metadata"]["managedFields"] = [{"manager": "x"}]
    refused(apply(api, path, managed), 400, "BadRequest", "metadata.managedFields must be nil")
    refused(
        apply(api, path, config_map("b")), 400, "BadRequest",
        "the name of the object (b) does not match the name on the URL (a)",
    )  # fmt: skip
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}
    assert apply(api, path, secret).status_code == 400
    uid = config_map("a")
    uid["metadata"]["uid"] = "0000"
    assert (apply(api, path, uid).status_code, api.names(core(namespace, "configmaps"))) == (409, [])
    assert apply(api, core("nowhere", "configmaps/a"), body).status_code == 404


def test_managed_fields_can_be_reset(api: Api, namespace: str) -> None:
    path = core(namespace, "configmaps/a")
    apply(api, path, config_map("a", x="1"))
    cleared = api.patch(path, {"metadata": {"managedFields": [{}]}})
    assert "managedFields" not in cleared["metadata"]
