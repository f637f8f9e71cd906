"""TLS contexts: 1.3 only, certificates on both sides from the one authority, no host names.

Whoever connects or accepts asks `peer_identity` who is at the other end and compares it with whom it expects.
"""

from __future__ import annotations

import os
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity, InvalidIdentity


@dataclass(eq=False)
class WrongPeer(Exception):
    """The other end proved to be somebody, but not who was expected (`expected` says who, in words or as a URI)."""

    expected: str
    got: str

    def __str__(self) -> str:
        return f"the peer is {self.got}, expected {self.expected}"


class UnexpectedPeer(ssl.SSLCertVerificationError):
    """A handshake that fails because of whom the peer's certificate names, before anything else is sent."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(eq=False)
class InvalidCredentials(ValueError):
    """Certificate, key or authority cannot be used; the text never holds a part of the key."""

    problem: str

    def __str__(self) -> str:
        return f"the credentials cannot be used: {self.problem}"


def server_context(credentials: Credentials) -> ssl.SSLContext:
    """For the accepting side; refuses whoever has no certificate of the same authority.

    Raises:
        InvalidCredentials: the PEM texts are not a certificate, its key and an authority.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, credentials)
    context.num_tickets = 0  # a resumed session would skip the certificate
    return context


def client_context(credentials: Credentials, check: Callable[[Identity], None] | None = None) -> ssl.SSLContext:
    """For the connecting side; refuses a server that has no certificate of the same authority.

    `check`, where asyncio does the handshake, is told who answers, and raises an `UnexpectedPeer` if that is not who
    should: the handshake fails, and nothing is sent.

    Raises:
        InvalidCredentials: the PEM texts are not a certificate, its key and an authority.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, credentials)
    if check is not None:
        context.sslobject_class = _checked_by(check)
    return context


def _checked_by(check: Callable[[Identity], None]) -> type[ssl.SSLObject]:
    class CheckedPeer(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            try:
                got = peer_identity(self)
            except WrongPeer as error:
                raise UnexpectedPeer(str(error)) from error
            check(got)

    return CheckedPeer


def _context(protocol: int, credentials: Credentials) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        context.load_verify_locations(cadata=credentials.ca.decode("ascii"))
        with _as_file(credentials.certificate + b"\n" + credentials.key) as path:
            context.load_cert_chain(path)
    except (ssl.SSLError, ValueError) as error:  # of an empty text OpenSSL is not asked
        reason = error.reason if isinstance(error, ssl.SSLError) and error.reason else type(error).__name__
        raise InvalidCredentials(f"not a certificate, its key and an authority in PEM ({reason})") from None
    return context


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """A path for an interface that only reads files; the key does not reach a disk where the system can help it."""
    if sys.platform == "linux":
        with os.fdopen(os.memfd_create("credentials", os.MFD_CLOEXEC), "wb") as file:
            file.write(data)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            yield file.name


def handshake_problem(error: OSError) -> str:
    """Why a handshake failed, in words: what is wrong with the other end's certificate, or with what it speaks."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or error.strerror or type(error).__name__).replace('_', ' ').lower()}"
    return error.strerror or str(error) or type(error).__name__


def peer_identity(ssl_object: ssl.SSLSocket | ssl.SSLObject) -> Identity:
    """Who is at the other end, by its verified certificate.

    Raises:
        WrongPeer: the certificate is of the authority but names nobody, or several.
    """
    return certified_identity(ssl_object.getpeercert() or {})


def certified_identity(certificate: Mapping[str, Any]) -> Identity:
    """Who a verified certificate names, in the form of `SSLSocket.getpeercert()` (asyncio: extra info `peercert`)."""
    uris = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    if len(uris) != 1:
        raise WrongPeer("a certificate with one URI name", f"one with {len(uris)}")
    try:
        return Identity.parse(uris[0])
    except InvalidIdentity as error:
        raise WrongPeer("a worker, sharing job or client of a SecureModel", error.value[:200]) from None
