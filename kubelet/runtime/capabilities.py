"""The capabilities that this machine can grant at all, as far as every supported engine knows their names.

Inside some virtual machines and containers the bounding set lacks capabilities, and asking the engine for one of
those fails the start. Reads /proc, grants nothing.
"""

from __future__ import annotations

from pathlib import Path

NAMES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
)  # fmt: skip


def from_mask(mask: int) -> list[str]:
    """Names of the capabilities in a kernel bit mask, those that we know."""
    return [name for bit, name in enumerate(NAMES) if mask >> bit & 1]


def bounding_set(process: str = "self") -> list[str]:
    """What a process of this machine may ever hold."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            return from_mask(int(line.split()[1], 16))
    return list(NAMES)
