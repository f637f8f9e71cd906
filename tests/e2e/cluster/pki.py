"""Certificates of one cluster: an authority for Kubernetes, another for etcd. A client's name is its RBAC user."""

from __future__ import annotations

import base64
import ipaddress
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=30)
"""Longer than anybody looks at a test cluster."""

_MASTERS = "system:masters"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes

    def write(self, directory: Path, name: str) -> None:
        """Write NAME.crt and NAME.key; the key is its owner's alone."""
        (directory / f"{name}.crt").write_bytes(self.certificate)
        write_private(directory / f"{name}.key", self.key)


class Authority:
    """Signs the certificates of one cluster."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self._certificate = (
            _builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def pair(self) -> Pair:
        """Its own certificate and key."""
        return Pair(self._certificate.public_bytes(Encoding.PEM), _pem(self._key))

    def issue(self, name: str, organisation: str = "", *hosts: str) -> Pair:
        """A certificate for `name`, which may serve as `hosts` and call others."""
        key = ec.generate_private_key(ec.SECP256R1())
        uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = (
            _builder(_name(name, organisation), self._name, key, self._key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(uses, critical=False)
        )
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False
            )
        return Pair(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM), _pem(key))


def write_all(directory: Path, nodes: dict[str, str], api: str, api_addresses: list[str]) -> Authority:
    """Write every certificate that the daemons use, and their kubeconfigs, into `directory`.

    Parameters
    ----------
    nodes
        Name and address of each node.
    api, api_addresses
        Where the daemons find the API server, and all addresses that it answers at.
    """
    directory.mkdir(parents=True, exist_ok=True)
    etcd = Authority("etcd")
    etcd.pair.write(directory, "etcd-ca")
    etcd.issue("etcd", "", "127.0.0.1").write(directory, "etcd")

    authority = Authority("kubernetes")
    authority.pair.write(directory, "ca")
    service = "kubernetes.default.svc"
    names = ("kubernetes", "kubernetes.default", service, f"{service}.cluster.local")
    authority.issue("kube-apiserver", "", *api_addresses, *names).write(directory, "apiserver")
    authority.issue("kube-apiserver-kubelet-client", _MASTERS).write(directory, "apiserver-kubelet")
    for name in ("kube-controller-manager", "kube-scheduler", "kube-proxy", "kube-router"):
        write_private(directory / f"{name}.kubeconfig", kubeconfig(api, authority, authority.issue(f"system:{name}")))
    for name, address in nodes.items():
        pair = authority.issue(f"system:node:{name}", "system:nodes", name, address)
        pair.write(directory, name)
        write_private(directory / f"{name}.kubeconfig", kubeconfig(api, authority, pair))
    write_private(directory / "service-accounts.key", _pem(ec.generate_private_key(ec.SECP256R1())))
    return authority


def administrator(authority: Authority, server: str) -> bytes:
    """The kubeconfig of the cluster's administrator."""
    return kubeconfig(server, authority, authority.issue("administrator", _MASTERS))


def kubeconfig(server: str, authority: Authority, pair: Pair) -> bytes:
    """A kubeconfig that needs no other file."""

    def encoded(pem: bytes) -> str:
        return base64.b64encode(pem).decode()

    name = "triveni-e2e"
    cluster = {"server": server, "certificate-authority-data": encoded(authority.pair.certificate)}
    user = {"client-certificate-data": encoded(pair.certificate), "client-key-data": encoded(pair.key)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    return json.dumps(content, indent=1).encode()


def write_private(file: Path, content: bytes) -> None:
    """Write a file that only its owner may read."""
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    file.write_bytes(content)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey | None = None,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key((issuer_key or key).public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(signer, critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(name: str, organisation: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if organisation:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    # The only format from which the API server reads its service-account key.
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
