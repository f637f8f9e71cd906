"""What the prover answers: the table, the error, two runs; and that it notices spoiled masks and moved values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.mpc.prove.prove_evaluation import moved_values
from tests.unit.mpc.prove.prove_mutations import mutations, unnoticed, without
from tests.unit.mpc.prove.prove_programs import Dims, Toy
from triveni.mpc.affine import Affine
from triveni.mpc.program import Draw, Program, rewrite
from triveni.mpc.prove import Row, Unproven, another_run, prove, prove_joint, prove_two, require_proof


def masked_product() -> Program:
    """Party 1 sends a masked product of weight and request to 0; party 2 sends 0 something without a secret."""
    toy = Toy(4)
    product = toy.op("mul", toy.x(1, 2), toy.w(1, 2))
    toy.send(toy.op("add", product, toy.draw(1, "12", 0)), 0)
    toy.send(toy.op("mul", toy.draw(2, "02", 0), toy.const(2)), 0)
    return toy.program()


def leaky() -> Program:
    toy = Toy(4)
    mask = toy.draw(1, "12", 0)
    toy.send(toy.op("add", toy.x(1, 2), mask), 0)
    toy.send(toy.op("sub", toy.x(1, 2), mask), 0)
    toy.send(toy.x(0, 0), 1)
    return toy.program()


def test_a_proof_says_what_each_party_receives() -> None:
    program = masked_product()
    proof = require_proof(program)
    assert proof.digest == program.digest
    assert proof.table() == (
        Row(party=0, received=3, uniform=2, without_secret=1, open=0),
        Row(party=1, received=1, uniform=1, without_secret=0, open=0),
        Row(party=2, received=0, uniform=0, without_secret=0, open=0),
    )
    assert [party.words for party in proof.parties] == [Affine(0, 12), Affine(0, 4), Affine(0)]
    assert [str(uniform.pad) for uniform in proof.parties[1].uniform] == ["draw 1000 of the key of 0 and 2"]


def test_the_proof_of_a_program_read_from_its_bytes_is_the_same() -> None:
    program = masked_product()
    assert prove(Program.from_json(program.to_json())).table() == prove(program).table()
    assert not prove(Program.from_json(leaky().to_json())).holds


def test_an_unproved_program_is_refused_with_party_message_reason_and_way_out() -> None:
    program = leaky()
    with pytest.raises(Unproven) as error:
        require_proof(program)
    numbers = [n for n, node in enumerate(program.nodes) if node.inputs and node.inputs[-1].draw == Draw((1, 2), 0)]
    text = str(error.value)
    assert f"party 0 could learn from node {numbers[0]} (add i8[rows,4] of party 1)" in text
    assert f"its mask (draw 0 of the key of 1 and 2) occurs in other messages to party 0 too: node {numbers[1]}" in text
    assert "party 1 could learn from" in text
    assert "no draw that party 1 cannot make masks it" in text
    assert "choose another layer or protocol" in text
    assert prove(program).table()[0] == Row(party=0, received=3, uniform=1, without_secret=0, open=2)


def test_an_unproved_program_with_many_open_messages_says_how_many() -> None:
    toy = Toy(4)
    for factor in range(5):
        toy.send(toy.op("mul", toy.x(1, 2), toy.const(factor)), 0)
    with pytest.raises(Unproven, match="; and 2 more"):
        require_proof(toy.program())


def test_a_program_of_the_wrong_form_is_refused_without_a_look_at_its_messages() -> None:
    program = replace(masked_product(), weights={})
    assert prove(program).table() == ()
    with pytest.raises(Unproven, match=r"rule 'input': node .* is no weight of the program"):
        require_proof(program)


def test_two_runs_with_draws_of_their_own_are_proved_together() -> None:
    proof = prove_two(masked_product())
    assert proof.holds
    assert [row.received for row in proof.table()] == [6, 2, 0]


def test_two_runs_with_the_same_draws_are_refused() -> None:
    program = masked_product()
    again = another_run(program, fresh_draws=False)
    assert {node.draw for node in again.nodes} == {node.draw for node in program.nodes}
    proof = prove_joint([program, again])
    assert not proof.holds
    assert proof.table()[0].open == 2


def test_two_runs_of_which_one_draw_is_the_same_are_refused() -> None:
    toy = Toy(4)
    toy.send(toy.op("add", toy.x(1, 2), toy.draw(1, "12", 0)), 0)
    program = toy.program()
    masks = Toy(4)
    masks.send(masks.op("add", masks.x(1, 2), masks.draw(1, "12", 0)), 0)
    fresh = another_run(masks.program(), fresh_draws=True)
    assert prove_joint([program, fresh]).holds
    index = {node.draw.index for node in fresh.nodes if node.draw} - {2001}
    assert index == {1001}
    stale = rewrite(
        fresh, lambda node: replace(node, draw=Draw((1, 2), 0)) if node.draw == Draw((1, 2), 1001) else None
    )
    assert not prove_joint([program, stale]).holds


# Spoiled masks --------------------------------------------------------------------------------------------------------


def test_every_mask_of_a_program_is_missed_when_it_is_removed_public_or_reused() -> None:
    toy = Toy(4)
    toy.send(toy.op("add", toy.x(1, 2), toy.draw(1, "12", 0)), 0)
    toy.send(toy.op("add", toy.draw(2, "12", 1), toy.w(2, 2)), 0)
    pair = toy.draw(1, "12", 2, [2, *toy.shape])
    for part in (0, 1):
        toy.send(toy.op("add", toy.op("mul", toy.x(1, 2), toy.const(part)), toy.part(pair, part)), 0)
    program = toy.program()
    rows = mutations(program)
    answer = [row for row in rows if row.atom.draw.index == 1000]
    others = [row for row in rows if row not in answer]
    assert len(others) == 4
    assert all(row.removed and row.public and row.reused for row in others)
    assert all(row.removed and row.sent_to_all and not row.public for row in answer)
    assert list(unnoticed(rows)) == []


def test_a_mask_that_is_not_missed_is_needless_and_the_program_without_it_is_proved() -> None:
    toy = Toy(4)
    twice = toy.op("add", toy.draw(1, "12", 1), toy.draw(1, "12", 0))
    toy.send(toy.op("add", toy.x(1, 2), twice), 0)
    program = toy.program()
    rows = {str(row.atom): row for row in mutations(program)}
    needless = rows["draw 0 of the key of 1 and 2"]
    assert not needless.removed
    assert not needless.public
    assert prove(without(program, needless.atom)).holds
    assert list(unnoticed(list(rows.values()))) == []


# Moved values ---------------------------------------------------------------------------------------------------------


def stacked() -> Toy:
    """Party 1 stacks two secrets and two masks, and sends the sum."""
    toy = Toy(4)
    shape: Dims = (2, *toy.shape)
    secrets = toy.op("stack", toy.x(1, 2), toy.x(1, 1), shape=shape, axis=0)
    masks = toy.op("stack", toy.draw(1, "12", 0), toy.draw(1, "12", 1), shape=shape, axis=0)
    toy.send(toy.op("add", secrets, masks), 0, part=0)
    return toy


def test_a_pass_that_moves_a_value_to_another_party_is_seen() -> None:
    """Slicing before the sum, at the receiver, would send it a secret and its mask apart."""
    before = stacked().program()
    apart = Toy(4)
    apart.send(apart.op("add", apart.x(1, 2), apart.draw(1, "12", 0), at=0), 1)
    after = apart.program()
    assert {(party, node.op) for party, node in moved_values(before, after)} >= {(0, "input"), (0, "draw")}
    assert not prove(after).holds


def test_a_pass_that_sends_a_part_of_what_was_sent_moves_nothing() -> None:
    part = Toy(4)
    part.send(part.op("add", part.x(1, 2), part.draw(1, "12", 0)), 0)
    assert moved_values(stacked().program(), part.program()) == []
