"""The steps that a protocol computes: linear maps, sums, moving elements, and max(x, 0).

Each names the values that it reads: 0 is the request, n what the n-th step gives. Axes are those of one row. A weight
is made from the Keras layers' own arrays by a function of them, so that folding layers is composing functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from triveni.mpc.architecture import Pads, Shape

Floats = NDArray[np.float64]
LayerWeights = Mapping[str, Sequence[Floats]]
"""Each Keras layer's arrays, in Keras's order."""

Make = Callable[[LayerWeights], Floats]
"""Makes a weight of the workers from those of the layers, as real numbers."""


def constant(values: Sequence[float] | Floats) -> Make:
    """A public constant in the place of a weight."""
    array = np.asarray(values, np.float64)
    return lambda _: array


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a network; `layer` is the name of the Keras layer that it belongs to."""

    inputs: tuple[int, ...]
    layer: str = field(default="", kw_only=True)


@dataclass(frozen=True, eq=False)
class Affine(Step):
    """A product with a kernel of secrets, truncated once, and a bias.

    `kernel` makes an array of `kernel_shape`; `bias` one of its last axis, or there is none.
    """

    name: str
    kernel_shape: Shape
    kernel: Make = field(repr=False)
    bias: Make | None = field(repr=False)


@dataclass(frozen=True, eq=False)
class Linear(Affine):
    """``x @ kernel + bias`` over the last axis; the kernel's shape is (in, out)."""


@dataclass(frozen=True, eq=False)
class Convolution(Affine):
    """A convolution of a zero-padded image; the kernel's shape is (height, width, channels in, channels out).

    `pooled` says that a pooling is in it.
    """

    strides: tuple[int, int]
    dilation: tuple[int, int]
    pads: Pads
    pooled: bool = False


@dataclass(frozen=True, eq=False)
class AddConstant(Step):
    """The value plus a weight of `shape`, broadcast as numpy does."""

    name: str
    shape: Shape
    constant: Make = field(repr=False)


@dataclass(frozen=True, eq=False)
class Sum(Step):
    """The values, each times a whole number, added; broadcast as numpy does."""

    coefficients: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Rectify(Step):
    """max(x, 0)."""


@dataclass(frozen=True, eq=False)
class Rearrange(Step):
    """Each row in another shape."""

    shape: Shape


@dataclass(frozen=True, eq=False)
class Transpose(Step):
    """The axes in another order, as numpy counts them."""

    order: Shape


@dataclass(frozen=True, eq=False)
class Pad(Step):
    """Zeros around every axis."""

    pads: Pads


@dataclass(frozen=True, eq=False)
class Slice(Step):
    """The elements `start` to `stop`, the latter left out, of every axis."""

    start: Shape
    stop: Shape


@dataclass(frozen=True, eq=False)
class Join(Step):
    """The values one behind the other along an axis."""

    axis: int


@dataclass(frozen=True, eq=False)
class Repeat(Step):
    """Each element `times` times in a row along an axis."""

    axis: int
    times: int


@dataclass(frozen=True, eq=False)
class Windows(Step):
    """The windows of an image: (height, width, channels) to (rows, columns, elements of a window, channels)."""

    window: tuple[int, int]
    strides: tuple[int, int]


@dataclass(frozen=True, eq=False)
class SumAxis(Step):
    """The sum over an axis, which is gone then."""

    axis: int


@dataclass(frozen=True, eq=False)
class RoundOff(Step):
    """The value to so many fractional bits, as a whole number of the last one.

    A network that has it rounds with dither everywhere (docs/engine.md).
    """

    fractional_bits: int
