"""The command line of kube-controller-manager: official flag names, official defaults."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass

from controller_manager.context import Options

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")
_WORKERS = {
    "concurrent-deployment-syncs": ("deployment", 5),
    "concurrent-replicaset-syncs": ("replicaset", 5),
    "concurrent-endpoint-syncs": ("endpoint", 5),
    "concurrent-service-endpoint-syncs": ("endpointslice", 5),
    "concurrent-namespace-syncs": ("namespace", 10),
    "concurrent-gc-syncs": ("garbage-collector", 20),
}


@dataclass(frozen=True)
class Settings:
    """Everything that the flags say; durations in seconds."""

    kubeconfig: str
    controllers: tuple[str, ...]
    bind_address: str
    secure_port: int
    tls_cert_file: str
    tls_private_key_file: str
    leader_elect: bool
    lease_duration: float
    renew_deadline: float
    retry_period: float
    lease_name: str
    lease_namespace: str
    verbosity: int
    log_format: str
    options: Options


def duration(text: str) -> float:
    """A Go duration such as 1m30s in seconds. Raises argparse.ArgumentTypeError."""
    if text == "0":
        return 0.0
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise argparse.ArgumentTypeError(f'invalid duration "{text}"')
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def boolean(text: str) -> bool:
    """true or false, as Go's flags accept them. Raises argparse.ArgumentTypeError."""
    if text.lower() in ("true", "t", "1"):
        return True
    if text.lower() in ("false", "f", "0"):
        return False
    raise argparse.ArgumentTypeError(f'invalid boolean value "{text}"')


def parser() -> argparse.ArgumentParser:
    """The parser with all flags."""
    made = argparse.ArgumentParser(
        prog="kube-controller-manager",
        description="Runs the controllers that turn declared objects into running ones.",
        allow_abbrev=False,
    )
    flag = made.add_argument
    flag("--kubeconfig", required=True, help="Path to kubeconfig file with authorization information.")
    flag("--controllers", default="*", help="Controllers to enable: '*' all, 'foo' this, '-foo' not this.")
    flag("--bind-address", default="0.0.0.0", help="Address of the health and metrics endpoint.")
    flag("--secure-port", type=int, default=10257, help="Port of the HTTPS endpoint, 0 for none.")
    flag("--tls-cert-file", default="")
    flag("--tls-private-key-file", default="")
    flag("--leader-elect", type=boolean, nargs="?", const=True, default=True)
    flag("--leader-elect-lease-duration", type=duration, default=15.0)
    flag("--leader-elect-renew-deadline", type=duration, default=10.0)
    flag("--leader-elect-retry-period", type=duration, default=2.0)
    flag("--leader-elect-resource-name", default="kube-controller-manager")
    flag("--leader-elect-resource-namespace", default="kube-system")
    flag("--service-account-private-key-file", default="", help="Signs tokens of token Secrets.")
    flag("--root-ca-file", default="", help="CA bundle published to every namespace.")
    flag("--cluster-cidr", default="", help="CIDR range for pods (two for dual-stack).")
    flag("--allocate-node-cidrs", type=boolean, nargs="?", const=True, default=True)
    flag("--node-cidr-mask-size", type=int, default=24)
    flag("--node-cidr-mask-size-ipv6", type=int, default=64)
    flag("--node-monitor-period", type=duration, default=5.0, help="Accepted; each node has its own timer.")
    flag("--node-monitor-grace-period", type=duration, default=50.0)
    flag("--node-startup-grace-period", type=duration, default=60.0)
    flag("--node-eviction-rate", type=float, default=0.1, help="Nodes per second.")
    flag("--secondary-node-eviction-rate", type=float, default=0.01)
    flag("--large-cluster-size-threshold", type=int, default=50)
    flag("--unhealthy-zone-threshold", type=float, default=0.55)
    flag("--terminated-pod-gc-threshold", type=int, default=12500)
    flag("--max-endpoints-per-slice", type=int, default=100)
    for name, (_, count) in _WORKERS.items():
        flag(f"--{name}", type=int, default=count)
    flag("-v", "--v", type=int, default=2, dest="v", help="Log level verbosity.")
    flag("--logging-format", choices=("text", "json"), default="text")
    return made


def parse(argv: Sequence[str]) -> Settings:
    """Settings from the command line. Exits with a sentence on bad use, as argparse does."""
    flags = parser().parse_args(argv)
    cidrs = tuple(one.strip() for one in flags.cluster_cidr.split(",") if one.strip())
    return Settings(
        kubeconfig=flags.kubeconfig,
        controllers=tuple(flags.controllers.split(",")),
        bind_address=flags.bind_address,
        secure_port=flags.secure_port,
        tls_cert_file=flags.tls_cert_file,
        tls_private_key_file=flags.tls_private_key_file,
        leader_elect=flags.leader_elect,
        lease_duration=flags.leader_elect_lease_duration,
        renew_deadline=flags.leader_elect_renew_deadline,
        retry_period=flags.leader_elect_retry_period,
        lease_name=flags.leader_elect_resource_name,
        lease_namespace=flags.leader_elect_resource_namespace,
        verbosity=flags.v,
        log_format=flags.logging_format,
        options=Options(
            cluster_cidrs=cidrs if flags.allocate_node_cidrs else (),
            node_cidr_mask_sizes=(flags.node_cidr_mask_size, flags.node_cidr_mask_size_ipv6),
            node_monitor_grace_period=flags.node_monitor_grace_period,
            node_startup_grace_period=flags.node_startup_grace_period,
            node_eviction_rate=flags.node_eviction_rate,
            secondary_node_eviction_rate=flags.secondary_node_eviction_rate,
            large_cluster_size_threshold=flags.large_cluster_size_threshold,
            unhealthy_zone_threshold=flags.unhealthy_zone_threshold,
            terminated_pod_gc_threshold=flags.terminated_pod_gc_threshold,
            max_endpoints_per_slice=flags.max_endpoints_per_slice,
            service_account_private_key_file=flags.service_account_private_key_file,
            root_ca_file=flags.root_ca_file,
            workers={key: getattr(flags, name.replace("-", "_")) for name, (key, _) in _WORKERS.items()},
        ),
    )
