"""Network namespaces for tests: nodes, pods and the cables between them. Names start with `skt-`."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

SERVER = Path(__file__).with_name("echo_server.py")


def sh(command: str, *, check: bool = True) -> str:
    """Run a shell command; its output. Raises AssertionError with the error text when it fails."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"{command}: {done.stderr or done.stdout}")
    return done.stdout


class Namespace:
    """A named network namespace with helpers to look in and to talk from."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._processes: list[subprocess.Popen[str]] = []

    def run(self, command: str, *, check: bool = True) -> str:
        """Run a command inside; its output."""
        return sh(f"ip netns exec {self.name} {command}", check=check)

    def sleeper(self) -> int:
        """The pid of an idle process inside, such as a pause container's."""
        return self._start(["sleep", "1000"]).pid

    def serve(self, name: str, *, tcp: int = 0, udp: int = 0, address: str = "0.0.0.0") -> None:
        """Start a server that answers with its name and the address that it sees; returns when it listens."""
        process = self._start([sys.executable, str(SERVER), name, address, str(tcp), str(udp)])
        assert process.stdout is not None and process.stdout.readline().strip() == "ready"

    def ask(self, address: str, port: int, *, udp: bool = False, source: str = "", timeout: float = 3) -> str:
        """`name from-address` as the server answers, or `refused`, `timeout`, `unreachable`."""
        kind = "udp" if udp else "tcp"
        return self.run(f"{sys.executable} {SERVER} ask {address} {port} {kind} {timeout} {source}").strip()

    def close(self) -> None:
        """End everything inside and remove the namespace."""
        for process in self._processes:
            process.kill()
            process.wait()
        self._processes.clear()
        sh(f"ip netns del {self.name}", check=False)

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, *command], stdout=subprocess.PIPE, text=True
        )
        self._processes.append(process)
        deadline = time.monotonic() + 5
        own = os.stat("/proc/self/ns/net").st_ino
        while os.stat(f"/proc/{process.pid}/ns/net").st_ino == own and time.monotonic() < deadline:
            time.sleep(0.002)
        return process


@contextlib.contextmanager
def namespaces(*kinds: str) -> Iterator[list[Namespace]]:
    """One namespace per name given, each with `lo` up; removed at the end, whatever happened."""
    tag = uuid.uuid4().hex[:4]
    made: list[Namespace] = []
    try:
        for kind in kinds:
            space = Namespace(f"skt-{tag}-{kind}")
            sh(f"ip netns add {space.name}")
            made.append(space)
            space.run("ip link set lo up")
        yield made
    finally:
        for space in made:
            space.close()
