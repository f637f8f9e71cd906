"""Every layer that is served: with which options, how it is computed, what it costs, how far it is from plain Keras.

docs/layers.md shows it (`make generate`), and the tests take their examples and bounds from it: each row makes layers
of random shapes and options, which the real Keras computes too; `n` is its `keras.layers`, which is not imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from triveni.mpc.fixedpoint import FIXED_POINT

Random = np.random.Generator
Make = Callable[[Any, Random], tuple[Sequence[int], Callable[[Any], Any]]]
"""The shape of a row, and what is called with a Keras tensor of it."""

BITS = tuple(FIXED_POINT[protocol].fractional_bits for protocol in ("ABY3", "SecureNN"))
"""20 and 16."""

EXACT = 1e-4, 1.6e-3
"""Bound for what is exact but for the rounding to so many bits, and Keras's own single precision."""


@dataclass(frozen=True)
class Row:
    """One layer, or a few of one cost.

    Args:
        layers: names as in Keras.
        served: its options, and what is refused.
        how: it is computed.
        cost: products and ReLUs, one after the other.
        make: an example from random numbers.
        depth: the same cost, to be checked on the example's steps; None where it depends on the options.
        bounds: the largest difference from plain Keras for each of `BITS`; inputs within -3 and 3, weights within 0.5.
    """

    layers: str
    served: str
    how: str
    cost: str
    make: Make
    depth: tuple[int, int] | None = None
    bounds: tuple[float, float] = EXACT

    @property
    def name(self) -> str:
        """For the ids of tests and the names of files."""
        return self.layers.replace(", ", "_").replace("'", "").replace(" ", "_").replace("=", "_")


def pick(r: Random, *values: Any) -> Any:
    return values[int(r.integers(len(values)))]


def size(r: Random, low: int = 1, high: int = 3) -> int:
    return int(r.integers(low, high + 1))


def image(r: Random, channels: int = 0) -> tuple[int, int, int]:
    return size(r, 6, 10), size(r, 6, 10), channels or size(r, 1, 4)


def series(r: Random) -> tuple[int, int]:
    return size(r, 7, 12), size(r, 1, 4)


def strides_or_dilation(r: Random, rank: int) -> dict[str, Any]:
    """Both above 1 are possible in neither Keras nor here."""
    values = pick(r, 1, 2) if rank == 1 else (size(r, 1, 2),) * 2
    return {pick(r, "strides", "dilation_rate"): values}


def one(shape: Sequence[int], *layers: Any) -> tuple[Sequence[int], Callable[[Any], Any]]:
    """Layers in a row."""

    def call(x: Any) -> Any:
        for layer in layers:
            x = layer(x)
        return x

    return shape, call


def dense(n: Any, r: Random) -> Any:
    shape = pick(r, (size(r, 1, 9),), (3, size(r)), image(r))
    return one(shape, n.Dense(size(r, 1, 6), use_bias=pick(r, True, False)))


def conv2d(n: Any, r: Random) -> Any:
    groups = pick(r, 1, 2)
    options = {"padding": pick(r, "valid", "same"), "use_bias": pick(r, True, False), **strides_or_dilation(r, 2)}
    layer = n.Conv2D(groups * size(r), (size(r), size(r)), groups=groups, **options)
    return one(image(r, 2 * groups), layer)


def conv1d(n: Any, r: Random) -> Any:
    options = {"padding": pick(r, "valid", "same", "causal"), **strides_or_dilation(r, 1)}
    return one(series(r), n.Conv1D(size(r), size(r), use_bias=pick(r, True, False), **options))


def depthwise(n: Any, r: Random) -> Any:
    options = {"padding": pick(r, "valid", "same"), "depth_multiplier": size(r, 1, 2), "use_bias": pick(r, True, False)}
    if pick(r, True, False):
        return one(series(r), n.DepthwiseConv1D(size(r), **options, **strides_or_dilation(r, 1)))
    return one(image(r), n.DepthwiseConv2D((size(r), size(r)), **options, **strides_or_dilation(r, 2)))


def separable(n: Any, r: Random) -> Any:
    options = {"padding": pick(r, "valid", "same"), "depth_multiplier": size(r, 1, 2), "use_bias": pick(r, True, False)}
    if pick(r, True, False):
        return one(series(r), n.SeparableConv1D(size(r), size(r), **options, **strides_or_dilation(r, 1)))
    return one(image(r), n.SeparableConv2D(size(r), (size(r), size(r)), **options, **strides_or_dilation(r, 2)))


def normalised(n: Any, r: Random) -> Any:
    """Behind a linear layer, before one, past a mean or a flattening."""
    layer = n.BatchNormalization(epsilon=pick(r, 1e-3, 1e-2), center=pick(r, True, False), scale=pick(r, True, False))
    around: Any = pick(
        r,
        lambda: (n.Conv2D(3, 2, use_bias=pick(r, True, False)), layer),
        lambda: (n.Conv2D(3, 2), n.AveragePooling2D(3, 2), layer),
        lambda: (layer, n.Conv2D(3, 3)),
        lambda: (layer, n.AveragePooling2D(2), n.Flatten(), n.Dense(3)),
        lambda: (n.DepthwiseConv2D(2), layer),
    )
    return one(image(r), *around())


def normalised_alone(n: Any, r: Random) -> Any:
    return one(pick(r, image(r), (5,), series(r)), n.BatchNormalization(), n.ReLU())


def rescaling(n: Any, r: Random) -> Any:
    layer = n.Rescaling(pick(r, 0.5, 1 / 3), offset=pick(r, 0.0, -1.0))
    return one(image(r), layer, n.Conv2D(2, 3))


def pool_options(r: Random) -> dict[str, Any]:
    return {"pool_size": size(r, 1, 3), "strides": pick(r, None, 1, 2, 3), "padding": pick(r, "valid", "same")}


def average_pooling(n: Any, r: Random) -> Any:
    flat = pick(r, True, False)
    layer = (n.AveragePooling1D if flat else n.AveragePooling2D)(**pool_options(r))
    before = pick(r, [], [n.Conv1D(2, 2) if flat else n.Conv2D(2, 2)])
    after: Any = pick(r, lambda: [n.ReLU()], lambda: [n.Flatten(), n.Dense(2)], list)
    return one(series(r) if flat else image(r), *before, layer, *after())


def max_pooling(n: Any, r: Random) -> Any:
    if pick(r, True, False):
        return one(series(r), n.MaxPooling1D(**pool_options(r)))
    return one(image(r), n.MaxPooling2D(**pool_options(r)))


def global_average(n: Any, r: Random) -> Any:
    keepdims = pick(r, True, False)
    if pick(r, True, False):
        return one(series(r), n.GlobalAveragePooling1D(keepdims=keepdims), n.Dense(2))
    return one(image(r), n.Conv2D(2, 3), n.ReLU(), n.GlobalAveragePooling2D(keepdims=keepdims))


def global_max(n: Any, r: Random) -> Any:
    keepdims = pick(r, True, False)
    if pick(r, True, False):
        return one(series(r), n.GlobalMaxPooling1D(keepdims=keepdims))
    return one(image(r), n.GlobalMaxPooling2D(keepdims=keepdims))


def moved(n: Any, r: Random) -> Any:
    return one(image(r), n.Permute(pick(r, (1, 2, 3), (3, 1, 2), (2, 1, 3))), n.Flatten(), n.Reshape((-1, 1)))


def margins(n: Any, r: Random) -> Any:
    if pick(r, True, False):
        return one(series(r), n.ZeroPadding1D((size(r, 0), size(r))), n.Cropping1D((size(r, 0, 2), 1)))
    pads = ((size(r, 0), size(r)), (size(r), size(r, 0)))
    return one(image(r), n.ZeroPadding2D(pads), n.Cropping2D(((1, 0), (size(r, 0, 2), 2))))


def up_sampling(n: Any, r: Random) -> Any:
    if pick(r, True, False):
        return one(series(r), n.UpSampling1D(size(r)))
    return one(image(r), n.UpSampling2D((size(r), size(r))))


def rectified(n: Any, r: Random) -> Any:
    return one(image(r), pick(r, n.ReLU(), n.Activation("relu")))


def capped(n: Any, r: Random) -> Any:
    return one((7,), pick(r, n.ReLU(max_value=pick(r, 6.0, 0.75)), n.Activation("relu6")))


def leaky(n: Any, r: Random) -> Any:
    layers = (n.LeakyReLU(0.3), n.Activation("leaky_relu"), n.ReLU(max_value=1.0, negative_slope=0.25))
    return one((7,), pick(r, *layers))


def curve(name: str) -> Make:
    """A second layer follows, since the last sigmoid is the client's."""

    def make(n: Any, r: Random) -> Any:
        return one(pick(r, (6,), (3, 2)), n.Activation(name), n.Flatten())

    return make


def clients(n: Any, r: Random) -> Any:
    return one((5,), n.Dense(4, activation=pick(r, "softmax", "sigmoid", "tanh")))


def merged(n: Any, r: Random) -> Any:
    shape = image(r)
    layer = pick(r, n.Add, n.Subtract, n.Average)()
    return shape, lambda x: layer([x, n.Conv2D(shape[2], 3, padding="same")(x)])


def extremes(n: Any, r: Random) -> Any:
    layer = pick(r, n.Maximum, n.Minimum)()
    return (4,), lambda x: layer([x, n.Dense(4)(x), n.Dense(4)(x)])


def joined(n: Any, r: Random) -> Any:
    axis = pick(r, 1, 2, 3, -1)
    shape = image(r)
    return shape, lambda x: n.Concatenate(axis=axis)([x, n.Conv2D(shape[2], 1)(x), x])


def residual(n: Any, r: Random) -> Any:
    """conv, norm, relu, conv, norm; beside it a 1x1 convolution or nothing; added and rectified."""
    shape = image(r, 3)
    project = pick(r, True, False)

    def block(x: Any) -> Any:
        y = n.BatchNormalization()(n.Conv2D(3, 3, padding="same", use_bias=False)(x))
        y = n.BatchNormalization()(n.Conv2D(3, 3, padding="same")(n.ReLU()(y)))
        skip = n.BatchNormalization()(n.Conv2D(3, 1)(x)) if project else x
        return n.ReLU()(n.Add()([y, skip]))

    return shape, block


def nested(n: Any, r: Random) -> Any:
    """A Sequential and a functional model as layers, with layers of the same class outside of them."""
    import keras

    inner = keras.Input((5,))
    functional = keras.Model(inner, n.Add()([n.Dense(5, activation="relu")(inner), inner]))
    layers = n.Dense(4), keras.Sequential([keras.Input((4,)), n.Dense(5), n.BatchNormalization()]), functional
    return one((3,), *layers, n.Dense(2))


def nothing(n: Any, r: Random) -> Any:
    layers = (n.Dropout(0.5), n.SpatialDropout2D(0.2), n.GaussianNoise(0.1), n.GaussianDropout(0.1))
    return one(image(r), *layers, n.ActivityRegularization(l2=0.1), n.AlphaDropout(0.1), n.Flatten())


TABLE: Sequence[Row] = (
    Row("Dense", "any number of axes; bias", "a product over the last axis", "1 product", dense, (1, 0)),
    Row(
        "Conv2D",
        "strides, dilation, valid or same padding, groups, bias; channels last",
        "windows as rows of one product; of groups, a kernel with zeros",
        "1 product",
        conv2d,
        (1, 0),
    ),
    Row("Conv1D", "as Conv2D, and causal padding", "as an image of one row", "1 product", conv1d, (1, 0)),
    Row(
        "DepthwiseConv2D, DepthwiseConv1D",
        "strides, dilation, padding, depth_multiplier, bias",
        "a convolution whose kernel is zero between channels: as many ring products as a Conv2D",
        "1 product",
        depthwise,
        (1, 0),
    ),
    Row(
        "SeparableConv2D, SeparableConv1D",
        "as DepthwiseConv2D",
        "depthwise, then a product",
        "2 products",
        separable,
        (2, 0),
    ),
    Row(
        "BatchNormalization",
        "axis -1",
        "its four secrets are folded into the linear layer before it, or after it, past means and Flatten",
        "nothing",
        normalised,
        (1, 0),
    ),
    Row(
        "BatchNormalization alone",
        "with no linear layer that nobody else reads beside it (or only one behind it that pads with zeros)",
        "a product with a diagonal matrix, channels^2 weights",
        "1 product",
        normalised_alone,
        (1, 1),
    ),
    Row("Rescaling", "one scale or one of each channel; public", "as BatchNormalization", "nothing", rescaling, (1, 0)),
    Row(
        "AveragePooling2D, AveragePooling1D",
        "strides, valid or same padding",
        "folded into the convolution before it, or a sum whose division goes into a linear layer's weights; "
        "where neither can be, or windows reach over the edge, a product",
        "nothing to 1 product",
        average_pooling,
    ),
    Row(
        "GlobalAveragePooling2D, GlobalAveragePooling1D",
        "keepdims",
        "a sum; its division goes into a linear layer's weights",
        "nothing, or 1 product where there is none",
        global_average,
    ),
    Row(
        "MaxPooling2D, MaxPooling1D",
        "strides, valid or same padding",
        "a tournament, max(a, b) = b + relu(a - b); overlapping windows by columns, then by rows",
        "log2 of the window's elements, rounded up, ReLUs; overlapping: of its height and of its width",
        max_pooling,
    ),
    Row(
        "GlobalMaxPooling2D, GlobalMaxPooling1D",
        "keepdims",
        "one tournament of all places",
        "log2 of the places, rounded up, ReLUs",
        global_max,
    ),
    Row("Flatten, Reshape, Permute", "all", "moved", "nothing", moved, (0, 0)),
    Row("ZeroPadding2D, ZeroPadding1D, Cropping2D, Cropping1D", "all", "moved", "nothing", margins, (0, 0)),
    Row("UpSampling2D, UpSampling1D", "nearest", "copied", "nothing", up_sampling, (0, 0)),
    Row("ReLU, Activation relu", "exact", "the protocol's ReLU", "1 ReLU", rectified, (0, 1)),
    Row("ReLU max_value, relu6", "exact", "relu(x) - relu(x - max), side by side", "1 ReLU", capped, (0, 1)),
    Row(
        "LeakyReLU, leaky_relu, ReLU negative_slope",
        "threshold 0 only",
        "slope * x + (1 - slope) * relu(x)",
        "1 ReLU, 1 product",
        leaky,
        (1, 1),
    ),
    Row(
        "sigmoid",
        "in between",
        "15 straight lines as 14 ReLUs side by side; 0.0016 and 0.9984 beyond -5.743 and 5.743",
        "1 ReLU of 14 times the elements, 1 product",
        curve("sigmoid"),
        (1, 1),
        (2e-3, 2e-3),
    ),
    Row(
        "tanh",
        "in between",
        "19 straight lines as 18 ReLUs side by side; -0.998 and 0.998 beyond -3.109 and 3.109",
        "1 ReLU of 18 times the elements, 1 product",
        curve("tanh"),
        (1, 1),
        (2.1e-3, 2.1e-3),
    ),
    Row(
        "hard_sigmoid",
        "exact",
        "(relu(x + 3) - relu(x - 3)) / 6",
        "1 ReLU of 2 times the elements, 1 product",
        curve("hard_sigmoid"),
        (1, 1),
    ),
    Row(
        "Softmax, softmax, sigmoid, tanh at the end",
        "as the very last layer; softmax nowhere else, over the last axis",
        "by the client, on the revealed answer",
        "nothing",
        clients,
        (1, 0),
    ),
    Row(
        "Add, Subtract, Average",
        "up to 64 inputs, broadcast",
        "sums; the mean's division as in pooling",
        "nothing",
        merged,
    ),
    Row("Maximum, Minimum", "up to 64 inputs", "a tournament", "log2 of the inputs, up, ReLUs", extremes, (1, 2)),
    Row("Concatenate", "any axis but the batch", "moved", "nothing", joined, (1, 0)),
    Row("a residual block", "conv, norm, relu, conv, norm; added", "as above", "2 products, 2 ReLUs", residual, (2, 2)),
    Row("Sequential, Functional", "a model as a layer", "taken apart", "as its layers", nested, (4, 1)),
    Row(
        "Dropout, SpatialDropout2D, SpatialDropout1D, GaussianNoise, GaussianDropout, AlphaDropout, "
        "ActivityRegularization, InputLayer, linear",
        "nothing at inference",
        "left out",
        "nothing",
        nothing,
        (0, 0),
    ),
)


def markdown() -> str:
    """The table as docs/layers.md shows it."""
    bounds = "largest difference: ABY3, SecureNN"
    head = ("layer", "served", "how it is computed", "cost, in a row", bounds), ("---",) * 5
    rows = ((row.layers, row.served, row.how, row.cost, "{:.2g}, {:.2g}".format(*row.bounds)) for row in TABLE)
    return "".join(f"| {' | '.join(line)} |\n" for line in (*head, *rows))


PAGE = Path(__file__).parents[2] / "docs" / "layers.md"
BEGIN, END = "<!-- the table of tests/layers/table.py: make generate -->\n", "<!-- end of the table -->\n"


def page_with_table(page: str) -> str:
    """The page with the table of this moment."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{markdown()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page_with_table(PAGE.read_text()))
    sys.exit(0)
