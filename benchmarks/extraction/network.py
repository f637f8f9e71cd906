"""A small network, and a compiled program of it run for many requests at once, with what each worker sees of roundings.

All three workers are evaluated in this process, operation by operation, with draws of the system's generator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.draws import fresh_draws
from triveni.mpc.architecture import Architecture, Dense, Relu
from triveni.mpc.execute.interpret import Values, evaluate_all
from triveni.mpc.fixedpoint import FixedPoint, fixed_point
from triveni.mpc.ops import Array
from triveni.mpc.program import Node, Program
from triveni.mpc.sharing import components_of, reveal, split

Floats = NDArray[np.float64]
Words = NDArray[np.int64]

INPUTS, UNITS = 8, 4


@dataclass(frozen=True)
class Weights:
    """Of a Dense of `UNITS` units with a ReLU, and a Dense of one."""

    kernel: Floats
    bias: Floats
    last: Floats
    last_bias: float

    @classmethod
    def drawn(cls, seed: int) -> Weights:
        """As a trained network might have them. Every unit is active where the input is 0."""
        rng = np.random.default_rng(seed)
        last = rng.uniform(0.3, 1.2, UNITS) * rng.choice([-1, 1], UNITS)
        return cls(rng.normal(0, 0.6, (INPUTS, UNITS)), rng.uniform(0.2, 0.8, UNITS), last, 0.1)

    def answers(self, x: Floats) -> Floats:
        """Those of the plain model, (rows,)."""
        return np.asarray(np.maximum(x @ self.kernel + self.bias, 0) @ self.last + self.last_bias)

    def words(self, numbers: FixedPoint) -> Mapping[str, Words]:
        """What workers hold shares of."""
        values = {
            "hidden/kernel": self.kernel,
            "hidden/bias": self.bias,
            "last/kernel": self.last[:, np.newaxis],
            "last/bias": np.array([self.last_bias]),
        }
        return {name: numbers.encode(value, name) for name, value in values.items()}


def architecture(answer_bits: int | None) -> Architecture:
    """The network's."""
    return Architecture((INPUTS,), (Dense("hidden", UNITS), Relu("relu"), Dense("last", 1)), answer_bits)


@dataclass(frozen=True)
class Requests:
    """What came of the requests that were made.

    Attributes:
        answers: what the client was given, as words, (rows,).
        values: those of all nodes of the program.
    """

    program: Program
    answers: Words
    values: Values

    def __len__(self) -> int:
        return len(self.answers)


def ask(program: Program, weights: Weights, x: Floats, draws: Callable[[Node], Array] | None = None) -> Requests:
    """Make the requests `x`, (rows, inputs); `draws` makes the workers' random values, if not the system does."""
    numbers, protocol = fixed_point(program.protocol), program.protocol
    secrets = {"x": split(numbers.encode(x, "x"), protocol)}
    secrets |= {name: split(words, protocol) for name, words in weights.words(numbers).items()}

    def share(node: Node) -> Array:
        assert node.input is not None
        return secrets[node.input.name][node.input.component]

    values = evaluate_all(program, share, draws or fresh_draws(len(x)), len(x))
    held = {
        component: values[node]
        for party, nodes in enumerate(program.outputs)
        for component, node in zip(components_of(party, protocol), nodes, strict=True)
    }
    return Requests(program, reveal(*held.values()).reshape(-1), values)
