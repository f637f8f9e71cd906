"""What no neighbour could carry, written as steps that a protocol computes: products with public constants.

A constant is handed over as a weight, so that nothing but products of secrets is needed of a protocol.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from triveni.mpc.architecture import InvalidArchitecture
from triveni.mpc.architecture.layer import MAX_ELEMENTS, Shape
from triveni.mpc.lowering.draft import REQUEST, Channelwise, Draft, MeanPooling, Scale
from triveni.mpc.lowering.steps import (
    Floats,
    LayerWeights,
    Linear,
    Rearrange,
    Step,
    SumAxis,
    Transpose,
    Windows,
    constant,
)


def means_as_sums(draft: Draft) -> Draft:
    """Every mean as a sum, which is free, and a scale; where windows reach over an end, as a product."""

    def write(new: Draft, step: Step) -> int:
        if not isinstance(step, MeanPooling):
            return new.add(step)
        if any(map(any, step.pads)):
            return _padded_mean(new, step)
        value = new.add(Windows(step.inputs, step.window, step.strides))
        return new.add(Scale((new.add(SumAxis((value,), 2)),), step.name, 1 / math.prod(step.window)))

    return _rewritten(draft, write)


def scales_as_products(draft: Draft) -> Draft:
    """Every scale, and every factor of a channel, as a product."""

    def write(new: Draft, step: Step) -> int:
        if isinstance(step, Scale):
            shape = new.shapes[step.inputs[0]]
            each = new.add(Rearrange(step.inputs, (*shape, 1)))
            product = new.add(Linear((each,), step.name, (1, 1), constant(np.full((1, 1), step.gain)), None))
            return new.add(Rearrange((product,), shape))
        if isinstance(step, Channelwise):
            return new.add(_diagonal(step, new.shapes[step.inputs[0]][-1]))
        return new.add(step)

    return _rewritten(draft, write)


def _rewritten(draft: Draft, write: Callable[[Draft, Step], int]) -> Draft:
    new = Draft(draft.shapes[REQUEST])
    numbers = {REQUEST: REQUEST}
    for number, step in draft.steps.items():
        new.layer = step.layer
        numbers[number] = write(new, replace(step, inputs=tuple(numbers[i] for i in step.inputs)))
    new.answer = numbers[draft.answer]
    return new


def _diagonal(step: Channelwise, channels: int) -> Linear:
    if channels**2 > MAX_ELEMENTS:
        problem = f"no layer beside it can carry its {channels} factors; put a Dense or Conv2D before or after it"
        raise InvalidArchitecture(step.name, problem)
    factors = step.factors

    def kernel(weights: LayerWeights) -> Floats:
        return np.diag(factors(weights))

    return Linear(step.inputs, step.name, (channels, channels), kernel, step.shifts)


def _padded_mean(draft: Draft, step: MeanPooling) -> int:
    """A product over all places of an image, since means at its ends are of fewer elements."""
    (value,) = step.inputs
    height, width, channels = draft.shapes[value]
    axes = zip((height, width), step.window, step.strides, step.pads, strict=True)
    along = [_means(size, window, stride, pad) for size, window, stride, pad in axes]
    rows, columns = (matrix.shape[1] for matrix in along)
    shape = (height * width, rows * columns)
    if math.prod(shape) > MAX_ELEMENTS:
        problem = f"averages with padding of an image of {height}x{width} are not served; use padding='valid'"
        raise InvalidArchitecture(step.name, problem)
    # One matrix for each axis; their product over both is made from them.
    kernel = constant(np.einsum("hr,wc->hwrc", *along).reshape(shape))
    value = draft.add(Transpose((value,), (2, 0, 1)))
    value = draft.add(Rearrange((value,), (channels, height * width)))
    value = draft.add(Linear((value,), step.name, shape, kernel, None))
    value = draft.add(Rearrange((value,), (channels, rows, columns)))
    return draft.add(Transpose((value,), (1, 2, 0)))


def _means(size: int, window: int, stride: int, pad: tuple[int, int]) -> Floats:
    """The matrix (size, windows) of the means along one axis, of what is there of each window."""
    count = (size + sum(pad) - window) // stride + 1
    matrix = np.zeros((size, count))
    for number in range(count):
        start = number * stride - pad[0]
        inside: Shape = tuple(range(max(start, 0), min(start + window, size)))
        matrix[inside, number] = 1 / len(inside)
    return matrix
