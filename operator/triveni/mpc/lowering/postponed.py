"""Activations that are computed after a max pooling instead of before it, on fewer elements.

f(max(a, b)) = max(f(a), f(b)) for every f that never falls, so the answer is the same, bit for bit: behind windows of
2x2 a quarter of the ReLUs is left. The tournament itself costs what it cost before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from triveni.mpc.architecture import Architecture, HardSigmoid, Layer, Relu, Sigmoid, Tanh
from triveni.mpc.architecture.pooling import GlobalMaxPooling, MaxPooling

RISING = (Relu, Sigmoid, Tanh, HardSigmoid)
"""Activations that never fall; the slope of a Relu below 0 is at least 0."""


def postponed_activations(architecture: Architecture) -> tuple[Mapping[str, Layer], frozenset[str]]:
    """For each pooling, by its name, the activation that follows it; and the names of all such activations.

    An activation is postponed where the pooling alone reads it.
    """
    readers = Counter(name for layer in architecture.layers for name in layer.inputs)
    rising = {
        layer.name: layer for layer in architecture.layers if isinstance(layer, RISING) and readers[layer.name] == 1
    }
    after = {
        layer.name: rising[layer.inputs[0]]
        for layer in architecture.layers
        if isinstance(layer, MaxPooling | GlobalMaxPooling) and layer.inputs[0] in rising
    }
    return after, frozenset(activation.name for activation in after.values())
