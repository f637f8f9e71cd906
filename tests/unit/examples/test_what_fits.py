"""The example models: what the page says of their values for pictures in [0, 1], and the pictures keep to it."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.example import ROOT
from benchmarks.zoo import ZOO, Model
from tests.unit.mpc.steps_in_floats import by_steps
from triveni.mpc.fixedpoint import fixed_point
from triveni.mpc.input_range import InputRange
from triveni.mpc.lowering import lower
from triveni.mpc.lowering.steps import Floats
from triveni.mpc.ranges import analyse, power
from triveni.sharing.failures import ValuesDoNotFit
from triveni.sharing.keras_file import KerasModel, read_model
from triveni.sharing.shares import split_model

PIXELS = InputRange(0.0, 1.0)

of_each_model = pytest.mark.parametrize("model", ZOO, ids=[model.name for model in ZOO])


def in_securenn(keras: KerasModel) -> str:
    """What becomes of it there, as the page says it."""
    try:
        split_model(keras, "SecureNN", PIXELS)
    except ValuesDoNotFit as error:
        return f"refused: {power(error.reach.bound)} in {error.reach.layer} |"
    return "fits"


@of_each_model
def test_each_model_fits_where_the_page_says_so(model: Model) -> None:
    keras = read_model(model.path)
    ranges = split_model(keras, "ABY3", PIXELS).ranges
    assert ranges is not None
    row = f"| {model.title} | {power(ranges.narrowest.bound)} | "
    (said,) = (line for line in (ROOT / "docs/engine.md").read_text().splitlines() if line.startswith(row))
    assert f"| fits | {in_securenn(keras)}" in said


@of_each_model
def test_no_picture_comes_near_a_bound(model: Model) -> None:
    keras = read_model(model.path)
    network = lower(keras.architecture)
    weights = network.encode(keras.weights)
    reached: list[float] = []

    def seen(values: Floats) -> Floats:
        reached.append(float(np.abs(values).max()))
        return values

    seen(by_steps(network, weights, model.images()[:20], seen, seen))
    bounds = [reach.bound for reach in analyse(network, weights, fixed_point("ABY3"), PIXELS).reaches]
    assert len(reached) == len(bounds)
    assert all(seen <= bound for seen, bound in zip(reached, bounds, strict=True))
    assert max(reached) < max(bounds) / 10
