"""The private certificate authority of one SecureModel (EC P-256).

Its key lives only in the process that starts workers. A worker's certificate serves and connects; those of the
sharing job and of clients can only connect, so nobody but a worker can pose as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity, InvalidIdentity, Role

CLOCK_SKEW = timedelta(minutes=5)
VALID_FOR = timedelta(days=365)
RENEW_AFTER = VALID_FOR * 2 / 3
"""Of a certificate that lives on: then there is another, while the old one still holds."""
AUTHORITY_VALID_FOR = timedelta(days=3650)


@dataclass(frozen=True, slots=True, repr=False)
class Authority:
    """Issues the certificates of one SecureModel, of all its epochs."""

    namespace: str
    uid: str
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def __repr__(self) -> str:
        return f"<Authority of {self.namespace}/{self.uid}, key not shown>"

    @classmethod
    def create(cls, namespace: str, uid: str) -> Authority:
        """A new authority with a fresh key."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("authority")
        certificate = (
            _builder(name, name, key.public_key(), AUTHORITY_VALID_FOR)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(namespace, uid, certificate, key)

    def issue(self, identity: Identity, valid_for: timedelta = VALID_FOR) -> Credentials:
        """A fresh key and a certificate for `identity`; InvalidIdentity if it belongs to another SecureModel."""
        if (identity.namespace, identity.uid) != (self.namespace, self.uid):
            raise InvalidIdentity(
                "identity", identity.uri, f"this authority issues for {self.namespace}/{self.uid} only"
            )
        key = ec.generate_private_key(ec.SECP256R1())
        subject = identity.role.value if identity.party is None else f"{identity.role.value} {identity.party}"
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if identity.role is Role.WORKER:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        certificate = (
            _builder(_name(subject), self.certificate.subject, key.public_key(), valid_for)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity.uri)]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(authority, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return Credentials(_pem(certificate), _key_pem(key), _pem(self.certificate))


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Triveni"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, valid_for: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + valid_for)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
