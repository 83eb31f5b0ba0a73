"""Authentication and authorization: certificates, tokens, anonymous, roles of the daemons, impersonation."""

from __future__ import annotations

import base64
import json

from tests.harness.control_plane import ControlPlane
from tests.integration.apiserver.conftest import Http, config_map, pod


async def test_strangers_get_401(stranger: Http) -> None:
    answer = await stranger("GET", "/api/v1/namespaces")
    assert answer.status == 401
    assert answer.json == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "Unauthorized",
        "reason": "Unauthorized", "code": 401,
    }  # fmt: skip
    assert (await stranger("GET", "/api/v1/namespaces", Authorization="Bearer nonsense")).status == 401


async def token_of(http: Http, namespace: str, **spec: object) -> str:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
    answer = await http("POST", path, {"spec": spec})
    assert answer.status == 201, answer.body
    return str(answer.json["status"]["token"])


async def test_service_account_tokens(http: Http, stranger: Http, namespace: str) -> None:
    token = await token_of(http, namespace)
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["sub"] == f"system:serviceaccount:{namespace}:default"
    assert claims["iss"] == "https://kubernetes.default.svc.cluster.local"
    assert claims["aud"] == ["https://kubernetes.default.svc.cluster.local"]
    assert claims["kubernetes.io"]["namespace"] == namespace
    bearer = f"Bearer {token}"
    review = await stranger(
        "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, Authorization=bearer
    )
    assert review.json["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:default"
    assert "system:serviceaccounts" in review.json["status"]["userInfo"]["groups"]
    answer = await stranger("GET", f"/api/v1/namespaces/{namespace}/pods", Authorization=bearer)
    assert answer.status == 403
    assert answer.message == (
        f'pods is forbidden: User "system:serviceaccount:{namespace}:default" cannot list resource "pods" in API '
        f'group "" in the namespace "{namespace}"'
    )
    assert (await stranger("GET", "/api", Authorization=bearer)).status == 200


async def test_tokens_die_with_what_they_are_bound_to(http: Http, namespace: str) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    await http("POST", pods, pod("p"))
    token = await token_of(http, namespace, boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "p"})
    path, review = "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token}}
    found = (await http("POST", path, review)).json["status"]
    assert found["authenticated"] is True
    assert found["user"]["extra"]["authentication.kubernetes.io/pod-name"] == ["p"]
    await http("DELETE", f"{pods}/p")
    assert not (await http("POST", path, review)).json["status"].get("authenticated")


async def test_token_requests_are_checked(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    short = await http("POST", f"{path}/default/token", {"spec": {"expirationSeconds": 60}})
    assert short.status == 422
    assert "may not specify a duration less than 10 minutes" in short.message
    assert (await http("POST", f"{path}/none/token", {})).message == 'serviceaccounts "none" not found'


async def test_issuer_discovery(http: Http) -> None:
    configuration = (await http("GET", "/.well-known/openid-configuration")).json
    assert configuration["issuer"] == "https://kubernetes.default.svc.cluster.local"
    (key,) = (await http("GET", "/openid/v1/jwks")).json["keys"]
    assert key["use"] == "sig"


async def test_daemons_may_do_their_work_only(
    control_plane: ControlPlane, http: Http, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    proxy = {"Impersonate_User": "system:kube-proxy"}
    assert (await http("GET", "/api/v1/services", **proxy)).status == 200
    refused = await http("POST", path, config_map("a"), **proxy)
    assert refused.status == 403
    assert refused.message == (
        'configmaps is forbidden: User "system:kube-proxy" cannot create resource "configmaps" in API group "" in the '
        f'namespace "{namespace}"'
    )
    assert (await http("GET", "/metrics", **proxy)).message == (
        'forbidden: User "system:kube-proxy" cannot get path "/metrics"'
    )


async def test_a_kubelet_touches_only_its_own_node(http: Http, namespace: str) -> None:
    kubelet = {"Impersonate_User": "system:node:mine", "Impersonate_Group": "system:nodes"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "other"}}
    refused = await http("POST", "/api/v1/nodes", node, **kubelet)
    assert refused.status == 403
    assert refused.message == 'nodes "other" is forbidden: node "mine" is not allowed to modify node "other"'
    node["metadata"] = {"name": "mine"}
    made = await http("POST", "/api/v1/nodes", node, **kubelet)
    assert made.status == 201
    assert made.json["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
    await http("DELETE", "/api/v1/nodes/mine")


async def test_access_reviews(http: Http, namespace: str) -> None:
    path = "/apis/authorization.k8s.io/v1"
    attributes = {"verb": "list", "resource": "services"}
    review = {"spec": {"resourceAttributes": attributes, "user": "system:kube-proxy"}}
    assert (await http("POST", f"{path}/subjectaccessreviews", review)).json["status"]["allowed"] is True
    review["spec"]["resourceAttributes"] = {"verb": "delete", "resource": "services"}
    assert (await http("POST", f"{path}/subjectaccessreviews", review)).json["status"]["allowed"] is False
    mine = {"spec": {"nonResourceAttributes": {"path": "/x", "verb": "get"}}}
    assert (await http("POST", f"{path}/selfsubjectaccessreviews", mine)).json["status"]["allowed"] is True
    rules = {"spec": {"namespace": namespace}}
    assert (await http("POST", f"{path}/selfsubjectrulesreviews", rules)).json["status"]["resourceRules"]
    assert (await http("POST", f"{path}/selfsubjectaccessreviews", {"spec": {}})).status == 422


async def test_only_masters_impersonate(http: Http, stranger: Http, namespace: str) -> None:
    bearer = f"Bearer {await token_of(http, namespace)}"
    answer = await stranger("GET", "/api", Authorization=bearer, Impersonate_User="root")
    assert answer.status == 403
    assert 'cannot impersonate resource "users" in API group ""' in answer.message


async def test_streams_are_refused_with_words(http: Http, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    two = pod("two")
    two["spec"]["containers"].append({"name": "d", "image": "busybox:1.36"})
    await http("POST", path, two)
    assert (await http("GET", f"{path}/two/log")).message == (
        "a container name must be specified for pod two, choose one of: [c d]"
    )
    assert (
        await http("GET", f"{path}/two/log?container=x")
    ).message == "container x is not valid for pod two"
    assert (
        await http("GET", f"{path}/two/log?container=c")
    ).message == "pod two does not have a host assigned"
    assert (await http("POST", f"{path}/two/exec?container=c&command=ls&stdout=1")).status == 400
    assert (await http("GET", f"{path}/none/log")).message == 'pods "none" not found'
