"""SecureNN: the network built by hand is proved, and refused once anything that protects it is left out or shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.mpc.securenn_programs import relu_program, securenn_program
from triveni.mpc.affine import ROWS, Affine
from triveni.mpc.passes import merge_equal
from triveni.mpc.program import Draw, Node, Program, rewrite
from triveni.mpc.prove import Rule, Structure, another_run, prove, prove_joint, prove_two


def test_the_network_is_proved_message_by_message() -> None:
    proof = prove(securenn_program())
    assert list(proof.failures()) == []
    assert [(row.received, row.uniform) for row in proof.table()] == [(5, 5), (10, 10), (2, 2)]
    assert [u.rule for u in proof.parties[2].uniform] == [Rule.COMPARISON] * 2


def test_a_program_is_proved_as_it_comes_back_from_its_json() -> None:
    assert prove(Program.from_json(securenn_program().to_json())).holds


def test_relu_alone_is_proved() -> None:
    assert prove(relu_program((2, 3))).holds


def test_two_runs_under_one_opening_of_the_weights_are_proved() -> None:
    assert prove_two(securenn_program()).holds


def test_two_runs_with_the_same_draws_are_refused_for_every_party() -> None:
    program = securenn_program()
    proof = prove_joint([program, another_run(program, fresh_draws=False)])
    assert [bool(party.open) for party in proof.parties] == [True, True, True]


@pytest.mark.parametrize(
    ("left_out", "party"),
    [
        ("shift", 2),  # z = 0: the ratio of the two shares gives every input of the ReLU
        ("by", 2),  # no rotation: the place of the zero gives size and sign
        ("beta", 2),  # whether there is a zero is then the comparison itself
        ("factor", 2),
        ("r", 0),
        ("r", 1),
        ("a", 0),
        ("a", 1),
        ("ab", 1),
        ("bits", 1),
        ("t", 1),
        ("q", 1),
    ],
)
def test_without_one_of_its_masks_a_message_is_open(left_out: str, party: int) -> None:
    proof = prove(securenn_program(without=[left_out]))
    assert not proof.holds
    assert proof.parties[party].open


def test_a_weight_that_would_be_sent_as_it_is_is_refused() -> None:
    (violation,) = prove(securenn_program(without=["b"])).violations
    assert violation.structure is Structure.MESSAGE


@pytest.mark.parametrize(
    ("left_out", "structure"), [("rho", Structure.TRUNCATION), ("answer", Structure.ANSWER)], ids=["product", "answer"]
)
def test_what_is_not_shared_afresh_is_a_violation(left_out: str, structure: Structure) -> None:
    proof = prove(securenn_program(without=[left_out]))
    assert {violation.structure for violation in proof.violations} == {structure}


def redrawn(node: Node, draw: Draw) -> Node:
    return Node("draw", (), {}, node.shape, node.dtype, node.party, draw)


def test_weights_under_one_mask_are_refused() -> None:
    def first_mask(node: Node) -> Node | None:
        """The second weight under the mask of the first, which has its shape."""
        return redrawn(node, replace(node.draw, index=0)) if node.draw and node.draw.epoch else None

    square = merge_equal(rewrite(securenn_program(sizes=(3, 3, 3)), first_mask))
    proof = prove(square)
    assert [bool(party.open) for party in proof.parties] == [True, True, False], list(proof.failures())


def _reuse(kind: str) -> Program:
    return securenn_program(same=[kind], sizes=(3, 3, 3), relus=2)


@pytest.mark.parametrize(
    ("kind", "party"),
    [("beta", 2), ("factor", 2), ("shift", 2), ("by", 2), ("bits", 1), ("t", 1), ("q", 1), ("ab", 1)],
)
def test_a_mask_that_is_used_in_two_layers_is_refused(kind: str, party: int) -> None:
    assert prove(securenn_program(sizes=(3, 3, 3), relus=2)).holds
    assert prove(_reuse(kind)).parties[party].open


def test_a_draw_that_shares_two_products_afresh_is_a_violation() -> None:
    assert {violation.structure for violation in prove(_reuse("rho")).violations} == {Structure.TRUNCATION}


def test_a_coin_that_also_turns_up_in_the_rotation_is_refused() -> None:
    def change(node: Node) -> Node | None:
        if node.op == "rotate":
            coin = node.inputs[0].inputs[0].inputs[2]
            by = Node("cast", (coin,), {}, coin.shape, "u1", node.party)
            return node.with_inputs([node.inputs[0], by])
        return None

    assert prove(rewrite(securenn_program(), change)).parties[2].open


def _with(op: str, change: Callable[[Node], Node | None]) -> Program:
    return rewrite(securenn_program(), lambda node: change(node) if node.op == op else None)


@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("residues", {"modulus": 36}),
        ("residues", {"modulus": 37}),
        ("residues", {"modulus": 256}),
        ("compare", {"role": 0}),
        ("compare", {"role": 2}),
        ("blind", {"role": 1}),
    ],
)
def test_other_moduli_and_roles_are_refused(op: str, attrs: dict[str, int]) -> None:
    program = _with(op, lambda node: Node(op, node.inputs, attrs, node.shape, node.dtype, node.party))
    assert not prove(program).holds


def test_shares_of_bits_that_do_not_belong_together_are_refused() -> None:
    """Rows may then have several zeros, whose number depends on what is compared."""

    def change(node: Node) -> Node | None:
        words, share = node.inputs
        (draw,) = share.inputs
        assert draw.draw is not None
        return node.with_inputs([words, share.with_inputs([redrawn(draw, replace(draw.draw, index=99))])])

    assert prove(_with("deal_bits", change)).parties[2].open


def test_servers_that_compare_two_values_are_refused() -> None:
    def change(node: Node) -> Node | None:
        if node.party == 0:
            return None
        opened = node.inputs[0]
        doubled = Node("add", (opened, opened), {}, opened.shape, "i8", 1)
        return node.with_inputs([doubled, *node.inputs[1:]])

    assert prove(_with("compare", change)).parties[2].open


def test_one_coin_for_several_elements_is_refused() -> None:
    def change(node: Node) -> Node | None:
        coin = node.inputs[2]
        one = Node("draw", (), {}, (Affine(1),), "b1", node.party, coin.draw)
        return node.with_inputs([*node.inputs[:2], one])

    assert not prove(_with("compare", change)).holds


def test_an_epochs_draw_hides_no_request() -> None:
    """In two runs the difference of the requests would be seen."""

    def change(node: Node) -> Node | None:
        masks_request = node.draw is not None and node.shape == (ROWS, Affine(4))
        return redrawn(node, replace(node.draw, index=50, epoch=True)) if node.draw and masks_request else None

    structures = {violation.structure for violation in prove(rewrite(securenn_program(), change)).violations}
    assert structures == {Structure.DRAW}


def test_an_answer_under_a_mask_that_party_2_knows_is_a_violation() -> None:
    """Its operator may be a client: it would see the shares as they are."""
    program = securenn_program()
    mask = program.outputs[0][0].inputs[1].draw
    known = rewrite(program, lambda node: redrawn(node, Draw((0, 1, 2), 0)) if node.draw == mask else None)
    assert {violation.structure for violation in prove(known).violations} == {Structure.ANSWER}


def test_a_shift_of_another_kind_is_a_violation() -> None:
    program = _with("sar", lambda node: Node("shr", node.inputs, {}, node.shape, "i8", node.party))
    assert {violation.structure for violation in prove(program).violations} == {Structure.TRUNCATION}
