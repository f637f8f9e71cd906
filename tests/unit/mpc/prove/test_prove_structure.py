"""The form that a program must have, each premise broken on purpose; and the answer's own rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.unit.mpc.prove.prove_programs import ANSWER_MASK, Toy
from triveni.mpc.program import Draw, Node, Program, rewrite
from triveni.mpc.prove import Structure, prove


def broken(program: Program) -> set[Structure]:
    proof = prove(program)
    assert not proof.holds
    return {violation.structure for violation in proof.violations}


def with_message(build: Callable[[Toy], Node], *receivers: int) -> Program:
    toy = Toy(4)
    toy.send(build(toy), *receivers)
    return toy.program()


def masked(toy: Toy, draw: Node) -> Node:
    return toy.op("add", toy.x(1, 2), draw)


def test_a_draw_by_a_party_that_does_not_hold_its_key_is_a_violation() -> None:
    assert broken(with_message(lambda toy: masked(toy, toy.draw(1, "02", 0)), 0)) == {Structure.DRAW}


def test_a_draw_of_an_unordered_key_is_a_violation() -> None:
    assert broken(with_message(lambda toy: masked(toy, toy.draw(1, "21", 0)), 0)) == {Structure.DRAW}


def test_a_draw_that_does_not_cover_its_type_is_a_violation() -> None:
    def build(toy: Toy) -> Node:
        narrow = replace(toy.draw(1, "12", 0), attrs={"bits": 1})
        return masked(toy, narrow)

    assert broken(with_message(build, 0)) == {Structure.FORM}


def test_one_index_for_draws_of_two_shapes_is_a_violation() -> None:
    def build(toy: Toy) -> Node:
        short = Node("draw", (), {}, toy.shape[1:], "i8", 2, Draw((1, 2), 0))
        toy.send(toy.op("add", toy.x(2, 2), short), 0)
        return masked(toy, toy.draw(1, "12", 0))

    assert broken(with_message(build, 0)) == {Structure.DRAW}


def test_one_index_for_two_draws_of_a_party_is_a_violation() -> None:
    def build(toy: Toy) -> Node:
        again = replace(toy.draw(1, "12", 0))
        toy.send(toy.op("xor", toy.w(1, 2), again), 0)
        return masked(toy, toy.draw(1, "12", 0))

    assert broken(with_message(build, 0)) == {Structure.DRAW}


def test_a_component_at_a_party_that_does_not_hold_it_is_a_violation() -> None:
    assert broken(with_message(lambda toy: masked(toy, toy.x(1, 0)), 0)) == {Structure.INPUT}


def test_an_input_that_the_program_does_not_declare_is_a_violation() -> None:
    program = with_message(lambda toy: toy.op("add", toy.draw(1, "12", 0), toy.w(1, 2)), 0)
    assert prove(program).holds
    assert broken(replace(program, weights={})) == {Structure.INPUT}
    assert broken(replace(program, weights={"w": (5,)})) == {Structure.INPUT}
    assert broken(replace(program, weights={"w": (4,), "x": (4,)})) == {Structure.INPUT}


def test_a_message_that_depends_on_weights_and_on_no_draw_is_a_violation() -> None:
    assert broken(with_message(lambda toy: toy.w(1, 2), 0)) == {Structure.MESSAGE}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda node: replace(node, op="turn"),
        lambda node: replace(node, inputs=node.inputs[:1]),
        lambda node: replace(node, attrs={"scale": 2}),
        lambda node: replace(node, party=3),
        lambda node: replace(node, party=None),
        lambda node: replace(node, shape=(node.shape[0], node.shape[0])),
        lambda node: replace(node, dtype="f4"),
        lambda node: replace(node, draw=Draw((1, 2), 7)),
    ],
    ids=["operation", "inputs", "attribute", "party", "no party", "shape", "type", "draw"],
)
def test_a_malformed_operation_is_a_violation(spoil: Callable[[Node], Node]) -> None:
    program = with_message(lambda toy: masked(toy, toy.draw(1, "12", 0)), 0)
    first = next(node for node in program.nodes if node.op == "add")
    with_spoilt = program.with_outputs(
        [replace(node, inputs=(spoil(first), *node.inputs[1:])) for node in pair] for pair in program.outputs
    )
    assert Structure.FORM in broken(with_spoilt)


def test_an_answer_that_its_party_does_not_compute_is_a_violation() -> None:
    (zero, one), (one_again, two), pair = Toy(4).program().outputs
    program = Toy(4).program().with_outputs([(zero, one), (one, two), pair])
    assert one_again is not one
    assert broken(program) == {Structure.OUTPUT}


def test_a_party_without_an_answer_is_a_violation() -> None:
    program = Toy(4).program()
    assert broken(program.with_outputs(program.outputs[:2])) == {Structure.OUTPUT}


def test_an_answer_of_another_shape_is_a_violation() -> None:
    assert broken(replace(Toy(4).program(), output_shape=(5,))) == {Structure.OUTPUT}


# The answer -----------------------------------------------------------------------------------------------------------


def change(program: Program, component: int, build: Callable[[Node], Node], holders: int = 2) -> Program:
    """The program with one component of its answer changed at both its holders, or at the first."""
    outputs = [list(pair) for pair in program.outputs]
    places = [((component + 2) % 3, 1), (component, 0)]
    for party, place in places[2 - holders :]:
        outputs[party][place] = build(outputs[party][place])
    return program.with_outputs(outputs)


@pytest.mark.parametrize("component", [0, 1, 2])
def test_an_answer_without_a_mask_is_a_violation(component: int) -> None:
    program = change(Toy(4).program(), component, lambda node: node.inputs[0])
    assert broken(program) == {Structure.ANSWER}


def test_an_answer_masked_with_one_draw_only_is_a_violation() -> None:
    def same(node: Node) -> Node | None:
        return replace(node, draw=Draw((0, 1, 2), 0)) if node.draw else None

    def unify(node: Node) -> Node:
        return made.setdefault((node.party, node.draw), node) if node.draw else node

    made: dict[object, Node] = {}
    assert broken(rewrite(rewrite(Toy(4).program(), same), unify)) == {Structure.ANSWER}


def test_an_answer_whose_middle_adds_a_mask_that_it_should_lose_is_a_violation() -> None:
    program = change(Toy(4).program(), 1, lambda node: replace(node, op="add"))
    assert broken(program) == {Structure.ANSWER}


def test_an_answer_of_which_a_mask_is_broadcast_is_a_violation() -> None:
    def narrow(node: Node) -> Node | None:
        return replace(node, shape=(node.shape[0], node.shape[1] - 3)) if node.draw else None

    assert broken(rewrite(Toy(4).program(), narrow)) == {Structure.ANSWER}


def test_an_answer_whose_mask_is_used_elsewhere_is_a_violation() -> None:
    toy = Toy(4)
    toy.send(toy.op("mul", toy.draw(2, "12", ANSWER_MASK), toy.const(2)), 1)
    assert broken(toy.program()) == {Structure.ANSWER}


def test_an_answer_whose_mask_cancels_is_a_violation() -> None:
    """Component 0 is y - m + m: the masked form is there, and hides nothing."""

    def cancel(node: Node) -> Node:
        value, mask = node.inputs
        return replace(node, inputs=(replace(node, op="sub", inputs=(value, mask)), mask))

    assert broken(change(Toy(4).program(), 0, cancel)) == {Structure.ANSWER}


def test_an_answer_that_is_another_components_mask_is_a_violation() -> None:
    """Component 2 is m + n, where m is the mask of component 0."""
    program = Toy(4).program()
    mask = program.outputs[2][1].inputs[1]
    assert mask.draw == Draw((0, 2), ANSWER_MASK)
    changed = change(program, 2, lambda node: replace(node, inputs=(mask, node.inputs[1])))
    assert broken(changed) == {Structure.ANSWER}


def test_an_answer_that_is_made_of_another_component_is_a_violation() -> None:
    """Component 0 is (y_1 - m) + m, for which both holders use a value that the form itself has."""
    program = Toy(4).program()
    inner = program.outputs[0][1].inputs[0]
    changed = change(program, 0, lambda node: replace(node, inputs=(inner, node.inputs[1])))
    assert broken(changed) == {Structure.ANSWER}


@pytest.mark.parametrize("component", [0, 1, 2])
def test_an_answer_of_which_the_holders_have_two_values_is_a_violation(component: int) -> None:
    def otherwise(node: Node) -> Node:
        inner = node if component != 1 else node.inputs[0]
        value = replace(inner, op="xor", inputs=(inner.inputs[0], inner.inputs[0]))
        changed = replace(inner, inputs=(value, *inner.inputs[1:]))
        return changed if component != 1 else replace(node, inputs=(changed, *node.inputs[1:]))

    assert broken(change(Toy(4).program(), component, otherwise, holders=1)) == {Structure.ANSWER}


def test_two_receivers_of_an_oblivious_transfer_answer_with_one_value() -> None:
    """Party 0 opens M_c with w_c, party 1 has m_c: the same word, computed in two ways."""
    toy = Toy(4)
    choice = [toy.bit(party, 0) for party in (0, 2)]
    values = [toy.draw(1, "12", 0), toy.draw(1, "12", 1)]
    pads = [[toy.draw(party, "12", index) for index in (2, 3)] for party in (1, 2)]
    sent = [toy.op("xor", value, w) for value, w in zip(values, pads[0], strict=True)]
    select = [
        toy.op("select", choice[0], sent[1], sent[0], shape=toy.shape, dtype="i8"),
        toy.op("select", choice[1], pads[1][1], pads[1][0], shape=toy.shape, dtype="i8"),
        toy.op("select", choice[1], *(toy.draw(2, "12", i) for i in (1, 0)), shape=toy.shape, dtype="i8"),
    ]
    opened, known = toy.op("xor", select[0], select[1]), select[2]
    outputs = [list(pair) for pair in toy.program().outputs]
    for party, place, y in ((0, 0, opened), (2, 1, known)):
        outputs[party][place] = replace(outputs[party][place], inputs=(y, outputs[party][place].inputs[1]))
    assert prove(toy.program().with_outputs(outputs)).holds
    other = replace(select[0], inputs=(toy.bit(0, 1), *select[0].inputs[1:]))
    swapped = replace(select[1], inputs=(choice[1], pads[1][0], pads[1][1]))
    for one, two in ((other, select[1]), (select[0], swapped)):
        outputs[0][0] = replace(outputs[0][0], inputs=(toy.op("xor", one, two), outputs[0][0].inputs[1]))
        assert broken(toy.program().with_outputs(outputs)) == {Structure.ANSWER}


def test_holders_that_choose_differently_do_not_answer_with_one_value() -> None:
    toy = Toy(4)
    outputs = [list(pair) for pair in toy.program().outputs]
    for party, place, component in ((0, 0, 1), (2, 1, 2)):
        pads = [toy.draw(party, "02", index) for index in (0, 1)]
        y = toy.op("select", toy.bit(party, component), *pads, shape=toy.shape, dtype="i8")
        outputs[party][place] = replace(outputs[party][place], inputs=(y, outputs[party][place].inputs[1]))
    assert broken(toy.program().with_outputs(outputs)) == {Structure.ANSWER}
