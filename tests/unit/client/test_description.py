"""What workers say of themselves: accepted exactly, or refused by field."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from tests.unit.client.three_workers import INPUT_SHAPE, NAMESPACE, UID, Workers, three_workers
from triveni.api.inference import Reason, error_body
from triveni.client import AsyncClient, QuotaReached, RequestRefused, WrongAnswer
from triveni.client.description import Description
from triveni.client.errors import WorkersUnreachable


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with three_workers() as workers:
        yield workers


async def describe(workers: Workers, deadline: float = 10) -> Description:
    async with AsyncClient(workers.connection, deadline=deadline) as client:
        return await client.describe()


async def test_a_sound_description_is_read(workers: Workers) -> None:
    assert await describe(workers) == Description(1, "ABY3", "aa" * 32, INPUT_SHAPE, (4,), 4)


async def test_of_a_description_with_rounded_answers_their_bits_are_read(workers: Workers) -> None:
    for worker in workers.parties:
        worker.answer_bits = 8
    description = await describe(workers)
    assert description.answer_bits == 8
    assert (description.numbers.fractional_bits, description.answer_numbers.fractional_bits) == (20, 8)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("architecture", {"answer": {"fractional_bits": 99}}, "its architecture is none: "),
        ("parameters", None, "has no parameters"),
        ("namespace", "other", f"its namespace is 'other', expected '{NAMESPACE}'"),
        ("uid", "other", f"its uid is 'other', expected '{UID}'"),
        ("party", 2, "its party is 2, expected 1"),
        ("fractional_bits", 16, "its fractional_bits is 16, expected 20"),
        ("input_range", {"min": 1, "max": 1}, "its input_range is no range: two numbers are needed, min less than max"),
        ("input_range", "0,1", "its input_range is no range"),
        ("max_rows", 0, "its max_rows is no number of at least 1"),
        ("epoch", "1", "its epoch is no number of at least 1"),
        ("protocol", "Shamir", "its protocol is 'Shamir', expected ABY3 or SecureNN"),
        ("protocol", [], "its protocol is "),
        ("protocol", "SecureNN", "its fractional_bits is 20, expected 16"),
        ("input_shape", None, "its input_shape is None, expected the sizes of a row"),
        ("output_shape", [4, "4"], "its output_shape is "),
        ("output_shape", [0], "its output_shape is "),
        ("output_shape", [5], "its outputs are not components of rows"),
        ("inputs", [], "its inputs are not components of rows"),
        ("inputs", 4, "its inputs are not components of rows"),
        ("outputs", [{"name": "component_1", "shape": [-1, 4]}], "its outputs are not components of rows"),
        ("outputs", [{"name": "component_1", "shape": [-1, "4"]}] * 2, "its outputs are not components of rows"),
    ],
)
async def test_a_description_with_a_wrong_field_is_refused(
    workers: Workers, field: str, value: Any, problem: str
) -> None:
    def change(response: web.Response) -> web.Response:
        assert isinstance(response.body, bytes)
        document = json.loads(response.body)
        (document if field in document else document["parameters"])[field] = value
        return web.json_response(document)

    workers.parties[1].reword = change
    with pytest.raises(WrongAnswer, match=problem) as error:
        await describe(workers)
    assert error.value.party == 1


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "[]"])
async def test_what_is_no_description_is_refused(workers: Workers, text: str) -> None:
    workers.parties[1].reword = lambda _: web.Response(text=text)
    with pytest.raises(WrongAnswer, match="its metadata"):
        await describe(workers)


@pytest.mark.parametrize(
    ("reason", "kind", "text"),
    [
        (Reason.QUOTA_REACHED, QuotaReached, "because"),
        (Reason.NOT_FOUND, RequestRefused, r"worker 1 refused the request \(NotFound\): because"),
        (Reason.FORBIDDEN, RequestRefused, "Forbidden"),
        (Reason.NOT_READY, WorkersUnreachable, r"within 0\.3 s \(worker 1: because\)"),
        (Reason.BUSY, WorkersUnreachable, "worker 1: because"),
    ],
)
async def test_a_refusal_to_describe_ends_the_search_unless_waiting_helps(
    workers: Workers, reason: Reason, kind: type[Exception], text: str
) -> None:
    workers.parties[1].reword = lambda _: web.Response(status=reason.status, body=error_body(reason, "because"))
    with pytest.raises(kind, match=text):
        await describe(workers, deadline=0.3 if kind is WorkersUnreachable else 10)
