"""A whole cluster for end-to-end tests, brought up by the command that users run."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubeadm.settings import cluster_name
from tests.harness.processes import REPOSITORY, poll

SKIFF = [str(REPOSITORY / "skiff")]


def kubectls() -> list[str]:
    """Every kubectl of the machine: the one on the PATH, those beside it, and Debian's 1.20 where it can be had."""
    found = []
    done = subprocess.run(["sh", "-c", "command -v kubectl"], capture_output=True, text=True, check=False)
    if done.stdout.strip():
        first = Path(done.stdout.strip()).resolve()
        found.append(str(first))
        found += sorted(str(path) for path in first.parent.glob("kubectl.1.*") if os.access(path, os.X_OK))
    return found


class Cluster:
    """`skiff up` in a directory of its own, with a kubeconfig of its own."""

    def __init__(self, directory: Path, nodes: int) -> None:
        self.data_dir = directory / "data"
        self.kubeconfig = directory / "kubeconfig"
        self.nodes = nodes

    def skiff(
        self, *arguments: str, timeout: float = 300, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Runs the command with this cluster's data directory and kubeconfig."""
        done = subprocess.run(
            [*SKIFF, *arguments, "--data-dir", str(self.data_dir)],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"skiff {' '.join(arguments)}: {done.stdout}{done.stderr}\n{self._log_tails()}"
            )
        return done

    def _log_tails(self) -> str:
        parts = []
        for path in sorted((self.data_dir / "logs").glob("*.log")):
            parts.append(
                f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
            )
        return "\n".join(parts)

    def up(self) -> None:
        self.skiff("up", "--nodes", str(self.nodes), "--wait", "180s")

    @property
    def name(self) -> str:
        """The cluster's name, which its containers, links and cgroups carry."""
        return cluster_name(self.data_dir)

    def purge(self) -> None:
        self.skiff("down", "--purge")

    def kubectl(
        self, *arguments: str, input: str | None = None, binary: str = "kubectl", timeout: float = 180
    ) -> str:
        """Standard output of kubectl; AssertionError with its error text where it fails."""
        done = self.try_kubectl(*arguments, input=input, binary=binary, timeout=timeout)
        if done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}{done.stdout}")
        return done.stdout

    def try_kubectl(
        self, *arguments: str, input: str | None = None, binary: str = "kubectl", timeout: float = 180
    ) -> subprocess.CompletedProcess[str]:
        argv = [binary, f"--kubeconfig={self.kubeconfig}", *arguments]
        return subprocess.run(argv, input=input, capture_output=True, text=True, timeout=timeout, check=False)

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get … -o json` as an object."""
        loaded: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return loaded

    def daemons(self) -> dict[str, dict[str, Any]]:
        """What `skiff status` says, by daemon."""
        done = self.skiff("status", "-o", "json", check=False)
        return {record["name"]: record for record in json.loads(done.stdout)}

    def wait_all_healthy(self, timeout: float = 90) -> None:
        eventually(
            lambda: all(record["health"] == "ok" for record in self.daemons().values()),
            timeout,
            lambda: str(self.daemons()),
        )

    def ready_pods(self, selector: str, namespace: str = "default") -> list[dict[str, Any]]:
        """Pods that are Ready and are not being deleted."""
        pods = self.get("pods", "-n", namespace, "-l", selector)["items"]
        return [pod for pod in pods if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]]


def machine_state() -> dict[str, set[str]]:
    """What a cluster could leave behind on the machine: links, namespaces, routes and firewall rules."""

    def lines(*command: str) -> set[str]:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return {line.split("[")[0].strip() for line in done.stdout.splitlines() if not line.startswith("#")}

    empty = {"*filter", "*nat", "*mangle", "COMMIT", ""}
    rules = lines("iptables-legacy-save") | lines("iptables-nft-save")
    return {
        "links": {line.split(":")[1].split("@")[0].strip() for line in lines("ip", "-o", "link")},
        "namespaces": lines("ip", "netns"),
        "routes": lines("ip", "route"),
        # A table that was never used before is listed, empty, once it was: only rules and chains of ours count.
        "rules": {rule for rule in rules - empty if not rule.startswith(":") or "-" in rule.split()[0]},
    }


def traces(data_dir: Path, cluster_name: str) -> dict[str, list[str]]:
    """What still belongs to a purged cluster: processes, mounts, containers, cgroups, files."""
    processes = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if f"{data_dir}/" in command and "pytest" not in command:
                processes.append(command)
    label = f"label=skiff.dev/cluster={cluster_name}"
    containers = subprocess.run(
        ["docker", "ps", "-aq", "--filter", label], capture_output=True, text=True, check=False
    ).stdout.split()
    mounts = [
        line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"{data_dir}/" in line
    ]
    cgroups = [str(path) for path in Path("/sys/fs/cgroup").glob("**/kubepods")]
    files = [str(data_dir)] if data_dir.exists() else []
    return {
        "processes": processes, "containers": containers, "mounts": mounts, "cgroups": cgroups, "files": files,
    }  # fmt: skip


def is_ready(obj: dict[str, Any]) -> bool:
    conditions = obj.get("status", {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def eventually(
    condition: Callable[[], Any], timeout: float = 60, explain: Callable[[], str] | None = None
) -> Any:
    """The first true value of `condition`; AssertionError after `timeout` seconds."""
    for _ in poll(timeout, 0.25):
        value = condition()
        if value:
            return value
    raise AssertionError(f"not within {timeout} s" + (f": {explain()}" if explain else ""))


def fetch(url: str, timeout: float = 5) -> str:
    """The body of one HTTP GET from the machine, over a connection of its own; OSError where nothing answers."""
    request = urllib.request.Request(url, headers={"Connection": "close"})
    with urllib.request.urlopen(request, timeout=timeout) as response:
        body: bytes = response.read()
    return body.decode()


def wait_until_served(url: str, answers: int, timeout: float = 30) -> None:
    """Waits until `answers` different bodies come from `url`: a Service follows its pods' readiness a moment later."""

    def all_answer() -> bool:
        with contextlib.suppress(OSError):
            return len({fetch(url) for _ in range(10 * answers)}) == answers
        return False

    eventually(all_answer, timeout)
