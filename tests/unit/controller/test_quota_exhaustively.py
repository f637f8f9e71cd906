"""The five rules of the request quota in every state of a small world, and that breaking a rule is noticed there.

The world is `quota_model`. What no bounded world can show, long lives and larger numbers, is in
`test_quota_whatever_happens`; real processes are in tests/chaos.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.controller.quota_model import Broken, Job, Party, Record, Sight, Sights, World
from triveni.api.securemodel import SecureModel
from triveni.api.status import Phase, QuotaStatus, Status
from triveni.controller.decide import record
from triveni.controller.quota import Charge, Grant, Report, charge
from triveni.worker.quota import Count


def test_in_every_state_all_five_rules_hold() -> None:
    states = World(3).explore()
    # It is no small world because hardly anything happens in it.
    assert len(states) > 20_000
    assert {state.record.charged for state in states} == {0, 1, 2, 3}
    assert {state.orders for state in states} >= {(2, 1), (1, 2), (1, 1, 1), (2,)}
    assert len({tuple(party.life for party in state.parties) for state in states}) > 40
    assert {state.job for state in states} == set(Job)
    assert {state.record.phase for state in states} == set(Phase)


def test_so_they_do_if_the_pod_of_a_worker_that_vanishes_is_gone_as_well() -> None:
    World(2, pods_go=True).explore()


def test_a_worker_0_that_orders_without_counting_and_claims_too_much_cannot_raise_the_quota() -> None:
    states = World(1, wrong=0).explore()
    went_on = [state for state in states if (count := state.parties[0].counted) and count.admitted > 1]
    assert went_on, "it has tried"


def test_nor_can_another_worker() -> None:
    World(1, wrong=1).explore()


def test_but_if_the_others_vanish_without_a_word_what_it_says_is_all_that_is_known() -> None:
    assert must_break(World(1, wrong=0, claim=0)) == 2


def must_break(world: World) -> int:
    """The rule that is found broken."""
    with pytest.raises(Broken) as caught:
        world.explore()
    assert caught.value.__notes__, "it says how it came to that"
    return caught.value.rule


# --- the project's code, made wrong ---


def test_if_no_worker_counted_there_would_be_more_answers_than_the_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Count, "admit", lambda count, rows: replace(count, admitted=count.admitted + rows))
    monkeypatch.setattr(Count, "can_admit", lambda count, rows: True)
    assert must_break(World(1)) == 4
    monkeypatch.setattr(World, "_check_counts", lambda world, state: None)
    assert must_break(World(1)) == 1


def test_one_row_more_than_the_grant_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    admit = Count.admit

    def lax(count: Count, rows: int) -> Count:
        more = replace(count, grant=None if count.grant is None else count.grant + 1)
        return replace(admit(more, rows), grant=count.grant)

    monkeypatch.setattr(Count, "admit", lax)
    monkeypatch.setattr(Count, "can_admit", lambda count, rows: count.admitted + rows <= (count.grant or 0) + 1)
    assert must_break(World(1)) == 4


Charging = Callable[[Grant, Sequence[Report | None]], int | None]


def silence_is_free(grant: Grant, reports: Sequence[Report | None]) -> int | None:
    return None if any(reports) else 0


def admitted_is_charged(grant: Grant, reports: Sequence[Report | None]) -> int | None:
    return max((report.admitted for report in reports if report), default=None)


def the_first_word_counts(grant: Grant, reports: Sequence[Report | None]) -> int | None:
    return next((report.answered for report in reports if report), None)


def everything_is_charged(grant: Grant, reports: Sequence[Report | None]) -> int | None:
    return grant.rows


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [(silence_is_free, 3), (admitted_is_charged, 3), (the_first_word_counts, 3), (everything_is_charged, 3)],
)
def test_another_charge_would_be_noticed(monkeypatch: pytest.MonkeyPatch, wrong: Charging, rule: int) -> None:
    def charged(grant: Grant, reports: Sequence[Report | None], *, shared: bool) -> Charge:
        right = charge(grant, reports, shared=shared)
        rows = wrong(grant, reports)
        return right if rows is None or not shared else replace(right, rows=rows)

    monkeypatch.setattr(record, "charge", charged)
    assert must_break(World(1)) == rule


def test_an_epoch_that_were_granted_more_than_is_left_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def generous(model: SecureModel, status: Status) -> QuotaStatus:
        return QuotaStatus(charged=status.quota.charged if status.quota else 0, remaining=model.spec.request_quota)

    monkeypatch.setattr(record, "account", generous)
    assert must_break(World(2)) == 5


def test_a_charge_that_were_written_before_the_end_of_its_epoch_would_be_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_once = record._charge

    def in_two_writes(model: SecureModel, status: Status, epoch: Any, *rest: Any) -> Status:
        return at_once(model, status, epoch, *rest).model_copy(update={"epoch": epoch})

    monkeypatch.setattr(record, "_charge", in_two_writes)
    assert must_break(World(1)) == 2


# --- an operator and workers made wrong ---


class ActsBeforeItWrites(World):
    def _to_write(self, new: Record) -> tuple[Any, ...]:
        return (("pod", 0), ("pod", 1), ("pod", 2), new) if new.phase is Phase.STARTING else (new,)


class SharesBeforeItIsRecorded(World):
    def _to_make(self, status: Record, sights: Sights, job: Job) -> tuple[Any, ...]:
        too_early = ("job",) if status.phase is Phase.STARTING and job is Job.NONE else ()
        return (*super()._to_make(status, sights, job), *too_early)


class AnswersBeforeItCounts(World):
    def _sight(self, party: Party, number: int) -> Sight:
        life, report = super()._sight(party, number)
        return life, report and replace(report, answered=max(report.answered - 1, 0))


@pytest.mark.parametrize(
    ("wrong", "rules"),
    [
        (ActsBeforeItWrites(1), {5}),
        (SharesBeforeItIsRecorded(1), {3}),
        (AnswersBeforeItCounts(1), {2, 3}),
    ],
)
def test_another_order_of_things_would_be_noticed(wrong: World, rules: set[int]) -> None:
    assert must_break(wrong) in rules
