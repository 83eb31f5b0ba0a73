"""The proxy's metrics, under their official names."""

from __future__ import annotations

from component_base.metrics import counter, exponential_buckets, gauge, histogram

_FAMILY = ("ip_family",)
_BUCKETS = exponential_buckets(0.001, 2, 15)

SYNC_LATENCY = histogram(
    "kubeproxy_sync_proxy_rules_duration_seconds",
    "SyncProxyRules latency in seconds",
    _FAMILY,
    _BUCKETS,
).labels("IPv4")
SYNC_FULL_LATENCY = histogram(
    "kubeproxy_sync_full_proxy_rules_duration_seconds",
    "SyncProxyRules latency in seconds for full resyncs",
    _FAMILY,
    _BUCKETS,
).labels("IPv4")
SYNC_PARTIAL_LATENCY = histogram(
    "kubeproxy_sync_partial_proxy_rules_duration_seconds",
    "SyncProxyRules latency in seconds for partial resyncs",
    _FAMILY,
    _BUCKETS,
).labels("IPv4")
LAST_SYNC = gauge(
    "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
    "The last time proxy rules were successfully synced",
    _FAMILY,
).labels("IPv4")
LAST_QUEUED = gauge(
    "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
    "The last time a sync of proxy rules was queued",
    _FAMILY,
).labels("IPv4")
NETWORK_PROGRAMMING = histogram(
    "kubeproxy_network_programming_duration_seconds",
    "In Cluster Network Programming Latency in seconds",
    _FAMILY,
    (0.0, 0.25, 0.5, 0.75, *(float(second) for second in range(1, 60)), *(60.0 + 5 * n for n in range(12)), 120.0,
     *(150.0 + 30 * n for n in range(6))),
).labels("IPv4")  # fmt: skip
ENDPOINT_CHANGES = counter(
    "kubeproxy_sync_proxy_rules_endpoint_changes_total", "Cumulative proxy rules Endpoint changes", _FAMILY
).labels("IPv4")
ENDPOINT_CHANGES_PENDING = gauge(
    "kubeproxy_sync_proxy_rules_endpoint_changes_pending", "Pending proxy rules Endpoint changes", _FAMILY
).labels("IPv4")
SERVICE_CHANGES = counter(
    "kubeproxy_sync_proxy_rules_service_changes_total", "Cumulative proxy rules Service changes", _FAMILY
).labels("IPv4")
SERVICE_CHANGES_PENDING = gauge(
    "kubeproxy_sync_proxy_rules_service_changes_pending", "Pending proxy rules Service changes", _FAMILY
).labels("IPv4")
RULES = gauge(
    "kubeproxy_sync_proxy_rules_iptables_total",
    "Total number of iptables rules owned by kube-proxy",
    ("table", "ip_family"),
)
RESTORE_FAILURES = counter(
    "kubeproxy_sync_proxy_rules_iptables_restore_failures_total",
    "Cumulative proxy iptables restore failures",
    _FAMILY,
).labels("IPv4")
PARTIAL_RESTORE_FAILURES = counter(
    "kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total",
    "Cumulative proxy iptables partial restore failures",
    _FAMILY,
).labels("IPv4")
NO_LOCAL_ENDPOINTS = gauge(
    "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
    "Number of services with a Local traffic policy and no endpoints",
    ("ip_family", "traffic_policy"),
)
HEALTHZ_TOTAL = counter("kubeproxy_proxy_healthz_total", "Cumulative proxy healthz HTTP status", ("code",))
LIVEZ_TOTAL = counter("kubeproxy_proxy_livez_total", "Cumulative proxy livez HTTP status", ("code",))
