"""The HTTPS front over real TLS, with a pretended worker behind it."""

import asyncio
import io
import json
from collections.abc import AsyncIterator

import aiohttp
import numpy as np
import pytest

from tests.unit.worker.fronts import (
    MAX_ROWS,
    ROW,
    ROW_BYTES,
    SHARE_BYTES,
    Served,
    body_of,
    reason,
    serving,
    tensors,
)
from triveni.api.inference import HEADER_LENGTH, Reason, Tensor, decode, encode_json
from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity
from triveni.identity.tls import client_context
from triveni.worker.front import ARCHITECTURE_BYTES, HEADER_SLACK
from triveni.worker.refusal import Refused
from triveni.worker.state import State


@pytest.fixture
async def served(authority: Authority, worker_credentials: list[Credentials]) -> AsyncIterator[Served]:
    async with serving(authority, worker_credentials) as one:
        yield one


async def test_in_securenn_worker_2_takes_the_number_of_rows_and_answers_without_tensors(
    authority: Authority, worker_credentials: list[Credentials]
) -> None:
    async with serving(authority, worker_credentials, 2, "SecureNN") as served:
        status, headers, body = await served.infer(*body_of([], parameters={"rows": 2}))
        assert status == 200
        header, outputs = decode(body, headers[HEADER_LENGTH], "outputs")
        assert (header["parameters"], outputs) == ({"epoch": 1, "party": 2}, [])
        for parameters in ({}, {"rows": 0}, {"rows": MAX_ROWS + 1}, {"rows": "2"}, {"rows": True}, []):
            status, _, body = await served.infer(*body_of([], parameters=parameters))
            assert status == 400
            assert b"parameters.rows" in body
        status, _, body = await served.infer(*body_of(tensors()))
        assert status == 400
        assert b"worker 2 takes none" in body


async def test_an_answer_carries_both_components_and_who_gave_it(served: Served) -> None:
    status, headers, body = await served.infer(*body_of(tensors()))
    assert status == 200
    header, outputs = decode(body, headers[HEADER_LENGTH], "outputs")
    assert header == {"model_name": "mnist", "id": "r1", "parameters": {"epoch": 1, "party": 1}}
    assert [tensor.name for tensor in outputs] == ["component_1", "component_2"]
    assert all(np.array_equal(got.data, sent.data) for got, sent in zip(outputs, tensors(), strict=True))
    assert int(headers["Content-Length"]) == len(body)


async def test_a_request_in_plain_json_gets_an_answer_in_plain_json(served: Served) -> None:
    status, headers, body = await served.infer(encode_json({"id": "r1"}, tensors()))
    assert status == 200
    assert HEADER_LENGTH not in headers
    _, outputs = decode(body, None, "outputs")
    assert np.array_equal(outputs[1].data, tensors()[1].data)


async def test_a_body_whose_words_are_not_aligned_is_read_right(served: Served) -> None:
    body, length = body_of(tensors())
    status, headers, answer = await served.infer(b" " + body, length + 1)
    assert status == 200
    _, outputs = decode(answer, headers[HEADER_LENGTH], "outputs")
    assert np.array_equal(outputs[0].data, tensors()[0].data)


async def test_requests_are_known_by_their_client_and_id_and_their_whole_body(served: Served) -> None:
    bob = served.session(Identity.of_client("default", "uid", "bob"))
    body, length = body_of(tensors())
    await served.infer(body, length)
    await served.infer(*body_of(tensors(3)))
    async with bob.post("/v2/models/mnist/infer", data=body, headers={HEADER_LENGTH: str(length)}) as response:
        assert response.status == 200
    (key_1, digest_1), (key_2, digest_2), (key_3, digest_3) = served.host.desk.asked
    assert (key_1, key_2, key_3) == ("alice/r1", "alice/r1", "bob/r1")
    assert digest_1 == digest_3 != digest_2


@pytest.mark.parametrize(
    ("given", "header", "field", "expected"),
    [
        (tensors(), {"id": None}, "id", Reason.MALFORMED),
        (tensors(), {"id": ""}, "id", Reason.MALFORMED),
        (tensors(), {"id": "x" * 129}, "id", Reason.MALFORMED),
        (tensors(), {"id": 7}, "id", Reason.MALFORMED),
        (tensors()[:1], {}, "inputs", Reason.MALFORMED),
        (tensors()[::-1], {}, "inputs", Reason.MALFORMED),
        ([*tensors(), Tensor("component_0", np.zeros((2, *ROW), np.int64))], {}, "inputs", Reason.MALFORMED),
        (tensors(0), {}, "inputs[0].shape", Reason.WRONG_SHAPE),
        (tensors(2, (3, 2)), {}, "inputs[0].shape", Reason.WRONG_SHAPE),
        (tensors(2, (6,)), {}, "inputs[0].shape", Reason.WRONG_SHAPE),
        ([tensors(2)[0], tensors(1)[1]], {}, "inputs[1].shape", Reason.WRONG_SHAPE),
        ([Tensor("component_1", np.array(1)), tensors()[1]], {}, "inputs[0].shape", Reason.WRONG_SHAPE),
    ],
)
async def test_a_request_that_does_not_fit_is_told_which_field(
    served: Served, given: list[Tensor], header: dict, field: str, expected: Reason
) -> None:
    status, _, body = await served.infer(*body_of(given, **header))
    document = json.loads(body)
    assert (status, document["reason"]) == (expected.status, expected)
    assert document["error"].startswith(f"{field}: ")
    assert served.host.desk.asked == []


async def test_more_rows_than_allowed_are_refused(served: Served) -> None:
    status, _, body = await served.infer(*body_of(tensors(MAX_ROWS + 1)))
    assert (status, json.loads(body)["reason"]) == (400, "WrongShape")
    assert "1 to 4 rows" in json.loads(body)["error"]


async def test_floating_point_numbers_are_refused_as_the_wrong_type(served: Served) -> None:
    body = encode_json({"id": "r1"}, tensors()).replace(b"INT64", b"FP64")
    status, _, answer = await served.infer(body)
    assert (status, json.loads(answer)["reason"]) == (400, "WrongType")


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(served: Served) -> None:
    status, _, body = await served.infer(bytes(MAX_ROWS * ROW_BYTES + HEADER_SLACK + 1), 2)
    assert (status, json.loads(body)["reason"]) == (413, "TooLarge")


async def test_a_body_of_unknown_length_is_refused(served: Served) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"{}"

    async with served.alice.post("/v2/models/mnist/infer", data=pieces()) as response:
        assert await reason(response) is Reason.MALFORMED
        assert "Content-Length" in (await response.json())["error"]


async def test_a_compressed_body_is_refused(served: Served) -> None:
    status, _, body = await served.infer(b"xx", 2, **{"Content-Encoding": "gzip"})
    assert (status, json.loads(body)["reason"]) == (400, "Malformed")


@pytest.mark.parametrize("length", ["", "x", "0", "99999"])
async def test_a_wrong_header_length_is_refused(served: Served, length: str) -> None:
    status, _, body = await served.infer(b'{"id":"r"}', None, **{HEADER_LENGTH: length})
    assert (status, json.loads(body)["reason"]) == (400, "Malformed")


async def test_a_body_that_stops_coming_is_not_waited_for(served: Served) -> None:
    context = client_context(served._authority.issue(Identity.of_client("default", "uid", "slow")))
    port = int(served.base.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    writer.write(b"POST /v2/models/mnist/infer HTTP/1.1\r\nHost: w\r\nContent-Length: 100\r\n\r\nhalf")
    head = await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)
    assert b" 504 " in head
    writer.close()


async def test_what_the_desk_refuses_is_told_with_its_reason(served: Served) -> None:
    async def refuse() -> None:
        raise Refused(Reason.QUOTA_REACHED, "request quota reached")

    served.host.desk.act = refuse
    status, _, body = await served.infer(*body_of(tensors()))
    assert (status, json.loads(body)) == (403, {"error": "request quota reached", "reason": "QuotaReached"})


async def test_a_client_that_goes_away_does_not_wait_any_more(served: Served) -> None:
    waiting = asyncio.Event()
    served.host.desk.act = waiting.wait
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(served.infer(*body_of(tensors())), 0.3)
    async with asyncio.timeout(5):
        while not served.host.desk.left:  # noqa: ASYNC110 (the server's side of it gives no event)
            await asyncio.sleep(0.01)
    assert served.host.desk.left == ["alice/r1"]


@pytest.mark.parametrize("path", ["/v2/models/mnist", "/v2/models/mnist/ready", "/v2/health/ready"])
async def test_before_serving_the_worker_says_what_it_waits_for(served: Served, path: str) -> None:
    served.host.state = State.WAITING_FOR_SHARES
    served.host.refusal = Refused(Reason.NOT_READY, "the worker is in state WaitingForShares")
    async with served.alice.get(path) as response:
        assert await reason(response) is Reason.NOT_READY
        assert "WaitingForShares" in (await response.json())["error"]
    status, _, body = await served.infer(*body_of(tensors()))
    assert (status, json.loads(body)["reason"]) == (503, "NotReady")


@pytest.mark.parametrize(
    "path", ["/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/mnist", "/triveni/v1/status"]
)
async def test_what_is_public_is_told_to_clients_and_to_the_sharing_job(served: Served, path: str) -> None:
    for session in (served.alice, served.sharing):
        async with session.get(path) as response:
            assert response.status == 200
            assert isinstance(await response.json(), dict)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/v2/models/other"), ("PUT", "/v2"), ("POST", "/v2/models/mnist"), ("GET", "/v2/../v2x")],
)
async def test_an_unknown_route_is_not_found(served: Served, method: str, path: str) -> None:
    async with served.alice.request(method, path) as response:
        assert await reason(response) is Reason.NOT_FOUND


@pytest.mark.parametrize(
    ("who", "method", "path"),
    [
        (Identity.of_client("default", "uid", "eve"), "PUT", "/triveni/v1/shares"),
        (Identity.of_client("default", "uid", "eve"), "PUT", "/triveni/v1/architecture"),
        (Identity.sharing_job("default", "uid", 1), "POST", "/v2/models/mnist/infer"),
        (Identity.worker("default", "uid", 1, 0), "GET", "/v2"),
        (Identity.sharing_job("default", "uid", 2), "PUT", "/triveni/v1/shares"),
    ],
    ids=str,
)
async def test_whoever_has_another_role_or_epoch_is_forbidden_and_logged_once(
    served: Served, who: Identity, method: str, path: str
) -> None:
    session = served.session(who)
    for _ in range(2):
        async with session.request(method, path, data=b"{}") as response:
            assert await reason(response) is Reason.FORBIDDEN
    logged = [line for line in served.log if line["event"] == "request forbidden"]
    assert [line["who"] for line in logged] == [who.uri]
    assert served.host.loaded == served.host.architectures == []


async def test_a_certificate_for_another_secure_model_is_forbidden(served: Served) -> None:
    served._authority = Authority("default", "uid", served._authority.certificate, served._authority.key)
    for namespace, uid in (("other", "uid"), ("default", "other")):
        issuer = Authority(namespace, uid, served._authority.certificate, served._authority.key)
        session = served.session_with(issuer.issue(Identity.of_client(namespace, uid, "alice")))
        async with session.get("/v2") as response:
            assert await reason(response) is Reason.FORBIDDEN


async def test_a_certificate_of_another_authority_does_not_pass_tls(served: Served, authority: Authority) -> None:
    foreign = Authority.create("default", "uid").issue(Identity.of_client("default", "uid", "alice"))
    mine = authority.issue(Identity.of_client("default", "uid", "alice"))
    session = served.session_with(Credentials(foreign.certificate, foreign.key, mine.ca))
    with pytest.raises(aiohttp.ClientError):
        async with session.get("/v2"):
            pass


async def test_the_sharing_job_hands_over_the_architecture(served: Served) -> None:
    async with served.sharing.put(
        "/triveni/v1/architecture", json={"protocol": "ABY3", "architecture": {}}
    ) as response:
        assert await response.json() == {"program_digest": "ab"}
    assert served.host.architectures == [{"protocol": "ABY3", "architecture": {}}]


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 10_000])
async def test_an_architecture_that_is_no_json_is_refused(served: Served, data: bytes) -> None:
    async with served.sharing.put("/triveni/v1/architecture", data=data) as response:
        assert await reason(response) is Reason.MALFORMED


async def test_weight_shares_are_overwritten_once_they_are_loaded(served: Served) -> None:
    body, length = body_of([Tensor("dense/component_1", np.array([41, 42]))])
    async with served.sharing.put("/triveni/v1/shares", data=body, headers={HEADER_LENGTH: str(length)}) as response:
        assert response.status == 200
    assert served.host.copies[0].tolist() == [41, 42]
    assert not served.host.loaded[0][0].data.any()


async def test_more_weight_shares_than_expected_are_refused(served: Served) -> None:
    async with served.sharing.put(
        "/triveni/v1/shares", data=io.BytesIO(bytes(SHARE_BYTES + ARCHITECTURE_BYTES + 1))
    ) as response:
        assert await reason(response) is Reason.TOO_LARGE


async def test_a_fault_of_the_worker_is_no_text_for_a_client_and_no_data_in_the_log(served: Served) -> None:
    served.host.fault = ZeroDivisionError("the share 4242")
    async with served.alice.get("/triveni/v1/status") as response:
        assert response.status == 500
        assert "4242" not in await response.text()
    (line,) = [line for line in served.log if line["event"] == "a request failed"]
    assert line["exception"] == "ZeroDivisionError"
    assert any("status" in at for at in line["at"])
    assert "4242" not in json.dumps(served.log)


async def test_no_word_of_a_request_or_of_weights_is_in_the_log(served: Served) -> None:
    """Served, refused and failed, at the level that tells the most."""
    word = 0x0123_4567_89AB_CDEF
    request = [Tensor(f"component_{c}", np.full((1, *ROW), word)) for c in (1, 2)]
    assert (await served.infer(*body_of(request)))[0] == 200
    assert (await served.infer(*body_of(request[:1])))[0] == 400
    weights, length = body_of([Tensor("dense/component_1", np.array([word]))])
    async with served.sharing.put("/triveni/v1/shares", data=weights, headers={HEADER_LENGTH: str(length)}) as response:
        assert response.status == 200
    served.host.fault = ValueError(str(word))
    async with served.alice.get("/triveni/v1/status") as response:
        assert response.status == 500
    said = json.dumps(served.log)
    assert "a request failed" in said
    assert not [form for form in (str(word), f"{word:x}", str(word.to_bytes(8, "little"))[2:-1]) if form in said]


async def test_answers_that_are_being_sent_leave_before_the_front_stops(served: Served) -> None:
    waiting = asyncio.Event()
    served.host.desk.act = waiting.wait
    asking = asyncio.create_task(served.infer(*body_of(tensors())))
    async with asyncio.timeout(5):
        while not served.host.desk.asked:  # noqa: ASYNC110 (the server's side of it gives no event)
            await asyncio.sleep(0.01)
    stopping = asyncio.create_task(served.front.stop())
    for _ in range(100):  # turns of the event loop, in which an impatient front would be gone
        await asyncio.sleep(0)
    waiting.set()
    assert (await asyncio.wait_for(asking, 5))[0] == 200
    await asyncio.wait_for(stopping, 5)
    with pytest.raises(aiohttp.ClientError):
        await served.infer(*body_of(tensors()))
