"""The files of `helm test`: the expected answers are the model's own, and the client tells right from wrong."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.unit.chart.values import CHART
from triveni.client import ClientError
from triveni.sharing.keras_file import read_model

FILES = CHART / "files" / "test"
CASE = json.loads((FILES / "expected.json").read_text())
OUTPUTS = np.asarray(CASE["outputs"])


def test_the_expected_answers_are_those_of_the_model() -> None:
    (hidden, hidden_bias), (out, out_bias) = read_model(FILES / "model.keras").weights.values()
    answers = np.maximum(np.asarray(CASE["inputs"]) @ hidden + hidden_bias, 0) @ out + out_bias
    assert np.abs(answers - OUTPUTS).max() < 1e-5


def test_a_constant_or_a_permuted_answer_would_be_noticed() -> None:
    for wrong in (np.zeros_like(OUTPUTS), OUTPUTS[::-1], OUTPUTS[:, ::-1]):
        assert np.abs(wrong - OUTPUTS).max() > 10 * CASE["tolerance"]


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("predict", FILES / "predict.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class NoClient(ClientError):
    """What goes wrong in these tests."""


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        (OUTPUTS + 0.001, 0, "3 predictions, none off by more than 0.001"),
        (OUTPUTS + 0.02, 1, "off by 0.02"),
        (OUTPUTS * np.nan, 1, "off by nan"),
        (OUTPUTS[:2], 1, "(2, 3)"),
        (NoClient("worker 1 is away"), 1, "no prediction: worker 1 is away"),
        (NoClient(), 1, "kubectl -n triveni-system get events --field-selector involvedObject.name=triveni-test"),
    ],
)
def test_the_client_ends_with_zero_only_if_all_answers_are_right(
    script: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: Any,
    code: int,
    says: str,
) -> None:
    class Client:
        def __init__(self, connection: Any, *, deadline: float) -> None:
            assert (connection.path, deadline) == ("connection.json", 42.0)

        def __enter__(self) -> "Client":
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing is open."""

        def predict(self, inputs: object) -> Any:
            assert inputs == CASE["inputs"]
            if isinstance(answer, Exception):
                raise answer
            return answer

    class Connection:
        name, namespace = "triveni-test", "triveni-system"

        def __init__(self, path: str) -> None:
            self.path = path

        @classmethod
        def read(cls, path: str) -> "Connection":
            return cls(path)

    monkeypatch.setattr(script, "Client", Client)
    monkeypatch.setattr(script, "Connection", Connection)
    assert script.main(["connection.json", str(Path(FILES / "expected.json")), "42"]) == code
    assert says in capsys.readouterr().out
