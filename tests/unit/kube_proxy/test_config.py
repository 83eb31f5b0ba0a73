"""Files and flags of the official format."""

from __future__ import annotations

from pathlib import Path

import pytest

from kube_proxy.__main__ import configuration, node_facts, parser
from kube_proxy.config import ConfigError, ConntrackConfiguration, load, parse_duration
from kube_proxy.kernel import conntrack_settings

OFFICIAL = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
bindAddress: 0.0.0.0
clientConnection:
  acceptContentTypes: ""
  burst: 0
  contentType: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 0
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 0s
conntrack:
  maxPerCore: 0
  min: null
detectLocal:
  bridgeInterface: ""
detectLocalMode: ""
enableProfiling: false
iptables:
  localhostNodePorts: null
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 1s
  syncPeriod: 1m30s
mode: iptables
nodePortAddresses: null
oomScoreAdj: null
logging:
  flushFrequency: 0
  options: {json: {infoBufferSize: "0"}}
  verbosity: 3
"""


def write(path: Path, text: str) -> Path:
    file = path / "config.yaml"
    file.write_text(text)
    return file


def test_the_file_that_kubeadm_writes_is_read(tmp_path: Path) -> None:
    config = load(write(tmp_path, OFFICIAL))
    assert config.client_connection.kubeconfig == "/var/lib/kube-proxy/kubeconfig.conf"
    assert (config.iptables.sync_period, config.iptables.min_sync_period) == (90.0, 1.0)
    assert config.iptables.masquerade_bit == 14 and config.logging.verbosity == 3
    assert node_facts(config).cluster_cidr == "10.244.0.0/16" and node_facts(config).mark == "0x4000"


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, OFFICIAL)
    flags = [
        f"--config={file}",
        "--cluster-cidr=10.10.0.0/16",
        "--hostname-override=n1",
        "--masquerade-all=true",
    ]
    flags += ["--service-cluster-ip-range=10.96.0.0/16", "--iptables-min-sync-period=500ms", "--v=5"]
    config = configuration(parser().parse_args(flags))
    assert config.cluster_cidr == "10.10.0.0/16" and config.iptables.masquerade_all
    assert config.iptables.min_sync_period == 0.5 and config.logging.verbosity == 5
    assert node_facts(config).service_cidr == "10.96.0.0/16"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: Pod\napiVersion: v1\n", "is not a kubeproxy.config.k8s.io/v1alpha1 KubeProxyConfiguration"),
        (OFFICIAL + "clusterCidr: x\n", "clusterCidr"),
        (OFFICIAL.replace("mode: iptables", "mode: ipvs"), "mode"),
        (OFFICIAL.replace("1m30s", "soon"), "syncPeriod"),
        (": :", "failed to load"),
    ],
)
def test_bad_files_are_refused_with_the_field(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(write(tmp_path, text))


@pytest.mark.parametrize(
    "flag", ["--cluster-cidr=10.1.2.3/99", "--healthz-bind-address=x", "--iptables-min-sync-period=60s"]
)
def test_bad_flags_are_refused(flag: str) -> None:
    with pytest.raises(ConfigError):
        configuration(parser().parse_args([flag]))


def test_node_port_addresses() -> None:
    flags = parser().parse_args(["--nodeport-addresses=primary,192.0.2.0/24,fd00::/64"])
    primary, network = node_facts(configuration(flags)).node_port_addresses
    assert primary.endswith("/32") and network == "192.0.2.0/24"


def test_durations() -> None:
    assert [parse_duration(text) for text in ("0", "30s", "1m30s", "1.5h", "100ms", 5)] == [
        0,
        30,
        90,
        5400,
        0.1,
        5,
    ]
    with pytest.raises(ValueError, match="invalid duration"):
        parse_duration("30 parsecs")


def test_the_connection_table_is_only_ever_enlarged() -> None:
    config = ConntrackConfiguration()
    grown = conntrack_settings(config, cores=2, maximum=65536)
    assert grown == {"max": "131072", "tcp_timeout_established": "86400", "tcp_timeout_close_wait": "3600"}
    assert "max" not in conntrack_settings(config, cores=2, maximum=262144)
    assert conntrack_settings(config, cores=8, maximum=1)["max"] == "262144"
    quiet = ConntrackConfiguration(max_per_core=0, tcp_established_timeout=0, tcp_close_wait_timeout=0)
    assert conntrack_settings(quiet, cores=2, maximum=1) == {}
