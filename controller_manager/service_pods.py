"""Which Services choose a pod, and which of their ports lead to which of its ports.

Shared by the Endpoints and EndpointSlice controllers. Finding the Services of a pod costs as much as the pod has
labels, however many Services and pods there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from apimachinery import Object, meta
from apimachinery.resources import SERVICES
from controller_manager import pods
from kube_client.informer import Informer, InformerFactory, key_of

_SELECTOR = "selector"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
HEADLESS_LABEL = "service.kubernetes.io/headless"


def services(informers: InformerFactory) -> Informer:
    """The shared Service informer, indexed by one pair of each selector."""
    return informers.informer(SERVICES, indexers={_SELECTOR: _by_selector_pair})


def _by_selector_pair(service: Object) -> Iterable[str]:
    selector = selector_of(service)
    return (_pair(meta.namespace(service), *min(selector.items())),) if selector else ()


def _pair(namespace: str, key: str, value: str) -> str:
    return f"{namespace}/{key}={value}"


def selector_of(service: Object) -> Mapping[str, str]:
    """`spec.selector`, empty when there is none or the type is ExternalName."""
    spec = service.get("spec") or {}
    return {} if spec.get("type") == "ExternalName" else spec.get("selector") or {}


def services_of(informer: Informer, namespace: str, labels: Mapping[str, str]) -> list[str]:
    """Keys of the Services whose selector these pod labels satisfy."""
    have = labels.items()
    return [
        key_of(service)
        for key, value in have
        for service in informer.by_index(_SELECTOR, _pair(namespace, key, value))
        if selector_of(service).items() <= have
    ]


def affected_services(informer: Informer, old: Object | None, new: Object) -> set[str]:
    """Keys of the Services whose endpoints this change of a pod may change."""
    namespace = meta.namespace(new)
    if old is None:
        return set(services_of(informer, namespace, meta.labels(new)))
    same_labels = meta.labels(old) == meta.labels(new)
    if same_labels and _shown(old) == _shown(new):
        return set()
    keys = set(services_of(informer, namespace, meta.labels(new)))
    if not same_labels:
        keys |= set(services_of(informer, namespace, meta.labels(old)))
    return keys


def _shown(pod: Object) -> tuple[object, ...]:
    """Everything about a pod that its endpoints show."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    return (
        pods.is_ready(pod),
        pods.is_terminal(pod),
        meta.is_deleting(pod),
        spec.get("nodeName"),
        spec.get("hostname"),
        spec.get("subdomain"),
        status.get("podIP"),
        status.get("podIPs"),
    )


def pod_port(pod: Object, service_port: Object) -> int | None:
    """The number of the pod's port that a Service port means; None when the pod has no port of that name."""
    target = service_port.get("targetPort", service_port.get("port"))
    if isinstance(target, int):
        return target or int(service_port["port"])
    protocol = service_port.get("protocol", "TCP")
    spec = pod.get("spec") or {}
    sidecars = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    for container in [*(spec.get("containers") or ()), *sidecars]:
        for port in container.get("ports") or ():
            if port.get("name") == target and port.get("protocol", "TCP") == protocol:
                return int(port["containerPort"])
    return None


def endpoint_ports(service: Object, pod: Object) -> list[Object]:
    """The EndpointPorts of this pod: one for each Service port that it has."""
    result = []
    for service_port in (service.get("spec") or {}).get("ports") or ():
        number = pod_port(pod, service_port)
        if number is None:
            continue
        port: Object = {
            "name": service_port.get("name", ""),
            "port": number,
            "protocol": service_port.get("protocol", "TCP"),
        }
        if service_port.get("appProtocol"):
            port["appProtocol"] = service_port["appProtocol"]
        result.append(port)
    return result


def belongs(pod: Object, include_terminating: bool) -> bool:
    """The pod has an address that may be shown: not ended, and not being deleted unless that is asked for."""
    if pods.is_terminal(pod) or not (pod.get("status") or {}).get("podIP"):
        return False
    return include_terminating or not meta.is_deleting(pod)


def addresses(pod: Object, family: str) -> list[str]:
    """The pod's addresses of `family`, "IPv4" or "IPv6"."""
    status = pod.get("status") or {}
    listed = [one["ip"] for one in status.get("podIPs") or () if one.get("ip")] or [status.get("podIP") or ""]
    return [ip for ip in listed if ip and (":" in ip) == (family == "IPv6")]


def families(service: Object) -> list[str]:
    """`spec.ipFamilies`, guessed from the cluster IP where it is not set."""
    spec = service.get("spec") or {}
    if spec.get("ipFamilies"):
        return list(spec["ipFamilies"])
    return ["IPv6"] if ":" in (spec.get("clusterIP") or "") else ["IPv4"]


def hostname(service: Object, pod: Object) -> str | None:
    """The pod's own name under a headless Service whose name is the pod's subdomain."""
    spec = pod.get("spec") or {}
    if spec.get("hostname") and spec.get("subdomain") == meta.name(service):
        return str(spec["hostname"])
    return None


def is_headless(service: Object) -> bool:
    """The Service has no address of its own."""
    return bool((service.get("spec") or {}).get("clusterIP") == "None")


def publishes_not_ready(service: Object) -> bool:
    """`spec.publishNotReadyAddresses`."""
    return bool((service.get("spec") or {}).get("publishNotReadyAddresses"))


def target_reference(pod: Object) -> Object:
    """The targetRef of the pod's endpoint."""
    return {
        "kind": "Pod",
        "namespace": meta.namespace(pod),
        "name": meta.name(pod),
        "uid": meta.uid(pod),
    }


def trigger_time(service: Object, chosen: Iterable[Object]) -> str:
    """When the newest change happened that these endpoints show, as an RFC 3339 time; empty if unknown."""
    moments = [str(service["metadata"].get("creationTimestamp") or "")]
    for pod in chosen:
        condition = meta.condition(pod, "Ready")
        moments.append(str((condition or {}).get("lastTransitionTime") or ""))
    return max(moments)
