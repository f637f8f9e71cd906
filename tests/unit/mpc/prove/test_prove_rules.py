"""The two rules on programs that keep their secrets, and rule 2 on those that miss one of its conditions.

Party 0 receives; the draws that it cannot make are those of the key of parties 1 and 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.mpc.prove.prove_programs import Toy
from triveni.mpc.affine import ROWS
from triveni.mpc.program import Node
from triveni.mpc.prove import Rule, prove, prove_two


def pad(toy: Toy, index: int, party: int = 1, **kind: Any) -> Node:
    return toy.draw(party, "12", index, **kind)


def a_sum_a_difference_and_an_xor(toy: Toy) -> None:
    for index, op in enumerate(("add", "sub", "xor")):
        toy.send(toy.op(op, toy.x(1, 2), pad(toy, index)), 0)


def a_mask_from_which_the_secret_is_taken(toy: Toy) -> None:
    toy.send(toy.op("sub", pad(toy, 0), toy.x(1, 2)), 0)


def a_secret_weight_broadcast_to_the_mask(toy: Toy) -> None:
    toy.send(toy.op("add", toy.w(1, 2), pad(toy, 0), shape=toy.shape), 0)


def a_chain_of_masks_that_ends_in_a_fresh_one(toy: Toy) -> None:
    """x+a, x+a+b, x+b+c: the last mask is used once, then the one before it is."""
    for a, b in ((3, 0), (0, 1), (1, 2)):
        masked = toy.op("add", toy.x(1, 2), pad(toy, a)) if a < 3 else toy.x(1, 2)
        toy.send(toy.op("add", masked, pad(toy, b)), 0)


def a_mask_multiplied_where_another_hides_the_product(toy: Toy) -> None:
    """x+a and 2a+b: b goes first, and then nothing else knows a."""
    toy.send(toy.op("add", toy.x(1, 2), pad(toy, 0)), 0)
    toy.send(toy.op("add", toy.op("mul", pad(toy, 0), toy.const(2)), pad(toy, 1)), 0)


def bits_and_planes(toy: Toy) -> None:
    bit = toy.op("not", toy.op("xor", toy.bit(1, 2), pad(toy, 0, dtype="b1")))
    toy.send(bit, 0)
    planes = (64, ROWS, 1)
    plane = toy.op("bitslice", toy.x(1, 2), shape=planes, dtype="u1")
    toy.send(toy.op("xor", plane, pad(toy, 1, shape=planes, dtype="u1")), 0)


def a_mask_turned_and_reshaped(toy: Toy) -> None:
    turned = toy.op("transpose", pad(toy, 0, shape=[4, ROWS]), shape=toy.shape, perm=[1, 0])
    masked = toy.op("add", toy.x(1, 2), turned)
    toy.send(toy.op("reshape", masked, shape=[2, ROWS, 2]), 0)


def each_slice_of_a_draw_once(toy: Toy) -> None:
    draw = pad(toy, 0, shape=[2, *toy.shape])
    toy.send(toy.op("add", toy.x(1, 2), toy.part(draw, 0)), 0)
    toy.send(toy.op("add", toy.x(1, 2), toy.part(draw, 1)), 0)


def a_draw_of_the_sender_alone(toy: Toy) -> None:
    toy.send(toy.op("add", toy.x(1, 2), toy.draw(1, "1", 0)), 0)


def what_the_receiver_knows(toy: Toy) -> None:
    toy.send(toy.op("mul", toy.x(1, 1), toy.draw(1, "01", 0)), 0)


def one_mask_towards_two_receivers(toy: Toy) -> None:
    """A draw of party 1 alone hides one secret from 0 and another from 2, who do not collude."""
    own = toy.draw(1, "1", 0)
    toy.send(toy.op("add", toy.x(1, 2), own), 0)
    toy.send(toy.op("add", toy.x(1, 1), own), 2)


@pytest.mark.parametrize(
    "build",
    [
        a_sum_a_difference_and_an_xor,
        a_mask_from_which_the_secret_is_taken,
        a_secret_weight_broadcast_to_the_mask,
        a_chain_of_masks_that_ends_in_a_fresh_one,
        a_mask_multiplied_where_another_hides_the_product,
        bits_and_planes,
        a_mask_turned_and_reshaped,
        each_slice_of_a_draw_once,
        a_draw_of_the_sender_alone,
        what_the_receiver_knows,
        one_mask_towards_two_receivers,
    ],
    ids=lambda build: build.__name__,
)
def test_a_program_that_keeps_its_secrets_is_proved(build: Callable[[Toy], None]) -> None:
    toy = Toy(4)
    build(toy)
    program = toy.program()
    assert list(prove(program).failures()) == []
    assert prove_two(program).holds


class Transfer:
    """An oblivious transfer to party 0: party 1 sends M0 and M1, party 2 the pad that 0's choice opens.

    What is sent are m0 = x and m1 = 3x, each with the part d of a sharing of zero that party 0 does not know, so that
    it learns nothing from the one that it opens. Attributes may be replaced to break it.
    """

    def __init__(self) -> None:
        self.toy = toy = Toy(2, 2)
        self.choice = toy.bit(2, 0)
        self.w = [toy.draw(2, "12", 0), toy.draw(2, "12", 1)]
        self.sent_w = [toy.draw(1, "12", 0), toy.draw(1, "12", 1)]
        self.d = [toy.draw(1, "12", 2)] * 2
        self.m = [toy.x(1, 2), toy.op("mul", toy.x(1, 2), toy.const(3))]

    def message(self, which: int) -> Node:
        toy = self.toy
        return toy.op("xor", toy.op("sub", self.m[which], self.d[which]), self.sent_w[which])

    def chosen(self) -> Node:
        return self.toy.op("select", self.choice, self.w[1], self.w[0], shape=self.toy.shape, dtype="i8")

    def send(self) -> Toy:
        self.toy.send(self.message(0), 0)
        self.toy.send(self.message(1), 0)
        self.toy.send(self.chosen(), 0)
        return self.toy


def open_messages(toy: Toy) -> int:
    proof = prove(toy.program())
    assert not proof.violations
    return sum(len(party.open) for party in proof.parties)


def test_an_oblivious_transfer_is_proved_and_named() -> None:
    proof = prove(Transfer().send().program())
    assert proof.holds
    used = [uniform.rule for uniform in proof.parties[0].uniform]
    assert used.count(Rule.OBLIVIOUS_TRANSFER) == 3
    pads = [str(u.pad) for u in proof.parties[0].uniform if u.rule is Rule.OBLIVIOUS_TRANSFER]
    assert pads == [f"draw {index} of the key of 1 and 2" for index in (0, 2, 1)]


def test_a_transfer_is_proved_whatever_the_choice_depends_on() -> None:
    transfer = Transfer()
    transfer.choice = transfer.toy.bit(2, 2)
    assert open_messages(transfer.send()) == 0


def test_two_transfers_that_share_nothing_are_proved() -> None:
    transfer = Transfer()
    toy = transfer.send()
    transfer.w = [toy.draw(2, "12", index) for index in (3, 4)]
    transfer.sent_w = [toy.draw(1, "12", index) for index in (3, 4)]
    transfer.d = [toy.draw(1, "12", 5)] * 2
    assert open_messages(transfer.send()) == 0


def test_a_transfer_whose_choice_depends_on_a_pad_is_refused() -> None:
    transfer = Transfer()
    transfer.choice = transfer.toy.op("cast", transfer.w[0], dtype="b1")
    assert open_messages(transfer.send())


def test_a_transfer_whose_choice_depends_on_the_mask_of_what_is_sent_is_refused() -> None:
    transfer = Transfer()
    transfer.choice = transfer.toy.op("cast", transfer.toy.draw(2, "12", 2), dtype="b1")
    assert open_messages(transfer.send())


def test_a_transfer_with_one_pad_for_both_messages_is_refused() -> None:
    transfer = Transfer()
    transfer.w[1], transfer.sent_w[1] = transfer.w[0], transfer.sent_w[0]
    assert open_messages(transfer.send())


def test_a_transfer_of_values_without_a_mask_of_their_own_is_refused() -> None:
    transfer = Transfer()
    transfer.d = [transfer.toy.draw(1, "01", 0)] * 2
    assert open_messages(transfer.send())


def test_a_transfer_of_which_only_one_value_has_a_mask_is_refused() -> None:
    for bare in (0, 1):
        transfer = Transfer()
        transfer.d[bare] = transfer.toy.draw(1, "01", 0)
        assert open_messages(transfer.send())


def test_a_transfer_whose_values_are_masked_at_other_places_is_refused() -> None:
    """Opened elements would carry d[e] and d[e'], so that a choice could meet one element of d twice."""
    for which in (0, 1):
        transfer = Transfer()
        transfer.d[which] = transfer.toy.op("transpose", transfer.d[which], perm=[0, 2, 1])
        assert open_messages(transfer.send())


def test_a_transfer_whose_pad_was_moved_is_refused() -> None:
    transfer = Transfer()
    transfer.sent_w[1] = transfer.toy.op("transpose", transfer.sent_w[1], perm=[0, 2, 1])
    assert open_messages(transfer.send())


def test_a_transfer_whose_mask_is_in_another_message_is_refused() -> None:
    transfer = Transfer()
    transfer.toy.send(transfer.toy.draw(2, "12", 2), 0)
    assert open_messages(transfer.send())


def test_a_transfer_of_which_a_pad_is_in_another_message_is_refused() -> None:
    for index in (0, 1):
        transfer = Transfer()
        transfer.toy.send(transfer.toy.draw(2, "12", index), 0)
        assert open_messages(transfer.send())


def test_a_transfer_that_opens_both_pads_is_refused() -> None:
    """The helper sends w_c and w_(1-c)."""
    transfer = Transfer()
    transfer.w.reverse()
    transfer.toy.send(transfer.chosen(), 0)
    transfer.w.reverse()
    assert open_messages(transfer.send())


def test_a_transfer_with_both_pads_on_one_message_is_refused() -> None:
    transfer = Transfer()
    transfer.sent_w[0] = transfer.toy.op("xor", *transfer.sent_w)
    assert open_messages(transfer.send())


def test_a_transfer_with_a_pad_that_the_receiver_knows_is_refused() -> None:
    for which in (0, 1):
        transfer = Transfer()
        transfer.w[which], transfer.sent_w[which] = (transfer.toy.draw(party, "012", 0) for party in (2, 1))
        assert open_messages(transfer.send())


def test_a_transfer_whose_pads_are_opened_row_by_row_is_refused() -> None:
    """All else is of one row; with choices that differ from row to row both pads are opened."""
    toy = Toy(2, 2)
    helper_w0, helper_w1, w0, w1, d = (
        toy.draw(party, "12", index, [2, 2]) for party, index in ((2, 0), (2, 1), (1, 0), (1, 1), (1, 2))
    )
    for w, value in ((w0, toy.w(1, 2)), (w1, toy.op("mul", toy.w(1, 2), toy.const(3)))):
        toy.send(toy.op("xor", toy.op("sub", value, d), w), 0)
    toy.send(toy.op("select", toy.bit(2, 0), helper_w1, helper_w0, shape=toy.shape, dtype="i8"), 0)
    assert open_messages(toy)


def test_a_transfer_with_one_pad_for_all_rows_is_refused() -> None:
    transfer = Transfer()
    transfer.w[0], transfer.sent_w[0] = (transfer.toy.draw(party, "12", 7, [2, 2]) for party in (2, 1))
    assert open_messages(transfer.send())
