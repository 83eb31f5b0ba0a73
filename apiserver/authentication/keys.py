"""Keys of service-account tokens: read from PEM files, named by the hash of the public key."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_PEM = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)
_CURVES = {
    "secp256r1": ("ES256", "P-256", 32), "secp384r1": ("ES384", "P-384", 48), "secp521r1": ("ES512", "P-521", 66),
}  # fmt: skip


@dataclass(frozen=True)
class VerificationKey:
    """A public key with its identity (`kid`) and signature algorithm."""

    id: str
    algorithm: str
    key: PublicKey

    def jwk(self) -> dict[str, Any]:
        """The key as an entry of a JSON Web Key Set."""
        common = {"use": "sig", "kid": self.id, "alg": self.algorithm}
        if isinstance(self.key, rsa.RSAPublicKey):
            numbers = self.key.public_numbers()
            return {**common, "kty": "RSA", "n": _unsigned(numbers.n), "e": _unsigned(numbers.e)}
        points = self.key.public_numbers()
        _, curve, size = _CURVES[self.key.curve.name]
        return {
            **common, "kty": "EC", "crv": curve, "x": _unsigned(points.x, size), "y": _unsigned(points.y, size),
        }  # fmt: skip


def _unsigned(number: int, size: int = 0) -> str:
    return _url64(number.to_bytes(size or (number.bit_length() + 7) // 8, "big"))


def _url64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def verification_key(key: PublicKey) -> VerificationKey:
    """Name a public key as the API server does: the SHA-256 of its PKIX form."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    algorithm = "RS256" if isinstance(key, rsa.RSAPublicKey) else _CURVES[key.curve.name][0]
    return VerificationKey(_url64(hashlib.sha256(der).digest()), algorithm, key)


def load_public_keys(paths: list[str]) -> list[VerificationKey]:
    """Read every public (or private) key of these PEM files. Raises OSError or ValueError."""
    found = []
    for path in paths:
        blocks = [match.group(0) for match in _PEM.finditer(Path(path).read_bytes())]
        if not blocks:
            raise ValueError(f"{path}: data does not contain any valid RSA or ECDSA public keys")
        for block in blocks:
            key: Any
            if b"PRIVATE KEY" in block:
                key = serialization.load_pem_private_key(block, None).public_key()
            else:
                key = serialization.load_pem_public_key(block)
            found.append(verification_key(key))
    return found


def load_private_key(path: str) -> PrivateKey:
    """Read the signing key. Raises OSError or ValueError."""
    key = serialization.load_pem_private_key(Path(path).read_bytes(), None)
    if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        raise ValueError(f"{path}: the signing key must be RSA or ECDSA")
    return key
