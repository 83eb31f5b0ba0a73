"""Flags, durations and the choice of controllers."""

import argparse
from pathlib import Path

import pytest

from controller_manager import options, registry
from controller_manager.service_account_tokens import Signer, claims
from kubeadm.certificates import create_service_account_key
from tests.unit.controller_manager.builders import service


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("0", 0)]
)
def test_durations(text: str, seconds: float) -> None:
    assert options.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "5x", "s", "1m 30s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="invalid duration"):
        options.duration(text)


def test_official_defaults() -> None:
    settings = options.parse(["--kubeconfig=x"])
    assert settings.secure_port == 10257
    assert settings.leader_elect is True
    assert (settings.lease_duration, settings.renew_deadline, settings.retry_period) == (15, 10, 2)
    assert settings.options.node_monitor_grace_period == 50
    assert settings.options.terminated_pod_gc_threshold == 12500
    assert settings.options.cluster_cidrs == ()
    assert options.parse(["--kubeconfig=x", "--leader-elect=false"]).leader_elect is False
    dual = options.parse(["--kubeconfig=x", "--cluster-cidr=10.244.0.0/16,fd00::/48"])
    assert dual.options.cluster_cidrs == ("10.244.0.0/16", "fd00::/48")


@pytest.mark.parametrize(
    "argv", [[], ["--kubeconfig=x", "--nonsense"], ["--kubeconfig=x", "--secure-port=y"]]
)
def test_bad_use_ends_with_a_sentence(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        options.parse(argv)
    assert caught.value.code == 2
    assert "kube-controller-manager: error:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["*"], {entry.name for entry in registry.CONTROLLERS}),
        (["deployment", "replicaset-controller"], {"deployment-controller", "replicaset-controller"}),
        (
            ["*", "-garbagecollector", "-podgc"],
            {entry.name for entry in registry.CONTROLLERS}
            - {"garbage-collector-controller", "pod-garbage-collector-controller"},
        ),
        ([""], set()),
    ],
)
def test_the_choice_of_controllers(words: list[str], names: set[str]) -> None:
    assert {entry.name for entry in registry.select(words)} == names


def test_an_unknown_controller_is_named() -> None:
    with pytest.raises(ValueError, match='"nonsense" is not in the list of known controllers'):
        registry.select(["*", "-nonsense"])


def test_legacy_tokens_are_signed_with_the_service_account_key(tmp_path: Path) -> None:
    import jwt

    create_service_account_key(tmp_path)
    account = {"metadata": {"name": "robot", "namespace": "team", "uid": "u"}}
    token = Signer(str(tmp_path / "sa.key")).sign(claims(account, service()))
    content = jwt.decode(token, (tmp_path / "sa.pub").read_bytes(), algorithms=["RS256", "ES256"])
    assert content["iss"] == "kubernetes/serviceaccount"
    assert content["sub"] == "system:serviceaccount:team:robot"
    assert content["kubernetes.io/serviceaccount/secret.name"] == "meow-svc"
    assert jwt.get_unverified_header(token)["kid"]
