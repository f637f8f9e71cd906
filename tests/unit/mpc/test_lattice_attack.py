"""What server 2 of SecureNN could find out with a client's answers, were shares not made afresh; from ours it cannot.

x @ v for one output: server 2 dealt the masks of both factors, so server 1's share of the product is, but for known
terms, a @ v, of which the client is given the upper 48 bits.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.draws import fresh_draws
from benchmarks.extraction.lattice import reduced, solve
from tests.unit.mpc.securenn_programs import BITS, securenn_program
from triveni.mpc.execute.interpret import evaluate_all
from triveni.mpc.program import Program
from triveni.mpc.sharing import split

WEIGHTS, REQUESTS = 12, 8

MODULUS = 2**64


def ask(program: Program, x: np.ndarray, v: np.ndarray) -> tuple[list[list[int]], list[int]]:
    """Of each request the mask that multiplies v, and that product, known but for its low bits: server 2 and client."""
    secrets = {"x": split(x, "SecureNN"), "v": split(v[:, np.newaxis], "SecureNN")}
    values = evaluate_all(program, lambda n: secrets[n.input.name][n.input.component], fresh_draws(len(x)), len(x))  # type: ignore[union-attr]

    (mask_of_x,) = [values[node.inputs[0]] for node in program.nodes if node.op == "matmul" and node.party == 2]
    (mask_of_v,) = [values[node.inputs[1]] for node in program.nodes if node.op == "matmul" and node.party == 2]
    dealt = {node.draw: values[node] for node in program.nodes if node.party == 2 and node.draw}
    of_1 = {node.draw: values[node] for node in program.nodes if node.party == 1 and node.draw in dealt}
    (a1,) = [value for value in of_1.values() if value.shape == x.shape]
    (b1,) = [value for value in of_1.values() if value.shape == (WEIGHTS, 1)]
    (sent,) = [values[node] for node in program.nodes if node.party == 2 and node.op == "sub"]
    known = sent - a1 @ mask_of_v + (x - mask_of_x) @ b1
    share = values[program.outputs[1][0]]
    high = (share.astype(object) * 2**BITS - 2**BITS - known.astype(object)).reshape(-1)
    return [[int(value) for value in row] for row in a1], [int(value) for value in high]


def found(program: Program) -> tuple[list[int] | None, list[int]]:
    rng = np.random.default_rng(1)
    v = rng.integers(-(2**17), 2**17, WEIGHTS)
    x = rng.integers(-(2**16), 2**16, (REQUESTS, WEIGHTS))
    known, high = ask(program, x, v)
    return solve(known, high, MODULUS, 2**BITS, 2**18), [int(value) for value in v]


def program(without: tuple[str, ...] = ()) -> Program:
    return securenn_program(without, sizes=(WEIGHTS, WEIGHTS, 1), relus=0)


def test_server_2_and_a_client_find_all_weights_of_a_layer_whose_shares_are_not_made_afresh() -> None:
    got, weights = found(program(("rho", "answer")))
    assert got == weights


@pytest.mark.parametrize("without", [(), ("answer",), ("rho",)])
def test_they_find_none_if_shares_are_made_afresh_before_truncation_or_before_they_leave(
    without: tuple[str, ...],
) -> None:
    assert found(program(without))[0] is None


def test_a_basis_is_reduced_to_short_vectors_of_the_same_lattice() -> None:
    """Cohen's example of a lattice with a short vector that none of its given vectors shows."""
    basis = [[1, 0, 0, 1_345], [0, 1, 0, 35], [0, 0, 1, 154]]
    short = reduced(basis)
    assert max(abs(value) for vector in short for value in vector) < 40
    assert all(vector[3] == 1_345 * vector[0] + 35 * vector[1] + 154 * vector[2] for vector in short)
