"""A control plane for integration tests: a real etcd and a real API server, on loopback ports of their own.

    with ControlPlane(directory) as control_plane:
        async with control_plane.client() as client: ...

Both are processes, so that a test can kill, pause and restart them.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from kube_client.client import Client
from kubeadm import kubeconfig
from kubeadm.certificates import CertificateAuthority, Request, create_service_account_key
from tests.harness.processes import Process, free_port

KUBECTL = "kubectl"


class Etcd:
    """One etcd member over plain loopback HTTP in `directory`."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port, peer = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = Process(
            [
                "etcd",
                "--name=test",
                f"--data-dir={directory / 'data'}",
                f"--listen-client-urls={self.url}",
                f"--advertise-client-urls={self.url}",
                f"--listen-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-cluster=test=http://127.0.0.1:{peer}",
            ],
            directory / "etcd.log",
        )

    def start(self) -> None:
        self.process.start()
        self.process.wait_healthy(f"{self.url}/health")

    def stop(self) -> None:
        self.process.stop()


class ControlPlane:
    """etcd and one API server; `extra` are further flags of the API server."""

    def __init__(self, directory: Path, extra: Sequence[str] = ()) -> None:
        self.directory = directory
        self.pki = directory / "pki"
        self.etcd = Etcd(directory / "etcd")
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.ca_file = self.pki / "ca.crt"
        self.authority = CertificateAuthority.load_or_create(self.pki, "ca", "kubernetes")
        create_service_account_key(self.pki)
        names = ("localhost", "127.0.0.1", "kubernetes.default.svc")
        self.authority.issue(self.pki, Request("apiserver", "kube-apiserver", sans=names, server=True))
        self.authority.issue(
            self.pki,
            Request("kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",), client=True),
        )
        self.admin_kubeconfig = self.kubeconfig_for("kubernetes-admin", ("system:masters",))
        self.api_server = Process.module("apiserver", [*self._flags(), *extra], directory / "apiserver.log")

    def _flags(self) -> list[str]:
        pki = self.pki
        return [
            f"--etcd-servers={self.etcd.url}",
            f"--secure-port={self.port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--client-ca-file={self.ca_file}",
            f"--service-account-key-file={pki / 'sa.pub'}",
            f"--service-account-signing-key-file={pki / 'sa.key'}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--kubelet-client-certificate={pki / 'kubelet-client.crt'}",
            f"--kubelet-client-key={pki / 'kubelet-client.key'}",
            f"--kubelet-certificate-authority={self.ca_file}",
            "--service-cluster-ip-range=10.96.0.0/16",
        ]

    def kubeconfig_for(self, user: str, groups: tuple[str, ...] = ()) -> Path:
        """A kubeconfig with a client certificate for `user` in `groups`."""
        name = user.replace(":", "-")
        self.authority.issue(self.pki, Request(name, user, groups, client=True))
        path = self.directory / f"{name}.conf"
        document = kubeconfig.document(
            cluster="test",
            server=self.url,
            ca=self.ca_file.read_bytes(),
            user=user,
            certificate=(self.pki / f"{name}.crt").read_bytes(),
            key=(self.pki / f"{name}.key").read_bytes(),
            context="test",
        )
        kubeconfig.write(path, document)
        return path

    def client(self, user: str = "kubernetes-admin") -> Client:
        """A client with the administrator's certificate, or that of a user made by `kubeconfig_for`."""
        name = user.replace(":", "-")
        return Client.from_kubeconfig(self.directory / f"{name}.conf", user_agent="skiff-tests")

    def kubectl(self, *arguments: str, input: str | None = None, binary: str = KUBECTL) -> str:
        """Runs kubectl as administrator and returns what it printed; raises AssertionError with its error text."""
        done = self.try_kubectl(*arguments, input=input, binary=binary)
        if done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}{done.stdout}")
        return done.stdout

    def try_kubectl(
        self, *arguments: str, input: str | None = None, binary: str = KUBECTL
    ) -> subprocess.CompletedProcess[str]:
        """As `kubectl`, but the caller looks at the exit code."""
        argv = [binary, f"--kubeconfig={self.admin_kubeconfig}", *arguments]
        return subprocess.run(argv, input=input, capture_output=True, text=True, timeout=120, check=False)

    def start(self) -> None:
        self.etcd.start()
        self.api_server.start()
        self.wait_ready()

    def wait_ready(self) -> None:
        self.api_server.wait_healthy(f"{self.url}/readyz", self.ca_file)

    def stop(self) -> None:
        self.api_server.stop()
        self.etcd.stop()

    def __enter__(self) -> ControlPlane:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
