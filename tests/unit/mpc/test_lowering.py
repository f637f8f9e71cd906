"""Lowering: the steps compute what the layers compute, in real numbers, over many shapes and options."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.mpc.layers_in_floats import by_layers
from tests.unit.mpc.steps_in_floats import by_steps
from triveni.mpc import architecture as a
from triveni.mpc.lowering import Network, lower
from triveni.mpc.lowering.activations import HARD_SIGMOID, SIGMOID, TANH, PiecewiseLinear
from triveni.mpc.lowering.steps import Affine, Convolution, SumAxis

many = settings(max_examples=40, deadline=None)
small = st.integers(1, 3)
pairs = st.tuples(small, small)
paddings = st.sampled_from(["valid", "same"])
either = st.booleans()


def check(model: a.Architecture, seed: int = 0, atol: float = 1e-9) -> Network:
    rng = np.random.default_rng(seed)
    weights = {
        layer.name: [rng.uniform(0.3, 1.5, shape) for shape in layer.weight_shapes(before).values()]
        for layer, before, _ in model.walk()
    }
    network = lower(model)
    encoded = network.encode(weights)
    assert {name: w.shape for name, w in encoded.items()} == dict(network.weights)
    x = rng.normal(size=(2, *model.input_shape))
    expected = by_layers(model, weights, x)
    assert expected.shape[1:] == network.output_shape
    np.testing.assert_allclose(by_steps(network, encoded, x), expected, atol=atol)
    return network


def chain(shape: a.Shape, *layers: a.Layer) -> Network:
    return check(a.Architecture(shape, layers))


@many
@given(kernel=pairs, strides=pairs, padding=paddings, pool=pairs, pool_strides=pairs)
def test_a_convolution_with_its_pooling_is_the_two_layers(kernel, strides, padding, pool, pool_strides) -> None:
    layers = a.Conv2D("c", 3, kernel, strides, padding), a.AveragePooling2D("p", pool, pool_strides), a.Relu("r")
    chain((11, 10, 2), *layers, a.Flatten("f"), a.Dense("d", 2))


@many
@given(
    kernel=pairs,
    strides=pairs,
    dilation=pairs,
    padding=paddings,
    bias=either,
    groups=st.integers(1, 2),
    multiplier=st.integers(1, 2),
)
def test_convolutions_of_all_kinds(kernel, strides, dilation, padding, bias, groups, multiplier) -> None:
    if max(dilation) > 1:
        strides = (1, 1)
    chain((8, 9, 4), a.Conv2D("c", 2 * groups, kernel, strides, padding, bias, dilation, groups))
    chain((8, 9, 2), a.DepthwiseConv2D("c", kernel, strides, padding, bias, dilation, multiplier))
    chain((8, 9, 2), a.SeparableConv2D("c", 3, kernel, strides, padding, bias, dilation, multiplier))


@many
@given(kernel=small, stride=small, dilation=small, padding=st.sampled_from(["valid", "same", "causal"]), bias=either)
def test_convolutions_of_a_series(kernel, stride, dilation, padding, bias) -> None:
    strides, rates = ((stride,), (1,)) if stride > 1 else ((1,), (dilation,))
    chain((9, 2), a.Conv1D("c", 3, (kernel,), strides, padding, bias, rates))
    if padding != "causal":
        chain((9, 2), a.DepthwiseConv1D("c", (kernel,), strides, padding, bias, rates, 2))
        chain((9, 2), a.SeparableConv1D("c", 2, (kernel,), strides, padding, bias, rates))


@many
@given(pool=pairs, strides=pairs, padding=paddings)
def test_pooling_by_the_mean_and_by_the_largest(pool, strides, padding) -> None:
    for image in (a.AveragePooling2D, a.MaxPooling2D):
        chain((7, 8, 2), image("p", pool, strides, padding), a.Relu("r"))
    for series in (a.AveragePooling1D, a.MaxPooling1D):
        chain((8, 2), series("p", pool[:1], strides[:1], padding))


@pytest.mark.parametrize("keepdims", [True, False])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_global_pooling(size: int, keepdims: bool) -> None:
    for image in (a.GlobalAveragePooling2D, a.GlobalMaxPooling2D):
        chain((size, 3, 2), image("p", keepdims))
    for series in (a.GlobalAveragePooling1D, a.GlobalMaxPooling1D):
        chain((size, 2), series("p", keepdims))


@pytest.mark.parametrize(
    ("pool", "strides", "relus"), [(2, 2, 2), (3, 3, 4), (3, 2, 4), (5, 5, 5), (1, 2, 0), (2, 1, 2)]
)
def test_the_largest_of_a_window_takes_as_many_relus_as_the_table_says(pool: int, strides: int, relus: int) -> None:
    network = lower(a.Architecture((12, 12, 1), (a.MaxPooling2D("p", (pool, pool), (strides, strides)),)))
    assert network.depth == (0, relus)


@many
@given(center=either, scale=either, place=st.integers(0, 6))
def test_a_normalisation_is_folded_into_a_linear_layer_beside_it(center, scale, place) -> None:
    norm = a.BatchNormalization("n", center=center, scale=scale)
    conv, pool = a.Conv2D("c", 3, (2, 3), use_bias=center), a.AveragePooling2D("p", (3, 3), (2, 2))
    flat = (a.Flatten("f"), a.Dense("d", 2))
    layers = [
        (conv, norm),
        (conv, pool, norm),
        (norm, conv),
        (norm, pool, conv),
        (norm, pool, *flat),
        (*flat, norm),
        (a.SeparableConv2D("c", 2, (2, 2)), norm),
    ][place]
    network = chain((8, 8, 3), *layers)
    assert sum(isinstance(step, Affine) for step in network.steps) == 1 + isinstance(layers[0], a.SeparableConv2D)


@pytest.mark.parametrize(
    "layers",
    [
        (a.BatchNormalization("n"), a.Relu("r")),
        (a.BatchNormalization("n"), a.Conv2D("c", 2, (3, 3), padding="same")),
        (a.Conv2D("c", 2, (3, 3)), a.Relu("r"), a.BatchNormalization("n"), a.Relu("s")),
    ],
)
def test_a_normalisation_that_nothing_beside_it_can_carry_is_a_product(layers: tuple[a.Layer, ...]) -> None:
    assert "n/kernel" in chain((6, 6, 2), *layers).weights


def test_what_a_second_layer_reads_is_left_as_it_is() -> None:
    """Folding the normalisation or the mean into c would change what e adds."""
    layers = (
        a.Conv2D("c", 2, (3, 3), padding="same"),
        a.BatchNormalization("n"),
        a.AveragePooling2D("p", (3, 3), (1, 1), "valid"),
        a.Cropping2D("x", ((1, 1), (1, 1)), inputs=("c",)),
        a.Add("e", inputs=("p", "x")),
    )
    network = check(a.Architecture((6, 6, 2), layers))
    assert network.depth == (2, 0)


@pytest.mark.parametrize("project", [True, False])
def test_a_residual_block_costs_two_products_and_two_relus(project: bool) -> None:
    layers = (
        a.Conv2D("c1", 3, (3, 3), padding="same", use_bias=False),
        a.BatchNormalization("n1"),
        a.Relu("r1"),
        a.Conv2D("c2", 3, (3, 3), padding="same"),
        a.BatchNormalization("n2"),
        *([a.Conv2D("skip", 3, (1, 1), inputs=(a.INPUT,))] if project else []),
        a.Add("add", inputs=("n2", "skip" if project else a.INPUT)),
        a.Relu("r2"),
    )
    assert check(a.Architecture((6, 6, 3), layers)).depth == (2, 2)


def test_pooling_behind_a_convolution_is_folded_into_one_strided_convolution() -> None:
    (step,) = chain((8, 8, 1), a.Conv2D("c", 2, (3, 3)), a.AveragePooling2D("p", (2, 2), (2, 2))).steps
    assert isinstance(step, Convolution)
    assert (step.kernel_shape, step.strides) == ((4, 4, 1, 2), (2, 2))


@pytest.mark.parametrize(
    "layers",
    [
        (
            a.Conv2D("c", 2, (3, 3)),
            a.Relu("r"),
            a.AveragePooling2D("p", (2, 2), (2, 2)),
            a.Flatten("f"),
            a.Dense("d", 3),
        ),
        (a.Conv2D("c", 2, (3, 3)), a.Relu("r"), a.AveragePooling2D("p", (2, 2), (2, 2)), a.Relu("s")),
        (a.Conv2D("c", 2, (3, 3), padding="same"), a.GlobalAveragePooling2D("g"), a.Dense("d", 3)),
        (a.AveragePooling2D("p", (3, 2), (1, 2)), a.Conv2D("c", 2, (2, 2)), a.Relu("r"), a.GlobalAveragePooling2D("g")),
        (a.Conv2D("c", 2, (1, 1)), a.AveragePooling2D("p", (5, 5), (1, 1)), a.AveragePooling2D("q", (2, 2), (2, 2))),
    ],
)
def test_pooling_elsewhere_is_a_sum_whose_division_goes_into_a_linear_step(layers: tuple[a.Layer, ...]) -> None:
    network = chain((8, 8, 1), *layers)
    assert any(isinstance(step, SumAxis) for step in network.steps)
    assert "p/kernel" not in network.weights


def test_pooling_with_no_linear_layer_to_carry_its_division_is_a_product_with_a_constant() -> None:
    assert dict(chain((8, 8, 1), a.AveragePooling2D("p", (2, 2), (2, 2)), a.Relu("r")).weights) == {"p/kernel": (1, 1)}


@pytest.mark.parametrize(
    "layer",
    [
        a.Relu("r"),
        a.Relu("r", max_value=0.5),
        a.Relu("r", negative_slope=0.25),
        a.Relu("r", max_value=0.5, negative_slope=0.5),
        a.Permute("r", (2, 3, 1)),
        a.ZeroPadding2D("r", ((1, 0), (0, 2))),
        a.Cropping2D("r", ((1, 0), (0, 2))),
        a.UpSampling2D("r", (2, 3)),
        a.Reshape("r", (6, 8)),
        a.Dense("r", 3),
        a.Rescaling("r", (0.5,), (0.0,)),
        a.Rescaling("r", (0.5,), (1.0, 2.0)),
    ],
)
def test_a_layer_alone_is_itself(layer: a.Layer) -> None:
    check(a.Architecture((4, 6, 2), (layer,)), atol=1e-5)


@pytest.mark.parametrize("kind", [a.Add, a.Average, a.Maximum, a.Minimum])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_values_are_merged(kind: type[a.Add], count: int) -> None:
    dense = [a.Dense(f"d{i}", 4, inputs=(a.INPUT,)) for i in range(count)]
    check(a.Architecture((3,), (*dense, kind("m", inputs=tuple(d.name for d in dense)))))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_values_are_joined_along_any_axis_and_one_may_come_twice(axis: int) -> None:
    layers = (a.Conv2D("c", 2, (1, 1)), a.Concatenate("j", axis, inputs=(a.INPUT, "c", a.INPUT)))
    check(a.Architecture((3, 4, 2), layers))


def test_values_are_broadcast_as_keras_does() -> None:
    layers = (a.GlobalMaxPooling2D("g", True), a.Subtract("s", inputs=("g", a.INPUT)))
    check(a.Architecture((3, 4, 2), layers))


@pytest.mark.parametrize(
    ("curve", "exact", "bound"),
    [
        (SIGMOID, lambda x: 1 / (1 + math.exp(-x)), 1.61e-3),
        (TANH, math.tanh, 2.02e-3),
        (HARD_SIGMOID, lambda x: min(max(x / 6 + 0.5, 0), 1), 5e-5),
    ],
)
def test_a_curve_is_as_near_as_the_documents_say_and_flat_far_outside(curve: PiecewiseLinear, exact, bound) -> None:
    x = np.linspace(-20, 20, 40_001)
    y = curve.start + np.maximum(x[:, None] - np.array(curve.knots), 0) @ np.array(curve.bends)
    assert np.abs(y - [exact(v) for v in x]).max() <= bound
    assert sum(curve.bends) == 0.0
    assert all((bend * 2**16).is_integer() for bend in curve.bends)


@pytest.mark.parametrize("layer", [a.Sigmoid("s"), a.Tanh("s"), a.HardSigmoid("s")])
def test_a_curve_is_computed_as_its_steps(layer: a.Layer) -> None:
    network = check(a.Architecture((5, 3), (layer, a.Flatten("f"))), atol=2.5e-3)
    assert network.depth == (1, 1)


@pytest.mark.parametrize("layer", [a.Softmax("s"), a.Sigmoid("s"), a.Tanh("s")])
def test_the_clients_layer_is_no_step(layer: a.Layer) -> None:
    assert chain((3,), a.Dense("d", 2), layer).depth == (1, 0)


def test_a_layer_without_bias_has_no_bias_weight() -> None:
    network = lower(a.Architecture((4,), (a.Dense("d", 2, use_bias=False),)))
    assert dict(network.weights) == {"d/kernel": (4, 2)}


def test_steps_larger_than_a_worker_allocates_are_refused_by_their_layer() -> None:
    with pytest.raises(a.InvalidArchitecture, match="'d': it is computed with more than"):
        lower(a.Architecture((3, 3, 1500), (a.DepthwiseConv2D("d", (3, 3)),)))


def test_two_weights_of_one_name_are_refused() -> None:
    layers = (a.SeparableConv2D("s", 2, (2, 2)), a.Conv2D("s/depthwise", 2, (2, 2)))
    with pytest.raises(a.InvalidArchitecture, match="weights of the same name"):
        lower(a.Architecture((5, 5, 1), layers))
