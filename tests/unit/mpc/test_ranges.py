"""Ranges: bounds hold for whatever is looked for, and are not much larger where that can be known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.mpc.steps_in_floats import by_steps
from triveni.mpc import architecture as a
from triveni.mpc.fixedpoint import FIXED_POINT, FixedPoint, fixed_point
from triveni.mpc.input_range import InputRange
from triveni.mpc.lowering import Network, lower
from triveni.mpc.lowering.steps import Floats
from triveni.mpc.ranges import DoesNotFit, analyse, power
from triveni.mpc.ranges.curve import Curve

ENDS = (a.Flatten("flat"), a.Dense("last", 3))

NETS: dict[str, a.Architecture] = {
    name: a.Architecture(shape, layers)
    for name, shape, layers in (
        ("dense", (5,), (a.Dense("d", 4), a.Relu("r"), a.Dense("e", 3))),
        ("pooled convolution", (7, 6, 2), (a.Conv2D("c", 3, (3, 2)), a.AveragePooling2D("p", (2, 2), (2, 2)), *ENDS)),
        ("dilated", (7, 7, 1), (a.Conv2D("c", 2, (2, 2), padding="same", dilation_rate=(2, 2)), a.Relu("r"), *ENDS)),
        ("strided", (7, 6, 1), (a.Conv2D("c", 2, (3, 3), (2, 2), "same"), a.Relu("r"), *ENDS)),
        ("series", (8, 2), (a.Conv1D("c", 2, (3,), padding="causal"), a.Relu("r"), a.MaxPooling1D("p", (2,), (2,)))),
        ("separable", (5, 5, 2), (a.SeparableConv2D("c", 3, (2, 2)), a.BatchNormalization("n"), a.Relu("r"), *ENDS)),
        ("normalised input", (4, 4, 2), (a.BatchNormalization("n"), a.Relu("r"), a.GlobalAveragePooling2D("g"))),
        ("windows that overlap", (6, 6, 1), (a.MaxPooling2D("p", (3, 3), (2, 2), "same"), *ENDS)),
        ("largest of all", (3, 3, 2), (a.Conv2D("c", 2, (1, 1)), a.GlobalMaxPooling2D("g"), a.Dense("d", 2))),
        ("padded mean", (5, 5, 1), (a.AveragePooling2D("p", (3, 3), (2, 2), "same"), *ENDS)),
        ("mean alone", (4, 4, 1), (a.AveragePooling2D("p", (2, 2), (2, 2)), a.Relu("r"))),
        ("moved", (3, 4, 2), (a.UpSampling2D("u", (2, 2)), a.Permute("m", (3, 1, 2)), a.Reshape("h", (12, 8)), *ENDS)),
        ("cut", (4, 4, 2), (a.ZeroPadding2D("z", ((1, 0), (0, 2))), a.Cropping2D("x", ((0, 2), (1, 0))), *ENDS)),
        ("sigmoid", (3, 2), (a.Dense("d", 2), a.Sigmoid("s"), *ENDS)),
        ("tanh", (3, 2), (a.Tanh("s"), *ENDS)),
        ("hard sigmoid", (3, 2), (a.Dense("d", 2), a.HardSigmoid("s"), *ENDS)),
        ("relu 6", (3, 2), (a.Dense("d", 2), a.Relu("r", max_value=6.0), *ENDS)),
        ("leaky relu", (4,), (a.Dense("d", 3), a.Relu("r", negative_slope=0.25), a.Dense("e", 2))),
        ("leaky relu 6", (4,), (a.Dense("d", 3), a.Relu("r", max_value=0.5, negative_slope=0.25), a.Dense("e", 2))),
        ("rescaled", (4,), (a.Rescaling("s", (0.5,), (1.0,)), a.Relu("r"), a.Rescaling("t", (0.25,), (0.0,)))),
        (
            "merged",
            (4,),
            (
                a.Dense("d", 3, inputs=(a.INPUT,)),
                a.Dense("e", 3, inputs=(a.INPUT,)),
                a.Maximum("max", inputs=("d", "e")),
                a.Minimum("min", inputs=("d", "e", "max")),
                a.Subtract("sub", inputs=("max", "min")),
                a.Average("mean", inputs=("sub", "d", "e")),
                a.Concatenate("all", 0, inputs=("mean", "max", "d")),
                a.Relu("r"),
                a.Dense("last", 2),
            ),
        ),
        (
            "residual",
            (4, 4, 2),
            (
                a.Conv2D("c", 2, (3, 3), padding="same"),
                a.Relu("r"),
                a.Conv2D("e", 2, (3, 3), padding="same"),
                a.Add("add", inputs=("e", a.INPUT)),
                a.Relu("s"),
                a.GlobalAveragePooling2D("g"),
                a.Dense("d", 3),
            ),
        ),
        ("broadcast", (3, 4, 2), (a.GlobalMaxPooling2D("g", True), a.Subtract("s", inputs=("g", a.INPUT)), *ENDS)),
    )
}

STEPS = 12
"""Of the search for inputs that are worse."""


def network_of(model: a.Architecture, seed: int, size: float = 1.0) -> tuple[Network, dict[str, Floats]]:
    """Its steps, and random weights."""
    rng = np.random.default_rng(seed)

    def arrays(layer: a.Layer, before: list[a.Shape]) -> list[Floats]:
        shapes = layer.weight_shapes(before).values()
        if isinstance(layer, a.BatchNormalization):  # variances are positive
            return [rng.uniform(0.3, 1.5, shape) for shape in shapes]
        return [rng.normal(size=shape) * size for shape in shapes]

    network = lower(model)
    return network, network.encode({layer.name: arrays(layer, list(before)) for layer, before, _ in model.walk()})


def without_limits(protocol: str) -> FixedPoint:
    return replace(fixed_point(protocol), truncated_below=np.inf, compared_below=np.inf)


class FixedPointRun:
    """Rows through a network as the workers compute them, truncation wrong by up to a unit; and what was reached."""

    def __init__(self, network: Network, weights: dict[str, Floats], numbers: FixedPoint, seed: int) -> None:
        self._network, self._numbers = network, numbers
        self._weights = {name: self._rounded(w) for name, w in weights.items()}
        self._rng = np.random.default_rng(seed)

    def _rounded(self, x: Floats) -> Floats:
        return np.rint(x * self._numbers.scale) / self._numbers.scale

    def __call__(self, x: Floats) -> tuple[Floats, Floats]:
        """The answers, and what each row reaches at each place that counts: (places, rows)."""
        reached = []

        def seen(y: Floats) -> Floats:
            reached.append(np.abs(y).reshape(len(y), -1).max(axis=1))
            return y

        def product(y: Floats) -> Floats:
            return seen(y) + self._rng.choice([-1.0, 0.0, 1.0], y.shape) * self._numbers.unit

        answer = seen(by_steps(self._network, self._weights, self._rounded(x), product, seen))
        return answer, np.array(reached)


@settings(max_examples=120, deadline=None)
@given(
    name=st.sampled_from(sorted(NETS)),
    protocol=st.sampled_from(sorted(FIXED_POINT)),
    seed=st.integers(0, 2**16),
    low=st.floats(-4, 4),
    width=st.floats(0.1, 8),
    size=st.sampled_from([0.05, 0.5, 2.0]),
)
def test_no_input_of_the_range_passes_a_bound_or_is_rounded_by_more(
    name: str, protocol: str, seed: int, low: float, width: float, size: float
) -> None:
    """Inputs are searched for: corners of the range, changed where that makes things worse at one place or another."""
    network, weights = network_of(NETS[name], seed, size)
    numbers, rng = without_limits(protocol), np.random.default_rng(seed)
    ranges = analyse(network, weights, numbers, InputRange(low, low + width))
    bounds = np.array([reach.bound for reach in ranges.reaches])
    run = FixedPointRun(network, weights, numbers, seed)

    shape = (24, *network.input_shape)
    x = np.where(rng.random(shape) < 0.5, low, low + width)
    x[::4] = rng.uniform(low, low + width, x[::4].shape)
    for step in range(STEPS):
        answer, reached = run(x)
        assert reached.shape == (len(bounds), len(x))
        assert (reached.max(axis=1) <= bounds).all()
        assert np.abs(answer - by_steps(network, weights, x)).max() <= ranges.error
        worst = x[reached[step % len(bounds)].argmax()]
        flips = rng.random(shape) < rng.choice([0.05, 0.2, 0.5])
        x = np.where(flips, np.where(rng.random(shape) < 0.5, low, low + width), worst)


def test_the_bound_of_one_product_is_what_its_worst_corner_gives() -> None:
    model = a.Architecture((6,), (a.Dense("d", 3),))
    network, weights = network_of(model, 1)
    product = analyse(network, weights, fixed_point("ABY3"), InputRange(-1.0, 3.0)).reaches[0]
    kernel = weights["d/kernel"]
    corners = [np.where(sign * kernel > 0, 3.0, -1.0) for sign in (1, -1)]
    worst = max(np.abs((corner * kernel).sum(axis=0)).max() for corner in corners)
    assert (product.layer, product.what) == ("d", "a product")
    assert worst - 1e-4 < product.bound < worst + 1e-4


@pytest.mark.parametrize(
    ("layer", "most"),
    [
        (a.Sigmoid("s"), 1.0),
        (a.Tanh("s"), 1.0),
        (a.HardSigmoid("s"), 1.0),
        (a.Relu("s", max_value=6.0), 6.0),
        (a.MaxPooling1D("s", (8,), (8,)), 100.0),
    ],
)
def test_what_many_steps_make_of_a_value_is_not_taken_for_more_than_it_is(layer: a.Layer, most: float) -> None:
    """Step by step, the ReLUs of a sigmoid and the differences of a maximum would come to many times that."""
    model = a.Architecture((8, 1), (layer, a.Flatten("f"), a.Dense("d", 1, use_bias=False)))
    network, weights = network_of(model, 0)
    kernel = weights["d/kernel"] = np.ones_like(weights["d/kernel"])
    ranges = analyse(network, weights, fixed_point("ABY3"), InputRange(-100.0, 100.0))
    product = next(reach for reach in ranges.reaches if (reach.layer, reach.what) == ("d", "a product"))
    assert most * len(kernel) * 0.99 < product.bound < most * len(kernel) * 1.01


def test_a_curve_is_bounded_on_the_part_that_inputs_reach() -> None:
    model = a.Architecture((1, 1), (a.Sigmoid("s"), a.Flatten("f"), a.Dense("d", 1, use_bias=False)))
    network, weights = network_of(model, 0)
    weights["d/kernel"] = np.ones((1, 1))
    ranges = analyse(network, weights, fixed_point("ABY3"), InputRange(0.0, 0.5))
    product = next(reach for reach in ranges.reaches if reach.layer == "d")
    assert 0.62 < product.bound < 0.63  # sigmoid(0.5) is 0.622


def test_a_curve_that_rises_and_falls_is_bounded_at_its_top() -> None:
    """Lowering writes none that does; bounds do not rely on that."""
    ends = Curve.of(np.array([-1.0]), np.array([3.0]))
    bent = ends.shifted(np.array([0.0, -1.0, -2.0]), 0.0).rectified()
    assert bent is not None
    tent = bent.then(lambda v: v @ np.array([[1.0], [-2.0], [1.0]]), 0.0)
    low, high = tent.hull()
    assert (low.item(), high.item()) == (0.0, 1.0)


def test_the_first_layer_that_does_not_fit_is_named() -> None:
    model = a.Architecture((4,), (a.Dense("small", 4), a.Relu("r"), a.Dense("big", 2), a.Dense("later", 2)))
    network, weights = network_of(model, 0, 0.1)
    weights["big/kernel"] = np.full((4, 2), 1000.0)
    weights["small/bias"] = np.full(4, 1000.0)
    weights["small/kernel"] = np.full((4, 4), 100.0)
    with pytest.raises(DoesNotFit) as refused:
        analyse(network, weights, fixed_point("ABY3"), InputRange(-1.0, 1.0))
    assert refused.value.reach.layer == "big"
    assert refused.value.reach.bound == pytest.approx(4 * 1400 * 1000, rel=1e-3)
    assert str(refused.value) == "layer 'big': a product may be 2^22.4, less than 2^22 fits"


@pytest.mark.parametrize(("protocol", "fits"), [("ABY3", 2.0**22), ("SecureNN", 2.0**17)])
def test_a_product_fits_up_to_its_limit_and_not_beyond(protocol: str, fits: float) -> None:
    network = lower(a.Architecture((64,), (a.Dense("d", 1, use_bias=False),)))
    weights = {"d/kernel": np.full((64, 1), 100.0)}
    most = fits / 6400
    limit = replace(fixed_point(protocol), max_magnitude=1000.0)
    analyse(network, weights, limit, InputRange(0.0, most * 0.9999))
    with pytest.raises(DoesNotFit, match="'d': a product"):
        analyse(network, weights, limit, InputRange(0.0, most * 1.0001))


def test_what_is_compared_fits_in_securenn_up_to_15_bits() -> None:
    network = lower(a.Architecture((4,), (a.Dense("d", 1), a.Relu("r"))))
    weights = {"d/kernel": np.full((4, 1), 64.0), "d/bias": np.zeros(1)}
    analyse(network, weights, fixed_point("SecureNN"), InputRange(-127.9, 127.9))
    with pytest.raises(DoesNotFit, match="'r': what is compared"):
        analyse(network, weights, fixed_point("SecureNN"), InputRange(-128.0, 128.0))


def test_an_input_that_the_protocol_does_not_carry_is_refused() -> None:
    network = lower(a.Architecture((4,), (a.Relu("r"),)))
    with pytest.raises(DoesNotFit, match=r"an input may be 2\^10"):
        analyse(network, {}, fixed_point("SecureNN"), InputRange(-1024.0, 1.0))


def test_bounds_that_grow_beyond_all_numbers_do_not_fit() -> None:
    layers = [layer for i in range(80) for layer in (a.Dense(f"d{i}", 64, use_bias=False), a.Relu(f"r{i}"))]
    network = lower(a.Architecture((64,), tuple(layers)))
    weights = {name: np.full(shape, 1000.0) for name, shape in network.weights.items()}
    with pytest.raises(DoesNotFit, match="'d1'"):
        analyse(network, weights, fixed_point("ABY3"), InputRange(0.0, 1.0))
    limitless = without_limits("ABY3")
    with pytest.raises(DoesNotFit, match=r"may be (inf|nan)"):
        analyse(network, weights, limitless, InputRange(0.0, 1.0))


def test_securenn_truncates_wrongly_by_a_chance_that_is_told() -> None:
    network = lower(a.Architecture((1,), (a.Dense("d", 10, use_bias=False),)))
    weights = {"d/kernel": np.full((1, 10), 64.0)}
    assert analyse(network, weights, fixed_point("ABY3"), InputRange(0.0, 1.0)).chance == 0
    chance = analyse(network, weights, fixed_point("SecureNN"), InputRange(0.0, 1.0)).chance
    assert chance == pytest.approx(10 * 64 / 2**32, rel=1e-3)


def test_every_step_knows_its_keras_layer() -> None:
    for model in NETS.values():
        names = {layer.name for layer in model.layers}
        assert {step.layer for step in lower(model).steps} <= names


@pytest.mark.parametrize(("value", "text"), [(8.0, "2^3"), (3000.0, "2^11.6"), (0.0, "0"), (np.inf, "inf")])
def test_a_number_as_a_power_of_two(value: float, text: str) -> None:
    assert power(value) == text


@pytest.mark.parametrize("protocol", sorted(FIXED_POINT))
def test_dither_and_rounding_off_make_an_answer_less_exact_by_what_they_add(protocol: str) -> None:
    plain = a.Architecture((1,), (a.Dense("d", 1, use_bias=False),))
    numbers, weights = fixed_point(protocol), {"d/kernel": np.ones((1, 1))}
    errors = [
        analyse(lower(replace(plain, answer_bits=bits)), weights, numbers, InputRange(0.0, 1.0)).error
        for bits in (None, 8)
    ]
    assert errors[0] == pytest.approx(1.5 * numbers.unit)
    assert errors[1] == pytest.approx(3.0 * numbers.unit + 2.5 / 256)
