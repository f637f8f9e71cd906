"""Certificates and TLS contexts, over in-memory connections: no sockets."""

import contextlib
import ssl
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity, InvalidIdentity
from triveni.identity.tls import (
    InvalidCredentials,
    WrongPeer,
    certified_identity,
    client_context,
    peer_identity,
    server_context,
)

WORKER = Identity.worker("default", "uid", 1, 0)
OTHER = Identity.worker("default", "uid", 1, 1)
CLIENT = Identity.of_client("default", "uid", "alice")
SHARING = Identity.sharing_job("default", "uid", 1)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("default", "uid")


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    accepting = server.wrap_bio(up, down, server_side=True)
    connecting = client.wrap_bio(down, up, server_side=False)
    for _ in range(4):
        for step in (connecting.do_handshake, accepting.do_handshake):
            _until_it_wants_more(step)
    return accepting, connecting


def _until_it_wants_more(step: Callable[[], None]) -> None:
    with contextlib.suppress(ssl.SSLWantReadError):
        step()


def test_both_sides_see_who_the_other_is(authority: Authority) -> None:
    accepting, connecting = handshake(server_context(authority.issue(WORKER)), client_context(authority.issue(CLIENT)))
    assert accepting.version() == "TLSv1.3"
    assert peer_identity(accepting) == CLIENT
    assert peer_identity(connecting) == WORKER


def test_two_workers_can_connect_either_way(authority: Authority) -> None:
    accepting, connecting = handshake(server_context(authority.issue(OTHER)), client_context(authority.issue(WORKER)))
    assert peer_identity(accepting) == WORKER
    assert peer_identity(connecting) == OTHER


@pytest.mark.parametrize("identity", [CLIENT, SHARING], ids=str)
def test_only_a_worker_can_pose_as_a_server(authority: Authority, identity: Identity) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server_context(authority.issue(identity)), client_context(authority.issue(CLIENT)))


def test_a_client_of_another_authority_is_refused(authority: Authority) -> None:
    foreign = Authority.create("default", "uid").issue(CLIENT)
    mixed = Credentials(foreign.certificate, foreign.key, authority.issue(CLIENT).ca)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server_context(authority.issue(WORKER)), client_context(mixed))


def test_a_server_of_another_authority_is_refused(authority: Authority) -> None:
    """Though it would let the client in: nobody but the client is there to refuse."""
    foreign = Authority.create("default", "uid").issue(WORKER)
    mixed = Credentials(foreign.certificate, foreign.key, authority.issue(WORKER).ca)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server_context(mixed), client_context(authority.issue(CLIENT)))


def test_a_client_without_a_certificate_is_refused(authority: Authority) -> None:
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nobody.check_hostname = False
    nobody.verify_mode = ssl.CERT_NONE
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        handshake(server_context(authority.issue(WORKER)), nobody)


def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    expired = authority.issue(CLIENT, valid_for=timedelta(seconds=-1))
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        handshake(server_context(authority.issue(WORKER)), client_context(expired))


def test_tls_1_2_is_refused(authority: Authority) -> None:
    old = client_context(authority.issue(CLIENT))
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        handshake(server_context(authority.issue(WORKER)), old)


def test_no_session_can_be_resumed_without_its_certificate(authority: Authority) -> None:
    accepting, connecting = handshake(server_context(authority.issue(WORKER)), client_context(authority.issue(CLIENT)))
    accepting.write(b"x")
    connecting.read(1)
    assert connecting.session is None or not connecting.session.has_ticket


def test_an_authority_issues_for_its_own_secure_model_only(authority: Authority) -> None:
    with pytest.raises(InvalidIdentity):
        authority.issue(Identity.worker("default", "another", 1, 0))


def test_the_keys_are_in_no_representation(authority: Authority) -> None:
    credentials = authority.issue(WORKER)
    secret = credentials.key.splitlines()[1].decode()
    assert secret not in repr(credentials)
    assert "PRIVATE" not in repr(credentials) + repr(authority)


def test_credentials_come_back_from_a_directory_whose_key_only_the_owner_reads(
    authority: Authority, tmp_path: Path
) -> None:
    credentials = authority.issue(WORKER)
    folder = tmp_path / "new" / "worker"
    for _ in range(2):
        credentials.write(folder)
    assert Credentials.read(folder) == credentials
    assert stat.S_IMODE((folder / "tls.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_missing_file_is_named(authority: Authority, tmp_path: Path) -> None:
    authority.issue(WORKER).write(tmp_path)
    (tmp_path / "ca.crt").unlink()
    with pytest.raises(OSError, match=r"ca\.crt"):
        Credentials.read(tmp_path)


@pytest.mark.parametrize("part", ["certificate", "key", "ca"])
def test_credentials_that_are_not_pem_are_refused_without_showing_them(authority: Authority, part: str) -> None:
    good = authority.issue(WORKER)
    parts = {"certificate": good.certificate, "key": good.key, "ca": good.ca} | {part: b"not a PEM: hunter2"}
    with pytest.raises(InvalidCredentials) as caught:
        server_context(Credentials(**parts))
    assert "hunter2" not in str(caught.value)


def test_a_key_of_another_certificate_is_refused(authority: Authority) -> None:
    one, other = authority.issue(WORKER), authority.issue(WORKER)
    with pytest.raises(InvalidCredentials):
        server_context(Credentials(one.certificate, other.key, one.ca))


@pytest.mark.parametrize(
    "names",
    [
        (),
        (("DNS", "worker-0"),),
        (("URI", WORKER.uri), ("URI", OTHER.uri)),
        (("URI", "https://example.org/"),),
    ],
)
def test_a_certificate_that_names_nobody_or_several_is_nobody_s(names: tuple) -> None:
    with pytest.raises(WrongPeer):
        certified_identity({"subjectAltName": names})
