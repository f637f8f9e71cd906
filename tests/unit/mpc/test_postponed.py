"""An activation before a max pooling is computed after it: the same answer from fewer comparisons."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.unit.mpc.steps_in_floats import by_steps
from triveni.mpc.architecture import (
    INPUT,
    Add,
    Architecture,
    Concatenate,
    GlobalMaxPooling2D,
    HardSigmoid,
    Layer,
    MaxPooling2D,
    Relu,
    Sigmoid,
    Tanh,
)
from triveni.mpc.lowering import Network, lower
from triveni.mpc.lowering.draft import shape_after
from triveni.mpc.lowering.steps import Floats, Rectify

SHAPE = (6, 7, 2)


def answer(layers: tuple[Layer, ...], x: Floats) -> tuple[Floats, int]:
    """The answer, and how many elements of a row go through a ReLU for it."""
    network = lower(Architecture(x.shape[1:], layers))
    return by_steps(network, network.encode({}), x), rectified(network)


def rectified(network: Network) -> int:
    shapes = [network.input_shape]
    for step in network.steps:
        shapes.append(shape_after(step, [shapes[i] for i in step.inputs]))
    return sum(
        math.prod(shape) for step, shape in zip(network.steps, shapes[1:], strict=True) if isinstance(step, Rectify)
    )


@pytest.mark.parametrize(
    "pooling",
    [
        MaxPooling2D("p", (2, 2), (2, 2)),
        MaxPooling2D("p", (3, 2), (1, 2)),
        MaxPooling2D("p", (3, 3), (2, 2), "same"),
        GlobalMaxPooling2D("p", keepdims=True),
    ],
    ids=["2x2", "overlapping", "same", "global"],
)
@pytest.mark.parametrize(
    "activation",
    [Relu("r"), Relu("r", max_value=0.5), Relu("r", negative_slope=0.25), Sigmoid("r"), Tanh("r"), HardSigmoid("r")],
    ids=["relu", "relu_to_a_half", "leaky", "sigmoid", "tanh", "hard_sigmoid"],
)
def test_an_activation_and_a_max_pooling_cost_as_if_they_stood_the_other_way_round_and_give_the_same(
    activation: Layer, pooling: Layer
) -> None:
    # At the end of a model an activation may be the client's.
    last = Relu("last", negative_slope=1.0)
    x = np.random.default_rng(1).normal(size=(3, *SHAPE))
    got, count = answer((activation, pooling, last), x)
    expected, fewest = answer((pooling, activation, last), x)
    np.testing.assert_array_equal(got, expected)
    assert count == fewest


def test_a_relu_before_a_max_pooling_is_as_good_as_keras_order() -> None:
    x = np.random.default_rng(2).normal(size=(3, *SHAPE))
    got, count = answer((Relu("r"), MaxPooling2D("p", (2, 2), (2, 2))), x)
    windows = np.maximum(x, 0)[:, :, :6].reshape(3, 3, 2, 3, 2, 2)
    np.testing.assert_allclose(got, windows.max((2, 4)), atol=1e-12)
    outputs = 3 * 3 * 2
    assert count == 3 * outputs + outputs


@pytest.mark.parametrize(
    "reader", [Add("a", inputs=("p", "n")), Concatenate("c", 2, inputs=("p", "n"))], ids=["add", "concatenate"]
)
def test_a_relu_that_something_else_reads_too_stays_where_it_is(reader: Layer) -> None:
    x = np.random.default_rng(3).normal(size=(2, 4, 4, 1))
    pooling = MaxPooling2D("p", (1, 2), (1, 1), "same", inputs=("r",))
    got, count = answer((Relu("r", inputs=(INPUT,)), pooling, Relu("n", inputs=("r",)), reader), x)
    positive = np.maximum(x, 0)
    beside = np.concatenate([positive[:, :, 1:], positive[:, :, -1:]], 2)
    pooled = np.maximum(positive, beside)
    expected = pooled + positive if isinstance(reader, Add) else np.concatenate([pooled, positive], 3)
    np.testing.assert_allclose(got, expected, atol=1e-12)
    assert count == 3 * 16
