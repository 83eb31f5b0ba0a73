"""`kube-proxy`: reads flags and configuration, then runs the proxier until it is told to stop.

Flags have the official names and win over the file.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from apimachinery import Object
from apimachinery.resources import ENDPOINT_SLICES, NODES, SERVICES
from component_base import daemon, logs
from component_base.metrics import build_info
from component_base.serving import Server
from kube_client.client import Client
from kube_client.config import KubeConfig
from kube_client.events import EventRecorder
from kube_client.informer import InformerFactory
from kube_proxy import iptables_backend, kernel
from kube_proxy.config import (
    ConfigError,
    KubeProxyConfiguration,
    check,
    first_ipv4,
    host_port,
    load,
    parse_duration,
)
from kube_proxy.healthcheck import ProxyHealth, metrics_app
from kube_proxy.proxier import Proxier
from kube_proxy.rules import NodeFacts
from pod_network.errors import NetworkError
from pod_network.namespaces import NetworkThread

VERSION = "v1.36.0"
# Headless Services and those of another proxy never leave the API server.
SELECTOR = "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name"

log = logs.get_logger("kube-proxy")


@dataclass(frozen=True)
class Flag:
    """A flag and the field of the configuration that it sets; `field` is dotted for sections."""

    name: str
    field: str
    kind: Callable[[str], object] | None  # None for true/false
    metavar: str = ""
    help: str = ""


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _bool(text: str) -> bool:
    if text.lower() in ("true", "t", "1"):
        return True
    if text.lower() in ("false", "f", "0"):
        return False
    raise argparse.ArgumentTypeError(f'invalid boolean value "{text}"')


def _list(text: str) -> list[str]:
    return text.split(",") if text else []


FLAGS = (
    Flag("kubeconfig", "client_connection.kubeconfig", str, "FILE", "how to reach the API server"),
    Flag("hostname-override", "hostname_override", str, "NAME", "this node's name, if it is not the host name"),
    Flag("cluster-cidr", "cluster_cidr", str, "CIDR", "the range of all pods"),
    Flag("service-cluster-ip-range", "service_cluster_ip_range", str, "CIDR",
         "services' range: its unassigned addresses are refused"),
    Flag("bind-address", "bind_address", str, "IP"),
    Flag("bind-address-hard-fail", "bind_address_hard_fail", None),
    Flag("healthz-bind-address", "healthz_bind_address", str, "IP:PORT"),
    Flag("metrics-bind-address", "metrics_bind_address", str, "IP:PORT"),
    Flag("masquerade-all", "iptables.masquerade_all", None),
    Flag("iptables-masquerade-bit", "iptables.masquerade_bit", int, "BIT"),
    Flag("iptables-sync-period", "iptables.sync_period", _duration, "DURATION"),
    Flag("iptables-min-sync-period", "iptables.min_sync_period", _duration, "DURATION"),
    Flag("iptables-localhost-nodeports", "iptables.localhost_node_ports", None),
    Flag("nodeport-addresses", "node_port_addresses", _list, "CIDR,…"),
    Flag("conntrack-max-per-core", "conntrack.max_per_core", int, "COUNT"),
    Flag("conntrack-min", "conntrack.min", int, "COUNT"),
    Flag("conntrack-tcp-timeout-established", "conntrack.tcp_established_timeout", _duration, "DURATION"),
    Flag("conntrack-tcp-timeout-close-wait", "conntrack.tcp_close_wait_timeout", _duration, "DURATION"),
    Flag("conntrack-tcp-be-liberal", "conntrack.tcp_be_liberal", None),
    Flag("conntrack-udp-timeout", "conntrack.udp_timeout", _duration, "DURATION"),
    Flag("conntrack-udp-timeout-stream", "conntrack.udp_stream_timeout", _duration, "DURATION"),
    Flag("oom-score-adj", "oom_score_adj", int, "SCORE"),
    Flag("logging-format", "logging.format", str, "text|json"),
    Flag("v", "logging.verbosity", int, "LEVEL"),
)  # fmt: skip


def parser() -> argparse.ArgumentParser:
    """The command line; flags left out are absent from the result and leave the file's value."""
    flags = argparse.ArgumentParser(
        prog="kube-proxy", description="The Kubernetes network proxy.", argument_default=argparse.SUPPRESS
    )
    flags.add_argument("--config", metavar="FILE", default=None, help="KubeProxyConfiguration file")
    flags.add_argument("--proxy-mode", choices=("iptables",), help="only iptables")
    flags.add_argument("--cleanup", action="store_true", default=False, help="remove all our rules and exit")
    flags.add_argument("--version", action="version", version=f"Kubernetes {VERSION}")
    for flag in FLAGS:
        names = [f"--{flag.name}"] if flag.name != "v" else ["-v", "--v"]
        if flag.kind is None:
            # As in the original: --flag and --flag=true|false.
            flags.add_argument(
                *names,
                dest=flag.field,
                help=flag.help,
                type=_bool,
                nargs="?",
                const=True,
                metavar="true|false",
            )
        else:
            flags.add_argument(*names, dest=flag.field, help=flag.help, type=flag.kind, metavar=flag.metavar)
    return flags


def configuration(options: argparse.Namespace) -> KubeProxyConfiguration:
    """File and flags together, checked; flags win. Raises ConfigError."""
    config = load(Path(options.config)) if options.config else KubeProxyConfiguration()
    given = vars(options)
    for flag in FLAGS:
        if flag.field in given:
            section, _, field = flag.field.rpartition(".")
            setattr(getattr(config, section) if section else config, field, given[flag.field])
    check(config)
    return config


def node_facts(config: KubeProxyConfiguration) -> NodeFacts:
    """What the rules depend on besides the API's objects."""
    return NodeFacts(
        cluster_cidr=first_ipv4(config.cluster_cidr),
        service_cidr=first_ipv4(config.service_cluster_ip_range),
        masquerade_all=config.iptables.masquerade_all,
        masquerade_bit=config.iptables.masquerade_bit,
        localhost_node_ports=config.iptables.localhost_node_ports,
        drop_invalid=not config.conntrack.tcp_be_liberal,
        node_port_addresses=tuple(
            f"{kernel.primary_address()}/32" if text == "primary" else text
            for text in config.node_port_addresses or ()
            if text == "primary" or first_ipv4(text)
        ),
    )


async def serve(config: KubeProxyConfiguration, stop: asyncio.Event) -> None:
    """Run the proxy until `stop`; its rules stay in force afterwards."""
    build_info(VERSION)
    node_name = config.hostname_override or socket.gethostname().lower()
    kubeconfig = config.client_connection.kubeconfig
    client = Client(KubeConfig.load(kubeconfig) if kubeconfig else KubeConfig.in_cluster(), "kube-proxy")
    thread = NetworkThread()
    informers = InformerFactory(client)
    health = ProxyHealth(timeout=2 * config.iptables.sync_period)
    informers.informer(NODES, field_selector=f"metadata.name={node_name}").add_handler(health.on_node)
    await thread.run(kernel.prepare, config)
    proxier = Proxier(
        informers.informer(SERVICES, label_selector=SELECTOR),
        informers.informer(ENDPOINT_SLICES, label_selector=SELECTOR),
        node_name,
        node_facts(config),
        health,
        thread=thread,
        min_sync=config.iptables.min_sync_period,
        sync_period=config.iptables.sync_period,
    )
    servers = await _listen(config, health)
    informers.start()
    recorder = EventRecorder(client, "kube-proxy", node_name)
    recorder.event(
        {"kind": "Node", "metadata": {"name": node_name, "uid": node_name}}, "Normal", "Starting", ""
    )
    log.info("Proxying", node=node_name, mode="iptables")
    syncing = asyncio.create_task(proxier.run(stop))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((syncing, stopping), return_when=asyncio.FIRST_COMPLETED)
        if syncing.done():
            syncing.result()
    finally:
        for task in (syncing, stopping):
            task.cancel()
        await asyncio.gather(syncing, stopping, return_exceptions=True)
        await recorder.flush(1.0)
        for server in servers:
            await server.stop(grace=0)
        await health.stop()
        await informers.stop()
        await client.aclose()
        thread.close()


async def _listen(config: KubeProxyConfiguration, health: ProxyHealth) -> list[Server]:
    def shown() -> Object:
        return config.model_dump(by_alias=True, mode="json")

    wanted = (
        ("healthzBindAddress", config.healthz_bind_address, health.health_app()),
        ("metricsBindAddress", config.metrics_bind_address, metrics_app(health, "iptables", shown)),
    )
    servers = []
    for field, address, app in wanted:
        if not address:
            continue
        host, port = host_port(field, address)
        server = Server(app, host, port)
        try:
            await server.start()
        except OSError as error:
            # Services matter more than their dashboard, unless the configuration says otherwise.
            if config.bind_address_hard_fail:
                raise
            log.error("Cannot listen", address=address, error=error)
            continue
        servers.append(server)
    return servers


def main() -> NoReturn:
    """The program. Exit code 1 with one sentence on standard error for bad use."""
    options = parser().parse_args()
    try:
        config = configuration(options)
    except ConfigError as error:
        sys.exit(f"kube-proxy: {error}")
    logs.configure("kube-proxy", config.logging.verbosity, config.logging.format)
    if os.geteuid() != 0:
        sys.exit("kube-proxy: must run as root, it changes the node's netfilter tables")
    if options.cleanup:
        try:
            iptables_backend.cleanup()
        except NetworkError as error:
            sys.exit(f"kube-proxy: {error}")
        sys.exit(0)
    daemon.run(lambda stop: serve(config, stop))


if __name__ == "__main__":
    main()
