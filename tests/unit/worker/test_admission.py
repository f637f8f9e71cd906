"""The requests that a worker holds, and the answers that it keeps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triveni.api.inference import Reason
from triveni.worker import admission as module
from triveni.worker.admission import Admission, Answer, Request
from triveni.worker.order import InvalidOrder
from triveni.worker.quota import Count
from triveni.worker.refusal import Refused

NO_LIMIT = Count(None)


def request(key: str = "c/a", rows: int = 1, body: bytes = b"body") -> Request[str]:
    shares = (np.arange(1, 4 * rows + 1).reshape(rows, 4), np.arange(1, 4 * rows + 1).reshape(rows, 4))
    return Request(key, rows, body, shares, ["alice"])


def answer(value: int = 7) -> Answer:
    return Answer((np.full((1, 2), value), np.full((1, 2), value)))


def reason_of(action: object) -> Reason:
    with pytest.raises(Refused) as caught:
        action()  # type: ignore[operator]
    return caught.value.reason


def test_the_same_body_finds_the_request_and_then_its_answer() -> None:
    held: Admission[str] = Admission()
    waiting = request()
    assert held.find("c/a", b"body") is None
    held.add(waiting, NO_LIMIT)
    assert held.find("c/a", b"body") is waiting
    held.order(["c/a"], 1)
    assert held.find("c/a", b"body") is waiting
    kept = answer()
    assert held.answer(waiting, kept) == ["alice"]
    assert held.find("c/a", b"body") is kept


def test_another_body_under_the_same_id_is_refused_before_and_after_the_answer() -> None:
    held: Admission[str] = Admission()
    held.add(request(), NO_LIMIT)
    assert reason_of(lambda: held.find("c/a", b"other")) is Reason.REQUEST_ID_REUSED
    held.answer(held.order(["c/a"], 1)[0], answer())
    assert reason_of(lambda: held.find("c/a", b"other")) is Reason.REQUEST_ID_REUSED


def test_more_rows_than_can_still_be_answered_are_refused_as_quota_reached() -> None:
    held: Admission[str] = Admission()
    held.add(request(rows=2), Count(2).admit(2))
    assert reason_of(lambda: held.add(request("c/b", 3), Count(4).admit(2).answer(2))) is Reason.QUOTA_REACHED
    assert len(held) == 1


def test_what_waits_is_bounded_in_number_and_bytes() -> None:
    held: Admission[str] = Admission(max_requests=2, max_bytes=200)
    held.add(request("c/a"), NO_LIMIT)
    held.require_room(136)
    assert reason_of(lambda: held.require_room(137)) is Reason.BUSY
    held.add(request("c/b"), NO_LIMIT)
    assert reason_of(lambda: held.add(request("c/c"), NO_LIMIT)) is Reason.BUSY
    held.refuse("c/a")
    held.add(request("c/c"), NO_LIMIT)


def test_requests_on_their_way_take_room_until_they_are_there() -> None:
    held: Admission[str] = Admission(max_requests=2, max_bytes=200)
    held.expect(150)
    assert reason_of(lambda: held.expect(51)) is Reason.BUSY
    held.expect(50)
    assert reason_of(lambda: held.expect(0)) is Reason.BUSY
    held.received(150)
    held.expect(150)


def test_a_request_larger_than_the_bound_is_taken_when_nothing_else_waits() -> None:
    held: Admission[str] = Admission(max_bytes=10)
    held.add(request("c/a"), NO_LIMIT)
    assert reason_of(lambda: held.add(request("c/b"), NO_LIMIT)) is Reason.BUSY


@pytest.mark.parametrize(("keys", "rows"), [(["c/x"], 1), (["c/a", "c/x"], 2), (["c/a"], 2)])
def test_an_order_for_requests_that_are_not_here_or_have_other_rows_is_refused(keys: list[str], rows: int) -> None:
    held: Admission[str] = Admission()
    held.add(request(), NO_LIMIT)
    with pytest.raises(InvalidOrder):
        held.order(keys, rows)
    assert held.order(["c/a"], 1), "a refused order changes nothing"


def test_a_request_is_run_once() -> None:
    held: Admission[str] = Admission()
    held.add(request(), NO_LIMIT)
    held.order(["c/a"], 1)
    with pytest.raises(InvalidOrder):
        held.order(["c/a"], 1)


def test_shares_are_overwritten_once_answered_or_refused() -> None:
    held: Admission[str] = Admission()
    answered, refused = request("c/a"), request("c/b")
    held.add(answered, NO_LIMIT)
    held.add(refused, NO_LIMIT)
    held.order(["c/a"], 1)
    assert answered.shares[0].any(), "the run still needs them"
    held.answer(answered, answer())
    held.refuse("c/b")
    for gone in (answered, refused):
        assert not any(words.any() for words in gone.shares)


def test_a_request_goes_when_the_last_of_its_clients_does() -> None:
    held: Admission[str] = Admission()
    waiting = request()
    held.add(waiting, NO_LIMIT)
    waiting.waiters.append("again")
    assert not held.leave(waiting, "alice")
    assert held.leave(waiting, "again")
    assert held.withdrawn("c/a") is None
    assert len(held) == 0


def test_a_client_that_comes_back_before_the_request_has_gone_keeps_it() -> None:
    held: Admission[str] = Admission()
    waiting = request()
    held.add(waiting, NO_LIMIT)
    assert held.leave(waiting, "alice")
    waiting.waiters.append("alice")
    assert held.withdrawn("c/a") is waiting
    assert waiting.shares[0].any()
    assert held.leave(waiting, "alice")


def test_a_request_that_is_run_stays_though_its_client_has_gone() -> None:
    held: Admission[str] = Admission()
    waiting = request()
    held.add(waiting, NO_LIMIT)
    held.order(["c/a"], 1)
    assert not held.leave(waiting, "alice")
    assert held.refuse("c/a") is None
    assert held.withdrawn("c/a") is None
    assert held.refuse_waiting() == []
    assert len(held) == 1


def test_a_request_that_is_leaving_can_still_be_ordered() -> None:
    held: Admission[str] = Admission()
    waiting = request()
    held.add(waiting, NO_LIMIT)
    held.leave(waiting, "alice")
    assert held.order(["c/a"], 1) == [waiting]
    assert held.withdrawn("c/a") is None


def test_the_oldest_answers_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ANSWERS", 2)
    held: Admission[str] = Admission()
    for key in ("c/a", "c/b", "c/c"):
        held.add(request(key), NO_LIMIT)
        held.answer(held.order([key], 1)[0], answer())
    assert held.find("c/a", b"body") is None
    assert held.find("c/b", b"body") is not None


def test_kept_answers_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER_BYTES", 2 * answer().nbytes)
    held: Admission[str] = Admission()
    for key in ("c/a", "c/b", "c/c"):
        held.add(request(key), NO_LIMIT)
        held.answer(held.order([key], 1)[0], answer())
    assert held.find("c/a", b"body") is None
    assert held.find("c/c", b"body") is not None


def test_at_the_end_everything_is_overwritten_and_whoever_waits_is_named() -> None:
    held: Admission[str] = Admission()
    waiting, kept = request("c/b"), answer()
    held.add(request("c/a"), NO_LIMIT)
    held.answer(held.order(["c/a"], 1)[0], kept)
    held.add(waiting, NO_LIMIT)
    assert held.clear() == ["alice"]
    assert not kept.components[0].any()
    assert not kept.components[1].any()
    assert not waiting.shares[0].any()
    assert held.find("c/a", b"body") is None


def test_nothing_secret_is_in_a_representation() -> None:
    assert "4242" not in repr(answer(424242))
    assert "array" not in repr(request()) + repr(answer())


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["add", "order", "answer", "refuse", "leave", "withdrawn"]), st.integers(0, 4)),
    max_size=60,
)


@given(ACTIONS)
def test_what_is_held_is_counted_exactly_whatever_happens(actions: list[tuple[str, int]]) -> None:
    held: Admission[str] = Admission(max_requests=3, max_bytes=10**6)
    running: dict[str, Request[str]] = {}
    there: dict[str, Request[str]] = {}
    for action, number in actions:
        key = f"c/{number}"
        if action == "add" and held.find(key, b"body") is None:
            try:
                held.add(fresh := request(key), NO_LIMIT)
                there[key] = fresh
            except Refused:
                assert len(there) == 3
        elif action == "order" and key in there and key not in running:
            running[key] = held.order([key], 1)[0]
        elif action == "answer" and key in running:
            held.answer(running.pop(key), answer())
            del there[key]
        elif action == "refuse" and held.refuse(key) is not None:
            del there[key]
        elif action == "leave" and key in there:
            held.leave(there[key], "alice")
        elif action == "withdrawn" and key in there and not held.withdrawn(key) and held.find(key, b"body") is None:
            del there[key]
        assert len(held) == len(there)
