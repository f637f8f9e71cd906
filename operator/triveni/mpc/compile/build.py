"""The steps of a network as calls of a protocol: the same for every protocol, none of which it knows.

What a step costs is the protocol's; which values are multiplied, added and rectified is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol as Interface

import tensorflow as tf

from triveni.mpc.compile.tfe import Private
from triveni.mpc.lowering import Convolution, Linear, Network, Rearrange, Rectify, Step, SumPooling


class Protocol(Interface):
    """What a protocol gives to build with; every value is fixed point, shape (rows, ...)."""

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

    def rerandomised(self, y: Private) -> list[list[tf.Tensor]]:
        """The answer's shares, so that they tell nothing but their sum."""


def build(protocol: Protocol, network: Network, rows: int) -> list[list[tf.Tensor]]:
    """The graph of a network for `rows` rows; the answer tensors of each server."""
    weights = {name: protocol.secret(name, shape) for name, shape in network.weights.items()}
    value = protocol.secret("x", (rows, *network.input_shape))
    for step in network.steps:
        value = _step(protocol, step, value, weights, rows)
    return protocol.rerandomised(value)


def _step(protocol: Protocol, step: Step, x: Private, weights: dict[str, Private], rows: int) -> Private:
    match step:
        case Rectify():
            return protocol.relu(x)
        case Rearrange():
            return protocol.on_shares(x, lambda t: tf.reshape(t, [rows, *step.shape]))
        case SumPooling():
            return protocol.on_shares(x, lambda t: _sum_windows(t, step))
        case Linear():
            return _affine_map(protocol, step, x, weights)
        case Convolution():
            height, width = step.kernel_shape[:2]
            padded = (
                protocol.on_shares(x, lambda t: tf.pad(t, [(0, 0), *step.pads, (0, 0)]))
                if any(map(any, step.pads))
                else x
            )
            columns = protocol.on_shares(padded, lambda t: _patches(t, (height, width), step.strides))
            _, out_height, out_width, size = columns.shape.as_list()
            flat = protocol.on_shares(columns, lambda t: tf.reshape(t, [-1, size]))
            y = _affine_map(protocol, step, flat, weights)
            image = [rows, out_height, out_width, step.kernel_shape[-1]]
            return protocol.on_shares(y, lambda t: tf.reshape(t, image))


def _affine_map(protocol: Protocol, step: Linear | Convolution, x: Private, weights: dict[str, Private]) -> Private:
    """Product with the kernel (TF Encrypted: re-shared and truncated) plus bias."""
    size = x.shape.as_list()[-1]
    kernel = protocol.on_shares(weights[f"{step.name}/kernel"], lambda t: tf.reshape(t, [size, step.kernel_shape[-1]]))
    y = protocol.matmul(x, kernel)
    return protocol.add(y, weights[f"{step.name}/bias"]) if step.use_bias else y


def _patches(images: tf.Tensor, window: tuple[int, int], strides: tuple[int, int]) -> tf.Tensor:
    return tf.image.extract_patches(images, [1, *window, 1], [1, *strides, 1], [1, 1, 1, 1], "VALID")


def _sum_windows(images: tf.Tensor, step: SumPooling) -> tf.Tensor:
    columns = _patches(images, step.window, step.strides)
    rows, height, width, _ = columns.shape.as_list()
    size = step.window[0] * step.window[1]
    return tf.reduce_sum(tf.reshape(columns, [rows, height, width, size, images.shape[-1]]), axis=3)
