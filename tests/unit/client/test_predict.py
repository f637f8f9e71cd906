"""The asynchronous client against three workers in this process, well-behaved and otherwise."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from tests.unit.client.three_workers import (
    INPUT_SHAPE,
    NAMESPACE,
    UID,
    Worker,
    Workers,
    drop,
    hang,
    plain,
    refuse,
    three_workers,
)
from triveni.api.inference import HEADER_LENGTH, Reason, Tensor, decode, encode
from triveni.client import (
    AnswersDisagree,
    AsyncClient,
    DeadlineExceeded,
    ModelChanged,
    QuotaReached,
    RequestRefused,
    WorkersDisagree,
    WorkersUnreachable,
    WrongAnswer,
    WrongInput,
    WrongWorker,
    predict,
)
from triveni.identity.authority import Authority
from triveni.identity.names import Identity
from triveni.identity.sockets import Sockets
from triveni.identity.tls import server_context
from triveni.mpc.fixedpoint import fixed_point

ONE = np.arange(6.0).reshape(INPUT_SHAPE)


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with three_workers() as workers:
        yield workers


@pytest.fixture
async def client(workers: Workers) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(workers.connection, deadline=20) as client:
        yield client


def rows(count: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=(count, *INPUT_SHAPE))


def ids(worker: Worker) -> list[str]:
    return [request_id for request_id, _ in worker.seen]


async def until(condition: Any) -> None:
    """Let the loop run until something is so that nothing announces."""
    end = asyncio.get_running_loop().time() + 10
    while not condition():
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0.001)


# --- right answers ------------------------------------------------------------------------------------------------


async def test_the_answer_is_that_of_the_plain_model(client: AsyncClient) -> None:
    x = rows(3)
    answer = await client.predict(x)
    assert answer.dtype == np.float64
    np.testing.assert_allclose(answer, plain(x), atol=1e-3)


@pytest.mark.parametrize("last_layer", ["Softmax", "Sigmoid", "Tanh"])
async def test_a_last_layer_that_is_the_clients_is_computed_here(
    client: AsyncClient, workers: Workers, last_layer: str
) -> None:
    for worker in workers.parties:
        worker.last_layer = last_layer
    logits = plain(rows(3))
    expected = {
        "Softmax": np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True),
        "Sigmoid": 1 / (1 + np.exp(-logits)),
        "Tanh": np.tanh(logits),
    }[last_layer]
    np.testing.assert_allclose(await client.predict(rows(3)), expected, atol=1e-3)


async def test_workers_that_disagree_on_the_last_layer_are_sent_nothing(client: AsyncClient, workers: Workers) -> None:
    workers.parties[2].last_layer = "Softmax"
    with pytest.raises(WorkersDisagree, match="last_layer"):
        await client.predict(ONE)
    assert not any(worker.seen for worker in workers.parties)


async def test_an_input_outside_the_declared_range_is_not_sent_and_its_value_not_told(
    client: AsyncClient, workers: Workers
) -> None:
    for worker in workers.parties:
        worker.input_range = {"min": -1.0, "max": 0.5}
    inside = np.full((2, *INPUT_SHAPE), 0.5)
    inside[0] = -1.0
    np.testing.assert_allclose(await client.predict(inside), plain(inside), atol=1e-3)
    sent = [len(worker.seen) for worker in workers.parties]
    for value, problem in (0.7654321, "too large"), (-1.7654321, "too small"):
        outside = inside.copy()
        outside[1].flat[3] = value
        index = [1, *(int(i) for i in np.unravel_index(3, INPUT_SHAPE))]
        with pytest.raises(WrongInput) as refused:
            await client.predict(outside)
        way_out = "the model is served for inputs from -1 to 0.5, beyond which answers may be wrong"
        assert str(refused.value) == f"input{index} is {problem}: {way_out}"
    assert [len(worker.seen) for worker in workers.parties] == sent


async def test_an_input_that_was_checked_for_another_range_is_not_sent(client: AsyncClient, workers: Workers) -> None:
    workers.parties[0].misdeeds.append(refuse(Reason.EPOCH_ENDED))
    asking = asyncio.create_task(client.predict(rows(3)))
    await until(lambda: workers.parties[0].seen)
    for worker in workers.parties:
        worker.input_range = {"min": 0.0, "max": 0.001}
    with pytest.raises(ModelChanged):
        await asking


async def test_workers_that_disagree_on_the_range_are_sent_nothing(client: AsyncClient, workers: Workers) -> None:
    workers.parties[1].input_range = {"min": 0.0, "max": 1.0}
    with pytest.raises(WorkersDisagree, match="input_range"):
        await client.predict(ONE)
    assert not any(worker.seen for worker in workers.parties)


async def test_in_securenn_two_workers_get_a_component_each_and_the_third_the_number_of_rows() -> None:
    async with three_workers(protocol="SecureNN") as workers, AsyncClient(workers.connection, deadline=20) as client:
        x = rows(3)
        np.testing.assert_allclose(await client.predict(x), plain(x), atol=1e-2)
        with pytest.raises(WrongInput, match="at most 128 can be sent"):
            await client.predict(np.full(INPUT_SHAPE, 200.0))
    header, tensors = decode(workers.parties[2].seen[0][1], None)
    assert (header["parameters"], tensors) == ({"rows": 3}, [])


async def test_in_securenn_a_component_from_worker_2_is_a_wrong_answer() -> None:
    async def answer(worker: Worker, request: web.Request, body: bytes) -> web.Response:
        header, _ = decode(body, request.headers[HEADER_LENGTH])
        reply = {"id": header["id"], "parameters": {"epoch": worker.epoch, "party": worker.party}}
        length, chunks = encode(reply, [Tensor("component_0", np.zeros((1, 4), np.int64))], "outputs")
        return web.Response(body=b"".join(chunks), headers={HEADER_LENGTH: str(length)})

    async with three_workers(protocol="SecureNN") as workers, AsyncClient(workers.connection, deadline=20) as client:
        workers.parties[2].always = answer
        with pytest.raises(WrongAnswer, match="worker 2"):
            await client.predict(ONE)


async def test_one_row_gives_one_answer_without_the_axis_of_rows(client: AsyncClient) -> None:
    answer = await client.predict(ONE)
    assert answer.shape == (4,)
    np.testing.assert_array_equal(answer, plain(ONE)[0])


@pytest.mark.parametrize("x", [ONE.astype(np.float16), ONE.astype(np.uint8), ONE > 2, ONE.tolist()])
async def test_numbers_of_any_real_type_are_predicted(client: AsyncClient, x: Any) -> None:
    np.testing.assert_array_equal(await client.predict(x), plain(x)[0])


async def test_more_rows_than_fit_into_a_request_are_sent_as_several_and_come_back_in_order(
    client: AsyncClient, workers: Workers
) -> None:
    x = rows(23)
    np.testing.assert_allclose(await client.predict(x), plain(x), atol=1e-3)
    assert [len(worker.seen) for worker in workers.parties] == [6, 6, 6]


async def test_a_prediction_is_one_request_to_each_worker_and_the_metadata_is_asked_for_once(
    client: AsyncClient, workers: Workers
) -> None:
    for _ in range(5):
        await client.predict(ONE)
    assert [(worker.metadata_asked, len(worker.seen)) for worker in workers.parties] == [(1, 5)] * 3
    assert ids(workers.parties[0]) == ids(workers.parties[1]) == ids(workers.parties[2])
    assert len(set(ids(workers.parties[0]))) == 5


async def test_an_answer_that_is_rounded_off_is_read_in_steps_of_its_last_bit(
    client: AsyncClient, workers: Workers
) -> None:
    """The workers here compute with 20 bits, and say that 8 are left."""
    for worker in workers.parties:
        worker.answer_bits = 8
    np.testing.assert_allclose(await client.predict(rows(3)), plain(rows(3)) * 2**12, rtol=1e-4)


async def test_a_request_of_more_than_a_megabyte_is_sent(client: AsyncClient, workers: Workers) -> None:
    for worker in workers.parties:
        worker.max_rows = 20_000
    x = rows(15_000)
    np.testing.assert_allclose(await client.predict(x), plain(x), atol=1e-2)
    assert len(workers.parties[0].seen[0][1]) > 2**20


async def test_many_predictions_at_once_each_get_their_own_answer(client: AsyncClient) -> None:
    inputs = [rows(1 + seed % 7, seed) for seed in range(60)]
    answers = await asyncio.gather(*(client.predict(x) for x in inputs))
    for x, answer in zip(inputs, answers, strict=True):
        np.testing.assert_allclose(answer, plain(x), atol=1e-3)


async def test_the_description_says_what_is_served(client: AsyncClient) -> None:
    description = await client.describe()
    assert (description.epoch, description.input_shape, description.output_shape) == (1, INPUT_SHAPE, (4,))


# --- secrecy ------------------------------------------------------------------------------------------------------


async def test_the_same_input_is_split_differently_each_time_and_no_worker_can_join_it(
    client: AsyncClient, workers: Workers
) -> None:
    for _ in range(20):
        await client.predict(ONE)
    words = set(fixed_point("ABY3").encode(ONE, "x").ravel().tolist()) - {0}
    for worker in workers.parties:
        seen: set[int] = set()
        for _, body in worker.seen:
            length = body.index(b"}]}") + 3
            _, tensors = decode(body, length + -length % 8)
            shares = {word for tensor in tensors for word in tensor.data.ravel().tolist()}
            both = (tensors[0].data + tensors[1].data).ravel().tolist()
            assert len(shares) == 12
            assert not seen & shares
            assert not words & (shares | set(both))
            seen |= shares


async def test_no_byte_of_a_request_leaves_to_a_worker_of_another_party(workers: Workers) -> None:
    """Even when metadata came from the right worker, and then another party listens at its address."""
    first, other = workers.parties[0], workers.parties[1]
    async with AsyncClient(workers.connection, deadline=5) as client:
        await client.describe()
        await first.stop()
        received: list[bytes] = []
        accepted: list[bool] = []

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted.append(True)
            received.append(await reader.read())
            writer.close()

        impostor = workers.authority.issue(Identity.worker(NAMESPACE, UID, 1, other.party))
        server = await asyncio.start_server(accept, "127.0.0.1", first.port, ssl=server_context(impostor))
        async with server:
            with pytest.raises(WrongWorker, match="worker/1 answers there, not worker 0"):
                await client.predict(ONE)
            await until(lambda: len(received) == len(accepted))
    assert b"".join(received) == b""


@pytest.mark.parametrize(
    "identity",
    [
        Identity.worker(NAMESPACE, UID, 1, 1),
        Identity.worker("elsewhere", UID, 1, 0),
        Identity.worker(NAMESPACE, "another-uid", 1, 0),
    ],
)
async def test_a_worker_that_is_somebody_else_is_named_and_asked_for_nothing(
    workers: Workers, identity: Identity
) -> None:
    worker = workers.parties[0]
    await worker.stop()
    authority = Authority(identity.namespace, identity.uid, workers.authority.certificate, workers.authority.key)
    worker.authority, worker.identity = authority, identity
    await worker.start()
    async with AsyncClient(workers.connection, deadline=5) as client:
        with pytest.raises(WrongWorker) as error:
            await client.predict(ONE)
    assert error.value.party == 0
    assert worker.metadata_asked == 0
    assert not any(w.seen for w in workers.parties)


async def test_a_worker_with_a_certificate_of_a_foreign_authority_is_refused(workers: Workers) -> None:
    worker = workers.parties[2]
    await worker.stop()
    worker.authority = Authority.create(NAMESPACE, UID)
    await worker.start()
    async with AsyncClient(workers.connection, deadline=5) as client:
        with pytest.raises(WrongWorker, match=r"worker 2 .*not of this SecureModel's authority"):
            await client.predict(ONE)
    assert worker.metadata_asked == 0


async def test_a_client_with_a_foreign_certificate_is_told_so_before_its_deadline(workers: Workers) -> None:
    foreign = Authority.create(NAMESPACE, UID).issue(Identity.of_client(NAMESPACE, UID, "stranger"))
    stranger = replace(foreign, ca=workers.credentials.ca)
    async with AsyncClient(replace(workers.connection, credentials=stranger), deadline=30) as client:
        with pytest.raises(RequestRefused, match="certificate"):
            await client.predict(ONE)


async def test_a_redirect_is_not_followed(client: AsyncClient, workers: Workers) -> None:
    received: list[bytes] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read(2**16))
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    elsewhere = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

    async def redirect(worker: Worker, request: web.Request, body: bytes) -> web.Response:
        return web.Response(status=307, headers={"Location": elsewhere})

    workers.parties[1].misdeeds.append(redirect)
    async with server:
        with pytest.raises(RequestRefused, match="HTTP 307"):
            await client.predict(ONE)
    assert not received


# --- trying again -------------------------------------------------------------------------------------------------


async def test_after_a_broken_connection_the_same_bytes_are_sent_again(client: AsyncClient, workers: Workers) -> None:
    dropping = workers.parties[1]
    dropping.misdeeds += [drop, drop]
    np.testing.assert_array_equal(await client.predict(ONE), plain(ONE)[0])
    assert len(dropping.seen) == 3
    assert len(set(dropping.seen)) == 1
    assert [len(w.seen) for w in workers.parties] == [1, 3, 1]


async def test_a_request_that_is_asked_again_in_the_same_epoch_is_the_same(
    client: AsyncClient, workers: Workers
) -> None:
    """More broken connections than one epoch's links put up with: the workers are found again, and are the same."""
    for worker in workers.parties:
        worker.misdeeds += [drop] * 4
    np.testing.assert_array_equal(await client.predict(ONE), plain(ONE)[0])
    for worker in workers.parties:
        assert worker.metadata_asked > 1
        assert len(worker.seen) >= 4
        assert len(set(worker.seen)) == 1


async def test_a_kept_connection_that_the_worker_closed_meanwhile_is_replaced(
    client: AsyncClient, workers: Workers
) -> None:
    await client.predict(ONE)
    await workers.restart(epoch=1)
    np.testing.assert_array_equal(await client.predict(ONE), plain(ONE)[0])


async def test_shares_made_for_one_epoch_never_reach_another(client: AsyncClient, workers: Workers) -> None:
    await client.predict(ONE)

    async def next_epoch(worker: Worker, request: web.Request, body: bytes) -> web.StreamResponse | None:
        # Not the client's view of it: the worker restarts while it holds the request.
        worker.misdeeds.clear()
        restart.set()
        await asyncio.Event().wait()
        return None

    restart = asyncio.Event()
    workers.parties[0].misdeeds.append(next_epoch)
    asking = asyncio.create_task(client.predict(ONE))
    await restart.wait()
    await until(lambda: all(len(worker.seen) == 2 for worker in workers.parties))
    before = [set(worker.seen) for worker in workers.parties]
    for worker in workers.parties:
        worker.seen.clear()
        worker.misdeeds.clear()
    await workers.restart(epoch=2)
    np.testing.assert_array_equal(await asking, plain(ONE)[0])
    for old, worker in zip(before, workers.parties, strict=True):
        assert {request_id for request_id, _ in old}.isdisjoint(ids(worker))
        old_shares = {body[-96:] for _, body in old}
        assert old_shares.isdisjoint(body[-96:] for _, body in worker.seen)


@pytest.mark.parametrize("reason", [Reason.EPOCH_ENDED, Reason.NOT_READY])
async def test_a_worker_that_does_not_serve_right_now_is_asked_again(
    client: AsyncClient, workers: Workers, reason: Reason
) -> None:
    workers.parties[1].misdeeds += [refuse(reason)] * 2
    np.testing.assert_array_equal(await client.predict(ONE), plain(ONE)[0])
    assert len(set(workers.parties[1].seen)) == 1


async def test_a_busy_worker_is_asked_again_with_the_same_bytes(client: AsyncClient, workers: Workers) -> None:
    workers.parties[2].misdeeds += [refuse(Reason.BUSY)] * 3
    np.testing.assert_array_equal(await client.predict(ONE), plain(ONE)[0])
    assert len(workers.parties[2].seen) == 4
    assert len(set(workers.parties[2].seen)) == 1


async def test_a_request_that_a_worker_let_expire_is_asked_anew_with_fresh_shares(
    client: AsyncClient, workers: Workers
) -> None:
    workers.parties[2].misdeeds.append(refuse(Reason.EXPIRED))
    np.testing.assert_array_equal(await client.predict(ONE), plain(ONE)[0])
    first, second = workers.parties[2].seen
    assert first[0] != second[0]
    assert first[1][-96:] != second[1][-96:]


async def test_workers_that_start_later_are_waited_for(workers: Workers) -> None:
    connection = workers.connection
    await workers.parties[0].stop()
    workers.parties[1].program_digest = None
    workers.parties[2].epoch = 7
    async with AsyncClient(connection, deadline=20) as client:
        asking = asyncio.create_task(client.predict(ONE))
        await until(lambda: workers.parties[1].metadata_asked > 1)
        await workers.parties[0].start()
        workers.parties[1].program_digest = "aa" * 32
        await until(lambda: workers.parties[0].metadata_asked > 1)
        assert not any(worker.seen for worker in workers.parties)
        workers.parties[2].epoch = 1
        np.testing.assert_array_equal(await asking, plain(ONE)[0])


async def test_asking_anew_has_an_end(client: AsyncClient, workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "ATTEMPTS", 3)
    workers.parties[0].always = refuse(Reason.EPOCH_ENDED, "the epoch has ended")
    with pytest.raises(WorkersUnreachable, match="worker 0: the epoch has ended"):
        await client.predict(ONE)
    assert len(workers.parties[0].seen) == 3


# --- refusals and deadlines ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("party", [0, 1, 2])
async def test_at_the_quota_the_other_two_workers_are_not_waited_for(
    client: AsyncClient, workers: Workers, party: int
) -> None:
    for worker in workers.parties:
        worker.always = hang
    workers.parties[party].always = refuse(Reason.QUOTA_REACHED, "request quota reached")
    with pytest.raises(QuotaReached, match="request quota reached"):
        await client.predict(ONE)
    assert len(workers.parties[party].seen) == 1


async def test_a_refused_part_ends_the_whole_prediction(client: AsyncClient, workers: Workers) -> None:
    workers.parties[0].misdeeds += [hang, refuse(Reason.QUOTA_REACHED, "request quota reached"), hang]
    with pytest.raises(QuotaReached):
        await client.predict(rows(12))


@pytest.mark.parametrize("reason", [Reason.REQUEST_ID_REUSED, Reason.FORBIDDEN, Reason.TOO_LARGE, Reason.MALFORMED])
async def test_a_refusal_for_good_is_not_tried_again(client: AsyncClient, workers: Workers, reason: Reason) -> None:
    workers.parties[1].misdeeds.append(refuse(reason, "because"))
    with pytest.raises(RequestRefused) as error:
        await client.predict(ONE)
    assert (error.value.party, error.value.reason, error.value.message) == (1, reason.value, "because")
    assert len(workers.parties[1].seen) == 1


async def test_a_worker_that_stays_busy_is_given_up(
    client: AsyncClient, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triveni.client.epoch.BUSY_AFTER_S", (0.0, 0.0))
    workers.parties[0].always = refuse(Reason.BUSY)
    with pytest.raises(RequestRefused) as error:
        await client.predict(ONE)
    assert error.value.reason == "Busy"
    assert len(workers.parties[0].seen) == 3


async def test_the_deadline_ends_a_prediction_that_a_worker_never_answers(
    client: AsyncClient, workers: Workers
) -> None:
    workers.parties[2].always = hang
    with pytest.raises(DeadlineExceeded) as error:
        await client.predict(ONE, deadline=0.3)
    assert error.value.seconds == 0.3


async def test_the_deadline_ends_the_wait_for_a_worker_and_says_which(workers: Workers) -> None:
    connection = workers.connection
    await workers.parties[1].stop()
    async with AsyncClient(connection) as client:
        with pytest.raises(WorkersUnreachable, match=r"within 0\.3 s \(worker 1: connection refused\)"):
            await client.predict(ONE, deadline=0.3)


async def test_after_a_failure_the_client_is_still_of_use(client: AsyncClient, workers: Workers) -> None:
    workers.parties[2].always = hang
    with pytest.raises(DeadlineExceeded):
        await client.predict(ONE, deadline=0.2)
    workers.parties[2].always = None
    np.testing.assert_array_equal(await client.predict(ONE), plain(ONE)[0])


async def test_closing_leaves_no_socket_open_not_even_of_an_unfinished_request(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[socket.socket] = []

    def remember(self: Sockets, address: Any) -> socket.socket:
        made.append(make(self, address))
        return made[-1]

    make = Sockets.__call__
    monkeypatch.setattr(Sockets, "__call__", remember)
    async with AsyncClient(workers.connection) as client:
        await client.describe(deadline=20)
        workers.parties[2].always = hang
        with pytest.raises(DeadlineExceeded):
            await client.predict(ONE, deadline=1)
    assert len(made) == 6
    assert [one.fileno() for one in made] == [-1] * 6


async def test_a_cancelled_prediction_leaves_nothing_running(client: AsyncClient, workers: Workers) -> None:
    workers.parties[0].always = hang
    before = len(asyncio.all_tasks())
    asking = asyncio.create_task(client.predict(ONE))
    await until(lambda: workers.parties[0].seen)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    ours = [t for t in asyncio.all_tasks() if "triveni/client" in str(t.get_coro())]
    assert not ours
    assert before >= 1


# --- workers that are wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("party", [0, 1, 2])
async def test_a_worker_that_changes_both_its_components_is_named(
    client: AsyncClient, workers: Workers, party: int
) -> None:
    workers.parties[party].tamper = lambda component, words: words + 1
    with pytest.raises(AnswersDisagree) as error:
        await client.predict(ONE)
    assert error.value.workers == (party,)


async def test_a_single_changed_component_is_noticed_and_both_its_holders_are_named(
    client: AsyncClient, workers: Workers
) -> None:
    def last_bit(component: int, words: Any) -> Any:
        words[0, 3] ^= component == 1
        return words

    workers.parties[1].tamper = last_bit
    with pytest.raises(AnswersDisagree) as error:
        await client.predict(ONE)
    assert (error.value.components, error.value.workers) == ((1,), (0, 1))


async def test_workers_of_one_epoch_with_different_programs_are_sent_nothing(
    client: AsyncClient, workers: Workers
) -> None:
    workers.parties[2].program_digest = "bb" * 32
    with pytest.raises(WorkersDisagree, match="program_digest"):
        await client.predict(ONE)
    assert not any(worker.seen for worker in workers.parties)


@pytest.mark.parametrize(("field", "value"), [("max_rows", 2), ("answer_bits", 8)])
async def test_a_new_epoch_with_another_model_is_not_sent_the_old_input(
    client: AsyncClient, workers: Workers, field: str, value: int
) -> None:
    workers.parties[0].misdeeds.append(refuse(Reason.EPOCH_ENDED))
    asking = asyncio.create_task(client.predict(rows(3)))
    await until(lambda: workers.parties[0].seen)
    for worker in workers.parties:
        setattr(worker, field, value)
    with pytest.raises(ModelChanged):
        await asking


def answer_with(body: bytes, headers: dict[str, str] | None = None) -> Any:
    async def misdeed(worker: Worker, request: web.Request, received: bytes) -> web.Response:
        return web.Response(body=body, headers=headers)

    return misdeed


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (answer_with(b"hello"), "not JSON"),
        (answer_with(b"{}", {HEADER_LENGTH: "2"}), "outputs"),
        (answer_with(b"x" * 2**17), "bytes"),
    ],
)
async def test_an_answer_that_is_none_is_not_used(
    client: AsyncClient, workers: Workers, answer: Any, problem: str
) -> None:
    workers.parties[1].misdeeds.append(answer)
    with pytest.raises(WrongAnswer, match=problem) as error:
        await client.predict(ONE)
    assert error.value.party == 1


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"id": "another"}, "its id is 'another'"),
        ({"parameters": {"epoch": 2, "party": 0}}, "its epoch is 2, expected 1"),
        ({"parameters": {"epoch": 1, "party": 1}}, "its party is 1, expected 0"),
        ({"parameters": None}, "its epoch is None"),
        ({"names": ["component_0", "component_2"]}, "it holds"),
        ({"shape": (4, 1)}, "has the shape"),
    ],
)
async def test_an_answer_to_something_else_is_not_used(
    client: AsyncClient, workers: Workers, change: dict[str, Any], problem: str
) -> None:
    async def misdeed(worker: Worker, request: web.Request, body: bytes) -> web.Response:
        names = change.get("names", ["component_0", "component_1"])
        tensors = [Tensor(name, np.zeros(change.get("shape", (1, 4)), np.int64)) for name in names]
        header = {"id": worker.seen[-1][0], "parameters": {"epoch": 1, "party": 0}, **change}
        length, chunks = encode({key: header[key] for key in ("id", "parameters")}, tensors, "outputs")
        return web.Response(body=b"".join(chunks), headers={HEADER_LENGTH: str(length)})

    workers.parties[0].misdeeds.append(misdeed)
    with pytest.raises(WrongAnswer, match=problem):
        await client.predict(ONE)


# --- wrong inputs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (np.zeros((3, 2)), r"input is of shape \(3, 2\): \(rows, 2, 3\), or \(2, 3\) for one row, is needed"),
        (np.zeros((1, 1, 2, 3)), "of shape"),
        (np.float64(3), r"of shape \(\)"),
        (np.zeros((0, 2, 3)), "input is empty"),
        (np.zeros((2, 3), complex), "input is of type complex128"),
        (np.full((2, 3), "1"), "of type <U1"),
        (np.full((2, 3), None), "of type object"),
        ([[1, 2, 3], [1, 2]], "not rectangular"),
        (np.array([[0, 0, 0], [0, np.nan, 0]]), r"input\[1, 1\] is NaN"),
        (np.array([[[0, 0, 0], [0, 0, -np.inf]]]), r"input\[0, 1, 2\] is infinite"),
        (np.full((2, 3), 98765.0), r"input\[0, 0\] is too large: finite numbers of at most 1024"),
    ],
)
async def test_a_wrong_input_is_explained_and_nothing_is_sent(
    client: AsyncClient, workers: Workers, x: Any, text: str
) -> None:
    with pytest.raises(WrongInput, match=text) as error:
        await client.predict(x)
    assert not any(worker.seen for worker in workers.parties)
    assert "98765" not in f"{error.value} {error.value!r}"


def test_no_repr_shows_a_key_or_a_share(workers: Workers) -> None:
    shown = repr(workers.connection) + repr(AsyncClient(workers.connection))
    assert "PRIVATE" not in shown
    assert "BEGIN" not in shown
