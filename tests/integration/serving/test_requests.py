"""Requests that a worker refuses, each with its sentence; none of them costs anything or disturbs others."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.cluster import INFER, BareClient, Cluster, Part, Reply, parts_of, revealed, wait_until
from tests.integration.serving.conftest import REQUEST_TIMEOUT_S
from triveni.api.inference import HEADER_LENGTH, Reason, Tensor, encode
from triveni.client import Client, WrongInput
from triveni.identity.tls import client_context
from triveni.mpc.fixedpoint import fixed_point
from triveni.mpc.sharing import split

ROW = (28, 28, 1)


def shares_of(image: NDArray[Any]) -> tuple[NDArray[np.int64], ...]:
    return split(fixed_point("ABY3").encode(image.reshape(-1, *ROW), "input"))


@pytest.fixture(autouse=True)
def goes_on(served: Cluster, digits: NDArray[np.float32], keras_logits: NDArray[np.float32]) -> Iterator[None]:
    """Whatever a test sends, others are answered after it, and only what is answered is counted."""
    yield
    before = [served.status(party) for party in range(3)]
    with Client(served.connection(name="other")) as client:
        assert np.abs(client.predict(digits[1]) - keras_logits[1]).max() < 1e-3
    for party in range(3):
        after = served.status(party)
        assert after["admitted"] == after["answered"] == before[party]["answered"] + 1


# --- what the client itself refuses, before anything is sent ---


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (
            np.zeros((28, 28)),
            "input is of shape (28, 28): (rows, 28, 28, 1), or (28, 28, 1) for one row, is needed",
        ),
        (
            np.zeros((2, 27, 28, 1)),
            "input is of shape (2, 27, 28, 1): (rows, 28, 28, 1), or (28, 28, 1) for one row, is needed",
        ),
        (np.zeros((0, 28, 28, 1)), "input is empty: at least one row is needed"),
        (np.full(ROW, "seven"), "input is of type <U5: real numbers (float, int or bool) are needed"),
        (np.full(ROW, 1j), "input is of type complex128: real numbers (float, int or bool) are needed"),
        ([[1.0], [1.0, 2.0]], "input is not rectangular: all rows must have the same shape"),
        (np.full(ROW, np.nan), "input[0, 0, 0] is NaN: finite numbers of at most 1024 can be sent"),
        (np.full(ROW, -np.inf), "input[0, 0, 0] is infinite: finite numbers of at most 1024 can be sent"),
        (np.full((1, *ROW), 1025.0), "input[0, 0, 0, 0] is too large: finite numbers of at most 1024 can be sent"),
    ],
    ids=["flat", "other-size", "no-rows", "texts", "complex", "ragged", "nan", "infinite", "too-large"],
)
def test_an_input_that_cannot_be_predicted_is_refused_by_the_client_and_nothing_is_sent(
    served: Cluster, x: Any, says: str
) -> None:
    with Client(served.connection()) as client, pytest.raises(WrongInput, match=f"^{re.escape(says)}$"):
        client.predict(x)
    assert nobody_waits(served)()


# --- what the worker refuses ---

Words = NDArray[np.int64]


def body_of(tensors: list[Tensor], request_id: Any = "bad", **change: Any) -> Part:
    """A request for worker 0; `change` alters the descriptions of its tensors."""
    _, chunks = encode({"id": request_id}, tensors)
    header = json.loads(bytes(chunks[0]))
    for described in header["inputs"]:
        described.update(change)
    text = json.dumps(header).encode()
    data = b"".join(bytes(chunk) for chunk in chunks[1:])
    return Part(text + data, {HEADER_LENGTH: str(len(text))})


def words(*shape: int) -> Words:
    return np.ones(shape, np.int64)


def of_shapes(first: tuple[int, ...], second: tuple[int, ...] | None = None, **change: Any) -> Part:
    second = first if second is None else second
    return body_of([Tensor("component_0", words(*first)), Tensor("component_1", words(*second))], **change)


def with_headers(part: Part, **headers: str) -> Part:
    return Part(part.body, {**part.headers, **{name.replace("_", "-"): value for name, value in headers.items()}})


GOOD = of_shapes((1, *ROW))
LONGEST = 32 * 2 * 8 * 28 * 28 + (16 << 10)
NEEDED = "[rows, 28, 28, 1] with 1 to 32 rows, the same for all, is needed"

MALFORMED: dict[str, tuple[Part, Reason, str]] = {
    "a row of another shape": (
        of_shapes((1, 28, 27, 1)),
        Reason.WRONG_SHAPE,
        f"inputs[0].shape: [1, 28, 27, 1]; {NEEDED}",
    ),
    "a flat row": (of_shapes((1, 784)), Reason.WRONG_SHAPE, f"inputs[0].shape: [1, 784]; {NEEDED}"),
    "no rows": (of_shapes((0, *ROW)), Reason.WRONG_SHAPE, f"inputs[0].shape: [0, 28, 28, 1]; {NEEDED}"),
    "too many rows": (of_shapes((33, *ROW)), Reason.WRONG_SHAPE, f"inputs[0].shape: [33, 28, 28, 1]; {NEEDED}"),
    "two numbers of rows": (
        of_shapes((1, *ROW), (2, *ROW)),
        Reason.WRONG_SHAPE,
        f"inputs[1].shape: [2, 28, 28, 1]; {NEEDED}",
    ),
    "a negative size": (
        of_shapes((1, *ROW), shape=[-1, 28, 28, 1]),
        Reason.WRONG_SHAPE,
        "inputs[0].shape: [-1, 28, 28, 1]; a list of at most 8 whole numbers is needed",
    ),
    "another worker's components": (
        body_of([Tensor("component_1", words(1, *ROW)), Tensor("component_2", words(1, *ROW))]),
        Reason.MALFORMED,
        "inputs: ('component_1', 'component_2'); worker 0 takes component_0 and component_1",
    ),
    "one component": (
        body_of([Tensor("component_0", words(1, *ROW))]),
        Reason.MALFORMED,
        "inputs: ('component_0',); worker 0 takes component_0 and component_1",
    ),
    "floating point": (
        of_shapes((1, *ROW), datatype="FP64"),
        Reason.WRONG_TYPE,
        "inputs[0].datatype: 'FP64'; shares are words of datatype INT64",
    ),
    "texts": (
        of_shapes((1, *ROW), datatype="BYTES"),
        Reason.WRONG_TYPE,
        "inputs[0].datatype: 'BYTES'; shares are words of datatype INT64",
    ),
    "another size than its shape": (
        of_shapes((1, *ROW), parameters={"binary_data_size": 8}),
        Reason.MALFORMED,
        "inputs[0].parameters.binary_data_size: 8; its shape needs 6272 bytes",
    ),
    "plain numbers with a fraction": (
        Part(
            json.dumps(
                {
                    "id": "bad",
                    "inputs": [
                        {"name": f"component_{c}", "datatype": "INT64", "shape": [1, *ROW], "data": [0.5] * 784}
                        for c in (0, 1)
                    ],
                }
            ).encode(),
            {},
        ),
        Reason.WRONG_TYPE,
        (
            "inputs[0].data: missing or not 64-bit whole numbers only; "
            "send them, or the tensor's bytes and parameters.binary_data_size"
        ),
    ),
    "a header length that is no number": (
        with_headers(GOOD, Inference_Header_Content_Length="many"),
        Reason.MALFORMED,
        f"{HEADER_LENGTH}: 'many'; the number of bytes of the JSON header is needed",
    ),
    "a header longer than the body": (
        with_headers(GOOD, Inference_Header_Content_Length=str(len(GOOD.body) + 1)),
        Reason.MALFORMED,
        f"{HEADER_LENGTH}: {len(GOOD.body) + 1}; 2 to {len(GOOD.body)} is possible for this body",
    ),
    "a header cut short": (
        with_headers(GOOD, Inference_Header_Content_Length="40"),
        Reason.MALFORMED,
        "body: not JSON; a JSON object is needed",
    ),
    "no header length": (Part(GOOD.body, {}), Reason.MALFORMED, "body: not JSON; a JSON object is needed"),
    "nothing": (Part(b"", {}), Reason.MALFORMED, "body: not JSON; a JSON object is needed"),
    "a list": (Part(b"[]", {}), Reason.MALFORMED, "body: a JSON list; a JSON object is needed"),
    "no tensors": (
        Part(b'{"id": "bad", "inputs": []}', {}),
        Reason.MALFORMED,
        "inputs: (); worker 0 takes component_0 and component_1",
    ),
    "a body that ends early": (
        Part(GOOD.body[:-8], GOOD.headers),
        Reason.MALFORMED,
        "body: ends 8 bytes too early; inputs[1] needs 6272 bytes",
    ),
    "a body that goes on": (
        Part(GOOD.body + bytes(8), GOOD.headers),
        Reason.MALFORMED,
        "body: 8 bytes more than its tensors; send their sizes' sum",
    ),
    "a body that is too large": (
        Part(bytes(LONGEST + 1), GOOD.headers),
        Reason.TOO_LARGE,
        f"body: {LONGEST + 1} bytes; at most {LONGEST} are taken here",
    ),
    "a compressed body": (
        with_headers(GOOD, Content_Encoding="gzip"),
        Reason.MALFORMED,
        "Content-Encoding: shares do not compress; send the body as it is",
    ),
    "no id": (
        of_shapes((1, *ROW), request_id=None),
        Reason.MALFORMED,
        "id: None; a text of 1 to 128 characters is needed",
    ),
    "an id that is too long": (
        of_shapes((1, *ROW), request_id="x" * 129),
        Reason.MALFORMED,
        f"id: {'x' * 129!r:.80}; a text of 1 to 128 characters is needed",
    ),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_request_is_refused_with_what_to_send_instead(served: Cluster, what: str) -> None:
    part, reason, says = MALFORMED[what]
    assert served.ask(0, "POST", INFER, part.body, part.headers).refusal == (reason.status, reason, says)


def test_a_body_of_unknown_size_is_refused(served: Cluster) -> None:
    headers = dict(GOOD.headers) | {"Transfer-Encoding": "chunked"}
    refusal = served.ask(0, "POST", INFER, b"0\r\n\r\n", headers).refusal
    assert refusal == (400, Reason.MALFORMED, "Content-Length: missing; send it")


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v2/models/other/infer"), ("GET", INFER), ("DELETE", "/v2"), ("GET", "/../etc")]
)
def test_what_is_not_there_is_said_to_be_not_there(served: Cluster, method: str, path: str) -> None:
    says = f"there is no {method} {path} here"
    assert served.ask(0, method, path).refusal == (404, Reason.NOT_FOUND, says)


# --- ids ---


def answered(served: Cluster) -> list[int]:
    return [served.status(party)["answered"] for party in range(3)]


def test_the_same_request_again_gets_the_same_answer_and_is_counted_once(
    served: Cluster, digits: NDArray[np.float32], keras_logits: NDArray[np.float32]
) -> None:
    before = answered(served)
    parts = parts_of("again", shares_of(digits[2]))
    with BareClient(served) as client:
        first, second = client.send(parts), client.send(parts)
    assert [reply.body for reply in first] == [reply.body for reply in second]
    assert np.abs(revealed(first) - keras_logits[2]).max() < 1e-3
    assert answered(served) == [count + 1 for count in before]


def test_an_id_that_was_used_for_something_else_is_refused(served: Cluster, digits: NDArray[np.float32]) -> None:
    with BareClient(served) as client:
        revealed(client.send(parts_of("used", shares_of(digits[3]))))
        replies = client.send(parts_of("used", shares_of(digits[3])))
    says = "this id was used for another request; give each request an id of its own"
    assert [reply.refusal for reply in replies] == [(409, Reason.REQUEST_ID_REUSED, says)] * 3


def test_two_clients_may_use_the_same_id(
    served: Cluster, digits: NDArray[np.float32], keras_logits: NDArray[np.float32]
) -> None:
    with BareClient(served, "first") as first, BareClient(served, "second") as second:
        for client, number in (first, 4), (second, 5):
            answer = revealed(client.send(parts_of("shared", shares_of(digits[number]))))
            assert np.abs(answer - keras_logits[number]).max() < 1e-3


# --- requests that never become whole ---


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_request_whose_other_shares_never_come_expires_while_others_are_served(
    served: Cluster, digits: NDArray[np.float32], missing: int
) -> None:
    parts = parts_of(f"half-{missing}", shares_of(digits[6]))
    there = sorted({0, 1, 2} - {missing})
    began = time.monotonic()
    with ThreadPoolExecutor(2) as threads:
        waiting = [
            threads.submit(served.ask, party, "POST", INFER, parts[party].body, parts[party].headers, timeout_s=10)
            for party in there
        ]
        with Client(served.connection()) as client:
            client.predict(digits[:2])
        replies = [one.result(20) for one in waiting]
    says = "the shares of this request did not reach all three workers in time"
    assert [reply.refusal for reply in replies] == [(504, Reason.EXPIRED, says)] * 2
    assert REQUEST_TIMEOUT_S * 0.9 < time.monotonic() - began < REQUEST_TIMEOUT_S + 4


def nobody_waits(served: Cluster) -> Callable[[], bool]:
    return lambda: all(served.status(party)["requests_waiting"] == 0 for party in range(3))


def open_connection(served: Cluster, party: int) -> socket.socket:
    """A connection of a client, to write to by hand."""
    context = client_context(served.client_credentials("careless"))
    return context.wrap_socket(socket.create_connection(served.address(party), timeout=10))


def request_text(part: Part) -> bytes:
    headers = "".join(f"{name}: {value}\r\n" for name, value in part.headers.items())
    return f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(part.body)}\r\n{headers}\r\n".encode() + part.body


def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing_behind(served: Cluster) -> None:
    with closing(open_connection(served, 0)) as connection:
        connection.sendall(request_text(GOOD)[:-100])
    wait_until(nobody_waits(served), 10)


def test_a_client_that_leaves_before_its_answer_leaves_nothing_behind(
    served: Cluster, digits: NDArray[np.float32]
) -> None:
    parts = parts_of("left", shares_of(digits[7]))
    began = time.monotonic()
    with closing(open_connection(served, 1)) as one, closing(open_connection(served, 2)) as other:
        one.sendall(request_text(parts[1]))
        other.sendall(request_text(parts[2]))
        wait_until(lambda: served.status(1)["requests_waiting"] == served.status(2)["requests_waiting"] == 1, 10)
    wait_until(nobody_waits(served), 10)
    assert time.monotonic() - began < REQUEST_TIMEOUT_S, "it was not noticed, but expired"


def test_a_body_that_does_not_come_in_time_is_given_up(served: Cluster) -> None:
    with closing(open_connection(served, 2)) as connection:
        connection.sendall(request_text(GOOD)[:-100])
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 504 ")
    body = Reply(504, {}, answer.partition(b"\r\n\r\n")[2])
    size = len(GOOD.body)
    says = f"body: {size - 100} of {size} bytes came within {REQUEST_TIMEOUT_S:g} s"
    assert body.refusal == (504, Reason.EXPIRED, says)
