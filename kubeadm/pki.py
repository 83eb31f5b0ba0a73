"""Which certificates and kubeconfigs a cluster needs: the table, and the step that writes them all."""

from __future__ import annotations

from kubeadm import kubeconfig
from kubeadm.certificates import CertificateAuthority, Request, create_service_account_key
from kubeadm.settings import Node, Settings


def certificate_requests(settings: Settings) -> list[Request]:
    """Certificates signed by the cluster's CA, by kubeadm's file names."""
    api_server_names = (
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        settings.machine_address,
        settings.kubernetes_service_address,
    )
    requests = [
        Request("apiserver", "kube-apiserver", sans=api_server_names, server=True),
        Request(
            "apiserver-kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",), client=True
        ),
        Request("admin", "kubernetes-admin", ("system:masters",), client=True),
        Request("scheduler", "system:kube-scheduler", client=True),
        Request("controller-manager", "system:kube-controller-manager", client=True),
        Request("kube-proxy", "system:kube-proxy", client=True),
    ]
    for node in settings.all_nodes():
        requests.append(_kubelet_client(node))
        requests.append(
            Request(f"kubelet-{node.name}-serving", node.name, sans=(node.name, node.address), server=True)
        )
    return requests


def _kubelet_client(node: Node) -> Request:
    return Request(f"kubelet-{node.name}", f"system:node:{node.name}", ("system:nodes",), client=True)


def create(settings: Settings) -> None:
    """Writes the authorities, certificates, keys and kubeconfigs; keeps what is there and still valid."""
    settings.pki.mkdir(parents=True, exist_ok=True, mode=0o755)
    authority = CertificateAuthority.load_or_create(settings.pki, "ca", "kubernetes")
    etcd_authority = CertificateAuthority.load_or_create(settings.pki / "etcd", "ca", "etcd-ca")
    create_service_account_key(settings.pki)
    for request in certificate_requests(settings):
        authority.issue(settings.pki, request)
    etcd_server = Request("server", "etcd", sans=("localhost", "127.0.0.1"), server=True, client=True)
    etcd_authority.issue(settings.pki / "etcd", etcd_server)
    etcd_client = Request("apiserver-etcd-client", "kube-apiserver-etcd-client", client=True)
    etcd_authority.issue(settings.pki, etcd_client)

    settings.kubeconfigs.mkdir(parents=True, exist_ok=True, mode=0o700)
    ca = (settings.pki / "ca.crt").read_bytes()
    users = {"admin": ("admin", settings.local_url), "scheduler": ("scheduler", settings.local_url)}
    users["controller-manager"] = ("controller-manager", settings.local_url)
    users["kube-proxy"] = ("kube-proxy", settings.advertised_url)
    for node in settings.all_nodes():
        users[f"kubelet-{node.name}"] = (f"kubelet-{node.name}", settings.advertised_url)
    for name, (certificate, server) in users.items():
        document = kubeconfig.document(
            cluster=settings.name,
            server=server,
            ca=ca,
            user=f"{settings.name}-admin" if name == "admin" else name,
            certificate=(settings.pki / f"{certificate}.crt").read_bytes(),
            key=(settings.pki / f"{certificate}.key").read_bytes(),
            context=settings.name,
        )
        kubeconfig.write(settings.kubeconfigs / f"{name}.conf", document)
