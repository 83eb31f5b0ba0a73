"""Stale UDP flows: a client that keeps its port would go on talking to a pod that is gone, for UDP has no end.

`stale_flows` decides from what the kernel lists and what the services say; the rest runs the `conntrack` program
(blocking, in the calling thread's network namespace).
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pod_network.errors import NetworkError

_FIELD = re.compile(r"\b(src|dst|sport|dport)=(\S+)")
_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Frontend:
    """Where UDP clients send: an address and port; `ip` empty stands for a node port."""

    ip: str
    port: int


@dataclass(frozen=True)
class Flow:
    """The parts of a conntrack entry that matter: where it was sent, and who answers."""

    destination: str
    port: int
    answers: str


Backends = Mapping[Frontend, frozenset[str]]


def parse(listing: str) -> set[Flow]:
    """The distinct flows in the output of `conntrack -L -p udp`."""
    flows = set()
    for line in listing.splitlines():
        fields = _FIELD.findall(line)
        if len(fields) >= 8:
            original, reply = dict(fields[:4]), dict(fields[4:8])
            flows.add(Flow(original["dst"], int(original["dport"]), reply["src"]))
    return flows


def stale_flows(flows: Iterable[Flow], backends: Backends) -> list[Flow]:
    """Flows to a frontend that has endpoints now, answered by somebody who is not one of them.

    A frontend without endpoints is left alone: its rules refuse, and its old flows die with their pods.
    """
    stale = []
    for flow in flows:
        wanted = backends.get(Frontend(flow.destination, flow.port)) or backends.get(Frontend("", flow.port))
        if wanted and flow.answers not in wanted:
            stale.append(flow)
    return stale


def remove_stale(backends: Backends) -> int:
    """Delete stale UDP flows; how many kinds there were. Raises NetworkError when conntrack cannot be run."""
    if not backends:
        return 0
    stale = stale_flows(parse(_conntrack("-L")), backends)
    for flow in stale:
        _conntrack(
            "-D",
            "--orig-dst",
            flow.destination,
            "--orig-port-dst",
            str(flow.port),
            "--reply-src",
            flow.answers,
        )
    return len(stale)


def _conntrack(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["conntrack", arguments[0], "-p", "udp", *arguments[1:]],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise NetworkError("conntrack is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise NetworkError(f"conntrack did not end within {_TIMEOUT_SECONDS} s") from error
    # 1 also says that no entry matched, which is as good as having deleted it.
    if done.returncode not in (0, 1) or (done.returncode == 1 and "0 flow entries" not in done.stderr):
        raise NetworkError(f"conntrack {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
