"""Lowering: an architecture as the few steps that the protocol computes.

Average pooling costs nothing here. Behind a convolution it is folded into it: one strided convolution, hence one
truncation (exact in real numbers). Elsewhere it becomes a sum of shares, which is local, and the division by the
window's size goes into the weights of the next linear step, or of the last one (ReLU commutes with a positive factor).
The same steps tell the workers the shapes and the sharing job what to do with the weights, so the two cannot differ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from triveni.mpc.architecture import (
    Architecture,
    AveragePooling2D,
    Conv2D,
    Dense,
    GlobalAveragePooling2D,
    InvalidArchitecture,
    Relu,
    Shape,
)

Floats = NDArray[np.float64]

MAX_FOLDED_GROWTH = 4
"""A pooling is folded while it makes the kernel at most this many times larger: 3x3 with 2x2 gives 4x4."""


@dataclass(frozen=True)
class Convolution:
    """A strided convolution of zero-padded images; `pool` and `gain` say how its kernel comes from the layer's.

    `layer_kernel` is the Keras layer's kernel shape, `layer_strides` its strides; `gain` multiplies the kernel, and
    `bias_gain` the bias too.
    """

    name: str
    layer_kernel: tuple[int, int, int, int]
    layer_strides: tuple[int, int]
    pads: tuple[tuple[int, int], tuple[int, int]]
    use_bias: bool
    pool: tuple[int, int] = (1, 1)
    pool_strides: tuple[int, int] = (1, 1)
    gain: float = 1.0
    bias_gain: float = 1.0

    @property
    def kernel_shape(self) -> tuple[int, int, int, int]:
        """(height, width, channels in, channels out) of the kernel with the pooling in it."""
        height, width = (
            kernel + stride * (pool - 1)
            for kernel, stride, pool in zip(self.layer_kernel[:2], self.layer_strides, self.pool, strict=True)
        )
        return height, width, *self.layer_kernel[2:]

    @property
    def strides(self) -> tuple[int, int]:
        """Strides with the pooling in them."""
        return (
            self.layer_strides[0] * self.pool_strides[0],
            self.layer_strides[1] * self.pool_strides[1],
        )

    def kernel(self, layer_kernel: Floats) -> Floats:
        """The kernel that the workers get."""
        folded = np.zeros(self.kernel_shape)
        for row in range(self.pool[0]):
            for column in range(self.pool[1]):
                top, left = self.layer_strides[0] * row, self.layer_strides[1] * column
                bottom, right = top + self.layer_kernel[0], left + self.layer_kernel[1]
                folded[top:bottom, left:right] += layer_kernel
        return folded * (self.gain / math.prod(self.pool))


@dataclass(frozen=True)
class Linear:
    """``x @ kernel + bias`` of flat rows."""

    name: str
    kernel_shape: tuple[int, int]
    use_bias: bool
    gain: float = 1.0
    bias_gain: float = 1.0

    def kernel(self, layer_kernel: Floats) -> Floats:
        """The kernel that the workers get."""
        return layer_kernel * self.gain


@dataclass(frozen=True)
class SumPooling:
    """The sum of each window of an image."""

    window: tuple[int, int]
    strides: tuple[int, int]


@dataclass(frozen=True)
class Rectify:
    """max(x, 0)."""


@dataclass(frozen=True)
class Rearrange:
    """Each row in another shape."""

    shape: Shape


Step = Convolution | Linear | SumPooling | Rectify | Rearrange


@dataclass(frozen=True)
class Network:
    """The steps of a model, in order."""

    input_shape: Shape
    output_shape: Shape
    steps: tuple[Step, ...]

    @property
    def weights(self) -> Mapping[str, Shape]:
        """Name and shape of each weight that the workers hold shares of."""
        shapes: dict[str, Shape] = {}
        for step in self.steps:
            if isinstance(step, Convolution | Linear):
                shapes[f"{step.name}/kernel"] = step.kernel_shape
                if step.use_bias:
                    shapes[f"{step.name}/bias"] = step.kernel_shape[-1:]
        return shapes

    def encode(self, weights: Mapping[str, Sequence[NDArray[np.floating]]]) -> dict[str, Floats]:
        """The workers' weights, as real numbers, from each Keras layer's own [kernel, bias]."""
        result: dict[str, Floats] = {}
        for step in self.steps:
            if isinstance(step, Convolution | Linear):
                kernel, *bias = (np.asarray(w, np.float64) for w in weights[step.name])
                result[f"{step.name}/kernel"] = step.kernel(kernel)
                if step.use_bias:
                    result[f"{step.name}/bias"] = bias[0] * step.bias_gain
        return result


def lower(architecture: Architecture) -> Network:
    """The steps of an architecture.

    Raises:
        InvalidArchitecture: a pooling with no linear layer before or after it to carry its division.
    """
    steps: list[Step] = []
    gain, gain_of = 1.0, ""
    for layer, before, after in architecture.walk():
        if isinstance(layer, AveragePooling2D | GlobalAveragePooling2D):
            window = layer.pool_size if isinstance(layer, AveragePooling2D) else (before[0], before[1])
            strides = layer.strides if isinstance(layer, AveragePooling2D) else (1, 1)
            folded = _folded(steps[-1], window, strides) if steps else None
            if folded and isinstance(layer, AveragePooling2D):
                steps[-1] = folded
                continue
            steps.append(SumPooling(window, strides))
            gain, gain_of = gain / math.prod(window), layer.name
            if isinstance(layer, GlobalAveragePooling2D):
                steps.append(Rearrange(after))
        elif isinstance(layer, Conv2D):
            kernel = (*layer.kernel_size, before[2], layer.filters)
            steps.append(Convolution(layer.name, kernel, layer.strides, layer.pads(before), layer.use_bias, gain=gain))
            gain = 1.0
        elif isinstance(layer, Dense):
            steps.append(Linear(layer.name, (before[0], layer.units), layer.use_bias, gain=gain))
            gain = 1.0
        elif isinstance(layer, Relu):
            steps.append(Rectify())
        elif before != after:
            steps.append(Rearrange(after))
    if gain != 1.0:
        _scale_last_linear(steps, gain, gain_of)
    return Network(architecture.input_shape, architecture.output_shape, tuple(steps))


def _folded(step: Step, window: tuple[int, int], strides: tuple[int, int]) -> Convolution | None:
    """The convolution with the pooling after it folded in; None where it is none or would grow too much."""
    if not isinstance(step, Convolution) or step.pool != (1, 1):
        return None
    folded = replace(step, pool=window, pool_strides=strides)
    growth = math.prod(folded.kernel_shape[:2]) / math.prod(step.kernel_shape[:2])
    return folded if growth <= MAX_FOLDED_GROWTH else None


def _scale_last_linear(steps: list[Step], gain: float, pooling: str) -> None:
    for position, step in reversed(list(enumerate(steps))):
        if isinstance(step, Convolution | Linear):
            steps[position] = replace(step, gain=step.gain * gain, bias_gain=step.bias_gain * gain)
            return
    raise InvalidArchitecture(pooling, "average pooling needs a Conv2D or Dense layer before or after it")
