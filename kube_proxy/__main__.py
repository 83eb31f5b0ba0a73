"""`kube-proxy`: reads flags and configuration, then runs the proxier until it is told to stop.

Flags have the official names and win over the file, except that `--config` on its own is as good as all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

from apimachinery import Object
from apimachinery.resources import ENDPOINT_SLICES, NODES, SERVICES
from component_base import daemon, logs
from component_base.metrics import build_info
from component_base.serving import Server
from kube_client.client import Client
from kube_client.config import KubeConfig
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


def parser() -> argparse.ArgumentParser:
    """The command line; flags left out are None and leave the file's value."""
    flags = argparse.ArgumentParser(prog="kube-proxy", description="The Kubernetes network proxy.")
    add = flags.add_argument
    add("--config", metavar="FILE", help="KubeProxyConfiguration file")
    add("--kubeconfig", metavar="FILE", help="how to reach the API server")
    add("--hostname-override", metavar="NAME", help="this node's name, if it is not the host name")
    add("--cluster-cidr", metavar="CIDR", help="the range of all pods")
    add(
        "--service-cluster-ip-range", metavar="CIDR", help="services' range: unassigned addresses are refused"
    )
    add("--proxy-mode", choices=("iptables",), help="only iptables")
    add("--healthz-bind-address", metavar="IP:PORT")
    add("--metrics-bind-address", metavar="IP:PORT")
    add("--masquerade-all", action=argparse.BooleanOptionalAction, default=None)
    add("--iptables-masquerade-bit", type=int, metavar="BIT")
    add("--iptables-sync-period", metavar="DURATION")
    add("--iptables-min-sync-period", metavar="DURATION")
    add("--iptables-localhost-nodeports", action=argparse.BooleanOptionalAction, default=None)
    add("--nodeport-addresses", metavar="CIDR,…")
    add("--logging-format", choices=("text", "json"))
    add("-v", "--v", dest="verbosity", type=int, metavar="LEVEL")
    add("--cleanup", action="store_true", help="remove all rules of the proxy and exit")
    add("--version", action="version", version=f"Kubernetes {VERSION}")
    return flags


def configuration(options: argparse.Namespace) -> KubeProxyConfiguration:
    """File and flags together, checked. Raises ConfigError."""
    config = load(Path(options.config)) if options.config else KubeProxyConfiguration()
    tables, client, logging = config.iptables, config.client_connection, config.logging
    targets: tuple[tuple[object, str, object], ...] = (
        (client, "kubeconfig", options.kubeconfig),
        (config, "hostname_override", options.hostname_override),
        (config, "cluster_cidr", options.cluster_cidr),
        (config, "service_cluster_ip_range", options.service_cluster_ip_range),
        (config, "healthz_bind_address", options.healthz_bind_address),
        (config, "metrics_bind_address", options.metrics_bind_address),
        (tables, "masquerade_all", options.masquerade_all),
        (tables, "masquerade_bit", options.iptables_masquerade_bit),
        (tables, "sync_period", _duration(options.iptables_sync_period)),
        (tables, "min_sync_period", _duration(options.iptables_min_sync_period)),
        (tables, "localhost_node_ports", options.iptables_localhost_nodeports),
        (config, "node_port_addresses", options.nodeport_addresses and options.nodeport_addresses.split(",")),
        (logging, "format", options.logging_format),
        (logging, "verbosity", options.verbosity),
    )
    for section, field, value in targets:
        if value is not None:
            setattr(section, field, value)
    check(config)
    return config


def _duration(text: str | None) -> float | None:
    try:
        return None if text is None else parse_duration(text)
    except ValueError as error:
        raise ConfigError(str(error)) from error


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
            text for text in config.node_port_addresses or () if text != "primary" and first_ipv4(text)
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
