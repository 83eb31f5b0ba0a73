"""The small pure parts of the command: daemons as a table, packages, durations, log tails, firewall rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.images import build
from deploy.images.catalogue import ECHO_IMAGE, PAUSE_IMAGE
from kubeadm import cli, daemons, logs, packages, status
from kubeadm.errors import UserError
from kubeadm.settings import Settings


def test_every_node_has_a_kubelet_and_a_proxy_in_its_own_namespace() -> None:
    found = {daemon.name: daemon for daemon in daemons.all_daemons(Settings(Path("/d"), nodes=2))}
    assert list(found) == [
        "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler",
        "kubelet-node-1", "kube-proxy-node-1", "kubelet-node-2", "kube-proxy-node-2",
    ]  # fmt: skip
    assert found["kubelet-node-1"].namespace is None
    assert found["kube-proxy-node-2"].namespace == "skiff-node-2"
    assert dict(found["kubelet-node-2"].env)["XTABLES_LOCKFILE"] == "/d/run/xtables-node-2.lock"
    assert "--node-ip=172.31.240.2" in found["kubelet-node-2"].argv


def test_no_secret_stands_on_a_command_line() -> None:
    for daemon in daemons.all_daemons(Settings(Path("/d"), nodes=2)):
        assert not any("token" in word.lower() or "password" in word.lower() for word in daemon.argv)


@pytest.mark.parametrize(
    ("engine_answers", "present", "expected"),
    [
        (False, set(), ["etcd-server", "iptables", "conntrack", "ipset", "busybox-static", "iproute2", "util-linux",
                        "kubernetes-client", "docker.io"]),
        (True, set(packages.PROGRAMS) - {"kubectl"}, ["kubernetes-client"]),
        (True, set(packages.PROGRAMS), []),
        (False, set(packages.PROGRAMS) | {"dockerd"}, []),
    ],
)  # fmt: skip
def test_only_what_is_missing_is_installed(
    engine_answers: bool, present: set[str], expected: list[str]
) -> None:
    def find(program: str) -> str | None:
        return f"/usr/bin/{program}" if program in present else None

    assert packages.missing(engine_answers=engine_answers, found=find) == expected


@pytest.mark.parametrize(
    ("text", "debian"),
    [('ID=debian\nVERSION_ID="12"\n', True), ("ID=ubuntu\nID_LIKE=debian\n", True),
     ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', True), ("ID=fedora\n", False)],
)  # fmt: skip
def test_debian_and_its_family_are_known(tmp_path: Path, text: str, debian: bool) -> None:
    (tmp_path / "os-release").write_text(text)
    assert packages.is_debian(tmp_path / "os-release") is debian
    assert packages.is_debian(tmp_path / "missing") is False


@pytest.mark.parametrize(
    ("text", "expected"), [("120s", 120), ("2m", 120), ("1m30s", 90), ("1.5h", 5400), ("500ms", 0.5)]
)
def test_durations_are_those_of_go(text: str, expected: float) -> None:
    assert cli.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "12", "soon", "5 s", "-3s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is not a duration"):
        cli.seconds(text)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0s"), (59, "59s"), (200, "3m20s"), (3600, "1h"), (18120, "5h2m"), (273600, "3d4h")],
)
def test_uptimes_are_written_as_kubectl_writes_ages(seconds: int, expected: str) -> None:
    assert status.human_time(seconds) == expected


@pytest.mark.parametrize("lines", [0, 1, 3, 5, 5000])
def test_the_tail_of_a_log(tmp_path: Path, lines: int) -> None:
    written = [f"line {number} {'x' * 80}\n" for number in range(3000)]
    (tmp_path / "log").write_text("".join(written))
    assert logs.tail(tmp_path / "log", lines).decode() == "".join(written[-lines:] if lines else [])


def test_images_carry_their_files_and_their_configuration() -> None:
    archive = build.root_filesystem(PAUSE_IMAGE, b"\x7fELF", ["sh", "ls"])
    import io
    import tarfile

    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        members = {member.name: member for member in opened.getmembers()}
    assert members["pause"].mode == 0o755
    assert members["bin/sh"].linkname == "bin/busybox"
    assert members["bin/sh"].mode == 0o755
    assert members["tmp"].mode == 0o1777
    assert 'ENTRYPOINT ["/http-echo"]' in build.changes(ECHO_IMAGE)
