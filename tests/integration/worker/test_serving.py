"""What three real workers answer."""

import asyncio
import json

import aiohttp
import numpy as np
import pytest

from tests.integration.worker.conftest import MakeEpoch
from tests.integration.worker.epoch import (
    ARCHITECTURE,
    NAME,
    Epoch,
    RefusedRequest,
    join,
    parts_of,
    plain,
    rows_of,
)
from triveni.api.inference import HEADER_LENGTH, Reason
from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity
from triveni.mpc.fixedpoint import fixed_point
from triveni.mpc.sharing import component_names

TOLERANCE = 1e-3

SHARED = pytest.mark.asyncio(loop_scope="module")


async def test_an_epoch_answers_exactly_its_quota_erases_and_reports(serve: MakeEpoch) -> None:
    epoch = await serve(grant=3)
    client = epoch.client()
    for number, rows in ((1, 1), (2, 2)):
        x = rows_of(number, rows)
        assert np.abs(await client.predict(x) - plain(x)).max() < TOLERANCE
    with pytest.raises(RefusedRequest) as caught:
        await client.predict(rows_of(3))
    assert (caught.value.status, caught.value.reason) == (403, Reason.QUOTA_REACHED)
    assert caught.value.message == "request quota reached"
    assert await epoch.ended() == [0, 0, 0]
    for party, worker in epoch.workers.items():
        report = worker.report
        assert {key: report[key] for key in ("epoch", "party", "admitted", "answered", "erased", "reason")} == {
            "epoch": 1,
            "party": party,
            "admitted": 3,
            "answered": 3,
            "erased": True,
            "reason": "QuotaReached",
        }
        assert report["runs"] == 2
        assert report["rounds"] > 2
        assert report["bytes_sent"] > 0
        assert report["receipt"]["bytes_erased"] > 0
        assert report["receipt"]["party"] == party
        states = [line["state"] for line in worker.log if line["event"] == "state"]
        assert states == [
            "WaitingForArchitecture",
            "Compiling",
            "WaitingForShares",
            "Serving",
            "QuotaReached",
            "Erased",
        ]
    assert len({worker.report["receipt"]["program_digest"] for worker in epoch.workers.values()}) == 1


@SHARED
async def test_sixteen_clients_at_once_each_get_their_own_answers_and_totals_are_exact(shared: Epoch) -> None:
    watcher = shared.client("watcher")
    before = [await watcher.status(party) for party in range(3)]

    async def ask(name: str, first: int) -> None:
        client = shared.client(name)
        for number in range(first, first + 10):
            x = rows_of(number, number % 3 + 1)
            assert np.abs(await client.predict(x) - plain(x)).max() < TOLERANCE

    await asyncio.gather(*(ask(f"client-{n}", 10 * n) for n in range(16)))
    rows = sum(number % 3 + 1 for number in range(160))
    for party in range(3):
        status = await watcher.status(party)
        assert status["state"] == "Serving"
        assert status["admitted"] - before[party]["admitted"] == rows
        assert status["answered"] - before[party]["answered"] == rows
        assert status["requests_waiting"] == 0
        assert status["runs"] - before[party]["runs"] < 160, "requests that wait run together"
        assert status["latency_ms"]["p50"] > 0


@SHARED
async def test_clients_that_use_the_same_ids_at_once_get_their_own_answers(shared: Epoch) -> None:

    async def ask(name: str, number: int) -> None:
        client = shared.client(name)
        x = rows_of(number)
        answers = await client.ask(parts_of("the same", x, shared.protocol))
        assert np.abs(join(answers, shared.protocol) - plain(x)).max() < TOLERANCE

    await asyncio.gather(*(ask(f"client-{n}", n) for n in range(8)))


@SHARED
async def test_a_retry_gets_the_very_same_answer_and_is_counted_once(shared: Epoch) -> None:
    client = shared.client()
    before = [(await client.status(party))["answered"] for party in range(3)]
    parts = parts_of("once", rows_of(1), shared.protocol)
    first, second = await client.ask(parts), await client.ask(parts)
    for one, other in zip(first, second, strict=True):
        assert all(map(np.array_equal, one, other))
    assert [(await client.status(party))["answered"] for party in range(3)] == [count + 1 for count in before]
    with pytest.raises(RefusedRequest) as caught:
        await client.ask(parts_of("once", rows_of(2), shared.protocol))
    assert (caught.value.status, caught.value.reason) == (409, Reason.REQUEST_ID_REUSED)


@SHARED
async def test_the_same_request_twice_has_fresh_masks_in_its_answer(shared: Epoch) -> None:
    client = shared.client()
    first, second = [await client.ask(parts_of(request_id, rows_of(1), shared.protocol)) for request_id in ("a", "b")]
    for one, other in zip(first, second, strict=True):
        assert not any(map(np.array_equal, one, other))


@SHARED
async def test_shares_that_reach_only_two_workers_expire(shared: Epoch) -> None:
    client = shared.client()
    parts = parts_of("half", rows_of(1), shared.protocol)
    ends = await asyncio.gather(client.ask_one(0, parts[0]), client.ask_one(2, parts[2]), return_exceptions=True)
    assert [(end.status, end.reason) for end in ends if isinstance(end, RefusedRequest)] == [(504, Reason.EXPIRED)] * 2
    x = rows_of(2)
    assert np.abs(await client.predict(x) - plain(x)).max() < TOLERANCE


async def test_a_request_of_more_rows_than_remain_is_refused_and_costs_nothing(serve: MakeEpoch) -> None:
    client = (await serve(grant=3)).client()
    await client.predict(rows_of(1, 2))
    with pytest.raises(RefusedRequest) as caught:
        await client.predict(rows_of(2, 2))
    assert caught.value.reason is Reason.QUOTA_REACHED
    x = rows_of(3)
    assert np.abs(await client.predict(x) - plain(x)).max() < TOLERANCE


@SHARED
async def test_the_three_workers_describe_the_same_model(shared: Epoch) -> None:
    client = shared.client()
    described = [await client.get(party, f"/v2/models/{NAME}") for party in range(3)]
    assert [d["parameters"].pop("party") for d in described] == [0, 1, 2]
    assert described[0]["parameters"] == described[1]["parameters"] == described[2]["parameters"]
    for party, description in enumerate(described):
        names = component_names(party, shared.protocol)
        for key, size in (("inputs", 4), ("outputs", 3)):
            assert description[key] == [{"name": name, "datatype": "INT64", "shape": [-1, size]} for name in names]
    assert described[0]["parameters"]["fractional_bits"] == fixed_point(shared.protocol).fractional_bits
    assert described[0]["parameters"]["max_rows"] == 32


@SHARED
async def test_shares_are_taken_once_and_another_architecture_is_refused(shared: Epoch) -> None:
    with pytest.raises(RefusedRequest) as caught:
        await shared.put_shares()
    assert caught.value.reason is Reason.FORBIDDEN
    session = shared.session(Identity.sharing_job("default", "uid", 1))
    document = {
        "protocol": shared.protocol,
        "architecture": ARCHITECTURE.document(),
        "sharing": "of another splitting",
    }
    async with session.put(shared.url(1, "/triveni/v1/architecture"), json=document) as response:
        assert response.status == 403
        assert "is being shared in this epoch already" in (await response.json())["error"]
    same = await shared.put_architecture()
    assert len({summary["program_digest"] for summary in same}) == 1
    x = rows_of(1)
    assert np.abs(await shared.client().predict(x) - plain(x)).max() < TOLERANCE


async def test_what_the_sharing_job_sends_wrong_is_refused_and_the_right_thing_is_still_taken(
    make_epoch: MakeEpoch,
) -> None:
    epoch = await make_epoch()
    await epoch.start()
    await epoch.listening()
    session = epoch.session(Identity.sharing_job("default", "uid", 1))
    document = {"protocol": "ABY3", "architecture": {"layers": []}}
    async with session.put(epoch.url(1, "/triveni/v1/architecture"), json=document) as response:
        assert response.status == 400
    await epoch.put_architecture()
    wrong = epoch.share_bodies()[2]
    headers = {HEADER_LENGTH: str(wrong.header_length)}
    async with session.put(epoch.url(0, "/triveni/v1/shares"), data=wrong.body, headers=headers) as response:
        assert response.status == 400
        assert "component_0 and component_1" in (await response.json())["error"]
    await epoch.put_shares()
    x = rows_of(1)
    assert np.abs(await epoch.client().predict(x) - plain(x)).max() < TOLERANCE


@SHARED
async def test_a_client_of_another_authority_does_not_get_in(shared: Epoch) -> None:
    identity = Identity.of_client("default", "uid", "alice")
    foreign = Authority.create("default", "uid").issue(identity)
    session = shared.session_with(Credentials(foreign.certificate, foreign.key, shared.authority.issue(identity).ca))
    with pytest.raises(aiohttp.ClientError):
        async with session.get(shared.url(0, "/v2")):
            pass


async def test_before_the_model_is_shared_the_worker_says_so(make_epoch: MakeEpoch) -> None:
    epoch = await make_epoch()
    await epoch.start([0])
    await epoch.listening([0])
    client = epoch.client()
    with pytest.raises(RefusedRequest) as caught:
        await client.get(0, f"/v2/models/{NAME}")
    assert (caught.value.status, caught.value.reason) == (503, Reason.NOT_READY)
    assert "Starting" in caught.value.message
    assert await client.get(0, "/v2/health/live") == {"live": True}
    assert (await client.status(0))["state"] == "Starting"


async def test_nothing_secret_is_in_the_logs_and_reports(serve: MakeEpoch) -> None:
    epoch = await serve(grant=2, log_level="debug")
    client = epoch.client()
    parts = parts_of("r1", rows_of(1))
    answers = await client.ask(parts)
    await client.predict(rows_of(2))
    await epoch.ended()
    words = {str(word) for pair in answers for component in pair for word in component.ravel()}
    for part in parts:
        words |= {str(word) for word in np.frombuffer(part.body[part.header_length :], np.int64)}
    key = (epoch.authority.issue(Identity.of_client("default", "uid", "x")).key.splitlines())[1].decode()
    for worker in epoch.workers.values():
        text = json.dumps([worker.log, worker.report])
        assert not any(word in text for word in words)
        assert key not in text
        assert "PRIVATE" not in text
