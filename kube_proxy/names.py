"""Official chain names and comments: tools, people and the original daemon look for exactly these."""

from __future__ import annotations

import hashlib

SERVICES = "KUBE-SERVICES"
EXTERNAL_SERVICES = "KUBE-EXTERNAL-SERVICES"
NODE_PORTS = "KUBE-NODEPORTS"
POSTROUTING = "KUBE-POSTROUTING"
MARK_MASQ = "KUBE-MARK-MASQ"
FORWARD = "KUBE-FORWARD"
PROXY_FIREWALL = "KUBE-PROXY-FIREWALL"
KUBELET_FIREWALL = "KUBE-FIREWALL"
CANARY = "KUBE-PROXY-CANARY"

SERVICE_PREFIX = "KUBE-SVC-"
SERVICE_LOCAL_PREFIX = "KUBE-SVL-"
SERVICE_FIREWALL_PREFIX = "KUBE-FW-"
SERVICE_EXTERNAL_PREFIX = "KUBE-EXT-"
ENDPOINT_PREFIX = "KUBE-SEP-"
PER_SERVICE_PREFIXES = (
    SERVICE_PREFIX,
    SERVICE_LOCAL_PREFIX,
    SERVICE_FIREWALL_PREFIX,
    SERVICE_EXTERNAL_PREFIX,
    ENDPOINT_PREFIX,
)

# Base32, two characters at a time: a service of three endpoints needs four hashes, ten thousand of them many more.
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS = tuple(range(70, -1, -10))


def port_hash(port_name: str, protocol: str, endpoint: str = "") -> str:
    """The 16 characters that stand for a service port (`ns/name:port`, protocol in lower case) and, given one, an
    endpoint `ip:port`."""
    number = int.from_bytes(hashlib.sha256(f"{port_name}{protocol}{endpoint}".encode()).digest()[:10], "big")
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])
