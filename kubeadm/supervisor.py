"""Keeps the daemons running: starts them, restarts what dies with growing back-off, stops them in order.

It is the init system of a one-machine cluster, a process of its own started by `skiff up`:
`python -m kubeadm.supervisor DATA_DIR`. It reads `<data-dir>/run/daemons.json` (written by `up`), answers one JSON
request a line on the socket `<data-dir>/run/supervisor.sock`, and imports nothing but the standard library, so
that it stays small. It must never decide what a cluster consists of: that is `daemons.py`.

A daemon outlives its supervisor. Its pid and start time stand in `run/<name>.pid`; a supervisor that is
started anew adopts what still runs, by pidfd.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

BACKOFF_FIRST = 0.25
BACKOFF_LIMIT = 10.0
STABLE_AFTER = 60.0
LOG_LIMIT = 50 * 1024 * 1024
GENTLE_NICE = 10
GENTLE_SECONDS = 2.5


def start_time(pid: int) -> int | None:
    """The kernel's start time of a process in clock ticks since boot; tells a process from a later one with its pid."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def set_priority(pid: int, nice: int) -> None:
    """Sets the niceness of all threads of a process and of its session's scheduling group, by which alone the kernel
    weighs sessions against each other where it groups them."""
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.setpriority(os.PRIO_PROCESS, int(thread), nice)
        Path(f"/proc/{pid}/autogroup").write_text(str(nice))


class Keeper:
    """Keeps one daemon running until told to stop."""

    def __init__(self, spec: dict[str, Any], run: Path, logs: Path) -> None:
        self.spec = spec
        self.name: str = spec["name"]
        self.restarts = 0
        self.pid: int | None = None
        self.started_at = 0.0
        self.last_exit = ""
        self._pid_file = run / f"{self.name}.pid"
        self._log_file = logs / f"{self.name}.log"
        self._child: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._gently = False
        self._restart_now = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, *, gently: bool = False) -> None:
        """Begins to keep the daemon. Started `gently`, its first process leaves the processors to others for a moment:
        when a whole cluster starts, everybody waits for the API server, so that one goes first."""
        self._gently = gently
        self._task = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        delay = BACKOFF_FIRST
        self._adopt()
        while not self._stopping:
            if self.pid is None:
                await self._spawn()
            lived_from = time.monotonic()
            await self._wait_for_exit()
            self.pid = None
            self._pid_file.unlink(missing_ok=True)
            if self._stopping:
                break
            self.restarts += 1
            if time.monotonic() - lived_from > STABLE_AFTER:
                delay = BACKOFF_FIRST
            print(f"{self.name} ended ({self.last_exit}); restart in {delay:.2f} s", flush=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._restart_now.wait(), delay)
            self._restart_now.clear()
            delay = min(delay * 2, BACKOFF_LIMIT)

    def _adopt(self) -> None:
        """Takes over the process that an earlier supervisor started, where it is still the same one."""
        try:
            recorded = json.loads(self._pid_file.read_text())
        except (OSError, ValueError):
            return
        if start_time(recorded["pid"]) == recorded["start"] and recorded["argv"] == list(self.spec["argv"]):
            self.pid = recorded["pid"]
            self.started_at = recorded["at"]
            print(f"{self.name} is adopted, pid {self.pid}", flush=True)

    async def _spawn(self) -> None:
        argv = list(self.spec["argv"])
        if self.spec["namespace"]:
            # Only the network namespace is entered: mounts made by a kubelet must reach the engine.
            argv = ["nsenter", f"--net=/run/netns/{self.spec['namespace']}", "--", *argv]
        environment = {**os.environ, **dict(self.spec["env"])}
        self._rotate_log()
        with self._log_file.open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        self.pid = self._child.pid
        if self._gently:
            self._gently = False
            set_priority(self.pid, GENTLE_NICE)
            asyncio.get_running_loop().call_later(GENTLE_SECONDS, set_priority, self.pid, 0)
        self.started_at = time.time()
        record = {"pid": self.pid, "start": start_time(self.pid), "at": self.started_at}
        self._pid_file.write_text(json.dumps({**record, "argv": list(self.spec["argv"])}))

    def _rotate_log(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self._log_file.stat().st_size > LOG_LIMIT:
                os.replace(self._log_file, self._log_file.with_suffix(".log.1"))

    async def _wait_for_exit(self) -> None:
        if self._child is not None and self._child.pid == self.pid:
            code = await self._child.wait()
            self.last_exit = f"signal {-code}" if code < 0 else f"exit code {code}"
            return
        assert self.pid is not None
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            self.last_exit = "gone"
            return
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        self.last_exit = "ended"

    def restart(self) -> None:
        """Asks the process to end; the keeper starts it anew without waiting."""
        self._restart_now.set()
        self._signal(signal.SIGTERM)

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL after the daemon's own time."""
        self._stopping = True
        self._restart_now.set()
        if self._task is None:
            return
        self._signal(signal.SIGTERM)
        done, _ = await asyncio.wait({self._task}, timeout=self.spec["stop_seconds"])
        if not done:
            self._signal(signal.SIGKILL)
            await self._task

    def _signal(self, number: int) -> None:
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def describe(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "pid": self.pid,
            "startedAt": self.started_at,
            "restarts": self.restarts,
            "lastExit": self.last_exit,
            "health": self.spec["health"],
        }


class Supervisor:
    """All keepers and the control socket."""

    def __init__(self, data_dir: Path) -> None:
        self.run_dir = data_dir / "run"
        self.logs = data_dir / "logs"
        self.keepers: dict[str, Keeper] = {}
        self.finished = asyncio.Event()

    async def reload(self) -> None:
        """Brings what runs in line with daemons.json: new ones start, changed ones restart, others stop."""
        wanted = {spec["name"]: spec for spec in json.loads((self.run_dir / "daemons.json").read_text())}
        for name in [name for name in reversed(self.keepers) if self.keepers[name].spec != wanted.get(name)]:
            await self.keepers.pop(name).stop()
        starting = not self.keepers
        for name, spec in wanted.items():
            if name not in self.keepers:
                self.keepers[name] = Keeper(spec, self.run_dir, self.logs)
                self.keepers[name].start(gently=starting and not spec["first"])

    async def stop_all(self, keep: list[str]) -> None:
        """Nodes first, etcd last: whoever writes is stopped before what it writes to. Those in `keep` go on running,
        without a supervisor: the engine, which is still needed to remove containers."""
        names = [name for name in self.keepers if name not in keep]
        nodes = [name for name in names if name.startswith(("kube-proxy-", "kubelet-"))]
        await asyncio.gather(*(self.keepers[name].stop() for name in nodes))
        for name in reversed([name for name in names if name not in nodes]):
            await self.keepers[name].stop()

    async def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        command = request.get("command")
        if command == "status":
            return {"pid": os.getpid(), "daemons": [keeper.describe() for keeper in self.keepers.values()]}
        if command == "reload":
            await self.reload()
            return {}
        if command == "restart":
            keeper = self.keepers.get(str(request.get("name")))
            if keeper is None:
                return {"error": f"no daemon is named {request.get('name')!r}"}
            keeper.restart()
            return {}
        if command == "stop":
            await self.stop_all(request.get("keep", []))
            self.finished.set()
            return {}
        return {"error": f"unknown command {command!r}"}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                try:
                    answer = await self.answer(json.loads(line))
                except (OSError, ValueError, KeyError) as error:
                    answer = {"error": f"{type(error).__name__}: {error}"}
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        writer.close()

    async def run(self) -> None:
        socket_path = self.run_dir / "supervisor.sock"
        socket_path.unlink(missing_ok=True)
        os.umask(0o077)
        server = await asyncio.start_unix_server(self.serve, str(socket_path))
        os.umask(0o022)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, lambda: asyncio.create_task(self.answer({"command": "stop"})))
        await self.reload()
        async with server:
            await self.finished.wait()
            await asyncio.sleep(0.05)  # the answer to "stop" leaves before the socket does
        socket_path.unlink(missing_ok=True)


async def main(data_dir: Path) -> None:
    await Supervisor(data_dir).run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
