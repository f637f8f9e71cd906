"""What is in the Secrets is what those who read it accept."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.controller.objects.samples import CLUSTER_IPS, UID, credentials, secure_model
from triveni.client import Connection
from triveni.controller.objects import (
    ClusterIPs,
    DamagedAuthority,
    Object,
    authority_of,
    authority_secret,
    client_secret,
    sharing_secret,
    worker_secret,
)
from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials
from triveni.identity.names import PARTIES, Identity
from triveni.identity.tls import server_context
from triveni.worker.config import Address, Config

IPV6: ClusterIPs = ("fd00::10", "fd00::11", "fd00::12")


def data(secret: Object) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in secret["data"].items()}


def config(party: int, grant: int | None = 100, ips: ClusterIPs = CLUSTER_IPS, **spec: Any) -> Config:
    secret = worker_secret(secure_model(**spec), 3, grant, party, credentials("a worker"), ips)
    return Config.parse(json.loads(data(secret)["config.json"]))


# --- workers and the sharing job ------------------------------------------------------------------------------------


@pytest.mark.parametrize("party", PARTIES)
def test_a_worker_accepts_its_configuration(party: int) -> None:
    read = config(party, batching={"maxRows": 7})
    assert read.identity == Identity.worker("default", UID, 3, party)
    assert (read.name, read.protocol, read.grant, read.max_rows, read.cache) == ("mnist", "ABY3", 100, 7, None)
    assert read.peers == {peer: Address(CLUSTER_IPS[peer], 8444) for peer in PARTIES if peer != party}
    assert (read.listen, read.peer_listen) == (Address("0.0.0.0", 8443), Address("0.0.0.0", 8444))
    assert read.health_listen == Address("0.0.0.0", 8080)
    assert (read.credentials, read.report) == (Path("/etc/triveni"), Path("/dev/termination-log"))


def test_a_worker_is_told_how_many_bits_of_an_answer_the_model_must_be_shared_for() -> None:
    assert config(0, answer={"fractionalBits": 8}).answer_fractional_bits == 8
    assert config(0).answer_fractional_bits is None


def test_no_quota_is_no_grant() -> None:
    assert config(0, grant=None).grant is None


def test_where_services_have_ipv6_addresses_workers_listen_on_them() -> None:
    read = config(1, ips=IPV6)
    assert read.listen.host == read.peer_listen.host == "::"
    assert read.peers[0] == Address("fd00::10", 8444)


def test_a_worker_waits_for_its_share_for_as_long_as_the_sharing_job_may_take() -> None:
    read = config(0)
    assert read.connect_timeout_s == read.share_timeout_s == 900


def test_and_for_an_hour_where_a_person_shares_the_model() -> None:
    read = config(0, model={"source": {"owner": {}}})
    assert (read.connect_timeout_s, read.share_timeout_s) == (900, 3600)


@pytest.mark.parametrize("party", PARTIES)
def test_credentials_come_out_as_they_went_in(party: int, tmp_path: Path) -> None:
    given = credentials("somebody")
    for secret in (
        worker_secret(secure_model(), 1, 3, party, given, CLUSTER_IPS),
        sharing_secret(secure_model(), 1, given),
    ):
        for name, value in data(secret).items():
            (tmp_path / name).write_bytes(value)
        assert Credentials.read(tmp_path) == given
        assert secret["type"] == "kubernetes.io/tls"


def test_the_secrets_of_an_epoch_and_the_authority_cannot_be_edited(authority: Authority) -> None:
    given, model = credentials("somebody"), secure_model()
    assert worker_secret(model, 1, 3, 0, given, CLUSTER_IPS)["immutable"]
    assert sharing_secret(model, 1, given)["immutable"]
    assert authority_secret(model, authority)["immutable"]


def test_the_clients_secret_can_be_renewed() -> None:
    assert "immutable" not in client_secret(secure_model(), credentials("the client"), CLUSTER_IPS)


# --- clients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ips", "first"), [(CLUSTER_IPS, "https://10.96.0.10:8443"), (IPV6, "https://[fd00::10]:8443")]
)
def test_a_client_accepts_the_connection_file(ips: ClusterIPs, first: str, tmp_path: Path) -> None:
    given = credentials("the client")
    secret = client_secret(secure_model(namespace="vision"), given, ips)
    path = tmp_path / "connection.json"
    path.write_bytes(data(secret)["connection.json"])
    connection = Connection.read(path)
    assert (connection.name, connection.namespace, connection.uid) == ("mnist", "vision", UID)
    assert (connection.workers[0], connection.credentials) == (first, given)


# --- the authority --------------------------------------------------------------------------------------------------


def test_the_authority_is_read_back_and_issues_certificates_that_fit(authority: Authority) -> None:
    read = authority_of(authority_secret(secure_model(), authority))
    assert (read.namespace, read.uid) == ("default", UID)
    assert read.certificate == authority.certificate
    server_context(read.issue(Identity.worker("default", UID, 1, 0)))


def damaged(authority: Authority, **changes: Any) -> Object:
    secret = authority_secret(secure_model(), authority)
    values = {name.replace("_", "."): value for name, value in changes.items()}
    return secret | {"data": {key: value for key, value in (secret["data"] | values).items() if value is not None}}


OTHER = data(authority_secret(secure_model(), Authority.create("default", UID)))

NO_CERTIFICATE = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").decode()


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"ca_crt": None}, "ca.crt", "is missing"),
        ({"ca_key": None}, "ca.key", "is missing"),
        ({"ca_crt": "%"}, "ca.crt", "is not base64"),
        ({"ca_key": "geheim"}, "ca.key", "is not base64"),
        ({"ca_crt": NO_CERTIFICATE}, "ca.crt", "is not a certificate in PEM"),
        ({"ca_key": ""}, "ca.key", "is not a private key in PEM"),
        (
            {"ca_key": base64.b64encode(OTHER["ca.key"]).decode()},
            "ca.key",
            "does not belong to the certificate in ca.crt",
        ),
    ],
)
def test_a_damaged_authority_is_refused_with_the_field_and_without_its_content(
    changes: dict[str, Any], field: str, problem: str, authority: Authority
) -> None:
    with pytest.raises(DamagedAuthority) as caught:
        authority_of(damaged(authority, **changes))
    assert (caught.value.secret, caught.value.field, caught.value.problem) == ("mnist-ca", field, problem)
    assert "geheim" not in str(caught.value)
    assert "PRIVATE" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_secret_without_data_or_label_holds_no_authority(authority: Authority) -> None:
    secret = authority_secret(secure_model(), authority)
    for broken in ({}, {"metadata": {"name": "mnist-ca"}}, {**secret, "data": None}):
        with pytest.raises(DamagedAuthority):
            authority_of(broken)
