"""The layers of an architecture as Keras defines them, naively, window by window: what their steps must come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from triveni.mpc import architecture as a
from triveni.mpc.answer import sigmoid
from triveni.mpc.architecture import linear, merging, moving, pooling
from triveni.mpc.lowering.steps import Floats


def by_layers(model: a.Architecture, weights: Mapping[str, Sequence[Floats]], x: Floats) -> Floats:
    """The answer for rows `x`; without the last layer where it is the client's."""
    values = {a.INPUT: x}
    for layer, _, after in model.walk():
        inputs = [values[name] for name in layer.inputs]
        if layer is model.clients_layer:
            return inputs[0]
        values[layer.name] = _layer(layer, inputs, weights.get(layer.name, ()), after)
    return values[model.layers[-1].name]


def _layer(layer: a.Layer, inputs: list[Floats], weights: Sequence[Floats], after: a.Shape) -> Floats:
    x = inputs[0]
    match layer:
        case a.Dense():
            return x @ weights[0] + sum(weights[1:])
        case a.Conv2D():
            return _sliding(layer, x, lambda w: _convolved(w, weights[0], layer.groups)) + sum(weights[1:])
        case a.DepthwiseConv2D():
            return _sliding(layer, x, lambda w: _depthwise(w, weights[0])) + sum(weights[1:])
        case a.SeparableConv2D():
            pointwise = weights[1].reshape(-1, layer.filters)
            return _sliding(layer, x, lambda w: _depthwise(w, weights[0])) @ pointwise + sum(weights[2:])
        case a.BatchNormalization():
            mean, variance = weights[-2:]
            gamma = weights[0] if layer.scale else 1.0
            beta = weights[int(layer.scale)] if layer.center else 0.0
            return (x - mean) / np.sqrt(variance + layer.epsilon) * gamma + beta
        case a.Rescaling():
            return x * np.array(layer.factors) + np.array(layer.offsets)
        case pooling.AveragePooling() | pooling.MaxPooling():
            whole = np.pad(x, [(0, 0), *layer.pads(x.shape[1:]), (0, 0)], constant_values=np.nan)
            best = np.nanmean if isinstance(layer, pooling.AveragePooling) else np.nanmax
            axes = tuple(range(1, layer.RANK + 1))
            return _windows(whole, layer.pool_size, layer.strides, lambda w: best(w, axes))
        case pooling.GlobalPooling():
            best = np.mean if isinstance(layer, pooling.GlobalAveragePooling) else np.max
            return np.asarray(best(x, tuple(range(1, layer.RANK + 1)), keepdims=layer.keepdims))
        case a.Relu():
            top = np.inf if layer.max_value is None else layer.max_value
            return np.minimum(np.where(x > 0, x, layer.negative_slope * x), top)
        case a.Sigmoid():
            return sigmoid(x)
        case a.Tanh():
            return np.tanh(x)
        case a.HardSigmoid():
            return np.clip(x / 6 + 0.5, 0, 1)
        case a.Permute():
            return x.transpose(0, *layer.dims)
        case moving.ZeroPadding():
            return np.pad(x, [(0, 0), *layer.pads, (0, 0)])
        case moving.Cropping():
            ends = [slice(before, n - end) for n, (before, end) in zip(x.shape[1:], layer.pads, strict=False)]
            return x[(slice(None), *ends)]
        case moving.UpSampling():
            for axis, times in enumerate(layer.size):
                x = np.repeat(x, times, axis + 1)
            return x
        case a.Concatenate():
            return np.concatenate(inputs, layer.axis + 1)
        case merging.Merging():
            return _merged(layer, inputs)
    return x.reshape(len(x), *after)


def _merged(layer: merging.Merging, inputs: list[Floats]) -> Floats:
    match layer:
        case a.Add():
            return np.asarray(sum(inputs))
        case a.Subtract():
            return inputs[0] - inputs[1]
        case a.Average():
            return np.asarray(sum(inputs) / len(inputs))
        case a.Maximum():
            return np.asarray(np.maximum.reduce(inputs))
    return np.asarray(np.minimum.reduce(inputs))


def _sliding(layer: linear.Sliding, x: Floats, function: Callable[[Floats], Floats]) -> Floats:
    x = np.pad(x, [(0, 0), *layer.pads(x.shape[1:]), (0, 0)])
    holes = tuple(slice(None, None, rate) for rate in layer.dilation_rate)
    return _windows(x, layer.reach, layer.strides, lambda w: function(w[(slice(None), *holes)]))


def _convolved(window: Floats, kernel: Floats, groups: int) -> Floats:
    parts = zip(np.split(window, groups, -1), np.split(kernel, groups, -1), strict=True)
    return np.concatenate([np.tensordot(w, k, window.ndim - 1) for w, k in parts], -1)


def _depthwise(window: Floats, kernel: Floats) -> Floats:
    """Channel c with its multiplier kernels gives channels c * multiplier and on."""
    products = (window[..., None] * kernel).sum(tuple(range(1, window.ndim - 1)))
    return products.reshape(len(window), -1)


def _windows(x: Floats, size: Sequence[int], strides: Sequence[int], function: Callable[[Floats], Floats]) -> Floats:
    if len(size) == 1:
        places = range(0, x.shape[1] - size[0] + 1, strides[0])
        return np.stack([function(x[:, i : i + size[0]]) for i in places], 1)
    rows = range(0, x.shape[1] - size[0] + 1, strides[0])
    columns = range(0, x.shape[2] - size[1] + 1, strides[1])
    return np.stack([np.stack([function(x[:, i : i + size[0], j : j + size[1]]) for j in columns], 1) for i in rows], 1)
