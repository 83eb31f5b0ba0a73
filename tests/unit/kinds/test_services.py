"""Services: allocation of addresses and ports, changes of type, validation, the table."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.resources import ENDPOINT_SLICES, ENDPOINTS, SERVICES
from apiserver.registry.kinds.allocation import AddressPool, Pool, PortPool
from apiserver.registry.settings import Network
from apiserver.registry.strategy import Claims

from .manifests import context, create_errors, merged, prepared, service, stored, strategy, updated

RULES = strategy(SERVICES)


def claims(new: dict[str, Any], old: dict[str, Any] | None = None) -> Claims:
    result: Claims = RULES.claims(new, old)
    return result


def test_a_service_gets_defaults_and_an_address_of_the_upper_band() -> None:
    result = stored(SERVICES, service())
    address = result["spec"].pop("clusterIP")
    assert result["spec"].pop("clusterIPs") == [address]
    assert address.startswith("10.96.")
    assert int(address.split(".")[2]) * 256 + int(address.split(".")[3]) > 256
    assert result["spec"] == {
        "selector": {"app": "meow"},
        "ports": [{"port": 80, "targetPort": 3000, "protocol": "TCP"}],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
    }
    assert result["status"] == {"loadBalancer": {}}
    assert claims(result | {"spec": {"clusterIPs": [address]}}) == Claims(take=(f"ipaddresses/{address}",))


def test_an_address_or_port_may_be_asked_for() -> None:
    spec = stored(
        SERVICES, service(clusterIP="10.96.0.10", type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
    )
    assert claims(spec) == Claims(take=("ipaddresses/10.96.0.10", "ranges/servicenodeports/30080"))


def test_an_address_is_claimed_with_an_ip_address_object() -> None:
    obj = stored(SERVICES, service(clusterIP="10.96.0.10"))
    claimed = RULES.claim_value(obj, "ipaddresses/10.96.0.10")
    assert claimed["metadata"]["name"] == "10.96.0.10"
    assert claimed["spec"]["parentRef"] == {
        "group": "",
        "resource": "services",
        "namespace": "default",
        "name": "meow-svc",
    }
    assert (
        RULES.claim_value(obj, "ranges/servicenodeports/30080")
        == b'{"namespace":"default","name":"meow-svc"}'
    )


def test_a_headless_service_has_no_address() -> None:
    result = stored(SERVICES, service(clusterIP="None"))
    assert result["spec"]["clusterIPs"] == ["None"]
    assert claims(result) == Claims()
    without_selector = stored(SERVICES, service(clusterIP="None", selector=None))
    assert without_selector["spec"]["ipFamilies"] == ["IPv4", "IPv6"]
    assert without_selector["spec"]["ipFamilyPolicy"] == "RequireDualStack"


def test_one_port_over_two_protocols_shares_a_node_port() -> None:
    ports = [
        {"name": "udp", "port": 53, "protocol": "UDP"},
        {"name": "tcp", "port": 53},
        {"name": "m", "port": 9153},
    ]
    result = stored(SERVICES, service(type="NodePort", ports=ports))["spec"]["ports"]
    assert result[0]["nodePort"] == result[1]["nodePort"] != result[2]["nodePort"]
    assert all(30086 <= p["nodePort"] <= 32767 for p in result)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"clusterIP": "10.97.0.1"},
            [
                'spec.clusterIPs: Invalid value: ["10.97.0.1"]: failed to allocate IP 10.97.0.1: the provided IP '
                "(10.97.0.1) is "
                "not in the valid range. The range of valid IPs is 10.96.0.0/16",
            ],
        ),
        (
            {"clusterIP": "abc"},
            [
                'spec.clusterIPs[0]: Invalid value: "abc": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
            ],
        ),
        (
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]},
            [
                "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports "
                "is 30000-32767",
            ],
        ),
        ({"ports": []}, ["spec.ports: Required value"]),
        (
            {"ports": [{"port": 80}, {"port": 81}]},
            [
                "spec.ports[0].name: Required value",
                "spec.ports[1].name: Required value",
            ],
        ),
        (
            {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]},
            [
                'spec.ports[1]: Duplicate value: {"protocol":"TCP","port":80,"targetPort":0}',
            ],
        ),
        (
            {"ports": [{"port": 80, "nodePort": 30000}]},
            [
                "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
            ],
        ),
        (
            {"type": "Balancer"},
            [
                'spec.type: Unsupported value: "Balancer": supported values: "ClusterIP", "ExternalName", "LoadBalancer", '
                '"NodePort"',
            ],
        ),
        ({"type": "ExternalName"}, ["spec.externalName: Required value"]),
        ({"type": "ExternalName", "externalName": "db.example.com."}, []),
        (
            {"type": "NodePort", "clusterIP": "None"},
            [
                "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
            ],
        ),
        (
            {"sessionAffinity": "Cookie"},
            [
                'spec.sessionAffinity: Unsupported value: "Cookie": supported values: "ClientIP", "None"',
            ],
        ),
        (
            {"externalTrafficPolicy": "Local"},
            [
                'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
            ],
        ),
        (
            {"ipFamilyPolicy": "RequireDualStack"},
            [
                'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for '
                "dual-stack services",
            ],
        ),
        (
            {"externalIPs": ["127.0.0.1"]},
            [
                'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
            ],
        ),
    ],
)
def test_validation(spec: dict[str, Any], expected: list[str]) -> None:
    assert create_errors(SERVICES, service(**spec)) == expected


def test_the_name_is_an_rfc_1035_label() -> None:
    bad = service()
    bad["metadata"]["name"] = "8ball"
    assert create_errors(SERVICES, bad)[0].startswith(
        'metadata.name: Invalid value: "8ball": a DNS-1035 label must consist of lower case alphanumeric characters'
    )


def test_an_update_that_leaves_allocated_values_out_keeps_them() -> None:
    old = stored(SERVICES, service(type="NodePort"))
    new, problems = updated(SERVICES, old, merged(service(type="NodePort"), {"metadata": old["metadata"]}))
    assert problems == []
    assert new["spec"] == old["spec"]
    assert claims(new, old) == Claims()


def test_a_change_of_type_releases_what_is_not_needed() -> None:
    old = stored(SERVICES, service(type="NodePort"))
    port = old["spec"]["ports"][0]["nodePort"]
    new, problems = updated(SERVICES, old, merged(old, {"spec": {"type": "ClusterIP"}}))
    assert problems == []
    assert "nodePort" not in new["spec"]["ports"][0]
    assert "externalTrafficPolicy" not in new["spec"]
    assert claims(new, old) == Claims(release=(f"ranges/servicenodeports/{port}",))

    external = merged(old, {"spec": {"type": "ExternalName", "externalName": "example.com"}})
    new, problems = updated(SERVICES, old, external)
    assert problems == []
    assert "clusterIP" not in new["spec"]
    address = old["spec"]["clusterIP"]
    assert claims(new, old) == Claims(release=(f"ipaddresses/{address}", f"ranges/servicenodeports/{port}"))


def test_the_address_of_a_service_stays() -> None:
    old = stored(SERVICES, service(clusterIP="10.96.0.10"))
    _, problems = updated(SERVICES, old, merged(old, {"spec": {"clusterIP": "10.96.0.11"}}))
    assert problems == ['spec.clusterIPs[0]: Invalid value: ["10.96.0.11"]: may not change once set']


def test_a_taken_value_that_we_chose_is_chosen_again_and_one_asked_for_is_refused() -> None:
    obj = prepared(
        RULES, service(clusterIP="10.96.0.10", type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
    )
    ctx = context(RULES, obj)
    error = RULES.on_claim_taken(obj, "ranges/servicenodeports/30080", ctx)
    assert (error.code, error.message) == (
        422,
        'Service "meow-svc" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already '
        "allocated",
    )
    error = RULES.on_claim_taken(obj, "ipaddresses/10.96.0.10", ctx)
    assert error.message == (
        'Service "meow-svc" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.10"]: failed to allocate IP '
        "10.96.0.10: provided IP is already allocated"
    )
    ctx.chosen.add("ipaddresses/10.96.0.10")
    assert RULES.on_claim_taken(obj, "ipaddresses/10.96.0.10", ctx) is None


def test_a_pool_prefers_its_upper_band_and_forgets_after_a_minute() -> None:
    now = 0.0
    pool = Pool(4, 2, clock=lambda: now)
    assert {pool.choose() for _ in range(50)} == {2, 3}
    pool.remember_taken(2)
    pool.remember_taken(3)
    assert {pool.choose() for _ in range(50)} == {0, 1}
    pool.remember_taken(0)
    pool.remember_taken(1)
    assert pool.choose() is None
    now = 61.0
    assert {pool.choose() for _ in range(50)} == {2, 3}


def test_pools_know_their_range() -> None:
    network: Network = RULES.settings.service_networks[0]
    addresses, ports = AddressPool(network), PortPool(30000, 32767)
    assert "10.96.0.1" in addresses
    assert all(a not in addresses for a in ("10.96.0.0", "10.96.255.255", "10.97.0.1", "fd00::1"))
    assert 30000 in ports
    assert 32768 not in ports


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({}, {}, ["ClusterIP", "10.96.0.9", "<none>", "80/TCP"]),
        (
            {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30001, "protocol": "TCP"}]},
            {},
            ["NodePort", "10.96.0.9", "<none>", "80:30001/TCP"],
        ),
        ({"type": "LoadBalancer"}, {}, ["LoadBalancer", "10.96.0.9", "<pending>", "80/TCP"]),
        (
            {"type": "LoadBalancer", "externalIPs": ["1.2.3.4"]},
            {"loadBalancer": {"ingress": [{"ip": "5.6.7.8"}]}},
            ["LoadBalancer", "10.96.0.9", "5.6.7.8,1.2.3.4", "80/TCP"],
        ),
        (
            {"type": "ExternalName", "externalName": "x.y", "clusterIP": None},
            {},
            ["ExternalName", "<none>", "x.y", "80/TCP"],
        ),
    ],
)
def test_the_table(spec: dict[str, Any], status: dict[str, Any], expected: list[str]) -> None:
    base = {"type": "ClusterIP", "clusterIP": "10.96.0.9", "ports": [{"port": 80, "protocol": "TCP"}]}
    row = RULES.row(merged(service(**merged(base, spec)), {"status": status}))
    assert row[1:5] == expected
    assert row[6] == "app=meow"


def endpoints(*addresses: str, **subset: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "e"},
        "subsets": [{"addresses": [{"ip": a} for a in addresses], **subset}],
    }


def test_endpoints() -> None:
    assert create_errors(ENDPOINTS, endpoints("10.0.0.1", ports=[{"port": 80}])) == []
    assert create_errors(ENDPOINTS, endpoints()) == [
        "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`"
    ]
    assert create_errors(ENDPOINTS, endpoints("169.254.1.1")) == [
        'subsets[0].addresses[0].ip: Invalid value: "169.254.1.1": may not be in the link-local range (169.254.0.0/16, '
        "fe80::/10)"
    ]
    many = endpoints("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", ports=[{"port": 80}])
    assert strategy(ENDPOINTS).row(many)[1] == "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 1 more..."
    assert strategy(ENDPOINTS).row({"metadata": {"name": "e"}})[1] == "<none>"


def test_endpoint_slices() -> None:
    good = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "s"},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.1"]}],
        "ports": [{"port": 80}],
    }
    old = stored(ENDPOINT_SLICES, good)
    assert old["ports"] == [{"port": 80, "protocol": "TCP", "name": ""}]
    assert strategy(ENDPOINT_SLICES).row(old)[1:4] == ["IPv4", "80", "10.0.0.1"]
    new, problems = updated(ENDPOINT_SLICES, old, merged(old, {"endpoints": [{"addresses": ["10.0.0.2"]}]}))
    assert (problems, new["metadata"]["generation"]) == ([], 2)
    assert updated(ENDPOINT_SLICES, old, merged(old, {"addressType": "FQDN"}))[1] == [
        'addressType: Invalid value: "FQDN": field is immutable'
    ]
    assert create_errors(ENDPOINT_SLICES, merged(good, {"endpoints": [{"addresses": ["fd00::1"]}]})) == [
        'endpoints[0].addresses[0]: Invalid value: "fd00::1": must be a valid IPv4 address'
    ]
