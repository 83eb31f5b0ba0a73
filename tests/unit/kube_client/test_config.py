"""Kubeconfig files say where the server is; what they lack is named."""

import base64
from pathlib import Path

import pytest
import yaml

from kube_client import config
from kube_client.config import ConfigError, KubeConfig


def write(directory: Path, **changes: object) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "skiff",
        "contexts": [
            {"name": "skiff", "context": {"cluster": "c", "user": "u", "namespace": "team"}},
            {"name": "other", "context": {"cluster": "c", "user": "tokens"}},
        ],
        "clusters": [
            {"name": "c", "cluster": {"server": "https://10.0.0.1:6443/", "certificate-authority": "ca.crt"}}
        ],
        "users": [
            {
                "name": "u",
                "user": {
                    "client-certificate-data": base64.b64encode(b"cert").decode(),
                    "client-key": "/keys/u.key",
                },
            },
            {"name": "tokens", "user": {"tokenFile": "token"}},
        ],
        **changes,
    }
    path = directory / "config"
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_current_context_is_resolved_and_relative_paths_are_the_files(tmp_path: Path) -> None:
    loaded = KubeConfig.load(write(tmp_path))
    assert loaded.server == "https://10.0.0.1:6443"
    assert loaded.ca_file == str(tmp_path.resolve() / "ca.crt")
    assert loaded.client_certificate_data == b"cert"
    assert loaded.client_key_file == "/keys/u.key"
    assert loaded.namespace == "team"


def test_another_context_can_be_asked_for(tmp_path: Path) -> None:
    loaded = KubeConfig.load(write(tmp_path), "other")
    assert loaded.token_file == str(tmp_path.resolve() / "token")
    assert loaded.namespace == "default"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"current-context": ""}, "has no current-context"),
        ({"current-context": "nobody"}, "has no context named 'nobody'"),
        ({"clusters": []}, "has no cluster named 'c'"),
        ({"clusters": [{"name": "c", "cluster": {}}]}, "has no server"),
        ({"users": [{"name": "u", "user": {"client-key-data": "%"}}]}, "client-key-data .* is not base64"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        KubeConfig.load(write(tmp_path, **changes))


def test_files_that_are_missing_or_no_yaml_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read kubeconfig"):
        KubeConfig.load(tmp_path / "none")
    broken = tmp_path / "broken"
    broken.write_text("a: [")
    with pytest.raises(ConfigError, match="is not YAML"):
        KubeConfig.load(broken)
    broken.write_text("- a")
    with pytest.raises(ConfigError, match="is not a mapping"):
        KubeConfig.load(broken)


def test_a_pod_finds_its_server_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "SERVICE_ACCOUNT_DIR", tmp_path)
    (tmp_path / "namespace").write_text("team\n")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    loaded = KubeConfig.in_cluster()
    assert loaded.server == "https://[fd00::1]:443"
    assert loaded.token_file == str(tmp_path / "token")
    assert loaded.namespace == "team"
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    with pytest.raises(ConfigError, match="unable to load in-cluster configuration"):
        KubeConfig.in_cluster()
