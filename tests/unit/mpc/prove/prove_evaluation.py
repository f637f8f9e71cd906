"""Runs a program of all three parties in numpy, to compare what the prover says with what happens."""

from __future__ import annotations

import numpy as np

from triveni.mpc.execute.interpret import evaluate_all
from triveni.mpc.ops import NUMPY, Array
from triveni.mpc.program import Node, Program
from triveni.mpc.schedule import Schedule


def random_value(node: Node, rows: int, seed: int = 0) -> Array:
    """A value for a draw or an input: the same for all nodes of one draw, or of one component of one input."""
    name = repr(node.draw or node.input).encode()
    shape = tuple(dim.at(rows) for dim in node.shape)
    data = np.random.default_rng([seed, *name]).integers(0, 256, (*shape, 8), np.uint8)
    if node.dtype == "i8":
        return data.view(np.int64).reshape(shape)
    return (data[..., 0] % 2).astype(NUMPY["b1"]) if node.dtype == "b1" else data[..., 0]


def moved_values(before: Program, after: Program, rows: int = 3) -> list[tuple[int, Node]]:
    """What a pass moved: (receiver, node) of each value that is sent in `after` and was not in `before`.

    The two are evaluated with the same random draws and inputs; a value counts as received before if it is a whole
    value, or a contiguous part of one, that the same party received. Of one bit or byte planes, whole values only.
    """

    def given(node: Node) -> Array:
        return random_value(node, rows)

    def received(program: Program) -> list[tuple[int, Node, bytes]]:
        values = evaluate_all(program, given, given, rows)
        sent = Schedule(program).messages
        return [(m.receiver, m.node, np.ascontiguousarray(values[m.node]).tobytes()) for m in sent]

    known = received(before)
    return [
        (party, node)
        for party, node, value in received(after)
        if not any(
            party == receiver and (value == old or (node.dtype == "i8" == source.dtype and value in old))
            for receiver, source, old in known
        )
    ]
