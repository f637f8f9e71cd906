"""What counts as a mask: one node at a time, also of nodes whose shape or type is not what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.mpc.prove.prove_programs import Toy
from triveni.mpc.affine import ROWS, Affine
from triveni.mpc.prove.atoms import Atom, Occurrences, is_bijection, leading_slice


def sliced(**attrs: Any) -> int | None:
    toy = Toy(4)
    draw = toy.draw(1, "12", 0, [2, *toy.shape])
    whole: dict[str, Any] = {"start": [1, 0, 0], "stop": [2, None, None], "step": [1, 1, 1], "drop": [0]}
    return leading_slice(toy.op("slice", draw, shape=toy.shape, **(whole | attrs)))


def test_a_leading_slice_of_a_draw_is_one_mask() -> None:
    assert sliced() == 1


@pytest.mark.parametrize(
    "attrs",
    [
        {"start": [-1, 0, 0]},
        {"start": [2, 0, 0]},
        {"start": [True, 0, 0]},
        {"start": [1, 1, 0]},
        {"stop": [2, 3, None]},
        {"step": [1, 1, -1]},
        {"drop": []},
        {"drop": [0, 1]},
        {"drop": [1]},
        {"start": [], "stop": [], "step": []},
    ],
    ids=str,
)
def test_any_other_slice_of_a_draw_is_not(attrs: dict[str, Any]) -> None:
    assert sliced(**attrs) is None


def test_a_slice_along_the_rows_is_not_one_mask_of_its_own() -> None:
    """With one row there is no slice 1."""
    toy = Toy(4)
    assert leading_slice(toy.part(toy.draw(1, "12", 0), 1)) is None


def test_a_slice_of_another_shape_or_type_than_it_says_is_not() -> None:
    toy = Toy(4)
    honest = toy.part(toy.draw(1, "12", 0, [2, *toy.shape]), 0)
    assert leading_slice(honest) == 0
    assert leading_slice(replace(honest, dtype="b1")) is None
    assert leading_slice(replace(honest, shape=(ROWS,))) is None


def test_a_divided_draw_is_one_mask_for_each_slice_and_an_undivided_one_is_whole() -> None:
    toy = Toy(4)
    draw = toy.draw(1, "12", 0, [2, *toy.shape])
    parts = [toy.part(draw, 0), toy.part(draw, 1)]
    assert Occurrences([draw, *parts]).atoms == (Atom(draw.draw, 0), Atom(draw.draw, 1))  # type: ignore[arg-type]
    whole = toy.op("reshape", draw, shape=[2, ROWS, 2, 2])
    found = Occurrences([draw, *parts, whole])
    assert found.atoms == (Atom(draw.draw),)  # type: ignore[arg-type]
    assert found.pads[parts[0]] == 0
    assert found.pads[whole] == found.bit(draw)


def test_operations_that_lie_about_shape_or_type_are_no_bijections() -> None:
    toy = Toy(4)
    word, row = toy.draw(1, "12", 0), toy.draw(1, "12", 1, [4])
    wide = toy.draw(1, "12", 2, [3, 1, 4])
    bit = toy.draw(1, "12", 3, dtype="b1")
    assert is_bijection(toy.op("add", word, row), 0)
    assert not is_bijection(toy.op("add", word, row), 1)
    assert not is_bijection(toy.op("add", word, wide), 0)
    assert not is_bijection(toy.op("add", word, toy.draw(1, "12", 4, [3])), 0)
    assert not is_bijection(toy.op("xor", word, bit), 0)
    assert not is_bijection(toy.op("xor", bit, word), 0)
    assert not is_bijection(toy.op("not", word, dtype="b1"), 0)
    assert not is_bijection(toy.op("not", row, shape=word.shape), 0)
    assert not is_bijection(toy.op("add", bit, bit), 0)
    assert is_bijection(toy.op("reshape", word, shape=[2, ROWS, 2]), 0)
    assert not is_bijection(toy.op("reshape", word, shape=[2, ROWS]), 0)
    assert not is_bijection(toy.op("reshape", word, shape=[4]), 0)


def test_a_transpose_is_a_bijection_if_it_is_a_permutation_of_the_axes() -> None:
    toy = Toy(2, 3)
    word = toy.draw(1, "12", 0)
    assert is_bijection(toy.op("transpose", word, shape=[3, ROWS, 2], perm=[2, 0, 1]), 0)
    assert not is_bijection(toy.op("transpose", word, shape=[2, ROWS, 3], perm=[2, 0, 1]), 0)
    assert not is_bijection(toy.op("transpose", word, shape=[ROWS, 2, 2], perm=[0, 1, 1]), 0)


def test_shapes_are_compared_for_every_number_of_rows() -> None:
    """4*rows and 4+rows are equal for no batch that is meant, and rows and 1 only for one row."""
    toy = Toy(4)
    one = toy.draw(1, "12", 0, [1, 4])
    assert not is_bijection(toy.op("xor", toy.draw(1, "12", 1), one), 1)
    grown = toy.draw(1, "12", 2, [Affine(4, 1)])
    assert not is_bijection(toy.op("reshape", grown, shape=[ROWS, 4]), 0)
