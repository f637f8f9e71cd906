"""Rounds and phases."""

from __future__ import annotations

import pytest

from tests.unit.mpc.execute.machine_programs import given
from tests.unit.mpc.securenn_programs import securenn_program
from triveni.mpc.affine import ROWS, Affine
from triveni.mpc.program import Draw, Input, Node, Program
from triveni.mpc.schedule import Phase, Schedule, is_masked_weight

SHAPE = (ROWS,)


def secret(name: str, component: int, party: int) -> Node:
    return Node("input", (), {}, SHAPE, "i8", party, input=Input(name, component))


def draw(index: int, party: int, holders: tuple[int, ...] = (0, 1)) -> Node:
    return Node("draw", (), {}, SHAPE, "i8", party, draw=Draw(holders, index))


def add(party: int, *inputs: Node) -> Node:
    return Node("add", inputs, {}, SHAPE, "i8", party)


def program(*outputs: Node) -> Program:
    """A program whose party p answers with outputs[p]."""
    return Program("ABY3", "", (), (), {}, tuple((node, node) for node in outputs))


def relay() -> Program:
    """x goes from party 0 to 1 to 2, masked by draws that were exchanged ahead."""
    ahead = add(2, draw(0, 2, (1, 2)), draw(1, 2, (1, 2)))
    first = add(0, secret("x", 0, 0), draw(0, 0))
    second = add(1, first, ahead)
    third = add(2, second, secret("w", 2, 2))
    return program(first, second, third)


def test_a_value_is_computed_in_the_round_after_the_last_message_that_it_needs() -> None:
    cost = Schedule(relay()).cost()
    assert (cost.online_rounds, cost.ahead_rounds) == (2, 1)
    assert (cost.online_bytes, cost.ahead_bytes) == (Affine(0, 16), Affine(0, 8))


def test_only_what_the_request_touches_waits_for_it() -> None:
    phases = {m.node.op + str(m.sender): m.phase for m in Schedule(relay()).messages}
    assert phases == {"add0": Phase.ONLINE, "add2": Phase.AHEAD, "add1": Phase.ONLINE}


def test_a_value_is_sent_to_a_party_once_however_often_it_is_used() -> None:
    first = add(0, secret("x", 0, 0), draw(0, 0))
    used_twice = add(1, add(1, first, first), first)
    assert len(Schedule(program(first, used_twice, draw(3, 2, (2,)))).messages) == 1


def test_messages_of_a_round_travel_in_one_frame_for_each_peer() -> None:
    one, two = (add(0, secret("x", 0, 0), draw(k, 0)) for k in range(2))
    schedule = Schedule(program(one, add(1, one, two), draw(3, 2, (2,))))
    (first_round, *_) = schedule.party(0).online
    assert first_round.sends == {1: (one, two)}
    assert schedule.party(1).online[0].receives == {0: (one, two)}


def test_what_no_message_needs_is_computed_while_the_messages_travel() -> None:
    sent = add(0, secret("x", 0, 0), draw(0, 0))
    kept = add(0, secret("x", 1, 0), draw(1, 0))
    (only,) = Schedule(program(add(0, sent, kept), add(1, sent, draw(2, 1)), draw(3, 2, (2,)))).party(0).online
    assert only.before == (sent,)
    assert kept in only.after


def test_weight_work_is_done_once_at_setup() -> None:
    folded = add(0, secret("w", 0, 0), secret("v", 0, 0))
    schedule = Schedule(program(add(0, folded, secret("x", 0, 0)), draw(1, 1), draw(2, 2, (2,))))
    (only,) = schedule.party(0).setup
    assert only.after == (folded,)
    assert not only.sends


def test_a_weight_value_that_would_be_sent_at_setup_is_refused() -> None:
    with pytest.raises(ValueError, match="no weight minus a mask"):
        Schedule(program(secret("x", 0, 0), add(1, secret("w", 0, 0), draw(1, 1)), draw(2, 2, (2,))))


def test_a_weight_minus_a_draw_of_the_epoch_is_sent_once_at_setup() -> None:
    schedule = Schedule(securenn_program())
    assert [len(schedule.party(p).setup[0].sends.get(1 - p, ())) for p in (0, 1)] == [2, 2]
    assert schedule.party(2).setup[0].sends == {}
    assert schedule.cost().setup_bytes == Affine(2 * 8 * (4 * 3 + 3 * 2))
    assert all(is_masked_weight(m.node) for m in schedule.messages if m.phase is Phase.SETUP)


@pytest.mark.parametrize("epoch", [True, False])
@pytest.mark.parametrize("op", ["add", "sub"])
def test_only_a_difference_to_a_draw_of_the_epoch_is_a_masked_weight(op: str, epoch: bool) -> None:
    weight = given(0, "w", 0, (3,))
    mask = Node("draw", (), {}, weight.shape, "i8", 0, Draw((0, 2), 0, epoch))
    assert is_masked_weight(Node(op, (weight, mask), {}, weight.shape, "i8", 0)) == (op == "sub" and epoch)
    assert not is_masked_weight(Node("sub", (given(0, "x", 0, (3,)), mask), {}, weight.shape, "i8", 0))
    assert not is_masked_weight(Node("sub", (given(0, "v", 0, (1,)), mask), {}, weight.shape, "i8", 0))


def test_both_ends_of_every_frame_agree() -> None:
    schedule = Schedule(relay())
    for phase in ("ahead", "online"):
        rounds = [getattr(schedule.party(p), phase) for p in range(3)]
        for number in range(max(map(len, rounds))):
            at = [r[number] if number < len(r) else None for r in rounds]
            for p in range(3):
                for q in range(3):
                    sent = at[p].sends.get(q) if at[p] else None
                    received = at[q].receives.get(p) if at[q] else None
                    assert sent == received
