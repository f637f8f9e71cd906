"""The life of a worker."""

import pytest

from triveni.worker.state import FINAL, EndReason, InvalidTransition, State, advance

LIFE = [
    State.STARTING,
    State.WAITING_FOR_ARCHITECTURE,
    State.COMPILING,
    State.WAITING_FOR_SHARES,
    State.SERVING,
    State.QUOTA_REACHED,
    State.ERASED,
]


def test_a_whole_life_goes_from_start_to_erasure() -> None:
    state = LIFE[0]
    for following in LIFE[1:]:
        state = advance(state, following)
    assert state is State.ERASED


@pytest.mark.parametrize("state", LIFE[:-1])
def test_a_worker_can_end_or_fail_in_every_state(state: State) -> None:
    assert advance(state, State.ERASED) is State.ERASED
    assert advance(state, State.FAILED) is State.FAILED


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("final", sorted(FINAL))
def test_nothing_follows_the_end(state: State, final: State) -> None:
    with pytest.raises(InvalidTransition):
        advance(final, state)


@pytest.mark.parametrize("position", range(len(LIFE) - 1))
def test_no_state_is_skipped_or_comes_twice(position: int) -> None:
    for other in set(LIFE) - {LIFE[position + 1]} - FINAL:
        with pytest.raises(InvalidTransition):
            advance(LIFE[position], other)


def test_only_the_two_ends_that_were_asked_for_have_exit_code_0() -> None:
    assert {reason for reason in EndReason if reason.exit_code == 0} == {EndReason.QUOTA_REACHED, EndReason.TERMINATED}
    assert {reason.exit_code for reason in EndReason} == {0, 1}
    assert all((reason.final_state is State.ERASED) == (reason.exit_code == 0) for reason in EndReason)
