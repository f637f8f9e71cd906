"""Handing shares over: to the right three, once, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from tests.unit.sharing.keras_files import array
from tests.unit.sharing.worker_fronts import EPOCH, NAMESPACE, UID, Front, three_fronts
from triveni.api.inference import Reason, error_body
from triveni.identity.authority import Authority
from triveni.identity.names import Identity
from triveni.identity.tls import server_context
from triveni.mpc.architecture import Architecture, Dense
from triveni.sharing.failures import ProgramsDiffer, WorkerRefused, WorkerUnreachable
from triveni.sharing.hand_over import Shared, hand_over
from triveni.sharing.keras_file import KerasModel
from triveni.sharing.shares import split_model
from triveni.sharing.worker_link import Address

ME = Identity.sharing_job(NAMESPACE, UID, EPOCH)

SHARES = split_model(KerasModel(Architecture((3,), (Dense("d", 2),)), {"d": (array(3, 2), array(2))}), "ABY3")

Steps = list[tuple[str, Mapping[str, Any]]]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create(NAMESPACE, UID)


@pytest.fixture
async def fronts(authority: Authority) -> AsyncIterator[list[Front]]:
    async with three_fronts(authority) as fronts:
        yield fronts


async def run(fronts: list[Front], steps: Steps | None = None, within: float = 10, **changes: Any) -> Shared:
    arguments: dict[str, Any] = {
        "shares": SHARES,
        "protocol": "ABY3",
        "addresses": [front.address for front in fronts],
        "credentials": fronts[0].authority.issue(ME),
        "me": ME,
        "within": within,
        "progress": lambda step, details: (steps if steps is not None else []).append((step, details)),
    }
    return await hand_over(**{**arguments, **changes})


def sent_shares(fronts: list[Front]) -> list[bool]:
    return ["shares" in front.requests for front in fronts]


async def test_each_worker_gets_the_architecture_and_its_own_shares(fronts: list[Front]) -> None:
    steps: Steps = []
    shared = await run(fronts, steps)
    assert shared == Shared("ab" * 32, {"online_rounds": 37})
    assert steps == [("architecture", {"program_digest": "ab" * 32, "online_rounds": 37}), ("shares", {})]
    sharing = (fronts[0].architecture or {})["sharing"]
    for front, tensors in zip(fronts, SHARES.tensors, strict=True):
        assert front.architecture is not None
        assert front.architecture.pop("sharing") == sharing
        assert front.architecture == {"protocol": "ABY3", "architecture": SHARES.architecture.document()}
        assert [t.name for t in front.tensors] == [t.name for t in tensors]
        for got, expected in zip(front.tensors, tensors, strict=True):
            np.testing.assert_array_equal(got.data, expected.data)


async def test_each_sharing_says_that_it_is_another_one(fronts: list[Front]) -> None:
    """By that, workers refuse shares of a second splitting, which do not go together with those of the first."""
    said = []
    for _ in range(2):
        await run(fronts)
        said.append((fronts[0].architecture or {})["sharing"])
    assert len(set(said)) == 2


async def test_shares_of_many_megabytes_arrive(fronts: list[Front]) -> None:
    architecture = Architecture((1000,), (Dense("d", 500),))
    shares = split_model(KerasModel(architecture, {"d": (array(1000, 500), array(500))}), "ABY3")
    await run(fronts, shares=shares)
    np.testing.assert_array_equal(fronts[2].tensors[0].data, shares.tensors[2][0].data)


async def test_no_share_is_sent_if_the_programs_differ(fronts: list[Front]) -> None:
    fronts[1].program_digest = "cd" * 32
    with pytest.raises(ProgramsDiffer, match="worker 1 cdcd"):
        await run(fronts)
    assert sent_shares(fronts) == [False] * 3


async def test_a_worker_that_starts_later_is_waited_for(fronts: list[Front]) -> None:
    await fronts[2].stop()
    running = asyncio.create_task(run(fronts))
    async with asyncio.timeout(10):
        while not fronts[0].requests:  # noqa: ASYNC110  # nothing announces it
            await asyncio.sleep(0.001)
    await fronts[2].start()
    await running
    assert fronts[2].tensors


async def test_a_worker_that_never_starts_is_named_at_the_deadline(fronts: list[Front]) -> None:
    await fronts[1].stop()
    with pytest.raises(
        WorkerUnreachable, match=r"cannot be connected to \(connection refused\) within 0\.3 s"
    ) as error:
        await run(fronts, within=0.3)
    assert (error.value.party, error.value.address) == (1, str(fronts[1].address))
    assert sent_shares(fronts) == [False] * 3


async def test_a_worker_that_never_answers_is_named_at_the_deadline(fronts: list[Front]) -> None:
    async def silence(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    fronts[2].answer["architecture"] = silence
    with pytest.raises(WorkerUnreachable, match=r"worker 2 at .*: has not answered within 0\.3 s"):
        await run(fronts, within=0.3)


async def test_a_refusal_is_passed_on_with_its_reason_and_ends_the_others(fronts: list[Front]) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=422, body=error_body(Reason.UNSUPPORTED, "it cannot be proved"))

    async def silence(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    fronts[0].answer["architecture"] = silence
    fronts[1].answer["architecture"] = refuse
    with pytest.raises(WorkerRefused, match=r"worker 1 refused \(422 Unsupported\): it cannot be proved"):
        await run(fronts)
    assert sent_shares(fronts) == [False] * 3


async def test_a_redirect_is_not_followed(fronts: list[Front]) -> None:
    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": f"https://{fronts[0].address}/triveni/v1/elsewhere"})

    fronts[0].answer["shares"] = redirect
    with pytest.raises(WorkerRefused, match="307"):
        await run(fronts)
    assert fronts[0].requests == ["architecture", "shares"]


async def test_a_connection_that_breaks_is_not_tried_again(fronts: list[Front]) -> None:
    async def drop(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    fronts[0].answer["shares"] = drop
    with pytest.raises(WorkerUnreachable, match=r"worker 0 .*the connection"):
        await run(fronts)
    assert fronts[0].requests == ["architecture", "shares"]


@pytest.mark.parametrize("answer", ["[]", "{", "x" * 2**21])
async def test_an_answer_that_is_none_is_an_error(fronts: list[Front], answer: str) -> None:
    async def strange(request: web.Request) -> web.Response:
        return web.Response(text=answer)

    fronts[0].answer["architecture"] = strange
    with pytest.raises(WorkerUnreachable):
        await run(fronts)


@pytest.mark.parametrize(
    "identity",
    [
        Identity.worker(NAMESPACE, UID, EPOCH, 1),
        Identity.worker(NAMESPACE, UID, EPOCH + 1, 0),
        Identity.worker(NAMESPACE, "another", EPOCH, 0),
    ],
)
async def test_no_byte_is_sent_to_somebody_else(authority: Authority, fronts: list[Front], identity: Identity) -> None:
    """Another party, another epoch, another SecureModel, each with a certificate of the same authority."""
    received: list[bytes] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read())
        writer.close()

    namesake = replace(authority, namespace=identity.namespace, uid=identity.uid)
    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=server_context(namesake.issue(identity)))
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(WorkerUnreachable, match=f"the peer is {identity.uri}, expected triveni://.*worker/0"):
            await run(fronts, addresses=[Address("127.0.0.1", port), *(front.address for front in fronts[1:])])
    assert b"".join(received) == b""
    assert sent_shares(fronts) == [False] * 3


async def test_workers_of_a_foreign_authority_are_refused(fronts: list[Front]) -> None:
    with pytest.raises(WorkerUnreachable, match="certificate verify failed"):
        await run(fronts, credentials=Authority.create(NAMESPACE, UID).issue(ME))
    assert not any(front.requests for front in fronts)


@pytest.mark.parametrize("text", ["localhost", ":80", "a:0", "a:70000", "a:b", ""])
def test_an_address_needs_host_and_port(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        Address.parse(text)


@pytest.mark.parametrize("text", ["127.0.0.1:8443", "worker-0:1", "[::1]:8443"])
def test_an_address_is_written_as_it_is_read(text: str) -> None:
    assert str(Address.parse(text)) == text
