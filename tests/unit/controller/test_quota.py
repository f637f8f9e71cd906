"""The five rules of the request quota, for whatever dies whenever; and the account in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triveni.controller.quota import Charge, Grant, Ledger, Report, Why, charge


def report(epoch: int, party: int, answered: int, admitted: int | None = None, reason: str = "") -> Report:
    return Report(epoch, party, answered if admitted is None else admitted, answered, reason)


# --- a model of what really happens in an epoch, against which the rules are checked --------------------------------

FATES = st.sampled_from(["reports", "vanishes"])


@st.composite
def epochs(draw: st.DrawFn) -> list[list[tuple[int, str, bool]]]:
    """For each epoch and worker: how many answers it would release at most, whether it reports, whether it lies."""
    count = draw(st.integers(1, 6))
    liar = draw(st.sampled_from([None, 0, 1, 2]))
    return [
        [(draw(st.integers(0, 12)), draw(FATES), liar == party and draw(st.booleans())) for party in range(3)]
        for _ in range(count)
    ]


def honest_released(grant: int, limits: list[int]) -> list[int]:
    """What each worker released: each counts for itself, and runs are in one order, so that counts differ by what was
    under way when the epoch ended."""
    together = min(grant, *limits)
    return [min(grant, limit, together + 1) for limit in limits]


@given(quota=st.integers(1, 20), history=epochs())
def test_never_more_answers_than_the_quota_and_each_charged_once(
    quota: int, history: list[list[tuple[int, str, bool]]]
) -> None:
    ledger, answered_to_clients = Ledger(quota), 0
    for workers in history:
        if ledger.reached:
            break
        ledger = ledger.start()
        assert ledger.open is not None
        grant = ledger.open.rows
        assert grant is not None
        released = honest_released(grant, [limit for limit, _, _ in workers])
        reports = [
            None if fate == "vanishes" else report(ledger.open.epoch, party, 10**9 if lies else released[party])
            for party, (_, fate, lies) in enumerate(workers)
        ]
        # A client has its answer only when all three workers have released their share of it.
        answered = min(released)
        ledger = ledger.end(reports)
        last = ledger.ended[-1]
        answered_to_clients += answered
        if any(fate == "reports" for _, fate, _ in workers):
            assert last.rows >= answered  # rule 2: what was answered is charged
        else:
            assert last.rows == grant  # rule 3: nobody said a word
        honest = [r for r, (_, _, lies) in zip(reports, workers, strict=True) if r and not lies]
        if len(honest) == sum(r is not None for r in reports) and honest:
            assert last.rows <= max(released)  # rule 3: only what some worker released
        assert last.rows <= grant  # rule 4: no claim passes the grant
    assert answered_to_clients <= ledger.charged <= quota  # rules 1 and 2
    assert len({charge.grant.epoch for charge in ledger.ended}) == len(ledger.ended)  # no epoch is used twice


@given(
    grant=st.integers(1, 100),
    answered=st.lists(st.one_of(st.none(), st.integers(0, 100)), min_size=3, max_size=3),
)
def test_a_charge_is_the_most_that_a_worker_released_within_the_grant(grant: int, answered: list[int | None]) -> None:
    reports = [None if n is None else report(1, party, n) for party, n in enumerate(answered)]
    known = [n for n in answered if n is not None]
    assert charge(Grant(1, grant), reports).rows == (min(grant, max(known)) if known else grant)


@given(st.lists(st.integers(0, 9), min_size=3, max_size=3))
def test_one_more_report_never_lowers_the_charge_of_those_that_reported(answered: list[int]) -> None:
    reports = [report(1, party, n) for party, n in enumerate(answered)]
    assert charge(Grant(1, 9), reports).rows >= charge(Grant(1, 9), [reports[0], None, reports[2]]).rows


# --- one case each ----------------------------------------------------------------------------------------------------


def test_all_three_vanished_is_charged_whole() -> None:
    assert charge(Grant(2, 7), [None, None, None]).rows == 7
    assert charge(Grant(2, 7), []).why is Why.ALL_LOST


def test_all_three_vanished_without_a_limit_has_nothing_to_charge() -> None:
    assert charge(Grant(1, None), [None, None, None]) == Charge(
        Grant(1, None), (None, None, None), 0, Why.ALL_LOST_UNLIMITED
    )


def test_nothing_is_charged_if_certainly_nothing_was_shared() -> None:
    assert charge(Grant(1, 7), [None, None, None], shared=False) == Charge(
        Grant(1, 7), (None, None, None), 0, Why.NEVER_SHARED
    )
    assert charge(Grant(1, 7), [report(1, 0, 2), None, None], shared=False).rows == 2


@pytest.mark.parametrize(
    "wrong",
    [
        report(2, 1, 9),  # another epoch
        report(1, 2, 9),  # in another's place
        Report(1, 1, admitted=3, answered=4),  # more answered than admitted
        Report(1, 1, admitted=3, answered=-1),
    ],
)
def test_a_report_that_cannot_be_is_no_report(wrong: Report) -> None:
    assert charge(Grant(1, 9), [report(1, 0, 2), wrong, report(1, 2, 3)]).rows == 3
    assert charge(Grant(1, 9), [None, wrong, None]).why is Why.ALL_LOST


def test_what_a_worker_claims_never_passes_the_grant() -> None:
    assert charge(Grant(1, 5), [report(1, 0, 5), report(1, 1, 500), None]) == Charge(
        Grant(1, 5), (report(1, 0, 5), report(1, 1, 500), None), 5, Why.CAPPED
    )


def test_each_epoch_is_granted_what_remains() -> None:
    ledger = Ledger(10).start()
    assert ledger.open == Grant(1, 10)
    ledger = ledger.end([report(1, p, 4) for p in range(3)]).start()
    assert ledger.open == Grant(2, 6)
    ledger = ledger.end([report(2, p, 6) for p in range(3)])
    assert (ledger.charged, ledger.remaining, ledger.reached) == (10, 0, True)


def test_without_a_quota_nothing_is_ever_reached() -> None:
    ledger = Ledger(None).start()
    assert ledger.open == Grant(1, None)
    ledger = ledger.end([report(1, p, 10**6) for p in range(3)])
    assert (ledger.charged, ledger.remaining, ledger.reached) == (10**6, None, False)


def test_one_epoch_at_a_time() -> None:
    with pytest.raises(ValueError, match="an epoch is open"):
        Ledger(3).start().start()
    with pytest.raises(ValueError, match="no epoch is open"):
        Ledger(3).end([])


def test_no_epoch_starts_when_nothing_remains() -> None:
    with pytest.raises(ValueError, match="quota is reached"):
        Ledger(3).start().end([None] * 3).start()


def test_the_account_is_explained_line_by_line() -> None:
    ledger = Ledger(10).start()
    ledger = ledger.end([report(1, 0, 4, 5, "PeerLost"), None, report(1, 2, 5, 5, "PeerLost")]).start()
    ledger = ledger.end([None, None, None])
    assert ledger.explain() == (
        "epoch 1: granted 10",
        "  worker 0: admitted 5, answered 4 (PeerLost)",
        "  worker 1: no report",
        "  worker 2: admitted 5, answered 5 (PeerLost)",
        "  charged 5: the most answer shares that a worker released",
        "epoch 2: granted 5",
        "  worker 0: no report",
        "  worker 1: no report",
        "  worker 2: no report",
        "  charged 5: no worker reported, so all that was granted counts as answered",
        "charged in all: 10 of a quota of 10",
    )
