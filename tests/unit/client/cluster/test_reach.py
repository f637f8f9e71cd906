"""Predictions through an API server: a fake one, with real port-forward framing, in front of fake workers' real TLS."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.unit.client.cluster.fake_api import (
    NAMESPACE,
    QUOTA_REACHED,
    FakeApi,
    connection_document,
    fake_api,
    model,
    pod,
)
from tests.unit.client.three_workers import INPUT_SHAPE, NAME, UID, Workers, drop, plain, refuse, three_workers
from triveni.api.inference import Reason
from triveni.client import AsyncClient, ClientError, InvalidConnection, QuotaReached, RequestRefused, WrongWorker
from triveni.client.cluster import Target, reach, tunnels
from triveni.client.cluster.errors import (
    ApiFailed,
    ApiUnreachable,
    NoCredentials,
    NoOperator,
    NoSuchModel,
    NotAllowed,
    NotAuthenticated,
    NotProvisioned,
    NotServing,
)

X = np.arange(6.0).reshape(INPUT_SHAPE)

ANSWER = plain(X)[0]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnels, "RETRY_FIRST_S", 0.01)
    monkeypatch.setattr(tunnels, "RETRY_MOST_S", 0.02)


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with three_workers() as three:
        yield three


@pytest.fixture
async def api(workers: Workers) -> AsyncIterator[FakeApi]:
    """It serves `workers` as epoch 1."""
    async with fake_api() as server:
        server.serve(workers)
        yield server


@pytest.fixture
def target(api: FakeApi, tmp_path: Path) -> Target:
    return Target(NAME, kubeconfig=api.kubeconfig(tmp_path / "config"))


async def predict(target: Target, deadline: float = 10) -> np.ndarray:
    async with reach(target) as connection, AsyncClient(connection, deadline=deadline) as client:
        return await client.predict(X)


async def fails(target: Target, kind: type[ClientError], deadline: float = 10) -> str:
    """The sentence with which it fails."""
    with pytest.raises(kind) as caught:
        await predict(target, deadline)
    return str(caught.value)


async def test_predictions_go_through_the_api_server(api: FakeApi, target: Target) -> None:
    async with reach(target) as connection, AsyncClient(connection) as client:
        answers = await asyncio.gather(*(client.predict(X + n) for n in range(5)))
        assert all(address.startswith("https://127.0.0.1:") for address in connection.workers)
    assert np.allclose(answers, [plain(X + n)[0] for n in range(5)])
    assert set(api.forwards) == {f"{NAME}-e1-worker-{party}" for party in range(3)}
    assert "get securemodels" not in api.asked, "a client that reaches the workers need not look at the SecureModel"


async def test_a_large_request_is_carried_whole(workers: Workers, target: Target) -> None:
    for worker in workers.parties:
        worker.max_rows = 5000
    rows = np.tile(X, (5000, 1, 1))
    async with reach(target) as connection, AsyncClient(connection) as client:
        assert np.allclose(await client.predict(rows), np.tile(ANSWER, (5000, 1)))


async def test_the_pods_of_the_next_epoch_are_found(workers: Workers, api: FakeApi, target: Target) -> None:
    async with reach(target) as connection, AsyncClient(connection) as client:
        await client.predict(X)
        api.pods.clear()
        await workers.restart(2)
        later = asyncio.ensure_future(client.predict(X))
        while "get securemodels" not in api.asked:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert not later.done(), "without pods it waits"
        api.serve(workers, epoch=2)
        assert np.allclose(await later, ANSWER)


async def test_old_pods_that_are_still_listed_are_not_asked(workers: Workers, api: FakeApi, target: Target) -> None:
    async with three_workers() as gone:
        api.serve(gone)
    await workers.restart(12)
    api.pods = [pod(party, 9) for party in range(3)]
    api.pods += [pod(party, 99, uid="another-of-the-name") for party in range(3)]
    api.serve(workers, epoch=12)
    assert np.allclose(await predict(target), ANSWER)
    assert set(api.forwards) == {f"{NAME}-e12-worker-{party}" for party in range(3)}


async def test_a_pod_that_does_not_listen_yet_is_asked_again(workers: Workers, api: FakeApi, target: Target) -> None:
    """What the client said first is said again: it does not even notice, nor take it for a refusal."""
    ports, api.ports = api.ports, {}
    prediction = asyncio.ensure_future(predict(target))
    while len(api.forwards) < 30:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    api.ports |= ports
    assert np.allclose(await prediction, ANSWER)


async def test_a_pod_that_says_nothing_is_asked_again(
    api: FakeApi, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that is lost is not noticed for a while."""
    monkeypatch.setattr(tunnels, "ANSWER_S", 0.05)
    name = f"{NAME}-e1-worker-1"
    port = api.ports[name]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api.ports[name] = silent.getsockname()[1]
        prediction = asyncio.ensure_future(predict(target))
        while api.forwards.count(name) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        api.ports[name] = port
        assert np.allclose(await prediction, ANSWER)


async def test_an_api_server_that_fails_for_a_moment_is_asked_again(api: FakeApi, target: Target) -> None:
    async with reach(target) as connection, AsyncClient(connection) as client:
        api.failure = "not now"
        prediction = asyncio.ensure_future(client.predict(X))
        before = len(api.asked)
        while len(api.asked) < before + 9:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        api.failure = None
        assert np.allclose(await prediction, ANSWER)


async def test_a_broken_connection_is_made_again(workers: Workers, target: Target) -> None:
    workers.parties[1].misdeeds.append(drop)
    assert np.allclose(await predict(target), ANSWER)


async def test_a_worker_behind_it_is_known_by_its_certificate(workers: Workers, api: FakeApi, target: Target) -> None:
    first, second = (f"{NAME}-e1-worker-{party}" for party in (0, 1))
    api.ports[first], api.ports[second] = api.ports[second], api.ports[first]
    assert "answers there, not worker" in await fails(target, WrongWorker)


async def test_a_client_that_the_workers_refuse_is_told_so(workers: Workers, target: Target) -> None:
    for worker in workers.parties:
        worker.always = refuse(Reason.FORBIDDEN, "not you")
    assert "not you" in await fails(target, RequestRefused)


async def test_the_quota_that_a_worker_tells_of(workers: Workers, target: Target) -> None:
    for worker in workers.parties:
        worker.always = refuse(Reason.QUOTA_REACHED, "request quota reached")
    assert await fails(target, QuotaReached) == "request quota reached"


ALL_TOLD = (
    "request quota reached: 3 requests answered, 3 charged, none left; its owner can raise spec.requestQuota "
    f"of SecureModel {NAME}"
)


async def test_the_quota_that_was_reached_before(api: FakeApi, target: Target) -> None:
    api.secret, api.pods, api.model = None, [], QUOTA_REACHED
    assert await fails(target, QuotaReached) == ALL_TOLD


async def test_the_quota_that_is_reached_meanwhile_ends_the_waiting(
    workers: Workers, api: FakeApi, target: Target
) -> None:
    async def predict_until_the_end() -> None:
        async with reach(target) as connection, AsyncClient(connection, deadline=60) as client:
            await client.predict(X)
            for worker in workers.parties:
                await worker.stop()
            api.pods = [pod(party, phase="Succeeded") for party in range(3)]
            api.model = QUOTA_REACHED
            await client.predict(X)

    with pytest.raises(QuotaReached) as caught:
        await predict_until_the_end()
    assert str(caught.value) == ALL_TOLD


async def test_a_model_that_is_deleted_meanwhile_ends_the_waiting(api: FakeApi, target: Target) -> None:
    api.pods, api.model = [], None
    assert await fails(target, NoSuchModel, deadline=60) == (
        f"there is no SecureModel {NAME} in namespace {NAMESPACE}; "
        f"see kubectl get securemodels -n {NAMESPACE}, or give another --namespace"
    )


async def test_a_model_that_is_made_anew_meanwhile_ends_the_waiting(api: FakeApi, target: Target) -> None:
    api.pods = []
    api.model = model() | {"metadata": {"name": NAME, "uid": "another"}}
    assert "it is another one of the same name now" in await fails(target, NoSuchModel, deadline=60)


async def test_a_name_that_nobody_has(api: FakeApi, target: Target) -> None:
    api.secret, api.model = None, None
    assert f"there is no SecureModel {NAME} in namespace {NAMESPACE}" in await fails(target, NoSuchModel)


async def test_a_model_that_is_not_provisioned_yet(api: FakeApi, target: Target) -> None:
    api.secret, api.pods = None, []
    assert await fails(target, NotProvisioned) == (
        f"SecureModel {NAME} is not provisioned yet (there is no Secret {NAME}-client); "
        f"see kubectl describe securemodel {NAME} -n {NAMESPACE}"
    )


async def test_a_model_that_no_operator_has_looked_at(api: FakeApi, target: Target) -> None:
    api.secret, api.pods = None, []
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    api.model = {"metadata": {"name": NAME, "uid": UID, "creationTimestamp": an_hour_ago}}
    said = await fails(target, NoOperator)
    assert said.startswith(f"no operator has looked at SecureModel {NAME} in namespace {NAMESPACE} in 360")
    assert said.endswith("is Triveni installed in this cluster, and does its operator watch this namespace?")


async def test_a_model_that_was_not_accepted(api: FakeApi, target: Target) -> None:
    api.secret, api.pods = None, []
    api.model = model(Accepted=("False", "InvalidSpec", "no port"), Ready=("False", "NotAccepted", ""))
    assert "not provisioned yet (Accepted=False, InvalidSpec: no port)" in await fails(target, NotProvisioned)


async def test_no_secret_for_somebody_who_may_not_look_at_the_model(api: FakeApi, target: Target) -> None:
    api.secret, api.forbidden = None, {"get securemodels"}
    assert f"there is no Secret {NAME}-client in namespace {NAMESPACE}: " in await fails(target, NoCredentials)


@pytest.mark.parametrize("secret", [{}, {"connection.json": "no json"}, {"connection.json": '{"name": "mnist"}'}])
async def test_a_secret_that_holds_something_else(api: FakeApi, target: Target, secret: dict[str, str]) -> None:
    api.secret = secret
    assert f"connection in Secret {NAMESPACE}/{NAME}-client: " in await fails(target, InvalidConnection)


async def test_workers_that_do_not_start_are_explained_by_the_condition(api: FakeApi, target: Target) -> None:
    api.pods = [pod(party, phase="Pending") for party in range(3)]
    api.model = model(Ready=("False", "WorkersNotReady", "worker 2 cannot be scheduled"))
    said = await fails(target, NotServing, deadline=0.2)
    assert said.startswith("the workers did not serve within 0.2 s")
    assert said.endswith(
        "; Ready=False, WorkersNotReady: worker 2 cannot be scheduled; "
        f"see kubectl describe securemodel {NAME} -n {NAMESPACE}"
    )


async def test_or_by_the_pods_where_the_condition_may_not_be_seen(api: FakeApi, target: Target) -> None:
    api.forbidden = {"get securemodels"}
    api.pods = [pod(0), pod(1, phase="Pending", reason="ImagePullBackOff")]
    api.ports = {}
    said = await fails(target, NotServing, deadline=0.2)
    assert (
        f"worker pods: {NAME}-e1-worker-0 Running, {NAME}-e1-worker-1 Pending (ImagePullBackOff), none of worker 2; "
        "port-forward to worker 0: error forwarding port 8443 to pod: connection refused"
    ) in said


@pytest.mark.parametrize(
    ("forbidden", "needed"),
    [
        ("get secrets", f"get secrets {NAME}-client"),
        ("list pods", "list pods"),
        ("get pods/portforward", "get and create pods/portforward"),
    ],
)
async def test_what_rbac_lacks_is_named(api: FakeApi, target: Target, forbidden: str, needed: str) -> None:
    api.forbidden = {forbidden}
    said = await fails(target, NotAllowed, deadline=60)
    assert said.startswith(f"you may not {needed} in namespace {NAMESPACE}; ask for a Role there with: ")


async def test_another_namespace_than_the_contexts(target: Target) -> None:
    elsewhere = Target(NAME, namespace="team-b", kubeconfig=target.kubeconfig)
    assert "in namespace team-b" in await fails(elsewhere, NotAllowed)


async def test_credentials_that_are_not_accepted(target: Target) -> None:
    assert target.kubeconfig is not None
    target.kubeconfig.write_text(target.kubeconfig.read_text().replace("let-me-in", "an-old-token"))
    said = await fails(target, NotAuthenticated)
    assert said == "the API server does not accept the credentials of the context here; log in again"


async def test_an_api_server_that_is_not_there(api: FakeApi, target: Target, unused_tcp_port: int) -> None:
    assert target.kubeconfig is not None
    url = f"http://127.0.0.1:{unused_tcp_port}"
    target.kubeconfig.write_text(target.kubeconfig.read_text().replace(api.url, url))
    said = await fails(target, ApiUnreachable)
    assert said == f"the API server {url} cannot be reached (connection refused); is it the right --context?"


async def test_an_api_server_that_is_another_server(workers: Workers, api: FakeApi, target: Target) -> None:
    assert target.kubeconfig is not None
    url = f"https://127.0.0.1:{workers.parties[0].port}"
    target.kubeconfig.write_text(target.kubeconfig.read_text().replace(api.url, url))
    assert f"the API server {url} cannot be reached (" in await fails(target, ApiUnreachable)


async def test_an_api_server_that_fails(api: FakeApi, target: Target) -> None:
    api.failure = "etcdserver: request timed out"
    said = await fails(target, ApiFailed)
    assert said == f"the API server answered 500 to get secrets {NAME}-client: etcdserver: request timed out"


async def test_no_secret_is_shown(api: FakeApi, workers: Workers, target: Target) -> None:
    key = connection_document(workers)["credentials"]["key"].splitlines()[1]
    async with reach(target) as connection:
        assert key not in repr(connection)
    api.secret = {"connection.json": json.dumps(connection_document(workers) | {"workers": []})}
    assert key not in await fails(target, InvalidConnection)


async def test_nothing_stays_open_after_an_error_in_the_block(target: Target) -> None:
    ports: list[int] = []

    async def fail() -> None:
        async with reach(target) as connection, AsyncClient(connection) as client:
            await client.predict(X)
            ports.extend(int(address.rpartition(":")[2]) for address in connection.workers)
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
