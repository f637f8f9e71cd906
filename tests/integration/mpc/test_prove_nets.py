"""The prover on programs of the real compiler: every net is proved, and every mask of the example is needed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.mpc.keras_nets import NETS
from tests.unit.mpc.prove.prove_evaluation import moved_values
from tests.unit.mpc.prove.prove_mutations import mutations, unnoticed
from triveni.mpc.architecture import Architecture, Dense, Relu
from triveni.mpc.passes import PASSES, drop_identities, number_draws
from triveni.mpc.program import Program
from triveni.mpc.prove import another_run, prove, prove_joint, prove_two

Programs = Callable[[str], Program]

ROOT = Path(__file__).parents[3]


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


SMALL = """
import triveni.mpc.compile.__main__ as compiler
from triveni.mpc.architecture import Architecture, Dense, Relu
for protocol in ("ABY3", "SecureNN"):
    print(compiler.compile_here(Architecture((3,), (Dense("d", 2), Relu("r"))), protocol).protocol)
"""


def test_a_small_network_is_proved_in_each_protocol() -> None:
    """What every mask of the compiler's is in already, in a moment."""
    done = subprocess.run([sys.executable, "-c", SMALL], cwd=ROOT, capture_output=True, timeout=240, check=False)
    assert (done.returncode, done.stdout) == (0, b"ABY3\nSecureNN\n"), done.stderr.decode()[-1000:]


SPOILED = """
import sys
import triveni.mpc.compile.__main__ as compiler
from tests.unit.mpc.prove.prove_mutations import without
from triveni.mpc.architecture import Architecture, Dense, Relu
from triveni.mpc.passes import optimise
from triveni.mpc.prove import prove
compiler.optimise = lambda p: (q := optimise(p), without(q, prove(q).parties[0].uniform[0].pad))[1]
sys.exit(compiler.main())
"""


def test_the_compiler_gives_out_no_program_that_it_cannot_prove() -> None:
    """Its passes leave out one mask."""
    architecture = Architecture((3,), (Dense("d", 2), Relu("r")))
    command, data = [sys.executable, "-c", SPOILED, "ABY3"], architecture.to_json()
    done = subprocess.run(command, input=data, cwd=ROOT, capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"is not proved to keep the secrets, so it does not run" in done.stderr.splitlines()[-1]


def test_no_pass_moves_a_value_to_another_party_and_each_leaves_the_program_proved(traced_example: Program) -> None:
    before = drop_identities(traced_example)
    assert prove(before).holds
    for one in PASSES:
        after = one(before)
        if one is not number_draws:  # it renames the draws by which the two are compared
            assert moved_values(before, after) == [], one.__name__
        assert prove(after).holds, one.__name__
        before = after
