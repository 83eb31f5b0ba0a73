"""kubelet: `python -m kubelet --flags`, with the official flag names."""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from pathlib import Path

from apimachinery import quantity
from component_base import daemon, logs
from kube_client.client import Client
from kube_client.config import ConfigError
from kubelet.configuration import ConfigurationError, KubeletConfiguration
from kubelet.kubelet import Kubelet, Options
from kubelet.node import machine
from kubelet.node.keeper import VERSION
from kubelet.node.status import parse_taint
from kubelet.runtime.docker_engine import DockerRuntime
from kubelet.server.app import serve

PAUSE_IMAGE = "registry.k8s.io/pause:3.10"


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="kubelet", description="The node agent.")
    add = parser.add_argument
    add("--kubeconfig", required=True, help="how to connect to the API server")
    add("--config", type=Path, help="a KubeletConfiguration file")
    add("--hostname-override", default="", help="the node's name; default: the host name")
    add("--node-ip", default="", help="the node's address, or two separated by a comma")
    add("--root-dir", type=Path, default=Path("/var/lib/kubelet"), help="where pods and volumes are kept")
    add("--container-runtime-endpoint", default="unix:///var/run/docker.sock", help="the engine's socket")
    add("--pod-infra-container-image", default=PAUSE_IMAGE, help="the image of sandboxes")
    add("--node-labels", default="", help="labels to register the node with: key=value,…")
    add("--register-with-taints", default="", help="taints to register the node with: key=value:effect,…")
    add(
        "--cluster-name",
        default="kubernetes",
        help="tells containers of several clusters on one engine apart",
    )
    add("--cluster-dns", default="", help="name servers of pods, separated by commas; overrides the file")
    add("--cluster-domain", default="", help="overrides the file")
    add("--max-pods", type=int, default=0, help="overrides the file")
    add("--address", default="", help="overrides the file")
    add("--port", type=int, default=0, help="overrides the file")
    add("--seccomp-default", action="store_true")
    add("-v", "--v", type=int, default=2, dest="verbosity", help="log verbosity")
    add("--logging-format", choices=("text", "json"), default="text")
    add("--version", action="version", version=f"Kubernetes {VERSION}")
    return parser.parse_args(arguments)


def configuration(flags: argparse.Namespace) -> KubeletConfiguration:
    """The file with what the flags override. Raises ConfigurationError."""
    config = KubeletConfiguration.load(flags.config)
    overrides = {
        "clusterDNS": flags.cluster_dns.split(",") if flags.cluster_dns else None,
        "clusterDomain": flags.cluster_domain or None,
        "maxPods": flags.max_pods or None,
        "address": flags.address or None,
        "port": flags.port or None,
        "seccompDefault": flags.seccomp_default or None,
    }
    return config.model_copy(update={key: value for key, value in overrides.items() if value is not None})


def options(flags: argparse.Namespace, config: KubeletConfiguration) -> Options:
    """Raises ValueError for malformed labels or taints."""
    labels = {}
    for part in filter(None, flags.node_labels.split(",")):
        key, separator, value = part.partition("=")
        if not separator:
            raise ValueError(f"invalid node label: {part}")
        labels[key] = value
    taints = [parse_taint(part) for part in filter(None, flags.register_with_taints.split(","))]
    addresses = tuple(filter(None, flags.node_ip.split(","))) or (machine.primary_address(),)
    return Options(
        node_name=(flags.hostname_override or socket.gethostname()).lower(),
        node_ips=addresses,
        root=flags.root_dir,
        pause_image=flags.pod_infra_container_image,
        labels=labels,
        taints=[*config.registerWithTaints, *taints],
    )


def main() -> None:
    """Read the command line and run until a signal."""
    flags = parse(sys.argv[1:])
    logs.configure("kubelet", flags.verbosity, flags.logging_format)
    try:
        config = configuration(flags)
        chosen = options(flags, config)
        client = Client.from_kubeconfig(flags.kubeconfig, user_agent=f"kubelet/{VERSION}")
    except (ConfigurationError, ConfigError, ValueError) as error:
        sys.exit(f"kubelet: {error}")

    async def run(stop: asyncio.Event) -> None:
        log_limits = (quantity.value(config.containerLogMaxSize), config.containerLogMaxFiles)
        runtime = DockerRuntime(
            flags.container_runtime_endpoint, flags.cluster_name, chosen.node_name, log_limits
        )
        kubelet = Kubelet(chosen, config, client, runtime)
        try:
            servers = await serve(kubelet)
        except OSError as error:
            raise SystemExit(f"kubelet: cannot serve on {config.address}:{config.port}: {error}") from error
        try:
            await kubelet.run(stop)
        finally:
            for server in servers:
                await server.stop()
            await client.aclose()

    daemon.run(run)


if __name__ == "__main__":
    main()
