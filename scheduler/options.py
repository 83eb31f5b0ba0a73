"""The command line of kube-scheduler: official flag names and defaults; a `--config` file wins over them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from component_base.tls import TLSFiles
from scheduler import config


@dataclass(frozen=True)
class Settings:
    """What flags and configuration file say together."""

    configuration: config.KubeSchedulerConfiguration
    kubeconfig: str
    bind_address: str
    secure_port: int
    tls: TLSFiles | None
    verbosity: int
    log_format: str


def _boolean(text: str) -> bool:
    if text.lower() in ("true", "t", "1"):
        return True
    if text.lower() in ("false", "f", "0"):
        return False
    raise argparse.ArgumentTypeError(f'invalid boolean value "{text}"')


def parser() -> argparse.ArgumentParser:
    """The parser with all flags."""
    made = argparse.ArgumentParser(
        prog="kube-scheduler", description="Gives every pending pod a node.", allow_abbrev=False
    )
    flag = made.add_argument
    flag("--config", help="The path to the configuration file (KubeSchedulerConfiguration).")
    flag("--kubeconfig", default="", help="Path to kubeconfig file with authorization information.")
    flag("--bind-address", default="0.0.0.0", help="Address of the health and metrics endpoint.")
    flag("--secure-port", type=int, default=10259, help="Port of the HTTPS endpoint, 0 for none.")
    flag("--tls-cert-file", default="")
    flag("--tls-private-key-file", default="")
    flag("--leader-elect", type=_boolean, nargs="?", const=True, default=None)
    flag("--leader-elect-lease-duration", dest="leaseDuration")
    flag("--leader-elect-renew-deadline", dest="renewDeadline")
    flag("--leader-elect-retry-period", dest="retryPeriod")
    flag("--leader-elect-resource-lock", dest="resourceLock")
    flag("--leader-elect-resource-name", dest="resourceName")
    flag("--leader-elect-resource-namespace", dest="resourceNamespace")
    flag("-v", "--v", type=int, default=2, help="Number for the log level verbosity.")
    flag("--logging-format", choices=("text", "json"), default="text")
    return made


def parse(arguments: Sequence[str]) -> Settings:
    """Read flags and the file that they name. Raises ConfigError; exits with 2 for flags that do not exist."""
    flags = parser().parse_args(arguments)
    configuration = config.load(flags.config)
    if flags.config is None:
        election = configuration.leaderElection
        if flags.leader_elect is not None:
            election.leaderElect = flags.leader_elect
        for name in type(election).model_fields:
            if getattr(flags, name, None) is not None:
                setattr(election, name, getattr(flags, name))
    election = configuration.leaderElection
    for duration in (election.leaseDuration, election.renewDeadline, election.retryPeriod):
        config.seconds(duration)
    kubeconfig = configuration.clientConnection.kubeconfig or flags.kubeconfig
    if not kubeconfig:
        raise config.ConfigError("--kubeconfig, or clientConnection.kubeconfig in --config, is required")
    tls = None
    if flags.tls_cert_file:
        tls = TLSFiles(flags.tls_cert_file, flags.tls_private_key_file)
    return Settings(
        configuration, kubeconfig, flags.bind_address, flags.secure_port, tls, flags.v, flags.logging_format
    )
