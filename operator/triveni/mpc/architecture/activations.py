"""Activations, element by element; and the last one, which the client computes."""

from __future__ import annotations

from dataclasses import dataclass

from triveni.mpc.architecture.layer import Layer


@dataclass(frozen=True)
class Relu(Layer):
    """``max(x, 0)``, at most `max_value` where it is not None; below 0 ``negative_slope * x``."""

    max_value: float | None = None
    negative_slope: float = 0.0


@dataclass(frozen=True)
class Sigmoid(Layer):
    """``1 / (1 + exp(-x))``."""


@dataclass(frozen=True)
class Tanh(Layer):
    """The hyperbolic tangent."""


@dataclass(frozen=True)
class HardSigmoid(Layer):
    """``x / 6 + 1 / 2``, within 0 and 1."""


@dataclass(frozen=True)
class Softmax(Layer):
    """``exp(x) / sum(exp(x))`` over the last axis: the client's, so nothing may follow it."""
