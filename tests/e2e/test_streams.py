"""Logs, exec, attach, copies and forwarded ports, with kubectl and the official Python client."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
from pathlib import Path

from kubernetes import watch
from kubernetes.stream import stream

from tests.harness.cluster import Cluster, fetch
from tests.harness.pods import (
    BUSYBOX,
    FOREVER,
    Pods,
    container,
    official_client,
    pod,
)


def test_logs(pods: Pods) -> None:
    pods.create(
        pod("one", container("for i in 1 2 3 4 5; do echo line $i; done; echo err >&2")),
        pod("two", container("echo from first", "first"), container("echo from second", "second")),
    )
    pods.phase("one", "Succeeded")
    pods.phase("two", "Succeeded")
    whole = pods.logs("one")
    assert sorted(whole.splitlines()) == ["err", *(f"line {number}" for number in range(1, 6))]
    assert len(pods.logs("one", "--tail=2").splitlines()) == 2
    assert pods.logs("one", "--tail=0") == ""
    stamped = pods.logs("one", "--timestamps").splitlines()
    assert all(
        re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d) (line|err)", line) for line in stamped
    )
    assert pods.logs("one", "--since=1h") == whole
    assert pods.logs("one", "--since-time=2100-01-01T00:00:00Z") == ""
    assert pods.logs("one", "--limit-bytes=4") == whole[:4]
    assert pods.logs("two", "-c", "second") == "from second\n"
    assert sorted(pods.logs("two", "--all-containers").splitlines()) == ["from first", "from second"]
    assert "[pod/two/first] from first" in pods.logs("two", "--all-containers", "--prefix")
    said = pods.cluster.try_kubectl("-n", pods.namespace, "logs", "one", "--previous")
    assert 'previous terminated container "main" in pod "one" not found' in said.stderr
    said = pods.cluster.try_kubectl("-n", pods.namespace, "logs", "one", "-c", "nobody")
    assert "container nobody is not valid for pod one" in said.stderr

    api = official_client(pods.cluster)
    assert api.read_namespaced_pod_log("one", pods.namespace, tail_lines=6) == whole
    follow = api.read_namespaced_pod_log(
        "two", pods.namespace, container="first", follow=True, _preload_content=False
    )
    assert follow.read().decode() == "from first\n"


def test_exec_attach_copy_and_forward(pods: Pods, tmp_path: Path) -> None:
    web = "mkdir /www; echo forwarded > /www/index.html; httpd -p 8080 -h /www; "
    echo = container("while read line; do echo got $line; done; echo bye", "echo", stdin=True, stdinOnce=True)
    pods.create(pod("shell", container(web + FOREVER)), pod("reader", echo))
    pods.ready("shell", "reader")
    cluster, base = pods.cluster, ("-n", pods.namespace)
    assert pods.kubectl("exec", "-i", "shell", "--", "cat", input="through\n") == "through\n"
    ended = cluster.try_kubectl(*base, "exec", "shell", "--", "sh", "-c", "echo out; echo err >&2; exit 42")
    assert (ended.returncode, ended.stdout) == (42, "out\n")
    assert ended.stderr.splitlines() == ["err", "command terminated with exit code 42"]
    missing = cluster.try_kubectl(*base, "exec", "shell", "--", "no-such-program")
    assert missing.returncode != 0
    assert "no-such-program" in missing.stdout + missing.stderr
    wrong = cluster.try_kubectl(*base, "exec", "shell", "-c", "nobody", "--", "true")
    assert (
        "container not found" in wrong.stderr or "container nobody is not valid for pod shell" in wrong.stderr
    )
    big = "x" * 3_000_000
    assert pods.kubectl("exec", "-i", "shell", "--", "wc", "-c", input=big).strip() == "3000000"
    assert len(pods.kubectl("exec", "shell", "--", "head", "-c", "3000000", "/dev/zero")) == 3_000_000

    assert "23 79" in terminal(
        cluster, [*base, "exec", "-it", "shell", "--", "sh"], b"stty size; exit\n", (23, 79)
    )
    assert pods.kubectl("attach", "-i", "reader", input="meow\n").splitlines() == ["got meow", "bye"]
    pods.phase("reader", "Succeeded")

    source, back = tmp_path / "source", tmp_path / "back"
    source.mkdir()
    (source / "data").write_bytes(bytes(range(256)) * 1000)
    (source / "deep").mkdir()
    (source / "deep" / "note").write_text("hello")
    pods.kubectl("cp", str(source), "shell:/tmp/copied")
    assert pods.run("shell", "cat /tmp/copied/deep/note") == "hello"
    pods.kubectl("cp", "shell:/tmp/copied", str(back))
    assert (back / "data").read_bytes() == (source / "data").read_bytes()

    forward = subprocess.Popen(
        ["kubectl", f"--kubeconfig={cluster.kubeconfig}", *base, "port-forward", "pod/shell", ":8080"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert forward.stdout is not None
        port = re.search(r"127\.0\.0\.1:(\d+) -> 8080", forward.stdout.readline())
        assert port is not None
        assert [fetch(f"http://127.0.0.1:{port[1]}/") for _ in range(3)] == ["forwarded\n"] * 3
    finally:
        forward.terminate()
        forward.wait(10)


def test_kubectl_run_shows_what_a_short_command_says(pods: Pods) -> None:
    base = ("-n", pods.namespace, "run", "--rm", "-i", "--restart=Never", f"--image={BUSYBOX}")
    for number in range(3):
        done = pods.cluster.try_kubectl(
            *base, f"quick-{number}", "--", "sh", "-c", "echo said; exit 3", input=""
        )
        assert done.returncode == 3, done.stderr
        assert "said\n" in done.stdout
    done = pods.cluster.try_kubectl(*base, "slow", "--", "sh", "-c", "sleep 1; cat; exit 0", input="meow\n")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "meow"), done.stderr


def terminal(cluster: Cluster, arguments: list[str], keys: bytes, size: tuple[int, int]) -> str:
    """What a person at a terminal of this size sees who types `keys`."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    process = subprocess.Popen(
        ["kubectl", f"--kubeconfig={cluster.kubeconfig}", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen, typed = b"", False
    try:
        while process.poll() is None or select.select([ours], [], [], 0)[0]:
            if not select.select([ours], [], [], 30)[0]:
                break
            try:
                seen += os.read(ours, 4096)
            except OSError:
                break
            if not typed and b"#" in seen:
                typed = True
                os.write(ours, keys)
        process.wait(30)
    finally:
        process.kill()
        os.close(ours)
    return seen.decode(errors="replace")


def test_the_official_client_execs_and_follows_logs(pods: Pods) -> None:
    pods.create(pod("shell", container("n=0; while true; do n=$((n+1)); echo tick $n; sleep 0.2; done")))
    pods.ready("shell")
    api = official_client(pods.cluster)
    session = stream(
        api.connect_get_namespaced_pod_exec, "shell", pods.namespace, command=["sh"],
        stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False,
    )  # fmt: skip
    session.write_stdin("echo to stdout; echo to stderr >&2\n")
    assert session.readline_stdout(timeout=20) == "to stdout"
    assert session.readline_stderr(timeout=20) == "to stderr"
    session.write_stdin("exit 3\n")
    session.run_forever(timeout=20)
    assert session.returncode == 3

    following = watch.Watch().stream(api.read_namespaced_pod_log, "shell", pods.namespace, tail_lines=1)
    lines = [next(following) for _ in range(3)]
    numbers = [int(line.removeprefix("tick ")) for line in lines]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
