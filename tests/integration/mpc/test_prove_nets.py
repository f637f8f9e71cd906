"""The prover on programs of the real compiler: every net is proved, and every mask of the example is needed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.integration.mpc.keras_nets import NETS
from tests.unit.mpc.prove_mutations import mutations, unnoticed
from triveni.mpc.passes import PASSES
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


@pytest.mark.parametrize("skipped", range(len(PASSES)), ids=lambda i: PASSES[i].__name__)
def test_the_proof_does_not_depend_on_a_pass(skipped: int, program_of: Programs) -> None:
    """The finished program through all passes but one, and once more through that one."""
    program = program_of("mnist")
    for position, one in enumerate(PASSES):
        if position != skipped:
            program = one(program)
    assert prove(program).holds
