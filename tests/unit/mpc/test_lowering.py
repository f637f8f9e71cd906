"""Lowering: the steps compute what the layers compute, in real numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.mpc.steps_in_floats import by_steps
from triveni.mpc.architecture import (
    Architecture,
    AveragePooling2D,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    Layer,
    Relu,
)
from triveni.mpc.lowering import Network, lower
from triveni.mpc.lowering.steps import Convolution, Floats, SumAxis


def by_layers(architecture: Architecture, weights: dict[str, list[Floats]], x: Floats) -> Floats:
    """The architecture as Keras would compute it, naively, window by window."""
    for layer, _, after in architecture.walk():
        match layer:
            case Conv2D():
                x = np.pad(x, [(0, 0), *layer.pads(x.shape[1:]), (0, 0)])
                kernel, bias = weights[layer.name]
                x = _windows(x, layer.kernel_size, layer.strides, partial(np.tensordot, b=kernel, axes=3)) + bias
            case AveragePooling2D():
                x = _windows(x, layer.pool_size, layer.strides, lambda w: w.mean((1, 2)))
            case GlobalAveragePooling2D():
                x = x.mean((1, 2))
            case Dense():
                x = x @ weights[layer.name][0] + weights[layer.name][1]
            case Relu():
                x = np.maximum(x, 0)
            case _:
                x = x.reshape(len(x), *after)
    return x


def _windows(
    x: Floats, size: tuple[int, int], strides: tuple[int, int], function: Callable[[Floats], Floats]
) -> Floats:
    rows = range(0, x.shape[1] - size[0] + 1, strides[0])
    columns = range(0, x.shape[2] - size[1] + 1, strides[1])
    return np.stack([np.stack([function(x[:, i : i + size[0], j : j + size[1]]) for j in columns], 1) for i in rows], 1)


def check(architecture: Architecture, seed: int = 0) -> Network:
    rng = np.random.default_rng(seed)
    weights = {
        layer.name: [rng.normal(size=shape) for shape in layer.weight_shapes(before).values()]
        for layer, before, _ in architecture.walk()
        if layer.weight_shapes(before)
    }
    network = lower(architecture)
    encoded = network.encode(weights)
    assert {name: w.shape for name, w in encoded.items()} == dict(network.weights)
    x = rng.normal(size=(2, *architecture.input_shape))
    np.testing.assert_allclose(by_steps(network, encoded, x), by_layers(architecture, weights, x), atol=1e-9)
    return network


@settings(max_examples=40, deadline=None)
@given(
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    strides=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.sampled_from(["valid", "same"]),
    pool=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pool_strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_a_convolution_with_its_pooling_is_the_two_layers(kernel, strides, padding, pool, pool_strides) -> None:
    check(
        Architecture(
            (11, 10, 2),
            (
                Conv2D("c", 3, kernel, strides, padding),
                AveragePooling2D("p", pool, pool_strides),
                Relu("r"),
                Flatten("f"),
                Dense("d", 2),
            ),
        )
    )


def test_pooling_behind_a_convolution_is_folded_into_one_strided_convolution() -> None:
    network = check(Architecture((8, 8, 1), (Conv2D("c", 2, (3, 3)), AveragePooling2D("p", (2, 2), (2, 2)))))
    (step,) = network.steps
    assert isinstance(step, Convolution)
    assert (step.kernel_shape, step.strides) == ((4, 4, 1, 2), (2, 2))


@pytest.mark.parametrize(
    "layers",
    [
        (Conv2D("c", 2, (3, 3)), Relu("r"), AveragePooling2D("p", (2, 2), (2, 2)), Flatten("f"), Dense("d", 3)),
        (Conv2D("c", 2, (3, 3)), Relu("r"), AveragePooling2D("p", (2, 2), (2, 2)), Relu("s")),
        (Conv2D("c", 2, (3, 3), padding="same"), GlobalAveragePooling2D("g"), Dense("d", 3)),
        (AveragePooling2D("p", (3, 2), (1, 2)), Conv2D("c", 2, (2, 2)), Relu("r"), GlobalAveragePooling2D("g")),
        (Conv2D("c", 2, (1, 1)), AveragePooling2D("p", (5, 5), (1, 1)), AveragePooling2D("q", (2, 2), (2, 2))),
    ],
)
def test_pooling_elsewhere_is_a_sum_whose_division_goes_into_a_linear_step(layers: tuple[Layer, ...]) -> None:
    network = check(Architecture((8, 8, 1), layers))
    assert any(isinstance(step, SumAxis) for step in network.steps)


def test_pooling_with_no_linear_layer_to_carry_its_division_is_a_product_with_a_constant() -> None:
    network = check(Architecture((8, 8, 1), (AveragePooling2D("p", (2, 2), (2, 2)), Relu("r"))))
    assert dict(network.weights) == {"p/kernel": (1, 1)}


def test_a_layer_without_bias_has_no_bias_weight() -> None:
    network = lower(Architecture((4,), (Dense("d", 2, use_bias=False),)))
    assert dict(network.weights) == {"d/kernel": (4, 2)}
    assert math.prod(network.output_shape) == 2
