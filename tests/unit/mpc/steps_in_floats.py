"""The steps of a network in floating point: what the protocol computes, without its rounding."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from triveni.mpc.lowering import Network, steps
from triveni.mpc.lowering.steps import Floats
from triveni.mpc.ops import patches

Seen = Callable[[Floats], Floats]


def as_it_is(x: Floats) -> Floats:
    return x


def by_steps(
    network: Network, weights: Mapping[str, Floats], x: Floats, product: Seen = as_it_is, compared: Seen = as_it_is
) -> Floats:
    """The answer for rows `x`; `weights` are those of `Network.encode`.

    `product` is shown each product without its bias, and gives what it is to be replaced with; `compared` is shown what
    each ReLU reads.
    """
    values = [x]
    for step in network.steps:
        values.append(_step(step, [values[i] for i in step.inputs], weights, product, compared))
    return values[-1]


def _step(
    step: steps.Step, values: list[Floats], weights: Mapping[str, Floats], product: Seen, compared: Seen
) -> Floats:
    x = values[0]
    match step:
        case steps.Linear() | steps.Convolution():
            if isinstance(step, steps.Convolution):
                x = _columns(np.pad(x, [(0, 0), *step.pads, (0, 0)]), step)
            kernel = weights[f"{step.name}/kernel"]
            assert kernel.shape == step.kernel_shape
            y = product(x @ kernel.reshape(-1, kernel.shape[-1]))
            return y if step.bias is None else y + weights[f"{step.name}/bias"]
        case steps.AddConstant():
            return x + weights[f"{step.name}/constant"]
        case steps.Sum():
            return np.asarray(sum(c * value for c, value in zip(step.coefficients, values, strict=True)))
        case steps.Join():
            return np.concatenate(values, step.axis + 1)
        case steps.Rectify():
            return np.maximum(compared(x), 0)
        case steps.Rearrange():
            return x.reshape(len(x), *step.shape)
        case steps.Transpose():
            return x.transpose(0, *(axis + 1 for axis in step.order))
        case steps.Pad():
            return np.pad(x, [(0, 0), *step.pads])
        case steps.Slice():
            return x[(slice(None), *map(slice, step.start, step.stop))]
        case steps.Repeat():
            return np.repeat(x, step.times, step.axis + 1)
        case steps.Windows():
            columns = patches(x, step.window, step.strides)
            return columns.reshape(*columns.shape[:3], -1, x.shape[-1])
        case steps.SumAxis():
            return x.sum(step.axis + 1)
    raise AssertionError(step)


def _columns(x: Floats, step: steps.Convolution) -> Floats:
    """The elements under a kernel with holes, place by place."""
    reach = [(size - 1) * rate + 1 for size, rate in zip(step.kernel_shape[:2], step.dilation, strict=True)]
    whole = patches(x, reach, step.strides).reshape(len(x), -1, *reach, x.shape[-1])
    kept = whole[:, :, :: step.dilation[0], :: step.dilation[1]]
    height, width = ((n - r) // s + 1 for n, r, s in zip(x.shape[1:3], reach, step.strides, strict=True))
    return kept.reshape(len(x), height, width, -1)
