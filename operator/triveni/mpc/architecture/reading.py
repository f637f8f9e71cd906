"""One layer of an architecture's document, read strictly: exactly its fields, each of its type and range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from triveni.mpc.architecture import activations, linear, merging, moving, pooling
from triveni.mpc.architecture.layer import MAX_ELEMENTS, InvalidArchitecture, Layer, Pads, Shape

KINDS: Mapping[str, type[Layer]] = {
    kind.__name__: kind
    for kind in (
        linear.Dense,
        linear.Conv2D,
        linear.Conv1D,
        linear.DepthwiseConv2D,
        linear.DepthwiseConv1D,
        linear.SeparableConv2D,
        linear.SeparableConv1D,
        linear.BatchNormalization,
        linear.Rescaling,
        activations.Relu,
        activations.Sigmoid,
        activations.Tanh,
        activations.HardSigmoid,
        activations.Softmax,
        pooling.AveragePooling2D,
        pooling.AveragePooling1D,
        pooling.MaxPooling2D,
        pooling.MaxPooling1D,
        pooling.GlobalAveragePooling2D,
        pooling.GlobalAveragePooling1D,
        pooling.GlobalMaxPooling2D,
        pooling.GlobalMaxPooling1D,
        moving.Flatten,
        moving.Reshape,
        moving.Permute,
        moving.ZeroPadding2D,
        moving.ZeroPadding1D,
        moving.Cropping2D,
        moving.Cropping1D,
        moving.UpSampling2D,
        moving.UpSampling1D,
        merging.Add,
        merging.Subtract,
        merging.Average,
        merging.Maximum,
        merging.Minimum,
        merging.Concatenate,
    )
}

MAX_ANSWER_BITS = 16
"""Most fractional bits to which an answer can be rounded: what every protocol has."""

MAX_CONSTANT = 2.0**10
"""Largest absolute value of a constant in a document: what the fixed point carries."""


def read_layer(document: Any) -> Layer:
    """The layer of one document.

    Raises:
        InvalidArchitecture: its kind is unknown, or a field is missing, superfluous or wrong.
    """
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise InvalidArchitecture("(unnamed)", "a layer needs a kind and a name")
    name, kind_name = document["name"], document.get("kind")
    kind = KINDS.get(kind_name) if isinstance(kind_name, str) else None
    if kind is None:
        raise InvalidArchitecture(name, f"kind {kind_name!r:.60} is not served; {', '.join(KINDS)} are")
    if set(document) != {"kind", *(field.name for field in fields(kind))}:
        raise InvalidArchitecture(name, f"a {kind_name} has exactly {[f.name for f in fields(kind)]}")
    values = {key: _field(name, kind, key, value) for key, value in document.items() if key != "kind"}
    return kind(**values)


def _field(layer: str, kind: type[Layer], key: str, value: Any) -> Any:
    match key:
        case "name":
            return value
        case "inputs":
            if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
                return tuple(value)
        case "use_bias" | "center" | "scale" | "keepdims":
            if isinstance(value, bool):
                return value
        case "padding":
            if value in ("valid", "same") or (value == "causal" and "dilation_rate" in {f.name for f in fields(kind)}):
                return value
        case "units" | "filters" | "groups" | "depth_multiplier":
            return read_shape(layer, key, [value])[0]
        case "axis":
            if type(value) is int and 0 <= value < 8:
                return value
        case "target_shape" | "dims":
            return read_shape(layer, key, value)
        case "pads":
            return _pads(layer, kind, value)
        case "max_value":
            if value is None or (_number(value) and value > 0):
                return None if value is None else float(value)
        case "negative_slope" | "epsilon":
            if _number(value) and value >= 0:
                return float(value)
        case "factors" | "offsets":
            if isinstance(value, list) and 1 <= len(value) <= MAX_ELEMENTS and all(map(_number, value)):
                return tuple(map(float, value))
        case _:  # kernel_size, strides, dilation_rate, pool_size, size
            sizes = read_shape(layer, key, value)
            if len(sizes) == kind.RANK:
                return sizes
    raise InvalidArchitecture(layer, f"{key} cannot be {value!r:.60}")


def _number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) <= MAX_CONSTANT


def _pads(layer: str, kind: type[Layer], value: Any) -> Pads:
    match value:
        case [*pairs] if len(pairs) == kind.RANK and all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            if all(type(v) is int and 0 <= v <= MAX_ELEMENTS for pair in pairs for v in pair):
                return tuple((before, after) for before, after in pairs)
    raise InvalidArchitecture(layer, f"pads must be {kind.RANK} pairs of numbers of at least 0, not {value!r:.60}")


def read_shape(layer: str, key: str, value: Any) -> Shape:
    """One to eight positive whole numbers; InvalidArchitecture names `layer` and `key`."""
    sound = isinstance(value, list) and 1 <= len(value) <= 8
    if not sound or any(type(v) is not int or not 0 < v <= MAX_ELEMENTS for v in value):
        raise InvalidArchitecture(layer, f"{key} must be whole numbers of 1 to {MAX_ELEMENTS}, not {value!r:.60}")
    return tuple(value)


def read_answer_bits(document: Mapping[str, Any]) -> int | None:
    """`answer.fractional_bits` of an architecture's document; None if it has no answer.

    Raises:
        InvalidArchitecture: it is no number of bits.
    """
    match document:
        case {"answer": {"fractional_bits": bits, **rest}} if not rest and type(bits) is int:
            if 0 <= bits <= MAX_ANSWER_BITS:
                return bits
        case {"answer": _}:
            pass
        case _:
            return None
    problem = f"fractional_bits, a whole number of 0 to {MAX_ANSWER_BITS}, and nothing else is needed"
    raise InvalidArchitecture("(answer)", f"{problem}, not {document['answer']!r:.60}")
