"""Client certificates: the common name is the user, organizations are groups.

TLS has verified the chain and the dates; this only reads the subject. Follows the X.509 section of
https://kubernetes.io/docs/reference/access-authn-authz/authentication/.
"""

from __future__ import annotations

import hashlib

from cryptography import x509
from cryptography.x509.oid import NameOID

from apiserver.registry.strategy import User

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"


class X509Authenticator:
    """Reads users from verified client certificates."""

    def authenticate(self, der: bytes) -> User | None:
        """The certificate's user, None without a common name."""
        subject = x509.load_der_x509_certificate(der).subject
        names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if not names:
            return None
        groups = tuple(str(a.value) for a in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
        fingerprint = hashlib.sha256(der).hexdigest()
        return User(str(names[0].value), groups=groups, extra={CREDENTIAL_ID: (f"X509SHA256={fingerprint}",)})
