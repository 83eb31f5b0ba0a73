"""What the proxy reads from Services and EndpointSlices, and how it chooses among endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery import Object
from kube_proxy.endpoints import Endpoint, categorize, endpoints_by_port, ready_local_count, service_key
from kube_proxy.services import ServicePort, service_ports

READY = Endpoint("10.244.1.1", 80)
NOT_READY = Endpoint("10.244.1.2", 80, ready=False)
LEAVING = Endpoint("10.244.1.3", 80, ready=False, serving=True, terminating=True)
GONE = Endpoint("10.244.1.4", 80, ready=False, serving=False, terminating=True)


def service(**spec: Any) -> Object:
    status = spec.pop("status", {})
    labels = spec.pop("labels", {})
    base = {"clusterIP": "10.96.1.1", "type": "ClusterIP", "ports": [{"name": "http", "port": 80}]}
    metadata = {"namespace": "default", "name": "web", "labels": labels}
    return {"metadata": metadata, "spec": {**base, **spec}, "status": status}


def test_a_plain_service() -> None:
    assert service_ports(service()) == (ServicePort("default/web:http", "http", "tcp", "10.96.1.1", 80),)
    (unnamed,) = service_ports(service(ports=[{"port": 53, "protocol": "UDP"}]))
    assert (unnamed.name, unnamed.port_name, unnamed.protocol) == ("default/web", "", "udp")


@pytest.mark.parametrize(
    "spec",
    [
        {"clusterIP": "None"},
        {"clusterIP": ""},
        {"type": "ExternalName", "clusterIP": ""},
        {"labels": {"service.kubernetes.io/service-proxy-name": "mine"}},
        {"clusterIP": "fd00::1", "clusterIPs": ["fd00::1"]},
    ],
)
def test_services_that_are_not_proxied(spec: dict[str, Any]) -> None:
    assert service_ports(service(**spec)) == ()


def test_a_dual_stack_service_is_served_on_its_ipv4_address() -> None:
    (port,) = service_ports(service(clusterIP="fd00::1", clusterIPs=["fd00::1", "10.96.1.9"]))
    assert port.cluster_ip == "10.96.1.9"


def test_affinity_policies_and_balancer() -> None:
    (port,) = service_ports(
        service(
            type="LoadBalancer",
            sessionAffinity="ClientIP",
            sessionAffinityConfig={"clientIP": {"timeoutSeconds": 60}},
            externalTrafficPolicy="Local",
            healthCheckNodePort=31000,
            loadBalancerSourceRanges=["198.51.100.7/24", " 192.0.2.0/28"],
            externalIPs=["203.0.113.5", "fd00::5"],
            status={
                "loadBalancer": {"ingress": [{"ip": "203.0.113.6"}, {"ip": "203.0.113.7", "ipMode": "Proxy"}]}
            },
        )
    )
    assert port.affinity_seconds == 60 and port.external_policy == "Local" and port.health_check_port == 31000
    assert port.source_ranges == ("198.51.100.0/24", "192.0.2.0/28")
    assert port.external_ips == ("203.0.113.5",) and port.load_balancer_ips == ("203.0.113.6",)
    (default,) = service_ports(service(sessionAffinity="ClientIP"))
    assert default.affinity_seconds == 10800


def slice_of(*endpoints: dict[str, Any], ports: list[dict[str, Any]] | None = None) -> Object:
    labels = {"kubernetes.io/service-name": "web"}
    return {
        "metadata": {"namespace": "default", "name": "web-1", "labels": labels},
        "addressType": "IPv4",
        "endpoints": list(endpoints),
        "ports": ports if ports is not None else [{"name": "http", "port": 3000}],
    }


def test_whose_slice_it_is() -> None:
    found = slice_of()
    assert service_key(found) == "default/web"
    assert service_key({**found, "addressType": "IPv6"}) is None
    assert service_key({**found, "metadata": {"namespace": "default", "name": "x"}}) is None
    found["metadata"]["labels"]["service.kubernetes.io/headless"] = ""
    assert service_key(found) is None


def test_endpoints_are_merged_over_slices() -> None:
    leaving = {
        "addresses": ["10.244.1.2"],
        "conditions": {"ready": False, "serving": True, "terminating": True},
    }
    ready = {"addresses": ["10.244.1.2"], "conditions": {"ready": True}, "nodeName": "node-1"}
    silent = {"addresses": ["10.244.1.3"], "nodeName": "node-2"}
    found = endpoints_by_port([slice_of(leaving, silent), slice_of(ready)], "node-1")
    assert found == {
        "http": (Endpoint("10.244.1.2", 3000, local=True), Endpoint("10.244.1.3", 3000)),
    }
    assert ready_local_count(found) == 1


def test_which_endpoints_take_the_traffic() -> None:
    port = ServicePort("default/web", "", "tcp", "10.96.1.1", 80)
    assert categorize(port, (READY, NOT_READY, LEAVING)).cluster == (READY,)
    assert categorize(port, (NOT_READY, LEAVING, GONE)).cluster == (LEAVING,)
    assert not categorize(port, (NOT_READY, GONE)).any


def test_policy_local_uses_this_nodes_endpoints() -> None:
    port = ServicePort("default/web", "", "tcp", "10.96.1.1", 80, internal_policy="Local")
    here = Endpoint("10.244.1.9", 80, ready=False, terminating=True, local=True)
    found = categorize(port, (READY, here))
    assert found.cluster == (READY,) and found.local == (here,)
    # An external policy without a way in from outside changes nothing.
    quiet = ServicePort("default/web", "", "tcp", "10.96.1.1", 80, external_policy="Local")
    assert categorize(quiet, (READY, here)).local == ()
