"""Folding: linear steps that are no protocol's go into the weights of a linear step before or after them.

Exact in real numbers, and every fold spares a truncation. A value is only changed where nobody else reads it.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from triveni.mpc.lowering import steps
from triveni.mpc.lowering.draft import Channelwise, Draft, MeanPooling, Scale
from triveni.mpc.lowering.steps import Affine, Convolution, Floats, LayerWeights, Make

MAX_FOLDED_GROWTH = 4
"""A pooling is folded while it makes the kernel at most this many times larger: 3x3 with 2x2 gives 4x4."""


def fold_means_and_channels(draft: Draft) -> None:
    """Take means and normalisations into a neighbour, where one can carry them."""
    for number, step in list(draft.steps.items()):
        if isinstance(step, MeanPooling):
            _fold_pooling(draft, number, step)
        elif isinstance(step, Channelwise) and not _fold_backward(draft, number, step):
            _fold_forward(draft, number, step)


def fold_scales(draft: Draft) -> None:
    """Take each scale into the next linear step, or else into the last one (ReLU commutes with a positive factor)."""
    for number, step in list(draft.steps.items()):
        if isinstance(step, Scale) and not _scale_forward(draft, number, step.gain):
            _scale_backward(draft, number, step.gain)


# Means ----------------------------------------------------------------------------------------------------------------


def _fold_pooling(draft: Draft, number: int, pooling: MeanPooling) -> None:
    """Into the convolution before it: one strided convolution with a larger kernel."""
    before = next(draft.chain_before(number), number)
    step = draft.steps[before]
    if not isinstance(step, Convolution) or step.pooled or step.dilation != (1, 1) or any(map(any, pooling.pads)):
        return
    folded = pooled_convolution(step, pooling.window, pooling.strides)
    if math.prod(folded.kernel_shape[:2]) <= MAX_FOLDED_GROWTH * math.prod(step.kernel_shape[:2]):
        draft.steps[before] = folded
        draft.shapes[before] = draft.shapes[number]
        draft.drop(number)


def pooled_convolution(step: Convolution, window: tuple[int, int], strides: tuple[int, int]) -> Convolution:
    """The one that gives the means of windows of this one: K[s*a + k] += w[k] / p for each place a of a window."""
    old_shape, old = step.kernel_shape, step.kernel
    size = tuple(k + s * (p - 1) for k, s, p in zip(old_shape, step.strides, window, strict=False))
    shape = (*size, *old_shape[2:])

    def kernel(weights: LayerWeights) -> Floats:
        one, folded = old(weights), np.zeros(shape)
        for row in range(window[0]):
            for column in range(window[1]):
                top, left = step.strides[0] * row, step.strides[1] * column
                folded[top : top + old_shape[0], left : left + old_shape[1]] += one
        return folded / math.prod(window)

    joined = (step.strides[0] * strides[0], step.strides[1] * strides[1])
    return replace(step, kernel_shape=shape, kernel=kernel, strides=joined, pooled=True)


# Factors and shifts of channels ---------------------------------------------------------------------------------------


def _fold_backward(draft: Draft, number: int, step: Channelwise) -> bool:
    """Into the linear step before it, past means, which do not change a channel's factor or shift."""
    for before in draft.chain_before(number):
        target = draft.steps[before]
        if isinstance(target, Affine):
            draft.steps[before] = _scaled_outputs(target, step.factors, step.shifts)
            draft.drop(number)
            return True
        if not isinstance(target, MeanPooling):
            return False
    return False


def _fold_forward(draft: Draft, number: int, step: Channelwise) -> bool:
    """Into the linear step after it, past means and a flattening; no shift into a convolution that pads with zeros."""
    copies = 1
    for after in draft.chain_after(number):
        target = draft.steps[after]
        if isinstance(target, Affine):
            if isinstance(target, Convolution) and any(map(any, target.pads)) and step.shifts is not None:
                return False
            draft.steps[after] = _scaled_inputs(target, step.factors, step.shifts, copies)
            draft.drop(number)
            return True
        if isinstance(target, steps.Rearrange) and len(target.shape) == 1 and copies == 1:
            copies = target.shape[0] // draft.shapes[number][-1]
        elif not isinstance(target, MeanPooling):
            return False
    return False


def _scaled_outputs(step: Affine, factors: Make, shifts: Make | None) -> Affine:
    old, old_bias = step.kernel, step.bias

    def kernel(weights: LayerWeights) -> Floats:
        return old(weights) * factors(weights)

    def bias(weights: LayerWeights) -> Floats:
        result = shifts(weights) if shifts else np.zeros(step.kernel_shape[-1])
        return result + old_bias(weights) * factors(weights) if old_bias else result

    return replace(step, kernel=kernel, bias=bias if shifts or old_bias else None)


def _scaled_inputs(step: Affine, factors: Make, shifts: Make | None, copies: int) -> Affine:
    old, old_bias = step.kernel, step.bias

    def kernel(weights: LayerWeights) -> Floats:
        return old(weights) * np.tile(factors(weights), copies)[:, None]

    def bias(weights: LayerWeights) -> Floats:
        assert shifts is not None
        moved = np.tile(shifts(weights), copies) @ old(weights)  # over the channels, for each place of a window
        total: Floats = moved.reshape(-1, moved.shape[-1]).sum(axis=0)
        return total + old_bias(weights) if old_bias else total

    return replace(step, kernel=kernel, bias=bias if shifts else old_bias)


# Scales ---------------------------------------------------------------------------------------------------------------

_HOMOGENEOUS = (
    steps.Rectify,
    steps.Rearrange,
    steps.Transpose,
    steps.Pad,
    steps.Slice,
    steps.Repeat,
    steps.Windows,
    steps.SumAxis,
    MeanPooling,
    Scale,
)
"""Steps f with f(g x) = g f(x) for g > 0."""


def _scale_forward(draft: Draft, number: int, gain: float) -> bool:
    for after in draft.chain_after(number):
        step = draft.steps[after]
        if isinstance(step, Affine | Channelwise):
            draft.steps[after] = _scaled_factors(step, gain)
            draft.drop(number)
            return True
        if not isinstance(step, _HOMOGENEOUS):
            return False
    return False


def _scale_backward(draft: Draft, number: int, gain: float) -> bool:
    for before in draft.chain_before(number):
        step = draft.steps[before]
        if isinstance(step, Affine | Channelwise):
            draft.steps[before] = _scaled_shifts(_scaled_factors(step, gain), gain)
            draft.drop(number)
            return True
        if not isinstance(step, _HOMOGENEOUS):
            return False
    return False


def _scaled_factors(step: Affine | Channelwise, gain: float) -> Affine | Channelwise:
    if isinstance(step, Affine):
        return replace(step, kernel=_times(step.kernel, gain))
    return replace(step, factors=_times(step.factors, gain))


def _scaled_shifts(step: Affine | Channelwise, gain: float) -> Affine | Channelwise:
    if isinstance(step, Affine):
        return replace(step, bias=_times(step.bias, gain)) if step.bias else step
    return replace(step, shifts=_times(step.shifts, gain)) if step.shifts else step


def _times(make: Make, gain: float) -> Make:
    return lambda weights: make(weights) * gain
