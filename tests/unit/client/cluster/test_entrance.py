"""The owner's way to workers that wait for their shares, through a fake API server, by the real hand-over."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.client.cluster.fake_api import FakeApi, fake_api, pod
from tests.unit.client.three_workers import NAME
from tests.unit.sharing.test_hand_over import SHARES
from tests.unit.sharing.worker_fronts import EPOCH, NAMESPACE, UID, Front, three_fronts
from triveni.client.cluster import (
    Entrance,
    Target,
    apply_model,
    delete_model,
    end_epoch,
    entrance,
    owner,
    reach_to_share,
    standing,
)
from triveni.client.cluster.errors import (
    ApiFailed,
    EpochOver,
    NoOperator,
    NoSuchModel,
    NotAllowed,
    NotInstalled,
    NotReadyInTime,
    SharedAlready,
)
from triveni.client.errors import ClientError, InvalidConnection
from triveni.controller.objects import names
from triveni.identity.authority import Authority
from triveni.identity.names import Identity
from triveni.sharing.hand_over import hand_over
from triveni.sharing.worker_link import Address


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "LOOK_S", 0.005)
    monkeypatch.setattr(owner, "LOOK_S", 0.005)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create(NAMESPACE, UID)


@pytest.fixture
async def fronts(authority: Authority) -> AsyncIterator[list[Front]]:
    async with three_fronts(authority) as fronts:
        yield fronts


def owner_secret(authority: Authority, epoch: int = EPOCH) -> dict[str, Any]:
    """As the operator makes it."""
    credentials = authority.issue(Identity.sharing_job(NAMESPACE, UID, epoch))
    data = {"tls.crt": credentials.certificate, "tls.key": credentials.key, "ca.crt": credentials.ca}
    return {
        "metadata": {"labels": {names.EPOCH: str(epoch)}},
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }


def await_owner(server: FakeApi, fronts: list[Front], authority: Authority) -> None:
    """Have the API server show three running workers that wait for their owner, and an operator that listens to it."""
    server.namespace = NAMESPACE
    server.pods = [pod(party, EPOCH) for party in range(3)]
    server.ports = {f"{NAME}-e{EPOCH}-worker-{party}": front.port for party, front in enumerate(fronts)}
    server.model = {
        "metadata": {"name": NAME, "namespace": NAMESPACE, "uid": UID, "generation": 1},
        "spec": {"model": {"source": {"owner": {}}}},
        "status": {"observedGeneration": 1, "epoch": {"number": EPOCH, "phase": "Started"}},
    }

    def operator(model: dict[str, Any]) -> None:
        if model["metadata"].get("annotations") == {names.SHARE: str(EPOCH)}:
            model["status"]["epoch"]["phase"] = "Sharing"
            server.owner_secret = owner_secret(authority)

    server.changed = operator


@pytest.fixture
async def api(fronts: list[Front], authority: Authority) -> AsyncIterator[FakeApi]:
    """Three running workers wait for their owner, and an operator does what it is asked for."""
    async with fake_api() as server:
        await_owner(server, fronts, authority)
        yield server


@pytest.fixture
def target(api: FakeApi, tmp_path: Path) -> Target:
    return Target(NAME, NAMESPACE, kubeconfig=api.kubeconfig(tmp_path / "config"))


async def share(target: Target, within: float = 10) -> Entrance:
    async with reach_to_share(target, within=within) as found:
        addresses = [Address(host, port) for host, port in found.workers]
        await hand_over(
            SHARES, found.protocol, addresses, found.credentials, found.identity, 10, lambda step, details: None
        )
        return found


async def fails(target: Target, kind: type[ClientError], within: float = 10) -> str:
    """The sentence with which it fails."""
    with pytest.raises(kind) as caught:
        await share(target, within)
    return str(caught.value)


async def test_each_worker_gets_its_own_shares(api: FakeApi, fronts: list[Front], target: Target) -> None:
    found = await share(target)
    assert (found.name, found.namespace, found.epoch, found.protocol) == (NAME, NAMESPACE, EPOCH, "ABY3")
    assert found.identity == Identity.sharing_job(NAMESPACE, UID, EPOCH)
    for front, tensors in zip(fronts, SHARES.tensors, strict=True):
        for got, expected in zip(front.tensors, tensors, strict=True):
            np.testing.assert_array_equal(got.data, expected.data)
    assert api.asked.count("patch securemodels") == 1


async def test_the_key_is_not_shown(target: Target) -> None:
    async with reach_to_share(target) as found:
        assert "PRIVATE KEY" not in repr(found)


async def test_workers_that_are_not_there_yet_and_credentials_of_the_epoch_before_are_waited_for(
    api: FakeApi, authority: Authority, target: Target
) -> None:
    assert api.model is not None
    api.model["status"]["epoch"] = {"number": EPOCH - 1, "phase": "Ending"}
    sharing = asyncio.ensure_future(share(target))
    while api.asked.count("get securemodels") < 3:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    api.model["status"]["epoch"] = {"number": EPOCH, "phase": "Sharing"}
    api.owner_secret = owner_secret(authority, EPOCH - 1)
    while api.asked.count("get secrets") < 3:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert not sharing.done()
    api.owner_secret = owner_secret(authority)
    assert (await sharing).epoch == EPOCH


async def test_an_api_server_that_pauses_is_asked_again(api: FakeApi, authority: Authority, target: Target) -> None:
    assert api.model is not None
    api.model["status"]["epoch"]["phase"] = "Ending"
    sharing = asyncio.ensure_future(share(target))
    while "get securemodels" not in api.asked:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    before, api.failure = len(api.asked), "not now"
    while len(api.asked) < before + 3:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    api.failure = None
    api.model["status"]["epoch"]["phase"] = "Started"
    assert (await sharing).epoch == EPOCH


async def test_an_api_server_that_never_answered_is_told(api: FakeApi, target: Target) -> None:
    api.failure = "not now"
    assert "the API server answered 500 to get securemodels" in await fails(target, ApiFailed)


async def test_workers_that_do_not_come_are_explained(api: FakeApi, target: Target) -> None:
    assert api.model is not None
    api.model["status"] = {"observedGeneration": 1, "conditions": [READY]}
    said = await fails(target, NotReadyInTime, within=0.05)
    assert "were not ready for their shares within 0.05 s (Ready=False, Unschedulable: no node)" in said


READY = {"type": "Ready", "status": "False", "reason": "Unschedulable", "message": "no node"}


async def test_a_cluster_without_an_operator_is_told_apart(
    api: FakeApi, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "UNSEEN_S", 0.02)
    assert api.model is not None
    del api.model["status"]
    said = await fails(target, NoOperator)
    assert said.startswith(f"no operator has looked at SecureModel {NAME} in namespace {NAMESPACE} in ")


async def test_a_model_that_serves_is_not_shared_again(api: FakeApi, target: Target) -> None:
    assert api.model is not None
    api.model["status"]["epoch"]["phase"] = "Serving"
    assert f"shared already, in epoch {EPOCH}" in await fails(target, SharedAlready)


async def test_a_model_that_nobody_applied(api: FakeApi, target: Target) -> None:
    api.model = None
    assert f"there is no SecureModel {NAME}" in await fails(target, NoSuchModel)


async def test_an_epoch_that_ends_meanwhile_ends_the_sharing(api: FakeApi, target: Target) -> None:
    async def share_with_workers_that_are_lost() -> None:
        async with reach_to_share(target) as found:
            api.pods = [pod(party, EPOCH + 1) for party in range(3)]
            host, port = found.workers[1]
            _, writer = await asyncio.open_connection(host, port)
            writer.write(b"hello")
            try:
                await asyncio.Event().wait()
            finally:
                writer.close()
                await writer.wait_closed()

    with pytest.raises(EpochOver, match="the pod of worker 1 is gone"):
        await share_with_workers_that_are_lost()


@pytest.mark.parametrize("forbidden", ["patch securemodels", "get secrets", "list pods", "get pods/portforward"])
async def test_what_rbac_lacks_is_named_with_all_that_an_owner_needs(
    api: FakeApi, target: Target, forbidden: str
) -> None:
    api.forbidden = {forbidden}
    said = await fails(target, NotAllowed)
    assert f"get secrets (of the names {NAME}-owner and {NAME}-client)" in said


async def test_a_secret_that_holds_something_else(api: FakeApi, target: Target) -> None:
    assert api.model is not None
    api.model["status"]["epoch"]["phase"] = "Sharing"
    api.owner_secret = {"metadata": {"labels": {names.EPOCH: str(EPOCH)}}, "data": {"tls.crt": "?"}}
    assert f"in Secret {NAMESPACE}/{NAME}-owner" in await fails(target, InvalidConnection)


# --- the SecureModel itself -----------------------------------------------------------------------------------------


async def test_the_securemodel_is_applied_and_deleted(api: FakeApi, target: Target) -> None:
    spec = {"model": {"source": {"owner": {}}}, "requestQuota": 3}
    await apply_model(target, spec)
    (applied,) = api.applied
    assert applied == {
        "apiVersion": "triveni.dev/v1alpha1",
        "kind": "SecureModel",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": spec,
    }
    assert await delete_model(target)
    assert not await delete_model(target)


async def test_a_cluster_that_knows_no_securemodels(tmp_path: Path, without_definition: FakeApi) -> None:
    target = Target(NAME, NAMESPACE, kubeconfig=without_definition.kubeconfig(tmp_path / "config"))
    with pytest.raises(NotInstalled, match="knows no SecureModels; install Triveni there"):
        await apply_model(target, {})


@pytest.fixture
async def without_definition() -> AsyncIterator[FakeApi]:
    """An API server without the definition: it knows no such path."""
    async with fake_api(definition=False) as server:
        yield server


async def test_an_epoch_is_ended_by_suspending_until_it_is_charged(api: FakeApi, target: Target) -> None:
    assert api.model is not None
    told: list[bool] = []

    def operator(model: dict[str, Any]) -> None:
        told.append(model["spec"]["suspend"])
        model["metadata"]["generation"] += 1
        if model["spec"]["suspend"]:
            asyncio.get_running_loop().call_later(0.02, end)

    def end() -> None:
        assert api.model is not None
        api.model["status"] = {"observedGeneration": 2, "epoch": {"number": EPOCH, "phase": "Ended"}}

    api.changed = operator
    await end_epoch(target)
    assert told == [True, False]


async def test_an_epoch_that_does_not_end_is_told(target: Target) -> None:
    with pytest.raises(NotReadyInTime):
        await end_epoch(target, within=0.02)
