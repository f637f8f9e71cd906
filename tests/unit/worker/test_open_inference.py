"""The front as the Open Inference Protocol describes it: what every answer has to hold, for requests right and wrong.

The protocol's document says nothing of tensors in the binary form; those are checked in test_front.py.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.fuzz import mutation
from tests.unit.mpc.execute.machine_programs import product_program
from tests.unit.sharing.keras_files import small_file
from tests.unit.worker.fronts import Served, body_of, serving, tensors
from tests.unit.worker.published import require
from triveni.api.inference import HEADER_LENGTH, encode_json
from triveni.identity.authority import Authority
from triveni.identity.credentials import Credentials
from triveni.identity.names import Identity
from triveni.mpc.input_range import InputRange
from triveni.mpc.schedule import Schedule
from triveni.sharing.keras_file import parse_model
from triveni.worker.config import Address, Config
from triveni.worker.model import Model, metadata

INPUTS = 1500
"""Requests with something changed."""

MODEL = "/v2/models/mnist"
VERSION = f"{MODEL}/versions/1"


def require_refusal(document: Any) -> None:
    """An error of the protocol, with the reason that triveni's have."""
    require("inference_error_response", document)
    assert isinstance(document["error"], str)
    assert isinstance(document["reason"], str)


@pytest.fixture
async def served(authority: Authority, worker_credentials: list[Credentials]) -> AsyncIterator[Served]:
    async with serving(authority, worker_credentials) as one:
        yield one


async def asked(served: Served, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    """Status and document of an answer; no document if it is in the binary form."""
    async with served.alice.request(method, path, data=body, headers=headers) as response:
        data = await response.read()
        return response.status, None if HEADER_LENGTH in response.headers else json.loads(data)


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
async def test_the_description_of_the_server_is_as_the_protocol_says(served: Served, path: str) -> None:
    status, document = await asked(served, "GET", path)
    assert status == 200
    require("metadata_server_response", document)


@pytest.mark.parametrize("path", ["/v2/health/live", "/v2/health/ready", f"{MODEL}/ready", f"{VERSION}/ready"])
async def test_health_is_told(served: Served, path: str) -> None:
    assert (await asked(served, "GET", path))[0] == 200


@pytest.mark.parametrize("path", [MODEL, VERSION])
@pytest.mark.parametrize("party", range(3))
async def test_the_description_of_a_model_is_as_the_protocol_says(served: Served, path: str, party: int) -> None:
    assert (await asked(served, "GET", path))[0] == 200
    require("metadata_model_response", described(party))


def described(party: int) -> Any:
    """The real one: the worker behind this front is pretended."""
    here = Address("127.0.0.1", 1)
    config = Config(namespace="n", uid="u", name="m", epoch=1, party=party, protocol="ABY3", grant=None, listen=here,
                    peer_listen=here, peers={p: here for p in range(3) if p != party}, credentials=Path("c"),
                    report=Path("r"))  # fmt: skip
    program = product_program()
    model = Model(parse_model(small_file(), "m").architecture, program, Schedule(program).cost(), program.digest)
    return json.loads(json.dumps(metadata(model, config, InputRange(0.0, 1.0))))


@pytest.mark.parametrize("path", [f"{MODEL}/infer", f"{VERSION}/infer"])
async def test_an_answer_is_as_the_protocol_says(served: Served, path: str) -> None:
    status, document = await asked(served, "POST", path, encode_json({"id": "r1"}, tensors()))
    assert status == 200
    require("inference_response", document)
    assert document["id"] == "r1"


@pytest.mark.parametrize("path", [f"{MODEL}/versions/2", f"{MODEL}/versions/", "/v2/models/other/versions/1", "/v3"])
async def test_what_is_not_served_is_an_error_as_the_protocol_says(served: Served, path: str) -> None:
    for method, body in (("GET", None), ("POST", b"{}")):
        status, document = await asked(served, method, path, body)
        assert status == 404
        require_refusal(document)


async def test_whatever_is_asked_the_answer_is_one_of_the_protocol_and_never_a_fault(served: Served) -> None:
    """Requests of the protocol with something changed, as JSON and in the binary form."""
    right = [encode_json({"id": "r1", "outputs": [{"name": "component_1"}]}, tensors()), encode_json({"id": "r"}, [])]
    binary, length = body_of(tensors())
    statuses = set()
    for number in range(INPUTS):
        random = Random(number)
        headers = {}
        match number % 3:
            case 0:
                body = mutation.text(mutation.document(random, [json.loads(one) for one in right]))
            case 1:
                body = mutation.octets(random, right)
            case _:
                body, headers = mutation.octets(random, [binary]), {HEADER_LENGTH: str(length)}
        status, document = await asked(served, "POST", f"{MODEL}/infer", body, **headers)
        statuses.add(status)
        if document is not None:
            require("inference_response", document) if status == 200 else require_refusal(document)
    assert statuses >= {200, 400}
    assert 500 not in statuses
    assert not [line for line in served.log if line["event"] != "request refused"]


async def test_whoever_shares_a_model_is_never_answered_by_a_fault_either(served: Served, authority: Authority) -> None:
    sharing = served.session(Identity.sharing_job("default", "uid", 1))
    binary, length = body_of(tensors())
    for number in range(INPUTS // 5):
        random = Random(number)
        body = mutation.octets(random, [binary])
        what, given = random.choice([("shares", {HEADER_LENGTH: str(length)}), ("shares", {}), ("architecture", {})])
        async with sharing.put(f"/triveni/v1/{what}", data=body, headers=given) as response:
            document = json.loads(await response.read())
            assert response.status != 500
            if response.status != 200:
                require_refusal(document)
