"""Child processes of tests: started with a log file, awaited until healthy, ended by pid."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A TCP port that was free a moment ago, on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """One child with its output in a file, so that a failure can be read afterwards."""

    def __init__(self, argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.argv = list(argv)
        self.log = log
        self._env = {**os.environ, "PYTHONPATH": str(REPOSITORY), **(env or {})}
        self._env.pop("PYTHONDONTWRITEBYTECODE", None)
        self._child: subprocess.Popen[bytes] | None = None

    @classmethod
    def module(cls, name: str, flags: Sequence[str], log: Path) -> Process:
        """A daemon of ours, as `python -m name flags`."""
        return cls([sys.executable, "-m", name, *flags], log)

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    def start(self) -> None:
        with self.log.open("ab") as stream:
            self._child = subprocess.Popen(
                self.argv,
                stdout=stream,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=self._env,
                cwd=self.log.parent,
            )

    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def kill(self) -> None:
        """SIGKILL, as a crash would be."""
        assert self._child is not None
        self._child.kill()
        self._child.wait()

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def stop(self, timeout: float = 15) -> None:
        if self._child is None or self._child.poll() is not None:
            return
        self._child.terminate()
        try:
            self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def tail(self, lines: int = 40) -> str:
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def wait_healthy(self, url: str, ca_file: Path | None = None, timeout: float = 60) -> None:
        """Polls `url` until it answers 200; fails with the end of the log when the process dies or time is up."""
        context = ssl.create_default_context(cafile=str(ca_file)) if ca_file else None
        for _ in poll(timeout, 0.05):
            if not self.running():
                raise AssertionError(f"{self.argv[:4]} ended early:\n{self.tail()}")
            with (
                contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
                urllib.request.urlopen(url, timeout=2, context=context) as response,
            ):
                if response.status == 200:
                    return
        raise AssertionError(f"{url} did not become healthy in {timeout} s:\n{self.tail()}")


def poll(timeout: float, interval: float = 0.2) -> Iterator[float]:
    """Yields the time left until `timeout` seconds have passed, sleeping `interval` between."""
    end = time.monotonic() + timeout
    while (left := end - time.monotonic()) > 0:
        yield left
        time.sleep(interval)
