"""Layers with weights as steps: dense and convolutions of all kinds, normalisation, rescaling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from triveni.mpc.architecture import (
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Rescaling,
    SeparableConv2D,
)
from triveni.mpc.architecture.linear import Sliding
from triveni.mpc.lowering.draft import Channelwise, Draft, Scale
from triveni.mpc.lowering.steps import Convolution, Floats, LayerWeights, Linear, Make, Rearrange, constant


def dense(draft: Draft, layer: Dense, value: int) -> int:
    """A product over the last axis."""
    shape = (draft.shapes[value][-1], layer.units)
    return draft.add(Linear((value,), layer.name, shape, _array(layer.name, 0), _bias(layer.name, 1, layer.use_bias)))


def convolution(draft: Draft, layer: Conv2D, value: int) -> int:
    """One convolution; that of groups has zeros in its kernel."""
    channels = draft.shapes[value][-1]

    def kernel(w: Floats) -> Floats:
        return _ungrouped(w, layer.groups)

    shape = (*two(layer.kernel_size), channels, layer.filters)
    return _slide(draft, layer, value, layer.name, shape, kernel, layer.use_bias)


def depthwise(draft: Draft, layer: DepthwiseConv2D, value: int) -> int:
    """One convolution whose kernel is zero between different channels."""
    channels = draft.shapes[value][-1]
    shape = (*two(layer.kernel_size), channels, channels * layer.depth_multiplier)
    return _slide(draft, layer, value, layer.name, shape, _diagonal, layer.use_bias)


def separable(draft: Draft, layer: SeparableConv2D, value: int) -> int:
    """The depthwise convolution, then a product over the channels."""
    channels = draft.shapes[value][-1]
    between = channels * layer.depth_multiplier
    shape = (*two(layer.kernel_size), channels, between)
    value = _slide(draft, layer, value, layer.name, shape, _diagonal, use_bias=False, suffix="/depthwise")

    def pointwise(w: Floats) -> Floats:
        return w.reshape(between, layer.filters)

    kernel, bias = _array(layer.name, 1, pointwise), _bias(layer.name, 2, layer.use_bias)
    return draft.add(Linear((value,), f"{layer.name}/pointwise", (between, layer.filters), kernel, bias))


def normalisation(draft: Draft, layer: BatchNormalization, value: int) -> int:
    """A factor and a shift for each channel."""
    first = int(layer.scale) + int(layer.center)

    def factors(weights: LayerWeights) -> Floats:
        arrays = weights[layer.name]
        spread = np.sqrt(arrays[first + 1] + layer.epsilon)
        return arrays[0] / spread if layer.scale else 1 / spread

    def shifts(weights: LayerWeights) -> Floats:
        arrays = weights[layer.name]
        beta = arrays[int(layer.scale)] if layer.center else 0.0
        return beta - arrays[first] * factors(weights)

    return draft.add(Channelwise((value,), layer.name, factors, shifts))


def rescaling(draft: Draft, layer: Rescaling, value: int) -> int:
    """Public factors and offsets; one positive factor alone is a scale."""
    channels = draft.shapes[value][-1:]
    if len(layer.factors) == 1 and layer.factors[0] > 0 and not any(layer.offsets):
        return draft.add(Scale((value,), layer.name, layer.factors[0]))
    factors, offsets = (constant(np.broadcast_to(v, channels)) for v in (layer.factors, layer.offsets))
    return draft.add(Channelwise((value,), layer.name, factors, offsets if any(layer.offsets) else None))


def as_image(draft: Draft, value: int) -> int:
    """A series (steps, channels) as an image of one row; an image as it is."""
    shape = draft.shapes[value]
    return draft.add(Rearrange((value,), (1, *shape))) if len(shape) == 2 else value


def as_before(draft: Draft, rank: int, value: int) -> int:
    """The image as the series that it was, where `rank` is 1."""
    return draft.add(Rearrange((value,), draft.shapes[value][1:])) if rank == 1 else value


def two(sizes: tuple[int, ...]) -> tuple[int, int]:
    """Sizes along both axes of an image; of one along the only axis of a series."""
    return (1, sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1])


def _slide(
    draft: Draft,
    layer: Sliding,
    value: int,
    name: str,
    shape: tuple[int, ...],
    kernel: Callable[[Floats], Floats],
    use_bias: bool,
    suffix: str = "",
) -> int:
    pads = layer.pads(draft.shapes[value])
    value = as_image(draft, value)

    def as_image_kernel(w: Floats) -> Floats:
        return kernel(w.reshape(1, *w.shape) if layer.RANK == 1 else w)

    step = Convolution(
        (value,),
        name + suffix,
        shape,
        _array(name, 0, as_image_kernel),
        _bias(name, 1, use_bias),
        two(layer.strides),
        two(layer.dilation_rate),
        ((0, 0), *pads) if layer.RANK == 1 else pads,
    )
    return as_before(draft, layer.RANK, draft.add(step))


def _array(layer: str, position: int, change: Callable[[Floats], Floats] = lambda w: w) -> Make:
    return lambda weights: change(weights[layer][position])


def _bias(layer: str, position: int, use_bias: bool) -> Make | None:
    return _array(layer, position) if use_bias else None


def _ungrouped(w: Floats, groups: int) -> Floats:
    """Kernels of (.., channels / groups, filters) as one of (.., channels, filters)."""
    if groups == 1:
        return w
    inner, filters = w.shape[2], w.shape[3] // groups
    whole = np.zeros((*w.shape[:2], inner * groups, w.shape[3]))
    for group in range(groups):
        outputs = slice(group * filters, (group + 1) * filters)
        whole[:, :, group * inner : (group + 1) * inner, outputs] = w[..., outputs]
    return whole


def _diagonal(w: Floats) -> Floats:
    """A depthwise kernel (.., channels, multiplier) as (.., channels, channels * multiplier)."""
    height, width, channels, times = w.shape
    whole = np.zeros((height, width, channels, channels, times))
    whole[:, :, np.arange(channels), np.arange(channels)] = w
    return whole.reshape(height, width, channels, channels * times)
