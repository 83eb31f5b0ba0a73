"""Settings: addresses follow from the networks, and bad values are refused with a sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kubeadm import settings, up
from kubeadm.errors import UserError
from kubeadm.settings import Settings


def test_the_first_node_is_the_machine_and_the_others_are_namespaces() -> None:
    nodes = Settings(Path("/d"), nodes=3).all_nodes()
    assert [(node.name, node.address, node.namespace) for node in nodes] == [
        ("node-1", "172.31.240.1", None),
        ("node-2", "172.31.240.2", "skiff-node-2"),
        ("node-3", "172.31.240.3", "skiff-node-3"),
    ]


def test_the_kubernetes_service_has_the_first_service_address() -> None:
    assert Settings(Path("/d")).kubernetes_service_address == "10.96.0.1"
    assert Settings(Path("/d"), service_network="10.7.0.0/24").kubernetes_service_address == "10.7.0.1"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nodes": 0}, "--nodes must be between 1 and 32"),
        ({"nodes": 33}, "--nodes must be between 1 and 32"),
        ({"pod_network": "10.244.0.1/16"}, "--pod-network: 10.244.0.1/16 has host bits set"),
        ({"service_network": "banana"}, "--service-network: 'banana' does not appear"),
        (
            {"pod_network": "10.96.128.0/20"},
            "--service-network 10.96.0.0/16 overlaps --pod-network 10.96.128.0/20",
        ),
        ({"node_network": "172.31.240.0/30", "nodes": 3}, "is too small for 3 nodes"),
    ],
)
def test_values_that_cannot_work_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words.replace("(", r"\(")) as caught:
        replace(Settings(Path("/d")), **changes).validate()  # type: ignore[arg-type]
    assert caught.value.exit_code == 2


def test_settings_are_found_again(tmp_path: Path) -> None:
    wanted = Settings(tmp_path, name="skiff-abcde", nodes=2, pod_network="10.9.0.0/16")
    wanted.save()
    assert settings.load(tmp_path) == wanted
    assert settings.load(tmp_path / "elsewhere") is None


def test_a_damaged_file_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        settings.load(tmp_path)
    with pytest.raises(UserError, match="There is no cluster"):
        settings.require(tmp_path / "elsewhere")


def test_names_of_clusters_differ_and_fit_an_interface_name() -> None:
    assert settings.cluster_name(settings.DEFAULT_DATA_DIR) == "skiff"
    names = {settings.cluster_name(Path(f"/tmp/{number}")) for number in range(50)}
    assert len(names) == 50
    assert all(len(name) <= 11 for name in names)


def test_a_second_up_keeps_what_was_chosen_and_may_change_the_number_of_nodes(tmp_path: Path) -> None:
    Settings(tmp_path, nodes=2, pod_network="10.9.0.0/16").save()
    wanted, found = up.decide(tmp_path, {"nodes": 3, "pod_network": None})
    assert found is not None
    assert (found.nodes, wanted.nodes, wanted.pod_network) == (2, 3, "10.9.0.0/16")
    with pytest.raises(UserError, match="--pod-network of an existing cluster cannot change"):
        up.decide(tmp_path, {"pod_network": "10.8.0.0/16"})


def test_somebody_elses_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("…")
    with pytest.raises(UserError, match="is not empty and holds no cluster"):
        up.decide(tmp_path, {})
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["thesis.tex"]
