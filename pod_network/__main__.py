"""`python -m pod_network`: the network agent as a program of its own, for nodes whose kubelet is not ours.

With `--cleanup` it removes what agent and wiring have ever made on this node, and ends.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
from typing import NoReturn

from component_base import daemon, logs
from kube_client.client import Client
from kube_client.config import KubeConfig
from pod_network.agent import NetworkAgent, cleanup
from pod_network.errors import NetworkError


def parser() -> argparse.ArgumentParser:
    """The command line."""
    flags = argparse.ArgumentParser(prog="pod-network", description="Routes between the pods of all nodes.")
    flags.add_argument("--kubeconfig", metavar="FILE", help="how to reach the API server")
    flags.add_argument(
        "--hostname-override", metavar="NAME", help="this node's name, if it is not the host name"
    )
    flags.add_argument("--cluster-cidr", metavar="CIDR", default="", help="the range of all pods")
    flags.add_argument("--logging-format", choices=("text", "json"), default="text")
    flags.add_argument("-v", "--v", dest="verbosity", type=int, metavar="LEVEL", default=2)
    flags.add_argument("--cleanup", action="store_true", help="remove bridge, routes and rules, and exit")
    return flags


async def serve(options: argparse.Namespace, stop: asyncio.Event) -> None:
    """Run the agent until `stop`."""
    config = KubeConfig.load(options.kubeconfig) if options.kubeconfig else KubeConfig.in_cluster()
    client = Client(config, "pod-network")
    name = options.hostname_override or socket.gethostname().lower()
    try:
        await NetworkAgent(client, name, cluster_cidr=options.cluster_cidr).run(stop)
    finally:
        await client.aclose()


def main() -> NoReturn:
    """The program. Exit code 1 with one sentence on standard error for bad use."""
    options = parser().parse_args()
    logs.configure("pod-network", options.verbosity, options.logging_format)
    if os.geteuid() != 0:
        sys.exit("pod-network: must run as root, it changes the node's network")
    if options.cleanup:
        try:
            cleanup()
        except NetworkError as error:
            sys.exit(f"pod-network: {error}")
        sys.exit(0)
    daemon.run(lambda stop: serve(options, stop))


if __name__ == "__main__":
    main()
