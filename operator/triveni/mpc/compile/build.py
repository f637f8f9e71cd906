"""The steps of a network as calls of a protocol: the same for every protocol, none of which it knows.

What a step costs is the protocol's; which values are multiplied, added and rectified is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Protocol as Interface

import tensorflow as tf

from triveni.mpc.compile.tfe import Private
from triveni.mpc.lowering import Network, steps
from triveni.mpc.lowering.steps import Affine, Step


class Protocol(Interface):
    """What a protocol gives to build with; every value is fixed point, shape (rows, ...).

    With `dithers` no one worker knows how any value is rounded.
    """

    dithers: bool

    def secret(self, name: str, shape: Sequence[int]) -> Private:
        """A secret whose shares come from outside: the request ``x``, or a weight."""

    def on_shares(self, x: Private, function: Callable[[tf.Tensor], tf.Tensor]) -> Private:
        """A function that every server applies to its own shares: linear, without constants, or moving elements."""

    def matmul(self, x: Private, y: Private) -> Private:
        """The truncated product of two secrets, (m, k) by (k, n)."""

    def add(self, x: Private, y: Private) -> Private:
        """The sum of two secrets, broadcast as numpy does."""

    def relu(self, x: Private) -> Private:
        """max(x, 0)."""

    def rounded_off(self, x: Private, fractional_bits: int) -> Private:
        """x to so many fractional bits, in units of the last."""

    def rerandomised(self, y: Private) -> list[list[tf.Tensor]]:
        """The answer's shares, so that they tell nothing but their sum."""


def build(protocol: Protocol, network: Network, rows: int) -> list[list[tf.Tensor]]:
    """The graph of a network for `rows` rows; the answer tensors of each server."""
    protocol.dithers = any(isinstance(step, steps.RoundOff) for step in network.steps)
    weights = {name: protocol.secret(name, shape) for name, shape in network.weights.items()}
    values = [protocol.secret("x", (rows, *network.input_shape))]
    for step in network.steps:
        values.append(_step(protocol, step, [values[i] for i in step.inputs], weights))
    return protocol.rerandomised(values[-1])


def _step(protocol: Protocol, step: Step, values: list[Private], weights: dict[str, Private]) -> Private:
    x = values[0]
    match step:
        case steps.Linear():
            return _product(protocol, step, x, weights)
        case steps.Convolution():
            if any(map(any, step.pads)):
                x = protocol.on_shares(x, lambda t: _padded(t, (*step.pads, (0, 0))))
            window = step.kernel_shape[:2]
            columns = protocol.on_shares(x, lambda t: _patches(t, window, step.strides, step.dilation))
            return _product(protocol, step, columns, weights)
        case steps.AddConstant():
            return protocol.add(x, weights[f"{step.name}/constant"])
        case steps.Sum():
            return reduce(protocol.add, map(_times(protocol), values, step.coefficients))
        case steps.Join():
            return _join(protocol, values, step.axis + 1)
        case steps.Rectify():
            return protocol.relu(x)
        case steps.RoundOff():
            return protocol.rounded_off(x, step.fractional_bits)
    return protocol.on_shares(x, lambda t: _moved(step, t))


def _product(protocol: Protocol, step: Affine, x: Private, weights: dict[str, Private]) -> Private:
    """Over the last axis: product with the kernel (TF Encrypted: re-shared and truncated) plus bias."""
    *places, size = x.shape.as_list()
    units = step.kernel_shape[-1]
    flat = protocol.on_shares(x, lambda t: tf.reshape(t, [-1, size]))
    kernel = protocol.on_shares(weights[f"{step.name}/kernel"], lambda t: tf.reshape(t, [size, units]))
    y = protocol.matmul(flat, kernel)
    if step.bias is not None:
        y = protocol.add(y, weights[f"{step.name}/bias"])
    return protocol.on_shares(y, lambda t: tf.reshape(t, [*places, units]))


def _times(protocol: Protocol) -> Callable[[Private, int], Private]:
    """The product with a public whole number, which needs no truncation."""

    def times(x: Private, number: int) -> Private:
        return x if number == 1 else protocol.on_shares(x, lambda t: t * tf.constant(number, t.dtype))

    return times


def _join(protocol: Protocol, values: list[Private], axis: int) -> Private:
    """The sum of the values, each with zeros in the place of the others."""
    sizes = [value.shape.as_list()[axis] for value in values]

    def placed(number: int) -> Private:
        around = (sum(sizes[:number]), sum(sizes[number + 1 :]))
        rank = len(values[number].shape)
        pads = [around if other == axis else (0, 0) for other in range(rank)]
        return protocol.on_shares(values[number], lambda t: tf.pad(t, pads))

    return reduce(protocol.add, map(placed, range(len(values))))


def _moved(step: Step, t: tf.Tensor) -> tf.Tensor:
    """What every server does with its own share of a value, shape (rows, ...)."""
    rows = t.shape[0]
    match step:
        case steps.Rearrange():
            return tf.reshape(t, [rows, *step.shape])
        case steps.Transpose():
            return tf.transpose(t, [0, *(axis + 1 for axis in step.order)])
        case steps.Pad():
            return _padded(t, step.pads)
        case steps.Slice():
            return tf.strided_slice(t, [0, *step.start], [rows, *step.stop], [1] * len(t.shape))
        case steps.Repeat():
            axis = step.axis + 1
            shape = [size * step.times if other == axis else size for other, size in enumerate(t.shape)]
            return tf.reshape(tf.stack([t] * step.times, axis + 1), shape)
        case steps.Windows():
            columns = _patches(t, step.window, step.strides, (1, 1))
            return tf.reshape(columns, [*columns.shape[:3], -1, t.shape[-1]])
        case steps.SumAxis():
            return tf.reduce_sum(t, axis=step.axis + 1)
    raise AssertionError(step)


def _padded(t: tf.Tensor, pads: Sequence[tuple[int, int]]) -> tf.Tensor:
    return tf.pad(t, [(0, 0), *pads])


def _patches(images: tf.Tensor, window: Sequence[int], strides: Sequence[int], dilation: tuple[int, int]) -> tf.Tensor:
    """The im2col of a convolution: (rows, h, w, c) to (rows, oh, ow, kh*kw*c)."""
    reach = [(size - 1) * rate + 1 for size, rate in zip(window, dilation, strict=True)]
    columns = tf.image.extract_patches(images, [1, *reach, 1], [1, *strides, 1], [1, 1, 1, 1], "VALID")
    if dilation == (1, 1):
        return columns
    rows, height, width, _ = columns.shape
    apart = tf.reshape(columns, [rows, height, width, *reach, images.shape[-1]])
    kept = tf.strided_slice(apart, [0] * 6, apart.shape, [1, 1, 1, *dilation, 1])
    return tf.reshape(kept, [rows, height, width, -1])
