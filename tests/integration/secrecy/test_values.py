"""No weight, input or logit stands anywhere in what a worker receives, nor in its log and report."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.integration.cluster import MODEL
from tests.integration.secrecy.conftest import Honest, Spoiled
from tests.integration.secrecy.search import Form, Hit, Secrets
from triveni.mpc.fixedpoint import fixed_point
from triveni.mpc.lowering import lower
from triveni.sharing.keras_file import read_model

workers = pytest.mark.parametrize("party", range(3))


@pytest.fixture(scope="session")
def weights() -> list[NDArray[np.floating]]:
    """As Keras stores them, and as the program computes with them."""
    model = read_model(MODEL)
    stored = [array for arrays in model.weights.values() for array in arrays]
    return [*stored, *lower(model.architecture).encode(model.weights).values()]


LEAST_BYTES = {"ABY3": 200_000, "SecureNN": 90_000}
"""That a worker receives for each request, at least."""


@pytest.fixture(scope="session")
def secrets(weights: list[NDArray[np.floating]], honest: Honest, keras_logits: NDArray[np.float32]) -> Secrets:
    """Everything that no worker may learn."""
    logits = [*honest.logits, keras_logits[0]]
    return Secrets({"weights": weights, "input": [honest.digit, honest.noise], "logits": logits}, honest.protocol)


@workers
def test_no_weight_input_or_logit_is_in_what_a_worker_receives(honest: Honest, secrets: Secrets, party: int) -> None:
    received = honest.recording.connections(party)
    size = sum(map(len, received))
    assert size > 150 * LEAST_BYTES[honest.protocol], "the messages of every request are there"
    assert secrets.expected_by_chance(size) < 1e-5
    assert set().union(*map(secrets.find, received)) == set()


@workers
def test_no_weight_input_or_logit_is_in_a_workers_log_and_report(honest: Honest, secrets: Secrets, party: int) -> None:
    for name, content in honest.recording.own_files(party).items():
        assert secrets.find(content) == set(), name


def test_an_input_that_was_not_split_is_found_where_it_went(spoiled: Spoiled) -> None:
    secrets = Secrets({"input": [spoiled.noise]}, "ABY3")
    found = [set().union(*map(secrets.find, spoiled.recording.connections(party))) for party in (0, 2)]
    assert all(Hit("input", Form.WORD) in hits for hits in found)


def test_an_input_in_a_log_is_found(honest: Honest, secrets: Secrets) -> None:
    log = honest.recording.own_files(0)["worker-0.log"]
    words = fixed_point(honest.protocol).encode(honest.digit, "input")
    for written in honest.digit.ravel().tolist(), words.ravel().tolist():
        assert secrets.find(log + f'{{"event": "got", "words": {written}}}\n'.encode()) == {Hit("input", Form.TEXT)}


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("kind", ["weights", "input", "logits"])
def test_a_single_secret_among_all_messages_is_found(
    weights: list[NDArray[np.floating]], honest: Honest, secrets: Secrets, kind: str, form: Form
) -> None:
    values = {"weights": weights[0], "input": honest.noise, "logits": honest.logits[0]}[kind].ravel()
    first = next(i for i in range(len(values)) if (np.abs(values[i : i + 2]) > 0.1).all())
    messages = bytearray(max(honest.recording.connections(1), key=len))
    planted = _as(form, values[first : first + 2], fixed_point(honest.protocol).scale)
    at = len(messages) // 2 | 1
    messages[at : at + len(planted)] = planted
    assert secrets.find(bytes(messages[at - 1_000_000 : at + 1_000_000])) == {Hit(kind, form)}


def _as(form: Form, values: NDArray[np.floating], scale: float) -> bytes:
    word = int(np.rint(float(values[0]) * scale))
    match form:
        case Form.WORD:
            return word.to_bytes(8, "little", signed=True)
        case Form.WORD_BIG_ENDIAN:
            return word.to_bytes(8, "big", signed=True)
        case Form.FLOAT64:
            return values[:1].astype("<f8").tobytes()
        case Form.FLOAT64_BIG_ENDIAN:
            return values[:1].astype(">f8").tobytes()
        case Form.FLOAT32_PAIR:
            return values.astype("<f4").tobytes()
        case Form.TEXT:
            return f"[{float(values[0])!r}]".encode()
