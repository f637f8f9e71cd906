"""The declared range of inputs, read from where it may stand."""

from __future__ import annotations

from typing import Any

import pytest

from triveni.api import model_source as declared
from triveni.mpc.input_range import InputRange


@pytest.mark.parametrize("inputs", [InputRange(0.0, 1.0), InputRange(-1e-05, 1e-17), InputRange(-128.5, 1023.25)])
def test_a_range_is_read_as_it_was_written(inputs: InputRange) -> None:
    assert InputRange.read(inputs.document()) == inputs
    argument = declared.InputRange(min=inputs.min, max=inputs.max).argument
    assert InputRange.parse(argument) == inputs


def test_whole_numbers_are_numbers() -> None:
    assert InputRange.parse("0,1") == InputRange.read({"min": 0, "max": 1}) == InputRange(0.0, 1.0)


@pytest.mark.parametrize("text", ["", "1", "1,0", "0,0", "0,inf", "nan,1", "0;1", "0,1,2", "low,high"])
def test_a_text_that_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (argparse makes its own text)
        InputRange.parse(text)


@pytest.mark.parametrize(
    "document",
    [
        None,
        [0, 1],
        {},
        {"min": 0},
        {"min": 0, "max": 1, "mean": 0},
        {"min": 1, "max": 0},
        {"min": "0", "max": 1},
        {"min": False, "max": True},
        {"min": 0, "max": float("inf")},
        {"min": float("nan"), "max": 1},
    ],
)
def test_a_document_that_is_no_range_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="needed"):
        InputRange.read(document)
