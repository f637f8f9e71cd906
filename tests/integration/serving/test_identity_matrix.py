"""Every role at every listener of three real workers: whoever is not the right one is refused, soon, and logged once.

A worker has three listeners. Clients and the sharing job come to its front; the other two workers come to its peer
port, which is open until the three have met; kubelet comes to its probe port, where nobody has an identity and nothing
but counts is told (tests/integration/worker/test_probes.py).

Who fails in TLS has no name that could be believed: the log has the address, and why. Whoever passes has a name.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.integration.cluster import EPOCH, INFER, NAMESPACE, UID, Cluster, wait_until
from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity
from triveni.worker import frame

DEADLINE_S = 30.0
"""Far less than it takes until a worker gives up anything by itself, but on a machine where all tests run at once."""

NEXT = EPOCH + 1

SECRET = 0x5EC1_2E75_0BAD_C0DE
"""A word of a share that whoever is refused has sent, and that must not be seen again."""

# --- who shows up -------------------------------------------------------------------------------------------------

Shown = Callable[[Authority, int], Credentials | None]
"""The certificate that is shown to worker `party`, by the authority of the epoch; None for none."""


def client(name: str = "alice", namespace: str = NAMESPACE, uid: str = UID) -> Callable[[int], Identity]:
    return lambda _party: Identity.of_client(namespace, uid, name)


def sharing_job(epoch: int = EPOCH, namespace: str = NAMESPACE, uid: str = UID) -> Callable[[int], Identity]:
    return lambda _party: Identity.sharing_job(namespace, uid, epoch)


def peer(
    distance: int = 1, epoch: int = EPOCH, namespace: str = NAMESPACE, uid: str = UID
) -> Callable[[int], Identity]:
    """The worker that comes so many places behind the one that is visited; itself for 0."""
    return lambda party: Identity.worker(namespace, uid, epoch, (party + distance) % 3)


def right(who: Callable[[int], Identity]) -> Shown:
    """By the right authority, whatever the name says."""

    def shown(authority: Authority, party: int) -> Credentials:
        identity = who(party)
        return replace(authority, namespace=identity.namespace, uid=identity.uid).issue(identity)

    return shown


def foreign(who: Callable[[int], Identity]) -> Shown:
    """By another authority of the same name."""
    return lambda authority, party: Authority.create(authority.namespace, authority.uid).issue(who(party))


def dated(who: Callable[[int], Identity], first: timedelta, last: timedelta) -> Shown:
    """By the right authority, good from `first` to `last` from now."""

    def shown(authority: Authority, party: int) -> Credentials:
        issued = x509.load_pem_x509_certificate(authority.issue(who(party)).certificate)
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        builder = x509.CertificateBuilder(
            issued.issuer, issued.subject, key.public_key(), issued.serial_number, now + first, now + last
        )
        for extension in issued.extensions:
            value = extension.value
            if isinstance(value, x509.SubjectKeyIdentifier):
                value = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
            builder = builder.add_extension(value, extension.critical)
        pem = serialization.Encoding.PEM
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return Credentials(builder.sign(authority.key, hashes.SHA256()).public_bytes(pem), private, b"")

    return shown


def expired(who: Callable[[int], Identity]) -> Shown:
    return dated(who, timedelta(days=-2), timedelta(days=-1))


def early(who: Callable[[int], Identity]) -> Shown:
    return dated(who, timedelta(days=1), timedelta(days=2))


def nothing(_authority: Authority, _party: int) -> None:
    return None


# --- the table ----------------------------------------------------------------------------------------------------

INFERS = f"POST {INFER}"
SHARES = "PUT /triveni/v1/shares"
DECLARES = "PUT /triveni/v1/architecture"
READS = "GET /v2"
JOINS = "join"
"""What is asked for: a route of the front, or to be a peer's link."""


@dataclass(frozen=True)
class Case:
    """Who shows up, asks for what, and why that is refused: by `tls`, or by the `name` in the certificate."""

    who: str
    shows: Shown
    asks: str
    by: str
    why: str
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3

    def __str__(self) -> str:
        return f"{self.who}, {self.asks}"


WRONG_CA = "signature failure|issuer|key identifier"
OLD = ssl.TLSVersion.TLSv1_2

FRONT = [
    #    who                                      shows                              asks      by      why
    Case("a client of another authority",         foreign(client()),                 INFERS,  "tls",  WRONG_CA),
    Case("a sharing job of another authority",    foreign(sharing_job()),            SHARES,  "tls",  WRONG_CA),
    Case("a client whose certificate expired",    expired(client()),                 INFERS,  "tls",  "has expired"),
    Case("a sharing job that expired",            expired(sharing_job()),            SHARES,  "tls",  "has expired"),
    Case("a client that comes too early",         early(client()),                   INFERS,  "tls",  "not yet valid"),
    Case("nobody",                                nothing,                           INFERS,  "tls",  "did not return"),
    Case("a client that speaks TLS 1.2",          right(client()),                   INFERS,  "tls",  "protocol", OLD),
    Case("a client of another SecureModel",       right(client(uid="other")),        INFERS,  "name", "is not of"),
    Case("a client of another namespace",         right(client(namespace="other")),  INFERS,  "name", "is not of"),
    Case("a sharing job of another uid",          right(sharing_job(uid="other")),   SHARES,  "name", "is not of"),
    Case("a sharing job of the next epoch",       right(sharing_job(epoch=NEXT)),    SHARES,  "name", "is not of"),
    Case("a sharing job once sharing is done",    right(sharing_job()),              SHARES,  "name", "already"),
    Case("a sharing job as a client",             right(sharing_job()),              INFERS,  "name", "may not"),
    Case("a client as a sharing job",             right(client()),                   SHARES,  "name", "may not"),
    Case("a client that declares a model",        right(client()),                   DECLARES, "name", "may not"),
    Case("a worker as a client",                  right(peer()),                     INFERS,  "name", "may not"),
    Case("a worker as a sharing job",             right(peer()),                     SHARES,  "name", "may not"),
    Case("a worker that looks around",            right(peer()),                     READS,   "name", "may not"),
    Case("the worker itself",                     right(peer(0)),                    READS,   "name", "may not"),
    Case("a worker of the next epoch",            right(peer(epoch=NEXT)),           READS,   "name", "is not of"),
]  # fmt: skip

PEER = [
    Case("a worker of another authority",         foreign(peer()),                   JOINS,   "tls",  WRONG_CA),
    Case("a worker whose certificate expired",    expired(peer()),                   JOINS,   "tls",  "has expired"),
    Case("a worker that comes too early",         early(peer()),                     JOINS,   "tls",  "not yet valid"),
    Case("nobody",                                nothing,                           JOINS,   "tls",  "did not return"),
    Case("a worker that speaks TLS 1.2",          right(peer()),                     JOINS,   "tls",  "protocol", OLD),
    Case("a worker of another SecureModel",       right(peer(uid="other")),          JOINS,   "name", "another worker"),
    Case("a worker of another namespace",         right(peer(namespace="other")),    JOINS,   "name", "another worker"),
    Case("a worker of the next epoch",            right(peer(epoch=NEXT)),           JOINS,   "name", "another worker"),
    Case("the worker itself",                     right(peer(0)),                    JOINS,   "name", "another worker"),
    Case("a client as a worker",                  right(client()),                   JOINS,   "name", "another worker"),
    Case("a sharing job as a worker",             right(sharing_job()),              JOINS,   "name", "another worker"),
]  # fmt: skip

# --- the visits ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Iterator[list[Cluster]]:
    """A worker of each party whose peers are not there yet; each is of an epoch of its own."""
    with ExitStack() as stack:
        clusters = []
        for party in range(3):
            cluster = Cluster(tmp_path_factory.mktemp(f"waiting-{party}"), programs, connect_timeout_s=3600)
            stack.enter_context(cluster).start([party])
            clusters.append(cluster)
        for party, cluster in enumerate(clusters):
            wait_until(partial(_logged, cluster, party, "listening"))
        yield clusters


def _logged(cluster: Cluster, party: int, event: str) -> list[dict[str, Any]]:
    return [line for line in cluster.workers[party].log if line["event"] == event]


@pytest.mark.parametrize("party", range(3))
@pytest.mark.parametrize("case", FRONT, ids=str)
def test_at_the_front(served: Cluster, case: Case, party: int) -> None:
    method, path = case.asks.split(" ")
    body = json.dumps({"id": "r", "inputs": [{"data": [SECRET]}]}) if method != "GET" else ""
    request = f"{method} {path} HTTP/1.1\r\nHost: w\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    for _ in range(2):
        answer = visit(served, case, party, served.address(party), request.encode())
        if case.by == "name":
            head, _, told = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 403 ")
            assert json.loads(told)["reason"] == "Forbidden"
            assert re.search(case.why, json.loads(told)["error"])
    check(served, case, party, answer, "connection refused" if case.by == "tls" else "request forbidden")


@pytest.mark.parametrize("party", range(3))
@pytest.mark.parametrize("case", PEER, ids=str)
def test_at_the_peer_port(waiting: list[Cluster], case: Case, party: int) -> None:
    cluster = waiting[party]
    hello = frame.encode({"kind": "data", "epoch": EPOCH, "secret": SECRET})
    for _ in range(2):
        answer = visit(cluster, case, party, cluster.peer_address(party), hello)
        if case.by == "name":
            assert re.search(case.why, json.loads(answer[4:])["refused"])
    check(cluster, case, party, answer, "peer refused")


@pytest.mark.parametrize("party", range(3))
def test_once_the_workers_have_met_nobody_listens_for_a_peer(served: Cluster, party: int) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(served.peer_address(party), timeout=DEADLINE_S)


@pytest.mark.parametrize("party", range(3))
def test_the_right_ones_are_let_in(served: Cluster, waiting: list[Cluster], party: int) -> None:
    """The same visits with nothing wrong about them: otherwise everything above would be refused for another reason."""
    client_ = Case("a client", right(client()), READS, "", "")
    request = b"GET /v2 HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n"
    assert visit(served, client_, party, served.address(party), request).startswith(b"HTTP/1.1 200 ")
    peer_ = Case("a worker", right(peer()), JOINS, "", "")
    hello = frame.encode({"kind": "data", "epoch": EPOCH})
    there = waiting[party].peer_address(party)
    assert json.loads(visit(waiting[party], peer_, party, there, hello)[4:]) == {"accepted": True}


def visit(cluster: Cluster, case: Case, party: int, address: tuple[str, int], says: bytes) -> bytes:
    """Connect, say it, and read until the worker closes, or has said one thing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=cluster.client_credentials().ca.decode())
    context.minimum_version, context.maximum_version = OLD, case.newest
    shown = case.shows(cluster.authority, party)
    if shown is not None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(shown.certificate + shown.key)
            file.flush()
            context.load_cert_chain(file.name)
    answer = b""
    try:
        with (
            socket.create_connection(address, timeout=DEADLINE_S) as raw,
            context.wrap_socket(raw) as link,
        ):
            link.sendall(says)
            while piece := link.recv(1 << 16):
                answer += piece
                if case.asks == JOINS:
                    break
    except TimeoutError:
        raise AssertionError(f"not refused within {DEADLINE_S:g} s") from None
    except (ssl.SSLError, ConnectionError):
        assert case.by == "tls", "somebody with a name is told why"
    if case.by == "tls":
        assert answer == b""
    return answer


def check(cluster: Cluster, case: Case, party: int, answer: bytes, event: str) -> None:
    """It is logged once, by whom and why; and nobody is told a secret."""
    identity = "127.0.0.1"
    if case.by == "name":
        shown = case.shows(cluster.authority, party)
        assert shown is not None
        names = x509.load_pem_x509_certificate(shown.certificate).extensions
        (identity,) = names.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.UniformResourceIdentifier
        )

    def told() -> list[str]:
        lines = [line for line in _logged(cluster, party, event) if line["who"] == identity]
        assert all(line["level"] == "warning" for line in lines)
        return [line["why"] for line in lines if re.search(why, line["why"])]

    why = f"may not {case.asks}" if case.why == "may not" else case.why
    wait_until(told)
    assert len(told()) == 1
    key = (cluster.directory / f"credentials-{party}" / "tls.key").read_text()
    told_everywhere = answer.decode("latin-1") + cluster.workers[party].log_file.read_text()
    for secret in (*key.splitlines()[1:-1], str(SECRET), SECRET.to_bytes(8, "little").decode("latin-1")):
        assert secret not in told_everywhere
