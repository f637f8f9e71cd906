"""The activations of Keras that are understood, by name or as a layer in the place of a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from triveni.sharing.failures import UnsupportedLayer

ACTIVATIONS: Mapping[str, Mapping[str, Any] | None] = {
    "linear": None,
    "relu": {"kind": "Relu", "max_value": None, "negative_slope": 0.0},
    "relu6": {"kind": "Relu", "max_value": 6.0, "negative_slope": 0.0},
    "leaky_relu": {"kind": "Relu", "max_value": None, "negative_slope": 0.2},
    "sigmoid": {"kind": "Sigmoid"},
    "tanh": {"kind": "Tanh"},
    "hard_sigmoid": {"kind": "HardSigmoid"},
    "softmax": {"kind": "Softmax"},
}
"""The architecture's layer for each name; None for one that does nothing."""

WAY_OUT = f"use one of {', '.join(ACTIVATIONS)}"


def activation_of(layer: str, activation: Any) -> Mapping[str, Any] | None:
    """The architecture's layer of an activation, None if it does nothing.

    Raises:
        UnsupportedLayer: it is none of `ACTIVATIONS`, or code; names `layer`.
    """
    if activation is None:
        return None
    if isinstance(activation, str):
        if activation in ACTIVATIONS:
            return ACTIVATIONS[activation]
        raise UnsupportedLayer(layer, f"activation {activation!r:.60} is not served", WAY_OUT)
    named = activation.get("registered_name") or activation.get("config") if isinstance(activation, dict) else None
    what = named if isinstance(named, str) else "an object"
    if isinstance(activation, dict) and activation.get("module") == "keras.layers":
        raise UnsupportedLayer(
            layer, f"a layer ({activation.get('class_name')!r:.60}) as activation is not served", "add it as a layer"
        )
    raise UnsupportedLayer(layer, f"activation {what:.60} is custom code, which is never run", WAY_OUT)
