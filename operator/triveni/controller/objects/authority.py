"""The private authority of a SecureModel, kept in a Secret: written once, read for each epoch.

Whoever reads this Secret can pose as any worker. Only the operator needs it; no pod mounts it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from triveni.api.securemodel import SecureModel
from triveni.controller.objects import names
from triveni.controller.objects.names import Component
from triveni.controller.objects.owned import Object, base64_data, owned
from triveni.identity.authority import Authority
from triveni.identity.credentials import AUTHORITY

AUTHORITY_KEY = "ca.key"


@dataclass(eq=False)
class DamagedAuthority(ValueError):
    """A Secret that holds no authority which can be used; the text never holds a part of the key."""

    secret: str
    field: str
    problem: str

    def __str__(self) -> str:
        return (
            f"Secret {self.secret}: {self.field} {self.problem}; delete the Secret, and a new authority is made "
            "(clients then need their Secret anew)"
        )


def authority_secret(model: SecureModel, authority: Authority) -> Object:
    """The Secret that keeps the authority. Immutable: an edit would cut off all that have a certificate of it."""
    secret = owned("v1", "Secret", model, names.authority_secret(model), Component.AUTHORITY)
    certificate = authority.certificate.public_bytes(serialization.Encoding.PEM)
    key = authority.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return secret | {
        "type": "Opaque",
        "immutable": True,
        "data": base64_data({AUTHORITY: certificate, AUTHORITY_KEY: key}),
    }


def authority_of(secret: Mapping[str, Any]) -> Authority:
    """The authority that a Secret keeps. It may be that of an older SecureModel of the same name: compare its uid.

    Raises:
        DamagedAuthority: something is missing, is not what it should be, or does not belong together.
    """
    metadata = secret.get("metadata") or {}
    name, namespace = str(metadata.get("name")), str(metadata.get("namespace"))
    uid = (metadata.get("labels") or {}).get(names.MODEL_UID)
    if not uid:
        raise DamagedAuthority(name, f"metadata.labels.{names.MODEL_UID}", "is missing")
    certificate_pem, key_pem = _data(secret, name, AUTHORITY), _data(secret, name, AUTHORITY_KEY)
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except ValueError:
        raise DamagedAuthority(name, AUTHORITY, "is not a certificate in PEM") from None
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise DamagedAuthority(name, AUTHORITY_KEY, "is not a private key in PEM") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise DamagedAuthority(name, AUTHORITY_KEY, f"does not belong to the certificate in {AUTHORITY}")
    return Authority(namespace, uid, certificate, key)


def _data(secret: Mapping[str, Any], name: str, field: str) -> bytes:
    value = (secret.get("data") or {}).get(field)
    if not isinstance(value, str):
        raise DamagedAuthority(name, field, "is missing")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise DamagedAuthority(name, field, "is not base64") from None
