"""The attack on TF Encrypted's ReLU, tried on ours: server 2 finds nothing, unless the columns are not shared afresh.

That the same attack finds every input in TF Encrypted's own is in tests/integration/mpc/test_tf_encrypted_relu.py.
"""

from __future__ import annotations

import numpy as np

from benchmarks.draws import fresh_draws
from tests.unit.mpc.relu_attack import candidates_of_any_rotation
from tests.unit.mpc.securenn_programs import relu_program
from triveni.mpc.comparison import COLUMNS, LOW_BITS, MODULUS
from triveni.mpc.execute.interpret import Values, evaluate_all
from triveni.mpc.program import Program
from triveni.mpc.schedule import Schedule
from triveni.mpc.sharing import reveal, split

TRIED = 150


def run(program: Program, x: np.ndarray) -> Values:
    shares = split(x, "SecureNN")
    return evaluate_all(program, lambda node: shares[node.input.component], fresh_draws(len(x)), len(x))  # type: ignore[union-attr]


def view_of_server_2(program: Program, values: Values) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Both shares of r's bits, which it made, the two messages that it gets, and r."""
    seen = [values[m.node] for m in Schedule(program).messages if m.receiver == 2]
    (dealt,) = [node for node in program.nodes if node.op == "deal_bits"]
    return [values[dealt.inputs[1]], values[dealt]], seen, values[dealt.inputs[0]]


def found(program: Program, x: np.ndarray) -> tuple[int, int]:
    """For how many elements the attack has candidates, and for how many the right one is among at most eight."""
    own, seen, r = view_of_server_2(program, run(program, x))
    some = right = 0
    for row in range(TRIED):
        left = candidates_of_any_rotation([share[row] for share in own], [share[row] for share in seen], MODULUS)
        low = {(s - beta - int(r[row])) & LOW_BITS for s, beta in left}
        some += bool(left)
        right += int(x[row]) & LOW_BITS in low and len(low) <= 8
    return some, right


def inputs() -> np.ndarray:
    return np.random.default_rng(7).integers(-(2**24), 2**24, TRIED)


def test_server_2_finds_no_input_of_our_relu() -> None:
    assert found(relu_program(), inputs()) == (0, 0)


def test_without_a_fresh_sharing_of_the_columns_the_same_attack_finds_them_in_spite_of_the_rotation() -> None:
    some, right = found(relu_program(without=["shift"]), inputs())
    assert some == TRIED
    assert right > 0.9 * TRIED


EDGES = [0, 1, -1, 2, -2, 2**16, -(2**16), 2**30, -(2**30), 2**31 - 1, -(2**31), -(2**31) + 1, 255, -256]


def test_our_relu_is_exact_on_every_number_that_it_is_made_for() -> None:
    program = relu_program()
    x = np.concatenate([EDGES, np.random.default_rng(1).integers(-(2**31), 2**31, 20_000)]).astype(np.int64)
    values = run(program, x)
    answer = reveal(*(values[nodes[0]] for nodes in program.outputs if nodes))
    assert np.array_equal(answer, np.maximum(x, 0))


def test_beyond_them_bit_31_decides() -> None:
    program = relu_program()
    x = np.random.default_rng(2).integers(-(2**63), 2**63 - 1, 5000, endpoint=True)
    values = run(program, x)
    answer = reveal(*(values[nodes[0]] for nodes in program.outputs if nodes))
    assert np.array_equal(answer, np.where(x >> 31 & 1, 0, x))


def test_what_server_2_sees_looks_the_same_for_any_input() -> None:
    """Place of the zero, how often there is one, all sums and all shares: within six standard deviations."""
    program, rows = relu_program(), 20_000
    for value in (0, 1, -1, 2**30, -(2**31)):
        _, (first, second), _ = view_of_server_2(program, run(program, np.full(rows, value, np.int64)))
        total = (first.astype(int) + second) % MODULUS
        zeros = total == 0
        assert zeros.sum(1).max() == 1
        with_zero = zeros.any(1)
        assert abs(with_zero.mean() - 0.5) < 6 * 0.5 / rows**0.5
        for counts, cells in (
            (np.bincount(zeros.argmax(1)[with_zero], minlength=COLUMNS), COLUMNS),
            (np.bincount(total[~zeros], minlength=MODULUS)[1:], MODULUS - 1),
            (np.bincount(first.ravel(), minlength=MODULUS), MODULUS),
        ):
            expected = counts.sum() / cells
            assert (np.abs(counts - expected) < 6 * expected**0.5).all()
