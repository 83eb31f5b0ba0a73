"""The cluster's certificate authority and the certificates that it signs.

File names and subjects are those of kubeadm (https://kubernetes.io/docs/setup/best-practices/certificates/), so that
people and tools find what they expect. Keys are ECDSA P-256, which handshake several times faster than RSA; the
service-account key is RSA 2048, because token consumers expect RS256. What exists and is still valid is kept.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_LIFETIME = datetime.timedelta(days=3650)
LEAF_LIFETIME = datetime.timedelta(days=365)
RENEW_BEFORE = datetime.timedelta(days=30)


@dataclass(frozen=True)
class Request:
    """One certificate that is wanted. `sans` are host names and IP addresses as text."""

    name: str
    common_name: str
    organizations: tuple[str, ...] = ()
    sans: tuple[str, ...] = ()
    server: bool = False
    client: bool = False


class CertificateAuthority:
    """A signing key with its certificate, in `<directory>/<name>.crt` and `.key`."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    @classmethod
    def load_or_create(cls, directory: Path, name: str, common_name: str) -> CertificateAuthority:
        """Loads the authority, or makes it on the first run. A given (own) CA is used as it is."""
        certificate_file, key_file = directory / f"{name}.crt", directory / f"{name}.key"
        if certificate_file.exists() and key_file.exists():
            key = serialization.load_pem_private_key(key_file.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise ValueError(f"{key_file} is not an ECDSA key")
            return cls(x509.load_pem_x509_certificate(certificate_file.read_bytes()), key)
        directory.mkdir(parents=True, exist_ok=True, mode=0o755)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = _builder(subject, subject, key.public_key(), CA_LIFETIME)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(ca=True), critical=True)
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        certificate = builder.sign(key, hashes.SHA256())
        _write_key(key_file, key)
        _write(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
        return cls(certificate, key)

    def issue(self, directory: Path, request: Request) -> None:
        """Writes `<directory>/<request.name>.crt` and `.key`, unless a fitting pair is already there."""
        certificate_file, key_file = directory / f"{request.name}.crt", directory / f"{request.name}.key"
        if key_file.exists() and self._is_current(certificate_file, request):
            return
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in request.organizations]
        subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, request.common_name)])
        builder = _builder(subject, self.certificate.subject, key.public_key(), LEAF_LIFETIME)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(ca=False), critical=True)
        usages = []
        if request.server:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
        if request.client:
            usages.append(ExtendedKeyUsageOID.CLIENT_AUTH)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(authority_key, critical=False)
        if request.sans:
            names = x509.SubjectAlternativeName([_general_name(text) for text in request.sans])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        _write_key(key_file, key)
        _write(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), 0o644)

    def _is_current(self, path: Path, request: Request) -> bool:
        """True where the certificate is ours, not about to expire, and names all that is asked for."""
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except (FileNotFoundError, ValueError):
            return False
        if certificate.issuer != self.certificate.subject:
            return False
        now = datetime.datetime.now(datetime.UTC)
        if certificate.not_valid_after_utc - now < RENEW_BEFORE:
            return False
        try:
            certificate.verify_directly_issued_by(self.certificate)
            extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            present = {str(name.value) for name in extension.value}
        except x509.ExtensionNotFound:
            present = set()
        except Exception:  # any failed check means the same: not signed by this authority
            return False
        return set(request.sans) <= present


def create_service_account_key(directory: Path) -> None:
    """Writes `sa.key` and `sa.pub`, the pair that signs and verifies service-account tokens."""
    key_file, public_file = directory / "sa.key", directory / "sa.pub"
    if key_file.exists() and public_file.exists():
        return
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    _write_key(key_file, key)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write(public_file, public, 0o644)


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, lifetime: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + lifetime)
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(path, pem, 0o600)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Replaces the file in one step; a private key is never readable by others, not even for a moment."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
    os.replace(temporary, path)
