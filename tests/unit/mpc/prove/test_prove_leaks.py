"""Programs that leak, or could for all that the rules can tell, each in a way that a careless prover would overlook.

Party 0 receives; the draws that it cannot make are those of the key of parties 1 and 2.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.mpc.prove.prove_programs import Toy
from triveni.mpc.affine import ROWS
from triveni.mpc.program import Node
from triveni.mpc.prove import prove, prove_two


def pad(toy: Toy, index: int, party: int = 1) -> Node:
    return toy.draw(party, "12", index)


def secret(toy: Toy, party: int = 1) -> Node:
    return toy.x(party, 2)


def a_secret_without_a_mask(toy: Toy) -> None:
    toy.send(secret(toy), 0)


def a_mask_that_cancels_itself(toy: Toy) -> None:
    masked = toy.op("add", secret(toy), pad(toy, 0))
    toy.send(toy.op("sub", masked, pad(toy, 0)), 0)


def a_masked_value_combined_with_itself(toy: Toy) -> None:
    masked = toy.op("add", secret(toy), pad(toy, 0))
    toy.send(toy.op("xor", masked, masked), 0)


def a_mask_in_two_messages(toy: Toy) -> None:
    toy.send(toy.op("add", secret(toy), pad(toy, 0)), 0)
    toy.send(toy.op("xor", toy.w(1, 2), pad(toy, 0)), 0)


def a_mask_in_messages_of_two_senders(toy: Toy) -> None:
    toy.send(toy.op("add", secret(toy), pad(toy, 0)), 0)
    toy.send(toy.op("sub", toy.x(2, 2), pad(toy, 0, party=2)), 0)


def a_mask_that_is_sent_as_well(toy: Toy) -> None:
    toy.send(toy.op("add", secret(toy), pad(toy, 0)), 0)
    toy.send(pad(toy, 0, party=2), 0)


def a_sum_of_masks_in_two_messages(toy: Toy) -> None:
    both = toy.op("add", pad(toy, 0), pad(toy, 1))
    toy.send(toy.op("add", secret(toy), both), 0)
    toy.send(toy.op("xor", toy.op("mul", secret(toy), toy.const(3)), both), 0)


def a_cycle_of_masks_whose_sum_is_even(toy: Toy) -> None:
    """a+b, b+c and c+a add up to twice something, so the secrets' sum is known mod 2."""
    for index in range(3):
        twin = toy.op("add", pad(toy, index), pad(toy, (index + 1) % 3))
        toy.send(toy.op("add", toy.op("mul", secret(toy), toy.const(2 * index + 1)), twin), 0)


def a_mask_whose_double_is_sent(toy: Toy) -> None:
    toy.send(toy.op("add", secret(toy), pad(toy, 0)), 0)
    toy.send(toy.op("mul", pad(toy, 0), toy.const(2)), 0)


def a_mask_times_an_even_number(toy: Toy) -> None:
    toy.send(toy.op("add", secret(toy), toy.op("mul", pad(toy, 0), toy.const(2))), 0)


def a_mask_added_to_itself(toy: Toy) -> None:
    toy.send(toy.op("add", secret(toy), toy.op("add", pad(toy, 0), pad(toy, 0))), 0)


def a_mask_shifted_left(toy: Toy) -> None:
    toy.send(toy.op("add", secret(toy), toy.op("shl", pad(toy, 0), toy.const(1))), 0)


def a_mask_shifted_right(toy: Toy) -> None:
    toy.send(toy.op("xor", secret(toy), toy.op("shr", pad(toy, 0), toy.const(1))), 0)


def a_mask_multiplied_by_a_secret(toy: Toy) -> None:
    toy.send(toy.op("mul", secret(toy), pad(toy, 0)), 0)


def a_mask_under_and(toy: Toy) -> None:
    toy.send(toy.op("and", secret(toy), pad(toy, 0)), 0)


def one_mask_for_all_rows(toy: Toy) -> None:
    toy.send(toy.op("add", secret(toy), toy.draw(1, "12", 0, [4])), 0)


def one_mask_for_all_columns(toy: Toy) -> None:
    toy.send(toy.op("add", secret(toy), toy.draw(1, "12", 0, [ROWS, 1])), 0)


def a_mask_that_meets_its_own_transpose(toy: Toy) -> None:
    """The diagonal is sent without a mask."""
    square = (ROWS, 2, 2)
    mask, value = toy.draw(1, "12", 0, square), toy.op("reshape", secret(toy), shape=square)
    turned = toy.op("transpose", mask, perm=[0, 2, 1])
    toy.send(toy.op("add", value, toy.op("sub", mask, turned)), 0)


def a_mask_of_one_bit_for_a_word(toy: Toy) -> None:
    bit = toy.draw(1, "12", 0, dtype="b1")
    toy.send(toy.op("add", secret(toy), toy.op("cast", bit, dtype="i8")), 0)


def a_word_cast_to_a_bit(toy: Toy) -> None:
    """The bit is 1 but for one word in 2^64."""
    bit = toy.op("cast", pad(toy, 0), dtype="b1")
    toy.send(toy.op("xor", toy.bit(1, 2), bit), 0)


def a_bit_added_not_xored(toy: Toy) -> None:
    """On bits, + is `or`."""
    toy.send(toy.op("add", toy.bit(1, 2), toy.draw(1, "12", 0, dtype="b1")), 0)


def a_mask_summed_over_an_axis(toy: Toy) -> None:
    flat = toy.op("sum", pad(toy, 0), shape=[ROWS], axes=[1], keep=False)
    column = toy.op("reshape", flat, shape=[ROWS, 1])
    toy.send(toy.op("add", secret(toy), column), 0)


def a_slice_of_a_draw_that_is_also_used_whole(toy: Toy) -> None:
    draw = toy.draw(1, "12", 0, [2, *toy.shape])
    toy.send(toy.op("add", secret(toy), toy.part(draw, 0)), 0)
    toy.send(toy.op("reshape", draw, shape=[ROWS, 8]), 0)


def a_slice_of_a_draw_that_is_also_sent_whole(toy: Toy) -> None:
    """The receiver takes another slice, so that every use is a slice, but the message is all of it."""
    draw = toy.draw(1, "12", 0, [2, *toy.shape])
    toy.send(toy.op("add", secret(toy), toy.part(draw, 0)), 0)
    toy.send(draw, 0, part=1)


def a_slice_counted_from_the_end(toy: Toy) -> None:
    """Slice -2 of two is slice 0."""
    draw = toy.draw(1, "12", 0, [2, *toy.shape])
    end = toy.op("slice", draw, shape=toy.shape, start=[-2, 0, 0], stop=[-1, None, None], step=[1, 1, 1], drop=[0])
    toy.send(toy.op("add", secret(toy), toy.part(draw, 0)), 0)
    toy.send(toy.op("xor", toy.w(1, 2), end), 0)


def slices_that_overlap(toy: Toy) -> None:
    """Columns 0..3 and 1..4 of one draw."""
    draw = toy.draw(1, "12", 0, [ROWS, 5])
    for start in (0, 1):
        cut = toy.op("slice", draw, shape=toy.shape, start=[0, start], stop=[None, start + 4], step=[1, 1], drop=[])
        toy.send(toy.op("add", secret(toy), cut), 0)


def a_slice_in_two_messages(toy: Toy) -> None:
    draw = toy.draw(1, "12", 0, [2, *toy.shape])
    toy.send(toy.op("add", secret(toy), toy.part(draw, 1)), 0)
    toy.send(toy.op("xor", toy.w(1, 2), toy.part(draw, 1)), 0)


def a_mask_that_the_receiver_can_make(toy: Toy) -> None:
    toy.send(toy.op("add", secret(toy), toy.draw(1, "01", 0)), 0)


def a_mask_taken_off_by_the_receiver(toy: Toy) -> None:
    """What the pass `p_unstack` of the prototype did: mask and secret are sent apart and added on arrival."""
    toy.send(toy.op("add", secret(toy), pad(toy, 0), at=0), 1)


LEAKS = [
    a_secret_without_a_mask,
    a_mask_that_cancels_itself,
    a_masked_value_combined_with_itself,
    a_mask_in_two_messages,
    a_mask_in_messages_of_two_senders,
    a_mask_that_is_sent_as_well,
    a_sum_of_masks_in_two_messages,
    a_cycle_of_masks_whose_sum_is_even,
    a_mask_whose_double_is_sent,
    a_mask_times_an_even_number,
    a_mask_added_to_itself,
    a_mask_shifted_left,
    a_mask_shifted_right,
    a_mask_multiplied_by_a_secret,
    a_mask_under_and,
    one_mask_for_all_rows,
    one_mask_for_all_columns,
    a_mask_that_meets_its_own_transpose,
    a_mask_of_one_bit_for_a_word,
    a_word_cast_to_a_bit,
    a_bit_added_not_xored,
    a_mask_summed_over_an_axis,
    a_slice_of_a_draw_that_is_also_used_whole,
    a_slice_of_a_draw_that_is_also_sent_whole,
    a_slice_counted_from_the_end,
    slices_that_overlap,
    a_slice_in_two_messages,
    a_mask_that_the_receiver_can_make,
    a_mask_taken_off_by_the_receiver,
]


@pytest.mark.parametrize("build", LEAKS, ids=lambda build: build.__name__)
def test_a_program_that_leaks_is_refused(build: Callable[[Toy], None]) -> None:
    toy = Toy(4)
    build(toy)
    proof = prove(toy.program())
    assert not proof.holds
    assert not proof.violations
    assert [party.party for party in proof.parties if party.open] == [0]


@pytest.mark.parametrize("build", LEAKS, ids=lambda build: build.__name__)
def test_two_runs_of_a_program_that_leaks_are_refused(build: Callable[[Toy], None]) -> None:
    toy = Toy(4)
    build(toy)
    assert not prove_two(toy.program()).holds
