"""The prover: shows, for a program as it is, that no worker can learn what is not its own.

For each party, the joint distribution of all messages that it receives is independent of every secret component that
it does not hold, given those that it does hold and its own draws. Shapes are symbolic in the rows, so that one proof
holds for every batch size; and it holds for any number of runs, since each has draws of its own. What a program's
author meant plays no part: a program that cannot be proved does not run. The argument is docs/prover.md.

- `atoms`: which draws and secrets occur where
- `rules`: pad elimination for one party
- `structure`, `truncation`, `answer`: the form that a program, its truncations and its answer must have
- `proof`: the result
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from triveni.mpc.program import PARTIES, Node, Program, rewrite
from triveni.mpc.prove.answer import check_answer
from triveni.mpc.prove.atoms import Atom, Occurrences
from triveni.mpc.prove.proof import (
    OpenMessage,
    PartyProof,
    Proof,
    Row,
    Rule,
    Structure,
    Uniform,
    Unproven,
    Violation,
)
from triveni.mpc.prove.rules import Premises, prove_party
from triveni.mpc.prove.structure import check_form
from triveni.mpc.prove.truncation import check_truncations
from triveni.mpc.prove.values import value_numbers
from triveni.mpc.schedule import Phase, Schedule

__all__ = [
    "Atom",
    "OpenMessage",
    "PartyProof",
    "Proof",
    "Row",
    "Rule",
    "Structure",
    "Uniform",
    "Unproven",
    "Violation",
    "another_run",
    "prove",
    "prove_joint",
    "prove_two",
    "require_proof",
]


def prove(program: Program) -> Proof:
    """The proof of one run; look at `holds`."""
    return prove_joint([program])


def prove_two(program: Program) -> Proof:
    """The proof of the joint view of two runs with the same weights, another request and other draws.

    Lemma 6 says that it holds whenever `prove` does; this checks the lemma.
    """
    return prove_joint([program, another_run(program, fresh_draws=True)])


def require_proof(program: Program) -> Proof:
    """The proof of a program that may run.

    Raises:
        Unproven: the proof does not hold; its text says which message of which party, and why.
    """
    proof = prove(program)
    if not proof.holds:
        raise Unproven(proof)
    return proof


def another_run(program: Program, *, fresh_draws: bool) -> Program:
    """The same program for another request; its draws are those of the first run unless they are to be fresh."""
    count = 1 + max((node.draw.index for node in program.nodes if node.draw), default=0)

    def change(node: Node) -> Node:
        if node.draw is None or node.draw.epoch:
            return replace(node)
        index = node.draw.index + (count if fresh_draws else 0)
        return replace(node, draw=replace(node.draw, index=index))

    return rewrite(program, change)


def prove_joint(runs: Sequence[Program]) -> Proof:
    """The proof of the joint view of `runs`; draws of one key and index are one value in all of them."""
    first = runs[0]
    violations = tuple(check_form(first))
    if violations:
        return Proof(first.digest, (), violations)
    try:
        # What is sent at setup is sent once, not in every run.
        sent = [m for run in runs for m in Schedule(run).messages if run is first or m.phase is not Phase.SETUP]
    except ValueError as error:  # a value would be sent that depends on weights and on no draw
        return Proof(first.digest, (), (Violation(Structure.MESSAGE, str(error)),))
    nodes = [node for run in runs for node in run.nodes]
    found = Occurrences(nodes)
    premises = Premises(
        protocol=first.protocol,
        found=found,
        numbers={node: number for number, node in enumerate(nodes)},
        values=value_numbers(nodes),
        setup={m.node for m in sent if m.phase is Phase.SETUP},
    )
    parties = tuple(prove_party(party, [m.node for m in sent if m.receiver == party], premises) for party in PARTIES)
    others = (*check_truncations(first, found), *check_answer(first, found, premises.values))
    return Proof(first.digest, parties, others)
