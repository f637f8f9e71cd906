"""Lowering: an architecture as the few steps that a protocol computes.

    layers --write--> draft --fold--> draft --finish--> network

The same steps tell the workers the shapes and the sharing job what to do with the weights, so the two cannot differ.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from triveni.mpc.architecture import (
    INPUT,
    MAX_ELEMENTS,
    Architecture,
    BatchNormalization,
    Concatenate,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    HardSigmoid,
    InvalidArchitecture,
    Layer,
    Permute,
    Relu,
    Rescaling,
    SeparableConv2D,
    Shape,
    Sigmoid,
    Tanh,
)
from triveni.mpc.architecture.merging import Merging
from triveni.mpc.architecture.moving import Cropping, UpSampling, ZeroPadding
from triveni.mpc.architecture.pooling import AveragePooling, GlobalAveragePooling, GlobalMaxPooling, MaxPooling
from triveni.mpc.lowering import activations, finish, folding, linear, moving, pooling
from triveni.mpc.lowering.draft import REQUEST, Draft
from triveni.mpc.lowering.network import Network
from triveni.mpc.lowering.postponed import postponed_activations
from triveni.mpc.lowering.steps import AddConstant, Affine, Rearrange, RoundOff

__all__ = ["Network", "lower"]


def lower(architecture: Architecture) -> Network:
    """The steps of an architecture; without its last layer, where that is the client's.

    Raises:
        InvalidArchitecture: a layer that would be computed with too many elements.
    """
    draft = Draft(architecture.input_shape)
    values = {INPUT: REQUEST}
    following, postponed = postponed_activations(architecture)
    for layer, _, after in architecture.walk():
        inputs = [values[name] for name in layer.inputs]
        known = len(draft.shapes)
        draft.layer = layer.name
        if layer is architecture.clients_layer or layer.name in postponed:
            values[layer.name] = inputs[0]
        else:
            values[layer.name] = _write(draft, layer, inputs, after)
        if layer.name in following:
            draft.layer = following[layer.name].name
            values[layer.name] = _write(draft, following[layer.name], [values[layer.name]], after)
        _check_sizes(draft, layer.name, known)
        draft.answer = values[layer.name]
    folding.fold_means_and_channels(draft)
    draft = finish.means_as_sums(draft)
    folding.fold_scales(draft)
    draft = finish.scales_as_products(draft)
    if architecture.answer_bits is not None:
        draft.answer = draft.add(RoundOff((draft.answer,), architecture.answer_bits))
    steps = tuple(draft.steps.values())
    names = Counter(step.name for step in steps if isinstance(step, Affine | AddConstant))
    for name in (name for name, count in names.items() if count > 1):
        raise InvalidArchitecture(name, "another layer has weights of the same name")
    return Network(architecture.input_shape, draft.shapes[draft.answer], steps)


def _check_sizes(draft: Draft, layer: str, known: int) -> None:
    """Steps may be larger than their layer: a depthwise kernel with its zeros, the ReLUs of a sigmoid."""
    for number in range(known, len(draft.shapes)):
        step = draft.steps[number]
        kernel = step.kernel_shape if isinstance(step, Affine) else ()
        if max(math.prod(draft.shapes[number]), math.prod(kernel)) > MAX_ELEMENTS:
            raise InvalidArchitecture(layer, f"it is computed with more than {MAX_ELEMENTS} elements, the most served")


def _write(draft: Draft, layer: Layer, inputs: Sequence[int], after: Shape) -> int:
    value = inputs[0]
    match layer:
        case Dense():
            return linear.dense(draft, layer, value)
        case Conv2D():
            return linear.convolution(draft, layer, value)
        case DepthwiseConv2D():
            return linear.depthwise(draft, layer, value)
        case SeparableConv2D():
            return linear.separable(draft, layer, value)
        case BatchNormalization():
            return linear.normalisation(draft, layer, value)
        case Rescaling():
            return linear.rescaling(draft, layer, value)
        case AveragePooling():
            return pooling.average(draft, layer, value)
        case GlobalAveragePooling():
            return pooling.global_average(draft, layer, value)
        case MaxPooling():
            return pooling.largest(draft, layer, value)
        case GlobalMaxPooling():
            return pooling.global_largest(draft, layer, value)
        case Relu():
            return activations.relu(draft, layer, value)
        case Sigmoid():
            return activations.piecewise_linear(draft, layer.name, activations.SIGMOID, value)
        case Tanh():
            return activations.piecewise_linear(draft, layer.name, activations.TANH, value)
        case HardSigmoid():
            return activations.piecewise_linear(draft, layer.name, activations.HARD_SIGMOID, value)
        case Permute():
            return moving.permute(draft, layer, value)
        case ZeroPadding():
            return moving.zero_padding(draft, layer, value)
        case Cropping():
            return moving.cropping(draft, layer, value)
        case UpSampling():
            return moving.up_sampling(draft, layer, value)
        case Concatenate():
            return moving.concatenate(draft, layer, inputs)
        case Merging():
            return moving.merge(draft, layer, inputs)
    return value if draft.shapes[value] == after else draft.add(Rearrange((value,), after))  # Flatten and Reshape
