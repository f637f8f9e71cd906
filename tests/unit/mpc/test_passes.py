"""Passes: each makes the program smaller, and none changes what is computed or who receives what."""

from __future__ import annotations

from collections import Counter

import pytest

from triveni.mpc import passes
from triveni.mpc.affine import ROWS, Affine
from triveni.mpc.program import Draw, Dtype, Input, Node, Program
from triveni.mpc.schedule import Schedule

SHAPE = (ROWS, Affine(4))


def secret(component: int, party: int, name: str = "x") -> Node:
    return Node("input", (), {}, SHAPE, "i8", party, input=Input(name, component))


def draw(index: int, party: int, holders: tuple[int, ...]) -> Node:
    return Node("draw", (), {}, SHAPE, "i8", party, draw=Draw(holders, index))


def op(name: str, party: int, *inputs: Node, dtype: Dtype = "i8", **attrs: object) -> Node:
    return Node(name, inputs, attrs, SHAPE, dtype, party)


def one(node: Node) -> Program:
    """A program that computes `node` at party 0."""
    rest = [(secret(p, p), secret(p, p)) for p in (1, 2)]
    return Program("ABY3", "", (4,), (4,), {}, ((node, node), *rest))


def result(program: Program) -> Node:
    return program.outputs[0][0]


def test_identities_vanish() -> None:
    x = secret(0, 0)
    after = passes.drop_identities(one(op("add", 0, op("identity", 0, x), x)))
    assert "identity" not in Counter(node.op for node in after.nodes)


def test_equal_operations_of_one_party_become_one() -> None:
    x, y = secret(0, 0), secret(1, 0)
    after = passes.merge_equal(one(op("mul", 0, op("add", 0, x, y), op("add", 0, secret(0, 0), secret(1, 0)))))
    first, second = result(after).inputs
    assert first is second


@pytest.mark.parametrize(
    "other",
    [
        op("add", 1, secret(1, 1), secret(2, 1)),
        op("sub", 0, secret(0, 0), secret(1, 0)),
        draw(1, 0, (0, 1)),
        draw(0, 0, (0, 2)),
    ],
)
def test_operations_that_differ_in_party_kind_or_draw_stay_apart(other: Node) -> None:
    mine = op("add", 0, secret(0, 0), secret(1, 0)) if other.op != "draw" else draw(0, 0, (0, 1))
    first, second = result(passes.merge_equal(one(op("mul", 0, mine, other)))).inputs
    assert first is not second


def test_two_draws_never_become_one() -> None:
    program = one(op("add", 0, op("add", 0, secret(0, 0), draw(0, 0, (0, 1))), draw(1, 0, (0, 1))))
    after = passes.optimise(program)
    assert len({node.draw for node in after.nodes if node.draw}) == 2


def test_operations_on_constants_are_computed() -> None:
    two, three = passes.constant(2, SHAPE, "i8"), passes.constant(3, SHAPE, "i8")
    node = result(passes.fold_constants(one(op("add", 0, secret(0, 0), Node("mul", (two, three), {}, SHAPE, "i8", 0)))))
    assert passes.is_constant(node.inputs[1], 6)
    assert node.inputs[1].party is None


def test_constants_that_do_not_stay_uniform_are_left() -> None:
    one_word = passes.constant(5, SHAPE, "i8")
    planes = Node("bitslice", (one_word,), {}, (Affine(64), ROWS, Affine(1)), "u1", 0)
    assert result(passes.fold_constants(one(planes))).op == "bitslice"


@pytest.mark.parametrize(
    ("name", "value"),
    [("add", 0), ("sub", 0), ("xor", 0), ("or", 0), ("shl", 0), ("shr", 0), ("sar", 0), ("mul", 1), ("and", -1)],
)
def test_a_neutral_constant_leaves_the_other_operand(name: str, value: int) -> None:
    x = secret(0, 0)
    assert result(passes.simplify(one(op(name, 0, x, passes.constant(value, (), "i8"))))).input == x.input


@pytest.mark.parametrize("name", ["sub", "shl", "shr", "sar"])
def test_a_neutral_constant_on_the_wrong_side_changes_nothing(name: str) -> None:
    node = op(name, 0, passes.constant(0, SHAPE, "i8"), secret(0, 0))
    assert result(passes.simplify(one(node))).op == name


@pytest.mark.parametrize("name", ["and", "mul"])
def test_zero_absorbs(name: str) -> None:
    node = result(passes.simplify(one(op(name, 0, passes.constant(0, SHAPE, "i8"), secret(0, 0)))))
    assert passes.is_constant(node, 0)


def test_a_neutral_constant_that_broadcasts_the_other_operand_stays() -> None:
    row = Node("input", (), {}, (Affine(4),), "i8", 0, input=Input("w", 0))
    assert result(passes.simplify(one(op("add", 0, row, passes.constant(0, SHAPE, "i8"))))).op == "add"


def test_views_that_change_nothing_vanish() -> None:
    x = secret(0, 0)
    nodes = [
        op("reshape", 0, x),
        op("cast", 0, x),
        op("transpose", 0, x, perm=[0, 1]),
        op("slice", 0, x, start=[0, 0], stop=[None, None], step=[1, 1], drop=[]),
    ]
    for node in nodes:
        assert result(passes.simplify(one(node))).op == "input"


def test_products_with_a_common_factor_become_one_product() -> None:
    a, c, d = secret(0, 0), secret(1, 0), secret(1, 0, "w")
    after = result(passes.distribute(one(op("add", 0, op("mul", 0, a, c), op("mul", 0, a, d)))))
    assert after.op == "mul"
    assert [after.inputs[0].op, after.inputs[1].op] == ["input", "add"]


@pytest.mark.parametrize("where", ["another reader", "another party"])
def test_products_that_are_read_elsewhere_are_left(where: str) -> None:
    a, c, d = secret(0, 0), secret(1, 0), secret(1, 0, "w")
    product = op("mul", 0, a, c)
    total = op("add", 0, product, op("mul", 0, a, d))
    program = one(total)
    if where == "another reader":
        program = program.with_outputs([(total, product), *program.outputs[1:]])
    else:
        program = program.with_outputs([(total, total), (product, product), program.outputs[2]])
    assert result(passes.distribute(program)).op == "add"


def test_a_draw_that_the_receiver_can_make_is_made_there() -> None:
    sent = draw(0, 2, (0, 2))
    program = one(op("add", 0, secret(0, 0), sent))
    after = passes.localise_draws(program)
    assert len(Schedule(program).messages) == 1
    assert Schedule(after).messages == ()
    assert result(after).inputs[1].draw == sent.draw


def test_a_draw_that_the_receiver_makes_already_is_not_made_twice() -> None:
    program = one(op("add", 0, draw(0, 0, (0, 2)), draw(0, 2, (0, 2))))
    first, second = result(passes.localise_draws(program)).inputs
    assert first is second


def test_a_part_of_a_draw_that_the_receiver_can_make_is_made_there() -> None:
    whole = Node("draw", (), {}, (Affine(2), *SHAPE), "i8", 2, draw=Draw((0, 2), 0))
    part = op("slice", 2, whole, start=[1, 0, 0], stop=[2, None, None], step=[1, 1, 1], drop=[0])
    after = passes.localise_draws(one(op("add", 0, secret(0, 0), part)))
    assert Schedule(after).messages == ()
    assert result(after).inputs[1].inputs[0].draw == whole.draw


def test_a_draw_that_the_receiver_cannot_make_is_still_sent() -> None:
    program = one(op("add", 0, secret(0, 0), draw(0, 2, (1, 2))))
    assert len(Schedule(passes.localise_draws(program)).messages) == 1


def test_draws_of_each_set_of_holders_are_numbered_from_zero() -> None:
    node = op("add", 0, op("add", 0, draw(77, 0, (0, 1)), draw(3, 0, (0, 1))), draw(9, 0, (0, 2)))
    draws = {n.draw for n in passes.number_draws(one(node)).nodes if n.draw}
    assert draws == {Draw((0, 1), 0), Draw((0, 1), 1), Draw((0, 2), 0)}
