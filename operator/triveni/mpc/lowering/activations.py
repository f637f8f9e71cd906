"""Activations as steps: what is piecewise linear is a sum of ReLUs, all of them side by side.

Sigmoid and tanh are so approximated, and constant beyond their outermost knots. Slopes are whole multiples of 2^-16,
which every protocol holds exactly, and add up to 0, so that far outside nothing is left of a large input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from triveni.mpc.architecture import Relu
from triveni.mpc.fixedpoint import FIXED_POINT
from triveni.mpc.lowering.curves import SIGMOID_KNOTS, TANH_KNOTS
from triveni.mpc.lowering.draft import Draft
from triveni.mpc.lowering.pooling import part
from triveni.mpc.lowering.steps import AddConstant, Join, Linear, Rearrange, Rectify, Sum, constant

COARSEST = min(numbers.scale for numbers in FIXED_POINT.values())
"""A multiple of 1 / this is exact in every protocol."""


@dataclass(frozen=True)
class PiecewiseLinear:
    """``start + left * x + sum(bends[i] * relu(x - knots[i]))``."""

    start: float
    left: float
    knots: tuple[float, ...]
    bends: tuple[float, ...]

    @classmethod
    def through(cls, points: Sequence[tuple[float, float]]) -> PiecewiseLinear:
        """The lines through points of rising x, constant outside of them."""
        slopes = [0.0]
        for (x0, y0), (x1, y1) in pairwise(points):
            slopes.append(round((y1 - y0) / (x1 - x0) * COARSEST) / COARSEST)
        slopes.append(0.0)
        bends = tuple(after - before for before, after in pairwise(slopes))
        return cls(points[0][1], 0.0, tuple(x for x, _ in points), bends)


SIGMOID = PiecewiseLinear.through(SIGMOID_KNOTS)
TANH = PiecewiseLinear.through(TANH_KNOTS)
HARD_SIGMOID = PiecewiseLinear.through([(-3.0, 0.0), (3.0, 1.0)])


def relu(draft: Draft, layer: Relu, value: int) -> int:
    """One ReLU; with a largest value two side by side, with a slope a product more."""
    slope = round(layer.negative_slope * COARSEST) / COARSEST
    if layer.max_value is None and slope == 0:
        return draft.add(Rectify((value,)))
    knots: tuple[float, ...] = (0.0,)
    bends: tuple[float, ...] = (1.0 - slope,)
    if layer.max_value is not None:
        knots, bends = (*knots, layer.max_value), (*bends, -1.0)
    return piecewise_linear(draft, layer.name, PiecewiseLinear(0.0, slope, knots, bends), value)


def piecewise_linear(draft: Draft, name: str, curve: PiecewiseLinear, value: int) -> int:
    """The curve of each element: shifted by every knot, rectified, and added up by one product.

    Without a product where all bends are whole numbers.
    """
    shape = draft.shapes[value]
    each = draft.add(Rearrange((value,), (*shape, 1)))
    knots = tuple(-knot for knot in curve.knots)
    shifted = draft.add(AddConstant((each,), f"{name}/knots", (len(knots),), constant(knots))) if any(knots) else each
    bent = draft.add(Rectify((shifted,)))
    if not curve.left and not curve.start and all(bend == round(bend) for bend in curve.bends):
        terms = tuple(part(draft, bent, len(shape), i, i + 1) for i in range(len(knots)))
        total = draft.add(Sum(terms, tuple(round(bend) for bend in curve.bends)))
        return draft.add(Rearrange((total,), shape))
    slopes = curve.bends
    if curve.left:
        bent, slopes = draft.add(Join((bent, each), len(shape))), (*slopes, curve.left)
    kernel = constant(np.reshape(slopes, (-1, 1)))
    bias = constant([curve.start]) if curve.start else None
    total = draft.add(Linear((bent,), f"{name}/slopes", (len(slopes), 1), kernel, bias))
    return draft.add(Rearrange((total,), shape))
