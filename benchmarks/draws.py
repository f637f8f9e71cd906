"""Draws for a program that is evaluated in one process, where no worker holds keys."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from triveni.mpc.ops import NUMPY, Array
from triveni.mpc.program import ITEM_BYTES, Draw, Node


def fresh_draws(rows: int, source: Callable[[int], bytes] = os.urandom) -> Callable[[Node], Array]:
    """One value for each draw, whoever makes it, from `source`."""
    made: dict[Draw | None, Array] = {}

    def value(node: Node) -> Array:
        shape = tuple(dim.at(rows) for dim in node.shape)
        if node.draw not in made:
            data = np.frombuffer(source(int(np.prod(shape)) * ITEM_BYTES[node.dtype]), np.uint8)
            made[node.draw] = (data & 1 if node.dtype == "b1" else data).view(NUMPY[node.dtype]).reshape(shape)
        assert made[node.draw].shape == shape, "parties disagree on a draw"
        return made[node.draw]

    return value
