"""The kernel settings that the proxy depends on. Blocking, in the calling thread's network namespace.

Only what services cannot work without is an error; limits and timeouts that this kernel or namespace does not let us
set are reported and left.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from component_base.logs import get_logger
from kube_proxy.config import ConntrackConfiguration, KubeProxyConfiguration
from pod_network.errors import NetworkError
from pod_network.sysctls import set_sysctl

CONNTRACK = "net/netfilter/nf_conntrack_"

log = get_logger("kernel")


def prepare(config: KubeProxyConfiguration) -> None:
    """Apply the configuration. Raises NetworkError when node ports on 127.0.0.1 are wanted and impossible."""
    if config.iptables.localhost_node_ports:
        set_sysctl("net/ipv4/conf/all/route_localnet", "1")
    for name, value in conntrack_settings(config.conntrack, os.cpu_count() or 1, _current_maximum()).items():
        try:
            set_sysctl(CONNTRACK + name, value)
        except NetworkError as error:
            log.warning("Left as it is", error=error)
    if config.oom_score_adj is not None:
        try:
            Path("/proc/self/oom_score_adj").write_text(str(config.oom_score_adj))
        except OSError as error:
            log.warning("Cannot lower the risk of being killed when memory is short", error=error)


def conntrack_settings(config: ConntrackConfiguration, cores: int, maximum: int | None) -> dict[str, str]:
    """The settings to write, by name. `maximum` is the table's size now, None where it cannot be known; it is only
    ever raised."""
    settings: dict[str, str] = {}
    wanted = max(config.max_per_core * cores, config.min) if config.max_per_core else 0
    if wanted and maximum is not None and maximum < wanted:
        settings["max"] = str(wanted)
    timeouts = {
        "tcp_timeout_established": config.tcp_established_timeout,
        "tcp_timeout_close_wait": config.tcp_close_wait_timeout,
        "udp_timeout": config.udp_timeout,
        "udp_timeout_stream": config.udp_stream_timeout,
    }
    settings.update({name: str(int(seconds)) for name, seconds in timeouts.items() if seconds})
    if config.tcp_be_liberal:
        settings["tcp_be_liberal"] = "1"
    return settings


def _current_maximum() -> int | None:
    """None in a namespace that is not the machine's own: the table's size is the machine's business."""
    path = Path("/proc/sys", CONNTRACK + "max")
    try:
        return int(path.read_text()) if os.access(path, os.W_OK) and path.stat().st_mode & 0o200 else None
    except OSError:
        return None


def primary_address() -> str:
    """The IPv4 address with which this node talks to others: the source of packets on its default route, 127.0.0.1
    without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
