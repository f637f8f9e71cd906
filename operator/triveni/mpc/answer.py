"""The last layer of a model, where the client computes it: on the revealed answer, in floating point.

Softmax needs exponentials and a division, which on shares cost far more than all the rest. The client learns what it
reads, the logits, which for softmax are a little more than its probabilities: their common offset. Sigmoid and tanh
tell as much as what they read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def softmax(x: Floats) -> Floats:
    """``exp(x) / sum(exp(x))`` over the last axis."""
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def sigmoid(x: Floats) -> Floats:
    """``1 / (1 + exp(-x))``, which no x overflows."""
    return np.asarray((1 + np.tanh(x / 2)) / 2)


CLIENTS_LAYERS: Mapping[str, Callable[[Floats], Floats]] = {"Softmax": softmax, "Sigmoid": sigmoid, "Tanh": np.tanh}
"""By the kind of the architecture's last layer."""


def finished(x: Floats, last_layer: str | None) -> Floats:
    """The model's answer, shape (rows, ...), from what the workers give; `last_layer` None: the same."""
    return x if last_layer is None else CLIENTS_LAYERS[last_layer](x)
