"""`KubeProxyConfiguration` (kubeproxy.config.k8s.io/v1alpha1) as pydantic models, with the official defaults.

Fields of features that are not here (IPVS, Windows) are accepted and ignored, so that a file written for the original
works. Unknown fields are refused, as the original does.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

API_VERSION = "kubeproxy.config.k8s.io/v1alpha1"
KIND = "KubeProxyConfiguration"
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"([0-9.]+)(ns|us|µs|ms|s|m|h)")


class ConfigError(Exception):
    """The configuration file or a flag is wrong; the text is for the user."""


def parse_duration(value: object) -> float:
    """Seconds of a duration such as `30s`, `1m30s`; numbers are seconds. Raises ValueError."""
    if isinstance(value, int | float):
        return float(value)
    text = str(value)
    parts = _DURATION.findall(text)
    if text == "0":
        return 0.0
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f'time: invalid duration "{text}"')
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


Duration = Annotated[float, BeforeValidator(parse_duration)]


class _Section(BaseModel):
    """Field names as in the file; what is not a field is refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class ClientConnection(_Section):
    """How to reach the API server."""

    kubeconfig: str = ""
    accept_content_types: str = ""
    content_type: str = ""
    qps: float = 0
    burst: int = 0


class IptablesConfiguration(_Section):
    """Options of the iptables mode."""

    masquerade_bit: int = Field(default=14, ge=0, le=31)
    masquerade_all: bool = False
    localhost_node_ports: bool = True
    sync_period: Duration = 30.0
    min_sync_period: Duration = 1.0


class ConntrackConfiguration(_Section):
    """Limits of the kernel's connection table; timeouts of 0 leave the kernel's. `min` and `max_per_core` count
    entries; a UDP timeout of 0 likewise."""

    max_per_core: int = 32768
    min: int = 131072
    tcp_established_timeout: Duration = 86400.0
    tcp_close_wait_timeout: Duration = 3600.0
    tcp_be_liberal: bool = False
    udp_timeout: Duration = 0.0
    udp_stream_timeout: Duration = 0.0


class LoggingConfiguration(BaseModel):
    """Only what our logs can do; the rest of the official section is accepted."""

    model_config = ConfigDict(extra="allow")

    format: Literal["text", "json"] = "text"
    verbosity: int = 2


class KubeProxyConfiguration(_Section):
    """The whole file. `serviceClusterIPRange` is an addition: the range whose unassigned addresses are refused."""

    api_version: Literal["kubeproxy.config.k8s.io/v1alpha1"] = "kubeproxy.config.k8s.io/v1alpha1"
    kind: Literal["KubeProxyConfiguration"] = "KubeProxyConfiguration"
    bind_address: str = "0.0.0.0"
    bind_address_hard_fail: bool = False
    client_connection: ClientConnection = ClientConnection()
    cluster_cidr: str = Field(default="", alias="clusterCIDR")
    config_sync_period: Duration = 900.0
    conntrack: ConntrackConfiguration = ConntrackConfiguration()
    detect_local: dict[str, Any] = {}
    detect_local_mode: str = ""
    enable_profiling: bool = False
    feature_gates: dict[str, bool] = {}
    healthz_bind_address: str = "0.0.0.0:10256"
    hostname_override: str = ""
    iptables: IptablesConfiguration = IptablesConfiguration()
    ipvs: dict[str, Any] = {}
    logging: LoggingConfiguration = LoggingConfiguration()
    metrics_bind_address: str = "127.0.0.1:10249"
    mode: Literal["", "iptables"] = ""
    nftables: dict[str, Any] = {}
    node_port_addresses: list[str] | None = None
    oom_score_adj: int | None = Field(default=-999, alias="oomScoreAdj")
    port_range: str = ""
    service_cluster_ip_range: str = Field(default="", alias="serviceClusterIPRange")
    show_hidden_metrics_for_version: str = ""
    windows_run_as_service: bool = False
    winkernel: dict[str, Any] = {}


def load(path: Path) -> KubeProxyConfiguration:
    """Read a configuration file, YAML or JSON. Raises ConfigError."""
    try:
        values = yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"failed to load config file {path}: {error}") from error
    if not isinstance(values, dict) or values.get("kind") != KIND or values.get("apiVersion") != API_VERSION:
        raise ConfigError(f"config file {path} is not a {API_VERSION} {KIND}")
    # The original writes null for whatever is at its default.
    given = {
        key: {name: item for name, item in value.items() if item is not None}
        if isinstance(value, dict)
        else value
        for key, value in values.items()
        if value is not None
    }
    try:
        return KubeProxyConfiguration.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"config file {path}: {field}: {first['msg']}") from error


def check(config: KubeProxyConfiguration) -> None:
    """Cross-field and format rules. Raises ConfigError with the official field path."""
    for field, text in (
        ("clusterCIDR", config.cluster_cidr),
        ("serviceClusterIPRange", config.service_cluster_ip_range),
    ):
        for part in filter(None, text.split(",")):
            _network(field, part)
    for part in config.node_port_addresses or ():
        if part != "primary":
            _network("nodePortAddresses", part)
    if config.iptables.min_sync_period > config.iptables.sync_period:
        raise ConfigError("IPTables.SyncPeriod: must be greater than or equal to IPTables.MinSyncPeriod")
    for field, text in (
        ("healthzBindAddress", config.healthz_bind_address),
        ("metricsBindAddress", config.metrics_bind_address),
    ):
        if text:
            host_port(field, text)


def host_port(field: str, text: str) -> tuple[str, int]:
    """Split `address:port`. Raises ConfigError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f'{field}: Invalid value: "{text}": must be IP:port')
    return host.strip("[]"), int(port)


def first_ipv4(networks: str) -> str:
    """The IPv4 one among comma-separated networks, or an empty string."""
    for part in filter(None, networks.split(",")):
        if ipaddress.ip_network(part, strict=False).version == 4:
            return part
    return ""


def _network(field: str, text: str) -> None:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ConfigError(
            f'{field}: Invalid value: "{text}": must be a valid CIDR block (e.g. 10.100.0.0/16 or fde4:8dba:82e1::/48)'
        ) from error
