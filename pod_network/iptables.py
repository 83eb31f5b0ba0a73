"""Runs the iptables programs: the one place that knows their names, options and the xtables lock.

Functions are blocking and act on the calling thread's network namespace. Chains are changed with `iptables-restore
--noflush`, which leaves everything that is not named alone and applies a table at once or not at all. The legacy
variant carries the rules of pods and services (it takes seconds where the nft variant takes minutes); the nft variant
is touched only where another program, such as dockerd, has put its rules there.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Literal

from pod_network.errors import NetworkError

Variant = Literal["legacy", "nft"]
LOCK_WAIT_SECONDS = 30
_TIMEOUT_SECONDS = 120


class IptablesError(NetworkError):
    """A program of iptables failed, was missing or waited too long for the lock; the tables are as before."""


@cache
def lock_file() -> str | None:
    """The lock of this node's tables. Nodes in namespaces of their own share the machine's file system but not its
    tables, so they must not wait for each other. None is the programs' own default, for the machine itself."""
    if configured := os.environ.get("XTABLES_LOCKFILE"):
        return configured
    own = os.stat("/proc/self/ns/net").st_ino
    try:
        if own == os.stat("/proc/1/ns/net").st_ino:
            return None
    except PermissionError:
        return None
    return f"/run/xtables-{own}.lock"


def _run(program: str, arguments: list[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
    lock = lock_file()
    environment = {**os.environ, "XTABLES_LOCKFILE": lock} if lock else None
    try:
        return subprocess.run(
            [program, *arguments],
            input=text,
            capture_output=True,
            text=True,
            env=environment,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise IptablesError(f"{program} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise IptablesError(f"{program} did not end within {_TIMEOUT_SECONDS} s") from error


def restore(rules: str, variant: Variant = "legacy") -> None:
    """Apply text in the form of `iptables-save`; chains named in it are replaced, others stay. Raises IptablesError."""
    done = _run(f"iptables-{variant}-restore", ["--noflush", "-w", str(LOCK_WAIT_SECONDS)], rules)
    if done.returncode:
        raise IptablesError(f"iptables-{variant}-restore: {done.stderr.strip() or done.returncode}")


def save(table: str, variant: Variant = "legacy") -> str:
    """The table's rules in the form of `iptables-save`, empty where the variant's program is not installed.

    Raises IptablesError.
    """
    if shutil.which(f"iptables-{variant}-save") is None:
        return ""
    done = _run(f"iptables-{variant}-save", ["-t", table])
    if done.returncode:
        raise IptablesError(f"iptables-{variant}-save: {done.stderr.strip() or done.returncode}")
    return done.stdout


def iptables(table: str, command: str, variant: Variant = "legacy") -> str:
    """Run one command such as `-A FORWARD -j MINE` and return its output. Raises IptablesError."""
    done = _try(table, command, variant)
    if done.returncode:
        raise IptablesError(
            f"iptables-{variant} -t {table} {command}: {done.stderr.strip() or done.returncode}"
        )
    return done.stdout


def succeeds(table: str, command: str, variant: Variant = "legacy") -> bool:
    """Whether a command such as `-C FORWARD -j MINE` ends well."""
    return not _try(table, command, variant).returncode


def ensure_rule(
    table: str, chain: str, rule: str, *, first: bool = False, variant: Variant = "legacy"
) -> bool:
    """Put the rule into the chain, at its head or its end, unless it is there. Returns whether it was missing."""
    if succeeds(table, f"-C {chain} {rule}", variant):
        return False
    iptables(table, f"-I {chain} 1 {rule}" if first else f"-A {chain} {rule}", variant)
    return True


def delete_rule(table: str, chain: str, rule: str, variant: Variant = "legacy") -> None:
    """Take the rule out of the chain, as often as it is there."""
    while succeeds(table, f"-D {chain} {rule}", variant):
        continue


def in_use(table: str) -> bool:
    """Whether this namespace has the legacy table at all: looking at a table with a program would create it."""
    try:
        return table in Path("/proc/thread-self/net/ip_tables_names").read_text().split()
    except OSError:
        return False


def chains(table: str, variant: Variant = "legacy") -> list[str]:
    """The names of the table's user-defined chains."""
    return [line.split()[1] for line in iptables(table, "-S", variant).splitlines() if line.startswith("-N ")]


def _try(table: str, command: str, variant: Variant) -> subprocess.CompletedProcess[str]:
    return _run(f"iptables-{variant}", ["-w", str(LOCK_WAIT_SECONDS), "-t", table, *shlex.split(command)])
