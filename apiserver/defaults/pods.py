"""Defaults of Pods and of the pod templates of workloads."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import Any

from apimachinery import Object, quantity

_MODE = 0o644


@lru_cache(4096)
def default_pull_policy(image: str) -> str:
    """`Always` for images whose tag is latest (or absent), `IfNotPresent` for others."""
    name, at, _digest = image.partition("@")
    if at:
        return "IfNotPresent"
    tag = name.rsplit("/", 1)[-1].partition(":")[2]
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def default_pod(pod: Object) -> None:
    """Fill in a Pod: the defaults of its spec, and those that only a Pod (not a template) has."""
    spec = pod.get("spec")
    if spec is None:
        spec = pod["spec"] = {}
    default_pod_spec(spec)
    for kind in ("containers", "initContainers"):
        for container in spec.get(kind) or ():
            resources = container.get("resources")
            if resources and (limits := resources.get("limits")):
                requests = resources.get("requests")
                resources["requests"] = {**limits, **requests} if requests else dict(limits)
    if spec.get("resources"):
        _default_pod_level_requests(spec)
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    if spec.get("hostNetwork"):
        for kind in ("containers", "initContainers"):
            for container in spec.get(kind) or ():
                for port in container.get("ports") or ():
                    if not port.get("hostPort"):
                        port["hostPort"] = port.get("containerPort")


def default_pod_template(template: dict[str, Any] | None) -> None:
    """Fill in a PodTemplateSpec."""
    if template is not None:
        meta = template.setdefault("metadata", {})
        if meta.get("creationTimestamp", "") is None:
            del meta["creationTimestamp"]
        if template.get("spec") is None:
            template["spec"] = {}
        default_pod_spec(template["spec"])


def default_pod_spec(spec: dict[str, Any]) -> None:
    """Fill in a PodSpec."""
    get = spec.get
    for volume in get("volumes") or ():
        _default_volume(volume)
    for container in get("containers") or ():
        _default_container(container)
    if init_containers := get("initContainers"):
        for container in init_containers:
            _default_container(container)
    if ephemeral := get("ephemeralContainers"):
        for container in ephemeral:
            _default_container(container)
    if not get("dnsPolicy"):
        spec["dnsPolicy"] = "ClusterFirst"
    if not get("restartPolicy"):
        spec["restartPolicy"] = "Always"
    if get("securityContext") is None:
        spec["securityContext"] = {}
    if get("terminationGracePeriodSeconds") is None:
        spec["terminationGracePeriodSeconds"] = 30
    if not get("schedulerName"):
        spec["schedulerName"] = "default-scheduler"
    for constraint in get("topologySpreadConstraints") or ():
        if constraint.get("labelSelector") is None:
            constraint.pop("labelSelector", None)
    if overhead := get("overhead"):
        _round_up(overhead)
    sync_service_account(spec)


def sync_service_account(spec: dict[str, Any]) -> None:
    """Keep the deprecated `serviceAccount` equal to `serviceAccountName`, which wins."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name


def _default_container(container: dict[str, Any]) -> None:
    get = container.get
    if not get("imagePullPolicy"):
        container["imagePullPolicy"] = default_pull_policy(get("image") or "")
    if not get("terminationMessagePath"):
        container["terminationMessagePath"] = "/dev/termination-log"
    if not get("terminationMessagePolicy"):
        container["terminationMessagePolicy"] = "File"
    resources = get("resources")
    if resources is None:
        container["resources"] = {}
    elif resources:
        for amounts in (resources.get("limits"), resources.get("requests")):
            if amounts:
                _round_up(amounts)
    for port in get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"
    for variable in get("env") or ():
        source = variable.get("valueFrom")
        if source:
            ref = source.get("fieldRef")
            if ref is not None and not ref.get("apiVersion"):
                ref["apiVersion"] = "v1"
            if (ref := source.get("resourceFieldRef")) is not None and ref.get("divisor") is None:
                ref["divisor"] = "0"
            if (ref := source.get("fileKeyRef")) is not None and ref.get("optional") is None:
                ref["optional"] = False
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = get(kind)
        if probe is not None:
            _default_probe(probe)
    lifecycle = get("lifecycle")
    if lifecycle:
        for hook in (lifecycle.get("postStart"), lifecycle.get("preStop")):
            if hook and (action := hook.get("httpGet")) is not None:
                _default_http_get(action)
    context = get("securityContext")
    if context and context.get("procMount") == "":
        del context["procMount"]


def _default_probe(probe: dict[str, Any]) -> None:
    get = probe.get
    if not get("timeoutSeconds"):
        probe["timeoutSeconds"] = 1
    if not get("periodSeconds"):
        probe["periodSeconds"] = 10
    if not get("successThreshold"):
        probe["successThreshold"] = 1
    if not get("failureThreshold"):
        probe["failureThreshold"] = 3
    if (action := get("httpGet")) is not None:
        _default_http_get(action)
    elif (action := get("grpc")) is not None and action.get("service") is None:
        action["service"] = ""


def _default_http_get(action: dict[str, Any]) -> None:
    if not action.get("path"):
        action["path"] = "/"
    if not action.get("scheme"):
        action["scheme"] = "HTTP"


def _default_volume(volume: dict[str, Any]) -> None:
    kind = None
    for key, value in volume.items():
        if key != "name" and value is not None:
            kind = key
            break
    if kind is None:
        volume["emptyDir"] = {}
        return
    source = volume[kind]
    if kind in ("secret", "configMap"):
        if source.get("defaultMode") is None:
            source["defaultMode"] = _MODE
    elif kind == "projected":
        if source.get("defaultMode") is None:
            source["defaultMode"] = _MODE
        for projection in source.get("sources") or ():
            if (token := projection.get("serviceAccountToken")) is not None:
                if token.get("expirationSeconds") is None:
                    token["expirationSeconds"] = 3600
            elif (downward := projection.get("downwardAPI")) is not None:
                _default_downward_items(downward)
    elif kind == "downwardAPI":
        if source.get("defaultMode") is None:
            source["defaultMode"] = _MODE
        _default_downward_items(source)
    elif kind == "hostPath":
        if source.get("type") is None:
            source["type"] = ""
    elif kind == "image":
        if not source.get("pullPolicy"):
            source["pullPolicy"] = default_pull_policy(source.get("reference") or "")
    elif kind == "ephemeral":
        claim = (source.get("volumeClaimTemplate") or {}).get("spec")
        if claim is not None and claim.get("volumeMode") is None:
            claim["volumeMode"] = "Filesystem"
    elif kind in _PLUGIN_DEFAULTS:
        for name, value in _PLUGIN_DEFAULTS[kind].items():
            if not source.get(name):
                source[name] = value


def _default_downward_items(source: dict[str, Any]) -> None:
    for item in source.get("items") or ():
        if (ref := item.get("fieldRef")) is not None and not ref.get("apiVersion"):
            ref["apiVersion"] = "v1"
        if (ref := item.get("resourceFieldRef")) is not None and ref.get("divisor") is None:
            ref["divisor"] = "0"


_PLUGIN_DEFAULTS: dict[str, dict[str, Any]] = {
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def _round_up(amounts: dict[str, str]) -> None:
    """Resource amounts are kept to a thousandth, rounded up."""
    for name, value in amounts.items():
        if isinstance(value, str) and value[-1:] in ("n", "u"):
            milli = (quantity.parse(value) * 1000).to_integral_value(ROUND_CEILING)
            amounts[name] = quantity.canonical(f"{milli}m")


def _default_pod_level_requests(spec: dict[str, Any]) -> None:
    """Pod-level requests not given follow from the containers' requests, or else from pod-level limits."""
    resources = spec["resources"]
    limits = resources.get("limits") or {}
    if not limits:
        return
    requests = dict(resources.get("requests") or {})
    for name in limits:
        if name in requests:
            continue
        total = _aggregate_requests(spec, name)
        requests[name] = limits[name] if total is None else quantity.format_like(total, limits[name])
    resources["requests"] = requests


def _aggregate_requests(spec: dict[str, Any], name: str) -> Decimal | None:
    """What the containers of a pod ask for together of one resource; None when none asks."""

    def request(container: dict[str, Any]) -> Decimal | None:
        value = ((container.get("resources") or {}).get("requests") or {}).get(name)
        return None if value is None else quantity.parse(value)

    amounts = [request(c) for c in spec.get("containers") or ()]
    sidecars = Decimal(0)
    peak = Decimal(0)
    asked = any(a is not None for a in amounts)
    for container in spec.get("initContainers") or ():
        value = request(container)
        if value is None:
            continue
        asked = True
        if container.get("restartPolicy") == "Always":
            sidecars += value
            peak = max(peak, sidecars)
        else:
            peak = max(peak, sidecars + value)
    if not asked:
        return None
    return max(sum((a for a in amounts if a is not None), sidecars), peak)
