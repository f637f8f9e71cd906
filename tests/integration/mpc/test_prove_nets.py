"""The prover on programs of the real compiler: every net is proved, and every mask of the example is needed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.mpc.keras_nets import NETS
from tests.unit.mpc.prove.prove_evaluation import moved_values
from tests.unit.mpc.prove.prove_mutations import mutations, unnoticed
from triveni.mpc.passes import PASSES, drop_identities, number_draws
from triveni.mpc.program import Program
from triveni.mpc.prove import another_run, prove, prove_joint, prove_two

Programs = Callable[[str], Program]


@pytest.mark.parametrize("name", ["mnist", *NETS])
def test_every_net_is_proved_for_one_and_for_two_requests(name: str, program_of: Programs) -> None:
    assert list(prove(program_of(name)).failures()) == []
    assert list(prove_two(program_of(name)).failures()) == []


@pytest.mark.parametrize("name", ["mnist", "mlp"])
def test_two_requests_with_the_same_draws_are_refused(name: str, program_of: Programs) -> None:
    program = program_of(name)
    joint = prove_joint([program, another_run(program, fresh_draws=False)])
    assert all(party.open for party in joint.parties)


def test_for_every_mask_of_the_example_that_is_spoiled_the_proof_fails_or_the_mask_is_needless(
    program_of: Programs,
) -> None:
    rows = mutations(program_of("mnist"))
    assert list(unnoticed(rows)) == []
    caught = sum(row.removed for row in rows)
    assert caught > 0.9 * len(rows), f"{caught} of {len(rows)} masks are needed"


def test_no_pass_moves_a_value_to_another_party_and_each_leaves_the_program_proved(traced_example: Program) -> None:
    before = drop_identities(traced_example)
    assert prove(before).holds
    for one in PASSES:
        after = one(before)
        if one is not number_draws:  # it renames the draws by which the two are compared
            assert moved_values(before, after) == [], one.__name__
        assert prove(after).holds, one.__name__
        before = after
