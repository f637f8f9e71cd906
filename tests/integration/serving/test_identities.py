"""Who gets in, and who may do what: decided by the certificate, before anything is read."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from contextlib import ExitStack, closing
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.cluster import EPOCH, INFER, NAMESPACE, UID, Cluster, Reply
from triveni.api.inference import Reason
from triveni.client import Client, RequestRefused, WrongWorker
from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity
from triveni.identity.tls import client_context

ALICE = Identity.of_client(NAMESPACE, UID, "alice")

METADATA = INFER.removesuffix("/infer")

REFUSED = (ssl.SSLError, ConnectionError)
"""What somebody sees of a handshake that the worker does not accept: an alert, or the end of the connection. Tests that
expect one also show that the right certificate gets an answer in the same way."""


def foreign(served: Cluster) -> Credentials:
    """A certificate of another authority for the same name; its holder trusts the right authority."""
    credentials = Authority.create(NAMESPACE, UID).issue(ALICE)
    return replace(credentials, ca=served.client_credentials().ca)


def answered_to(served: Cluster, identity: Identity, method: str, path: str, body: bytes | None = None) -> Reply:
    """What a holder of a certificate of the right authority gets, whoever it names."""
    authority = replace(served.authority, namespace=identity.namespace, uid=identity.uid)
    return served.ask(0, method, path, body, context=client_context(authority.issue(identity)))


# --- certificates ---


def test_a_client_with_a_certificate_of_another_authority_is_told_that_it_is_refused(
    served: Cluster, digits: NDArray[np.float32]
) -> None:
    with Client(served.connection(foreign(served)), deadline=20) as client, pytest.raises(RequestRefused) as caught:
        client.predict(digits[0])
    assert (caught.value.reason, caught.value.message) == (
        Reason.FORBIDDEN,
        "all workers refuse this client's certificate",
    )


def test_a_client_that_trusts_another_authority_sends_nothing(served: Cluster, digits: NDArray[np.float32]) -> None:
    credentials = Authority.create(NAMESPACE, UID).issue(ALICE)
    says = r"^worker \d at https://127.0.0.1:\d+: its certificate is not of this SecureModel's authority$"
    with Client(served.connection(credentials), deadline=20) as client, pytest.raises(WrongWorker, match=says):
        client.predict(digits[0])


def test_a_client_that_looks_for_another_secure_model_sends_nothing(
    served: Cluster, digits: NDArray[np.float32]
) -> None:
    connection = replace(served.connection(), uid="other")
    says = f"triveni://{NAMESPACE}/{UID}/epoch/{EPOCH}/worker/\\d answers there, not worker \\d of {NAMESPACE}/other$"
    with Client(connection, deadline=20) as client, pytest.raises(WrongWorker, match=says):
        client.predict(digits[0])


def test_workers_in_another_order_are_noticed_before_anything_is_sent(
    served: Cluster, digits: NDArray[np.float32]
) -> None:
    connection = served.connection()
    first, second, third = connection.workers
    swapped = replace(connection, workers=(second, first, third))
    says = r"answers there, not worker \d of"
    with Client(swapped, deadline=20) as client, pytest.raises(WrongWorker, match=says):
        client.predict(digits[0])


@pytest.mark.parametrize("path", ["/v2", "/v2/health/live", METADATA, "/triveni/v1/status"])
def test_a_certificate_of_another_authority_reads_nothing(served: Cluster, path: str) -> None:
    with pytest.raises(REFUSED):
        served.ask(0, "GET", path, context=client_context(foreign(served)))
    assert served.ask(0, "GET", path, context=client_context(served.client_credentials())).status == 200


def test_no_certificate_reads_nothing(served: Cluster) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=served.client_credentials().ca.decode())
    with pytest.raises(REFUSED):
        served.ask(0, "GET", "/v2", context=context)
    show_certificate(served, context)
    assert served.ask(0, "GET", "/v2", context=context).status == 200


@pytest.mark.parametrize(("version", "accepted"), [(ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, False)])
def test_tls_1_3_is_needed(served: Cluster, version: ssl.TLSVersion, accepted: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=served.client_credentials().ca.decode())
    show_certificate(served, context)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = version
    if accepted:
        assert served.ask(0, "GET", "/v2", context=context).status == 200
    else:
        with pytest.raises(REFUSED):
            served.ask(0, "GET", "/v2", context=context)


def show_certificate(served: Cluster, context: ssl.SSLContext) -> None:
    """Let a context show a client's certificate from now on."""
    directory = served.directory / "shown"
    served.client_credentials().write(directory)
    context.load_cert_chain(directory / "tls.crt", directory / "tls.key")


def test_plain_http_gets_no_answer(served: Cluster) -> None:
    with closing(http.client.HTTPConnection(*served.address(0), timeout=10)) as connection:
        connection.request("GET", "/v2")
        with pytest.raises((http.client.BadStatusLine, ConnectionResetError)):
            connection.getresponse()


def test_connections_that_never_get_anywhere_do_not_stop_others(
    served: Cluster, digits: NDArray[np.float32], keras_logits: NDArray[np.float32]
) -> None:
    with ExitStack() as stack:
        for number in range(300):
            connection = stack.enter_context(socket.create_connection(served.address(number % 3), timeout=10))
            if number % 2:
                connection.sendall(b"\x16\x03\x01\x02\x00")  # the beginning of a TLS greeting
        with Client(served.connection(), deadline=20) as client:
            assert np.abs(client.predict(digits[8]) - keras_logits[8]).max() < 1e-3


# --- roles ---


@pytest.mark.parametrize(
    ("identity", "method", "path", "says"),
    [
        (
            Identity.sharing_job(NAMESPACE, UID, EPOCH),
            "POST",
            INFER,
            f"a sharing certificate may not POST {INFER}",
        ),
        (ALICE, "PUT", "/triveni/v1/shares", "a client certificate may not PUT /triveni/v1/shares"),
        (ALICE, "PUT", "/triveni/v1/architecture", "a client certificate may not PUT /triveni/v1/architecture"),
        (Identity.worker(NAMESPACE, UID, EPOCH, 1), "POST", INFER, f"a worker certificate may not POST {INFER}"),
        (
            Identity.worker(NAMESPACE, UID, EPOCH, 1),
            "GET",
            "/triveni/v1/status",
            "a worker certificate may not GET /triveni/v1/status",
        ),
        (
            Identity.of_client(NAMESPACE, "other", "alice"),
            "POST",
            INFER,
            "triveni://default/other/client/alice is not of default/uid in epoch 1",
        ),
        (
            Identity.of_client("elsewhere", UID, "alice"),
            "GET",
            METADATA,
            "triveni://elsewhere/uid/client/alice is not of default/uid in epoch 1",
        ),
        (
            Identity.sharing_job(NAMESPACE, UID, EPOCH + 1),
            "PUT",
            "/triveni/v1/shares",
            "triveni://default/uid/epoch/2/sharing is not of default/uid in epoch 1",
        ),
    ],
)
def test_a_certificate_is_good_for_its_own_model_epoch_and_role_only(
    served: Cluster, identity: Identity, method: str, path: str, says: str
) -> None:
    body = b"{}" if method != "GET" else None
    assert answered_to(served, identity, method, path, body).refusal == (403, Reason.FORBIDDEN, says)


def test_weights_are_not_taken_a_second_time(served: Cluster) -> None:
    says = "this worker holds its shares already; start a new epoch to share again"
    reply = answered_to(served, Identity.sharing_job(NAMESPACE, UID, EPOCH), "PUT", "/triveni/v1/shares", b"{}")
    assert reply.refusal == (403, Reason.FORBIDDEN, says)


def test_who_was_refused_is_in_the_log_once(served: Cluster) -> None:
    mallory = Identity.of_client(NAMESPACE, "mallory", "alice")
    for _ in range(3):
        answered_to(served, mallory, "GET", "/v2")
    lines = [line for line in served.workers[0].log if line["event"] == "request forbidden"]
    assert [line["who"] for line in lines if re.search("mallory", line["who"])] == [mallory.uri]
