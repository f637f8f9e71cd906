"""Bounds of values against the protocols: what is accepted is right in its worst corner, what is refused is not.

Draws are the same each time, so that no test fails by the chance by which a truncation of SecureNN does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from benchmarks.draws import fresh_draws
from tests.integration.mpc.test_compile import Models, Programs
from tests.unit.mpc.steps_in_floats import by_steps
from triveni.mpc import architecture as a
from triveni.mpc.compile import compile_program
from triveni.mpc.compile.driver import PROTOCOLS
from triveni.mpc.execute.interpret import evaluate_all
from triveni.mpc.fixedpoint import fixed_point
from triveni.mpc.input_range import InputRange
from triveni.mpc.lowering import Network, lower
from triveni.mpc.lowering.steps import Floats
from triveni.mpc.program import Program
from triveni.mpc.ranges import DoesNotFit, analyse
from triveni.mpc.sharing import component_count, reveal, split

ROWS = 16


def in_secret(program: Program, weights: dict[str, Floats], x: Floats) -> Floats:
    """The answers of the protocol, all parties in this process."""
    numbers, rng = fixed_point(program.protocol), np.random.default_rng(0)
    shares = {name: split(numbers.encode(w, name), program.protocol) for name, w in {**weights, "x": x}.items()}
    draws = fresh_draws(len(x), rng.bytes)
    values = evaluate_all(program, lambda node: shares[node.input.name][node.input.component], draws, len(x))
    components = (values[program.outputs[party][0]] for party in range(component_count(program.protocol)))
    return numbers.decode(reveal(*components))


def searched(network: Network, weights: dict[str, Floats], low: float, high: float) -> Floats:
    """Rows that make answers large: corners of the range, changed one element at a time where that helps."""
    rng = np.random.default_rng(1)

    def size(x: Floats) -> Floats:
        answers: Floats = np.abs(by_steps(network, weights, x)).reshape(ROWS, -1).max(axis=1)
        return answers

    x = np.where(rng.random((ROWS, *network.input_shape)) < 0.5, low, high)
    for _ in range(40):
        changed = x.copy()
        for row in changed.reshape(ROWS, -1):
            row[rng.integers(row.size)] = rng.choice([low, high])
        better = size(changed) > size(x)
        x[better] = changed[better]
    return x


@pytest.mark.parametrize("name", ["mlp", "largest_of_windows", "curves", "residual", "depthwise_and_separable"])
def test_an_answer_is_rounded_by_no_more_than_its_bound(
    name: str, model_of: Models, program_of: Programs, securenn_program_of: Programs
) -> None:
    network = lower(model_of(name).architecture)
    weights = network.encode(model_of(name).weights)
    x = searched(network, weights, -2.0, 3.0)
    for program in program_of(name), securenn_program_of(name):
        ranges = analyse(network, weights, fixed_point(program.protocol), InputRange(-2.0, 3.0))
        rounding = np.abs(in_secret(program, weights, x) - by_steps(network, weights, x)).max()
        assert rounding <= ranges.error
        assert ranges.error < 10_000 * fixed_point(program.protocol).unit, "it holds, but not by being huge"


DENSE = a.Architecture((16,), (a.Dense("d", 1), a.Relu("r"), a.Dense("e", 2)))

WORST: dict[str, tuple[float, float, float]] = {"ABY3": (512.0, 511.0, 800.0), "SecureNN": (64.0, 31.9, 33.0)}
"""An input, a weight with which sixteen products of the two just fit, and one with which they do not."""


@pytest.fixture(scope="module")
def dense_by(programs: Path) -> Callable[[str], Program]:
    return cache(lambda protocol: compile_program(DENSE, protocol, cache=programs, timeout=120))


def dense_weights(kernel: float) -> dict[str, Floats]:
    """With these an answer is a sixteenth of what the ReLU gives."""
    return {
        "d/kernel": np.full((16, 1), kernel),
        "d/bias": np.zeros(1),
        "e/kernel": np.full((1, 2), 0.0625),
        "e/bias": np.zeros(2),
    }


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_net_that_just_fits_is_right_in_its_worst_corner(protocol: str, dense_by: Callable[[str], Program]) -> None:
    most, weight, _ = WORST[protocol]
    network, weights = lower(DENSE), dense_weights(weight)
    ranges = analyse(network, weights, fixed_point(protocol), InputRange(-most, most))
    assert max(reach.bound / reach.below for reach in ranges.reaches) > 0.99
    for corner in (most, -most):
        x = np.full((ROWS, 16), corner)
        answer = in_secret(dense_by(protocol), weights, x)
        assert np.abs(answer - by_steps(network, weights, x)).max() <= ranges.error


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_net_that_is_refused_would_answer_wrongly(protocol: str, dense_by: Callable[[str], Program]) -> None:
    most, _, weight = WORST[protocol]
    network, weights = lower(DENSE), dense_weights(weight)
    with pytest.raises(DoesNotFit):
        analyse(network, weights, fixed_point(protocol), InputRange(-most, most))
    x = np.full((ROWS, 16), most)
    answer = in_secret(dense_by(protocol), weights, x)
    wrong = np.abs(answer - by_steps(network, weights, x)).max(axis=1) > 1000
    assert wrong.any()
