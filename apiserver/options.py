"""The command line of the API server: official flag names, checked, as one value."""

from __future__ import annotations

import argparse
import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from apiserver.registry.settings import Network, Settings

DEFAULT_ISSUER = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True)
class Options:
    """What the flags say. Times in seconds."""

    etcd_servers: tuple[str, ...]
    etcd_prefix: str
    etcd_cafile: str | None
    etcd_certfile: str | None
    etcd_keyfile: str | None
    bind_address: str
    secure_port: int
    advertise_address: str
    tls_cert_file: str | None
    tls_private_key_file: str | None
    client_ca_file: str | None
    service_account_key_files: tuple[str, ...]
    service_account_signing_key_file: str | None
    service_account_issuers: tuple[str, ...]
    api_audiences: tuple[str, ...]
    kubelet_client_certificate: str | None
    kubelet_client_key: str | None
    kubelet_certificate_authority: str | None
    token_auth_file: str | None
    anonymous_auth: bool
    shutdown_grace: float
    verbosity: int
    logging_format: str
    settings: Settings


def _duration(text: str) -> int:
    parts = re.findall(r"([0-9.]+)(h|m|s|ms)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise argparse.ArgumentTypeError(f'invalid duration "{text}"')
    return round(sum(float(n) * {"h": 3600, "m": 60, "s": 1, "ms": 0.001}[unit] for n, unit in parts))


def _port_range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last) <= 65535):
        raise argparse.ArgumentTypeError(f'"{text}" is not a valid port range')
    return int(first), int(last)


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip(), strict=False) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0", "t", "f"):
        raise argparse.ArgumentTypeError(f'invalid argument "{text}": expected true or false')
    return text.lower() in ("true", "1", "t")


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kube-apiserver", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--etcd-servers", type=_list, required=True, help="etcd endpoints, comma separated")
    add("--etcd-prefix", default="/registry", help="prefix of all keys in etcd")
    add("--etcd-cafile", help="CA of etcd's certificates")
    add("--etcd-certfile", help="client certificate for etcd")
    add("--etcd-keyfile", help="its key")
    add("--bind-address", default="0.0.0.0", help="address to listen on")
    add("--secure-port", type=int, default=6443, help="HTTPS port")
    add("--advertise-address", default="", help="address on which the cluster reaches this server")
    add("--tls-cert-file", help="serving certificate; a self-signed one is made when missing")
    add("--tls-private-key-file", help="its key")
    add("--client-ca-file", help="CA of client certificates")
    add(
        "--service-account-key-file", action="append", default=[], help="keys that verify tokens (repeatable)"
    )
    add("--service-account-signing-key-file", help="key that signs tokens")
    add("--service-account-issuer", action="append", default=[], help="issuer of tokens; the first one signs")
    add("--api-audiences", type=_list, default=[], help="audiences of this API; the issuer by default")
    add("--service-cluster-ip-range", type=_networks, default="10.96.0.0/16", help="range of cluster IPs")
    add("--service-node-port-range", type=_port_range, default="30000-32767", help="range of node ports")
    add("--kubelet-client-certificate", help="client certificate for kubelets")
    add("--kubelet-client-key", help="its key")
    add(
        "--kubelet-certificate-authority",
        help="CA of kubelets' serving certificates; not verified when missing",
    )
    add("--token-auth-file", help="CSV file of static bearer tokens")
    add("--event-ttl", type=_duration, default="1h0m0s", help="how long Events are kept")
    add(
        "--anonymous-auth",
        type=_truth,
        nargs="?",
        const=True,
        default=True,
        help="allow anonymous health checks",
    )
    add(
        "--shutdown-send-retry-after",
        type=_truth,
        nargs="?",
        const=True,
        default=False,
        help=argparse.SUPPRESS,
    )
    add("--shutdown-grace", type=float, default=5.0, help="seconds given to running requests at the end")
    add("-v", "--v", dest="verbosity", type=int, default=2, help="log verbosity")
    add("--logging-format", choices=("text", "json"), default="text", help="form of log lines")
    return parser


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; exits with a message when it is wrong."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if bool(given.tls_cert_file) != bool(given.tls_private_key_file):
        parser.error("--tls-cert-file and --tls-private-key-file belong together")
    if bool(given.kubelet_client_certificate) != bool(given.kubelet_client_key):
        parser.error("--kubelet-client-certificate and --kubelet-client-key belong together")
    if given.service_account_signing_key_file and not given.service_account_issuer:
        given.service_account_issuer = [DEFAULT_ISSUER]
    keys = (
        given.service_account_key_file
        or [path for path in (given.service_account_signing_key_file, given.tls_private_key_file) if path][:1]
    )
    issuers = tuple(given.service_account_issuer) or (DEFAULT_ISSUER,)
    first, last = given.service_node_port_range
    return Options(
        etcd_servers=tuple(given.etcd_servers),
        etcd_prefix=given.etcd_prefix,
        etcd_cafile=given.etcd_cafile,
        etcd_certfile=given.etcd_certfile,
        etcd_keyfile=given.etcd_keyfile,
        bind_address=given.bind_address,
        secure_port=given.secure_port,
        advertise_address=given.advertise_address or _own_address(given.bind_address),
        tls_cert_file=given.tls_cert_file,
        tls_private_key_file=given.tls_private_key_file,
        client_ca_file=given.client_ca_file,
        service_account_key_files=tuple(keys),
        service_account_signing_key_file=given.service_account_signing_key_file,
        service_account_issuers=issuers,
        api_audiences=tuple(given.api_audiences) or issuers[:1],
        kubelet_client_certificate=given.kubelet_client_certificate,
        kubelet_client_key=given.kubelet_client_key,
        kubelet_certificate_authority=given.kubelet_certificate_authority,
        token_auth_file=given.token_auth_file,
        anonymous_auth=given.anonymous_auth,
        shutdown_grace=given.shutdown_grace,
        verbosity=given.verbosity,
        logging_format=given.logging_format,
        settings=Settings(given.service_cluster_ip_range, (first, last), given.event_ttl),
    )


def _own_address(bind_address: str) -> str:
    """The address of the interface with the default route, as the original chooses it."""
    if bind_address not in ("0.0.0.0", "::", ""):
        return bind_address
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # documentation range: nothing is sent
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
