"""Certificates: who signs what, and that a second run keeps what is still good."""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubeadm import pki
from kubeadm.certificates import CertificateAuthority, Request
from kubeadm.settings import Settings


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_cluster_gets_the_files_that_kubeadm_makes(tmp_path: Path) -> None:
    settings = Settings(tmp_path, nodes=2)
    pki.create(settings)
    authority = load(settings.pki / "ca.crt")
    node = load(settings.pki / "kubelet-node-2.crt")
    node.verify_directly_issued_by(authority)
    names = {attribute.oid: attribute.value for attribute in node.subject}
    assert names == {NameOID.COMMON_NAME: "system:node:node-2", NameOID.ORGANIZATION_NAME: "system:nodes"}
    usage = node.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    server = load(settings.pki / "apiserver.crt").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert {"10.96.0.1", "172.31.240.1", "127.0.0.1", "kubernetes.default.svc"} <= {
        str(name.value) for name in server.value
    }
    load(settings.pki / "etcd" / "server.crt").verify_directly_issued_by(
        load(settings.pki / "etcd" / "ca.crt")
    )
    for key in settings.pki.rglob("*.key"):
        assert key.stat().st_mode & 0o777 == 0o600
    context = ssl.create_default_context(cafile=str(settings.pki / "ca.crt"))
    context.load_cert_chain(settings.pki / "admin.crt", settings.pki / "admin.key")


def test_what_is_valid_is_kept_and_what_lacks_a_name_is_issued_anew(tmp_path: Path) -> None:
    authority = CertificateAuthority.load_or_create(tmp_path, "ca", "test")
    request = Request("server", "server", sans=("localhost",), server=True)
    authority.issue(tmp_path, request)
    first = (tmp_path / "server.crt").read_bytes()
    again = CertificateAuthority.load_or_create(tmp_path, "ca", "test")
    again.issue(tmp_path, request)
    assert (tmp_path / "server.crt").read_bytes() == first
    again.issue(tmp_path, Request("server", "server", sans=("localhost", "10.0.0.1"), server=True))
    assert (tmp_path / "server.crt").read_bytes() != first


def test_a_certificate_of_another_authority_is_replaced(tmp_path: Path) -> None:
    request = Request("server", "server", sans=("localhost",), server=True)
    CertificateAuthority.load_or_create(tmp_path, "old", "test").issue(tmp_path, request)
    first = (tmp_path / "server.crt").read_bytes()
    CertificateAuthority.load_or_create(tmp_path, "new", "test").issue(tmp_path, request)
    assert (tmp_path / "server.crt").read_bytes() != first
