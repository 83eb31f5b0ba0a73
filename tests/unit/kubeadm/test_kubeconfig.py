"""The merge into the user's kubeconfig touches our entries and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kubeadm import kubeconfig
from kubeadm.errors import UserError

THEIRS: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "work",
    "clusters": [{"name": "work", "cluster": {"server": "https://work"}}],
    "contexts": [{"name": "work", "context": {"cluster": "work", "user": "me", "namespace": "n"}}],
    "users": [{"name": "me", "user": {"token": "t"}}],
    "extensions": [{"name": "x"}],
}


def ours(server: str = "https://127.0.0.1:6443") -> dict[str, Any]:
    return kubeconfig.document(
        cluster="skiff",
        server=server,
        ca=b"ca",
        user="skiff-admin",
        certificate=b"c",
        key=b"k",
        context="skiff",
    )


def read(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text())
    return loaded


def test_a_new_file_is_made_private(tmp_path: Path) -> None:
    path = tmp_path / ".kube" / "config"
    kubeconfig.merge(path, ours())
    assert read(path)["current-context"] == "skiff"
    assert path.stat().st_mode & 0o777 == 0o600


def test_merging_twice_and_removing_leaves_the_users_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "config"
    kubeconfig.write(path, THEIRS)
    kubeconfig.merge(path, ours("https://old"))
    kubeconfig.merge(path, ours("https://new"))
    merged = read(path)
    assert merged["current-context"] == "skiff"
    assert [entry["cluster"]["server"] for entry in merged["clusters"]] == ["https://work", "https://new"]
    assert kubeconfig.remove(path, context="skiff", cluster="skiff", user="skiff-admin")
    assert read(path) == {**THEIRS, "current-context": ""}
    assert not kubeconfig.remove(path, context="skiff", cluster="skiff", user="skiff-admin")


def test_a_file_that_held_only_us_is_deleted(tmp_path: Path) -> None:
    path = tmp_path / "config"
    kubeconfig.merge(path, ours())
    assert kubeconfig.remove(path, context="skiff", cluster="skiff", user="skiff-admin")
    assert not path.exists()


def test_a_broken_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("a: [")
    with pytest.raises(UserError, match="is not valid YAML"):
        kubeconfig.merge(path, ours())
    assert path.read_text() == "a: ["


def test_the_environment_decides_which_file(tmp_path: Path) -> None:
    second = tmp_path / "b"
    second.write_text("")
    assert kubeconfig.user_path({"HOME": "/home/x"}) == Path("/home/x/.kube/config")
    assert kubeconfig.user_path({"KUBECONFIG": f"{tmp_path}/a:{second}"}) == second
    assert kubeconfig.user_path({"KUBECONFIG": f"{tmp_path}/a:{tmp_path}/c"}) == tmp_path / "c"
