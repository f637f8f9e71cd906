"""What a worker takes from the sharing job, and what it says of its model."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from triveni.api.inference import Reason, Tensor
from triveni.mpc.affine import Affine
from triveni.mpc.architecture import Architecture, Dense
from triveni.mpc.input_range import InputRange
from triveni.mpc.schedule import Cost
from triveni.worker import model as module
from triveni.worker.config import Address, Config
from triveni.worker.model import Model, metadata, prepare, read_architecture, read_inputs, read_shares, read_sharing
from triveni.worker.refusal import Refused

ARCHITECTURE = Architecture((4,), (Dense("first", 3, use_bias=True),))
PROGRAM: Any = SimpleNamespace(
    protocol="ABY3",
    weights={"first/kernel": (4, 3), "first/bias": (3,)},
    input_shape=(4,),
    output_shape=(3,),
    digest="ab" * 32,
)
ADDITIVE: Any = SimpleNamespace(**{**vars(PROGRAM), "protocol": "SecureNN"})
MODEL = Model(ARCHITECTURE, PROGRAM, Cost(5, 2, Affine(10, 100), Affine(0, 7), Affine(0)), PROGRAM.digest)


def shares(party: int = 1) -> list[Tensor]:
    return [
        Tensor(f"{name}/component_{c}", np.full(shape, c))
        for name, shape in PROGRAM.weights.items()
        for c in (party, (party + 1) % 3)
    ]


def test_an_architecture_for_this_protocol_is_read() -> None:
    document = {"protocol": "ABY3", "architecture": json.loads(json.dumps(ARCHITECTURE.document()))}
    assert read_architecture(document, "ABY3", None) == ARCHITECTURE


def test_a_worker_started_for_answers_of_so_many_bits_takes_no_model_that_is_shared_for_others() -> None:
    rounded = {"protocol": "ABY3", "architecture": replace(ARCHITECTURE, answer_bits=8).document()}
    assert read_architecture(rounded, "ABY3", 8).answer_bits == 8
    for architecture in (ARCHITECTURE, replace(ARCHITECTURE, answer_bits=9)):
        with pytest.raises(Refused, match="started for answers of 8 fractional bits; share the model for that"):
            read_architecture({"protocol": "ABY3", "architecture": architecture.document()}, "ABY3", 8)


def test_a_worker_started_for_no_number_of_bits_takes_a_model_as_it_is_shared() -> None:
    rounded = {"protocol": "ABY3", "architecture": replace(ARCHITECTURE, answer_bits=8).document()}
    assert read_architecture(rounded, "ABY3", None).answer_bits == 8


def test_a_message_may_say_which_sharing_it_begins() -> None:
    document = {"protocol": "ABY3", "architecture": json.loads(json.dumps(ARCHITECTURE.document()))}
    assert read_sharing(document) is None
    assert read_sharing(document | {"sharing": "0a0b"}) == "0a0b"
    assert read_architecture(document | {"sharing": "0a0b"}, "ABY3", None) == ARCHITECTURE


def test_a_message_may_say_what_inputs_are_within() -> None:
    document = {"protocol": "ABY3", "architecture": json.loads(json.dumps(ARCHITECTURE.document()))}
    assert read_inputs(document) is None
    assert read_inputs(document | {"input_range": {"min": -1, "max": 1}}) == InputRange(-1.0, 1.0)
    assert read_architecture(document | {"input_range": {"min": -1, "max": 1}}, "ABY3", None) == ARCHITECTURE
    with pytest.raises(Refused, match="input_range: two numbers are needed, min less than max"):
        read_inputs({"input_range": {"min": 1, "max": 1}})


@pytest.mark.parametrize("sharing", [7, ["a"], "a" * 65])
def test_what_says_of_no_sharing_which_it_is_is_refused(sharing: object) -> None:
    with pytest.raises(Refused, match="sharing: a text of at most 64 characters"):
        read_sharing({"sharing": sharing})


@pytest.mark.parametrize(
    ("document", "reason", "says"),
    [
        ([], Reason.MALFORMED, "protocol and architecture"),
        ({"protocol": "ABY3"}, Reason.MALFORMED, "protocol and architecture"),
        ({"protocol": "ABY3", "architecture": {}, "weights": 1}, Reason.MALFORMED, "protocol and architecture"),
        ({"protocol": "SecureNN", "architecture": {}}, Reason.UNSUPPORTED, "protocol"),
        ({"protocol": "ABY3", "architecture": {"layers": []}}, Reason.MALFORMED, "architecture"),
        ({"protocol": "ABY3", "architecture": None}, Reason.MALFORMED, "architecture"),
    ],
)
def test_what_is_no_architecture_for_this_worker_is_refused(document: Any, reason: Reason, says: str) -> None:
    with pytest.raises(Refused) as caught:
        read_architecture(document, "ABY3", None)
    assert caught.value.reason is reason
    assert says in caught.value.message


def test_a_program_that_is_not_proved_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unproven(Exception):
        pass

    def refuse(program: Any) -> None:
        assert program is PROGRAM
        raise Unproven

    monkeypatch.setattr(module, "compile_program", lambda *_args, **_options: PROGRAM)
    monkeypatch.setattr(module, "require_proof", refuse)
    with pytest.raises(Unproven):
        prepare(ARCHITECTURE, "ABY3", None, 1.0)


def test_a_worker_takes_its_two_components_of_each_weight() -> None:
    taken = read_shares(shares(2)[::-1], PROGRAM, 2)
    assert {name: (int(a.flat[0]), int(b.flat[0])) for name, (a, b) in taken.items()} == {
        "first/kernel": (2, 0),
        "first/bias": (2, 0),
    }


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        (shares(0), Reason.MALFORMED),
        (shares()[1:], Reason.MALFORMED),
        ([*shares(), shares()[0]], Reason.MALFORMED),
        ([*shares(), Tensor("other/component_1", np.zeros(3, np.int64))], Reason.MALFORMED),
        ([Tensor("first/kernel/component_1", np.zeros((3, 4), np.int64)), *shares()[1:]], Reason.WRONG_SHAPE),
    ],
)
def test_shares_that_are_not_exactly_its_own_are_refused(tensors: list[Tensor], reason: Reason) -> None:
    with pytest.raises(Refused) as caught:
        read_shares(tensors, PROGRAM, 1)
    assert caught.value.reason is reason
    assert "/component_" in caught.value.message or "twice" in caught.value.message


def test_in_securenn_workers_take_one_component_or_nothing() -> None:
    first = [tensor for tensor in shares(0) if tensor.name.endswith("_0")]
    assert {name: len(components) for name, components in read_shares(first, ADDITIVE, 0).items()} == {
        "first/kernel": 1,
        "first/bias": 1,
    }
    assert read_shares([], ADDITIVE, 2) == {"first/kernel": (), "first/bias": ()}
    with pytest.raises(Refused, match="worker 2 takes nothing of each weight"):
        read_shares(first, ADDITIVE, 2)


def test_sizes_are_those_of_two_components() -> None:
    assert MODEL.row_bytes == 2 * 8 * 4
    assert MODEL.share_bytes == 2 * 8 * (12 + 3)
    assert MODEL.summary()["online_bytes_per_row"] == 110


def test_the_description_has_everything_that_a_client_needs() -> None:
    here = Address("127.0.0.1", 1)
    config = Config(
        namespace="ns",
        uid="u",
        name="mnist",
        epoch=3,
        party=2,
        protocol="ABY3",
        grant=None,
        listen=here,
        peer_listen=here,
        peers={0: here, 1: here},
        credentials=Path("c"),
        report=Path("r"),
    )
    assert metadata(MODEL, config, None)["parameters"]["input_range"] is None
    described = metadata(MODEL, config, InputRange(0.0, 1.0))
    assert described["inputs"][0] == {"name": "component_2", "datatype": "INT64", "shape": [-1, 4]}
    assert described["outputs"][1] == {"name": "component_0", "datatype": "INT64", "shape": [-1, 3]}
    parameters = described["parameters"]
    assert (parameters["namespace"], parameters["uid"], parameters["epoch"], parameters["party"]) == ("ns", "u", 3, 2)
    assert parameters["program_digest"] == "ab" * 32
    assert parameters["input_range"] == {"min": 0.0, "max": 1.0}
    assert Architecture.from_document(json.loads(json.dumps(parameters["architecture"]))) == ARCHITECTURE


def test_a_worker_without_components_describes_the_rows_all_the_same() -> None:
    model = Model(ARCHITECTURE, ADDITIVE, MODEL.cost, MODEL.digest)
    here = Address("127.0.0.1", 1)
    config = Config(
        namespace="ns",
        uid="u",
        name="mnist",
        epoch=3,
        party=2,
        protocol="SecureNN",
        grant=None,
        listen=here,
        peer_listen=here,
        peers={0: here, 1: here},
        credentials=Path("c"),
        report=Path("r"),
    )
    described = metadata(model, config, None)
    assert (described["inputs"], described["outputs"]) == ([], [])
    parameters = described["parameters"]
    assert (parameters["input_shape"], parameters["output_shape"]) == ([4], [3])
    assert (parameters["protocol"], parameters["fractional_bits"]) == ("SecureNN", 16)
