"""The numbers of the compiled protocol near their bounds: truncation and ReLU on raw words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from benchmarks.draws import fresh_draws
from triveni.mpc.architecture import Architecture, Dense, Relu
from triveni.mpc.compile import compile_program
from triveni.mpc.execute.interpret import evaluate_all
from triveni.mpc.fixedpoint import fixed_point
from triveni.mpc.program import Program
from triveni.mpc.sharing import reveal, split

ROWS = 4096
UNIT = 2 ** fixed_point("ABY3").fractional_bits


@pytest.fixture(scope="module")
def product(programs: Path) -> Program:
    """One product of two secrets, truncated."""
    architecture = Architecture((1,), (Dense("d", 1, use_bias=False),))
    return compile_program(architecture, cache=programs, timeout=120)


@pytest.fixture(scope="module")
def relu(programs: Path) -> Program:
    architecture = Architecture((1,), (Relu("r"),))
    return compile_program(architecture, cache=programs, timeout=120)


def run(program: Program, words: Mapping[str, np.ndarray]) -> np.ndarray:
    """Words in, words out."""
    shares = {name: split(value) for name, value in words.items()}
    rows = len(words["x"])
    values = evaluate_all(program, lambda n: shares[n.input.name][n.input.component], fresh_draws(rows), rows)
    return reveal(*(values[program.outputs[c][0]] for c in range(3))).reshape(-1)


def quotients(program: Program, x: np.ndarray, weight: int) -> np.ndarray:
    return run(program, {"x": x.reshape(-1, 1), "d/kernel": np.array([[weight]], np.int64)})


BOUND = 2**62 // UNIT
RANGES = {
    "small": (-(2**20), 2**20),
    "just below the bound": (BOUND - 10**6, BOUND),
    "just above the lower bound": (-BOUND, -BOUND + 10**6),
    "at the bound": (BOUND, BOUND + 1),
    "at the lower bound": (-BOUND, -BOUND + 1),
}


@pytest.mark.parametrize("name", RANGES)
def test_a_product_within_its_bound_is_truncated_to_within_one_unit(name: str, product: Program) -> None:
    x = np.random.default_rng(0).integers(*RANGES[name], ROWS)
    assert set(np.unique(quotients(product, x, UNIT) - x)) <= {0, 1}


def test_beyond_the_bound_a_product_is_wrong_as_often_as_documented(product: Program) -> None:
    """(|v| - 2^22) / 2^23 for |v| = 2^22 + 2^21, that is 1/4: within six standard deviations."""
    x = np.full(ROWS, BOUND + BOUND // 2)
    wrong = np.abs(quotients(product, x, UNIT) - x) > 1
    assert abs(wrong.mean() - 0.25) < 6 * (0.25 * 0.75 / ROWS) ** 0.5


def test_truncation_rounds_without_bias(product: Program) -> None:
    x = np.random.default_rng(1).integers(-(2**40), 2**40, ROWS)
    exact = x.astype(object) * 12_345
    errors = np.array([int(y) - e / UNIT for y, e in zip(quotients(product, x, 12_345), exact, strict=True)])
    assert np.abs(errors).max() <= 1
    assert abs(errors.mean()) < 6 * errors.std() / ROWS**0.5


def test_relu_is_exact_on_every_word_but_the_least(relu: Program) -> None:
    edges = [0, 1, -1, 2, -2, 2**31, -(2**31), 2**62, -(2**62), 2**63 - 1, -(2**63) + 1]
    x = np.concatenate([edges, np.random.default_rng(2).integers(-(2**63), 2**63 - 1, ROWS)]).astype(np.int64)
    assert (run(relu, {"x": x.reshape(-1, 1)}) == np.maximum(x, 0)).all()
