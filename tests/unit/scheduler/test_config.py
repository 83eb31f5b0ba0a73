"""KubeSchedulerConfiguration files and the profiles that come of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.config import ConfigError, KubeSchedulerConfiguration, ProfileConfiguration, load, seconds
from scheduler.framework.interface import Handle
from scheduler.framework.profile import Profile
from scheduler.framework.registry import UnknownPluginError
from scheduler.node_table import NodeTable

FILE = """
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection: {leaderElect: false}
profiles:
- schedulerName: default-scheduler
- schedulerName: packer
  plugins:
    multiPoint:
      disabled: [{name: ImageLocality}]
      enabled: [{name: NodeAffinity, weight: 7}]
    score:
      disabled: [{name: TaintToleration}]
  pluginConfig:
  - name: NodeResourcesFit
    args: {scoringStrategy: {type: MostAllocated}}
"""


def profile(configuration: ProfileConfiguration) -> Profile:
    return Profile(configuration, Handle(None, NodeTable(), {}))


def test_profiles_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(FILE)
    configuration = load(str(path))
    assert not configuration.leaderElection.leaderElect
    packer = profile(configuration.profiles[1])
    weights = {plugin.name: weight for plugin, weight in packer.score}
    assert weights == {"NodeAffinity": 7, "NodeResourcesFit": 1, "NodeResourcesBalancedAllocation": 1}
    assert "TaintToleration" in [plugin.name for plugin in packer.filter]


def test_the_default_profile_has_the_official_weights() -> None:
    default = profile(KubeSchedulerConfiguration().profiles[0])
    assert {plugin.name: weight for plugin, weight in default.score} == {
        "TaintToleration": 3,
        "NodeAffinity": 2,
        "NodeResourcesFit": 1,
        "NodeResourcesBalancedAllocation": 1,
        "ImageLocality": 1,
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind: Other", "kind"),
        ("profils: []", "profils"),
        ("podInitialBackoffSeconds: 20", "podMaxBackoffSeconds"),
        ("profiles: [{schedulerName: a}, {schedulerName: a}]", "must differ"),
        ("a: [", "cannot read"),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        load(str(path))


def test_unknown_plugins_and_missing_binders_are_errors() -> None:
    unknown = {"plugins": {"multiPoint": {"enabled": [{"name": "Nope"}]}}}
    with pytest.raises(UnknownPluginError, match="'Nope'"):
        profile(ProfileConfiguration.model_validate(unknown))
    without = {"plugins": {"bind": {"disabled": [{"name": "*"}]}}}
    with pytest.raises(ValueError, match="bind"):
        profile(ProfileConfiguration.model_validate(without))


def test_durations_are_go_s() -> None:
    assert seconds("1m30s") == 90 and seconds("500ms") == 0.5
    with pytest.raises(ConfigError):
        seconds("15")
