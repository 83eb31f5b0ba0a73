"""Which processes a cluster consists of: a pure function from its settings to the command lines.

The supervisor starts what this table says; `status`, `logs` and `restart` use the same names.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

from kubeadm.settings import Node, Settings

REPOSITORY = Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True)
class Daemon:
    """One process to keep running.

    `namespace` is the network namespace to start it in, or None for the machine's own. `health` is an HTTP(S) URL that
    answers 200 when it is well; it is asked from inside the namespace's address, so it names an address that
    can be reached from the machine. `first` are those that the others wait for when a cluster starts.
    """

    name: str
    argv: tuple[str, ...]
    health: str
    namespace: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    stop_seconds: float = 10
    first: bool = False

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def python(module: str, *flags: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *flags)


def all_daemons(settings: Settings) -> list[Daemon]:
    """Every process of the cluster, in the order in which they are started; stopping goes the other way."""
    daemons = [
        etcd(settings),
        api_server(settings),
        controller_manager(settings),
        scheduler(settings),
    ]
    for node in settings.all_nodes():
        daemons.append(kubelet(settings, node))
        daemons.append(kube_proxy(settings, node))
    return daemons


def etcd(settings: Settings) -> Daemon:
    pki = settings.pki / "etcd"
    url = f"https://127.0.0.1:{settings.etcd_port}"
    peer = f"https://127.0.0.1:{settings.etcd_port + 1}"
    metrics = f"http://127.0.0.1:{settings.etcd_port + 2}"
    return Daemon(
        "etcd",
        (
            "etcd",
            f"--name={settings.name}",
            f"--data-dir={settings.data_dir / 'etcd'}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={settings.name}={peer}",
            f"--cert-file={pki / 'server.crt'}",
            f"--key-file={pki / 'server.key'}",
            f"--trusted-ca-file={pki / 'ca.crt'}",
            "--client-cert-auth=true",
            f"--peer-cert-file={pki / 'server.crt'}",
            f"--peer-key-file={pki / 'server.key'}",
            f"--peer-trusted-ca-file={pki / 'ca.crt'}",
            "--peer-client-cert-auth=true",
            f"--listen-metrics-urls={metrics}",
            "--snapshot-count=10000",
            "--logger=zap",
            "--log-level=warn",
        ),
        health=f"{metrics}/health",
        first=True,
    )


def api_server(settings: Settings) -> Daemon:
    pki = settings.pki
    flags = (
        f"--etcd-servers=https://127.0.0.1:{settings.etcd_port}",
        f"--etcd-cafile={pki / 'etcd' / 'ca.crt'}",
        f"--etcd-certfile={pki / 'apiserver-etcd-client.crt'}",
        f"--etcd-keyfile={pki / 'apiserver-etcd-client.key'}",
        f"--secure-port={settings.api_server_port}",
        "--bind-address=0.0.0.0",
        f"--advertise-address={settings.machine_address}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-cluster-ip-range={settings.service_network}",
        f"--service-node-port-range={settings.node_port_range}",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
    )
    health = f"https://127.0.0.1:{settings.api_server_port}/readyz"
    return Daemon("kube-apiserver", python("apiserver", *flags), health, first=True)


def controller_manager(settings: Settings) -> Daemon:
    pki = settings.pki
    flags = (
        f"--kubeconfig={settings.kubeconfigs / 'controller-manager.conf'}",
        f"--service-account-private-key-file={pki / 'sa.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--cluster-cidr={settings.pod_network}",
        "--leader-elect=true",
        "--bind-address=127.0.0.1",
        f"--secure-port={settings.controller_manager_port}",
        *_serving(settings),
    )
    health = f"https://127.0.0.1:{settings.controller_manager_port}/healthz"
    return Daemon("kube-controller-manager", python("controller_manager", *flags), health)


def scheduler(settings: Settings) -> Daemon:
    flags = (
        f"--kubeconfig={settings.kubeconfigs / 'scheduler.conf'}",
        "--leader-elect=true",
        "--bind-address=127.0.0.1",
        f"--secure-port={settings.scheduler_port}",
        *_serving(settings),
    )
    health = f"https://127.0.0.1:{settings.scheduler_port}/healthz"
    return Daemon("kube-scheduler", python("scheduler", *flags), health)


def _serving(settings: Settings) -> tuple[str, str]:
    """The scheduler and the controller manager answer on loopback with the API server's certificate for localhost."""
    return (
        f"--tls-cert-file={settings.pki / 'apiserver.crt'}",
        f"--tls-private-key-file={settings.pki / 'apiserver.key'}",
    )


def kubelet(settings: Settings, node: Node) -> Daemon:
    flags: tuple[str, ...] = (
        f"--kubeconfig={settings.kubeconfigs / f'kubelet-{node.name}.conf'}",
        f"--config={settings.configs / f'kubelet-{node.name}.yaml'}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
        f"--root-dir={settings.node_root(node)}",
        f"--container-runtime-endpoint={settings.engine_endpoint}",
        f"--cluster-name={settings.name}",
    )
    if node.namespace is None:
        flags = (*flags, "--node-labels=node-role.kubernetes.io/control-plane=")
    return Daemon(
        f"kubelet-{node.name}",
        python("kubelet", *flags),
        health=f"https://{node.address}:{settings.kubelet_port}/healthz",
        namespace=node.namespace,
        env=_lock_file(settings, node),
    )


def kube_proxy(settings: Settings, node: Node) -> Daemon:
    flags = (
        f"--kubeconfig={settings.kubeconfigs / 'kube-proxy.conf'}",
        f"--config={settings.configs / f'kube-proxy-{node.name}.yaml'}",
        f"--hostname-override={node.name}",
        f"--service-cluster-ip-range={settings.service_network}",
    )
    return Daemon(
        f"kube-proxy-{node.name}",
        python("kube_proxy", *flags),
        health=f"http://{node.address}:10256/healthz",
        namespace=node.namespace,
        env=_lock_file(settings, node),
    )


def _lock_file(settings: Settings, node: Node) -> tuple[tuple[str, str], ...]:
    """Every node has iptables of its own, so it has a lock of its own; the machine keeps the usual one."""
    if node.namespace is None:
        return ()
    return (("XTABLES_LOCKFILE", str(settings.run / f"xtables-{node.name}.lock")),)


# -- configuration files in the official formats -------------------------------------------------------------


def kubelet_configuration(settings: Settings, node: Node) -> dict[str, Any]:
    """https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/"""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",
        "port": settings.kubelet_port,
        "tlsCertFile": str(settings.pki / f"kubelet-{node.name}-serving.crt"),
        "tlsPrivateKeyFile": str(settings.pki / f"kubelet-{node.name}-serving.key"),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(settings.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDomain": "cluster.local",
        "cgroupDriver": "cgroupfs",
        "healthzBindAddress": "127.0.0.1",
        "healthzPort": 10248,
        "staticPodPath": "",
    }


def kube_proxy_configuration(settings: Settings, node: Node) -> dict[str, Any]:
    """https://kubernetes.io/docs/reference/config-api/kube-proxy-config.v1alpha1/"""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(settings.kubeconfigs / "kube-proxy.conf")},
        "clusterCIDR": settings.pod_network,
        "mode": "iptables",
        "hostnameOverride": node.name,
        "healthzBindAddress": "0.0.0.0:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    }
