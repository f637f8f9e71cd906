"""One SecureModel as a small world that is explored completely: every order in which anything can happen.

Clients ask without end: one for two rows at a time, one for a single row. Three workers admit and release answer
shares, end with a report, or vanish; a sharing job gives its share to one after the other and may die in between; the
operator looks, writes, makes pods and the job, and may be killed between any two of these. What they decide is the
project's own code: `worker.quota` and `worker.pairing` in the workers, `controller.decide` in the operator with
`controller.quota` inside, whose `Ledger` is asked the same each time.

Every state is compared to what really happened: workers are remembered as they were when they vanished. Two things keep
it finite and small, and neither leaves anything out. An epoch is told from another only by what is charged before it,
so there are as many epochs as it takes. And clients count as answered all that was ever charged, which is the worst.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple

from triveni.api.securemodel import API_VERSION, KIND, SecureModel
from triveni.api.status import EpochStatus, Phase, QuotaStatus, Status, time_text
from triveni.controller.decide import actions, record
from triveni.controller.objects import parts_of_model
from triveni.controller.observed import Observed, Sharing, Worker
from triveni.controller.quota import Charge, Grant, Ledger, Report, Why
from triveni.worker.pairing import Pairing
from triveni.worker.quota import Count, OrderBeyondGrant
from triveni.worker.state import EndReason

PARTIES = range(3)

ROWS = (2, 1)
"""What each of the clients asks for, again and again."""

MAX_ROWS = 2
"""Of a batch."""


class Life(IntEnum):
    """Where a worker is."""

    ABSENT = 0
    UP = 1
    HOLDS = 2
    """It has its share of the model."""
    ENDED = 3
    """It has left a report."""
    VANISHED = 4
    """It was killed and has not said a word."""


ALIVE = (Life.UP, Life.HOLDS)

ENDINGS = (Life.ENDED, Life.VANISHED)
"""A worker may be asked to end, or be killed, at any time and by anybody."""


class Job(IntEnum):
    """How far the sharing job is; while it gives, how many workers have their share."""

    NONE = 0
    GAVE_0 = 1
    GAVE_1 = 2
    GAVE_2 = 3
    SHARED = 4
    FAILED = 5


class Party(NamedTuple):
    """A worker, and its count; that of its end, if it has ended."""

    life: Life
    counted: Count | None


ABSENT = Party(Life.ABSENT, None)

Sight = tuple[Life, Report | None]
"""What is to be seen of a worker from outside."""

Sights = tuple[Sight, ...]


class Record(NamedTuple):
    """What the durable status says of the newest epoch and of the quota. The number only tells the first from none."""

    epoch: int
    grant: int
    phase: Phase
    reached: Phase
    reason: str | None
    charged: int


NOTHING = Record(0, 0, Phase.ENDED, Phase.STARTING, None, 0)


class State(NamedTuple):
    """Everything that is. `todo` is what the operator has decided on and does next, unless it dies.

    `orders` are the rows of each batch that worker 0 has ordered, in order; so they also say who asked.
    """

    record: Record
    todo: tuple[Any, ...]
    parties: tuple[Party, Party, Party]
    job: Job
    orders: tuple[int, ...]


@dataclass(eq=False)
class Broken(Exception):
    """A rule of the quota does not hold."""

    rule: int
    what: str

    def __str__(self) -> str:
        return f"rule {self.rule}: {self.what}"


class World:
    """The world with one quota.

    Args:
        quota: in rows.
        wrong: a worker that keeps no count of its own, None if all are right.
        claim: what that worker says that it has answered.
        pods_go: whether the pod of a worker that vanishes goes as well, or stays and says that it was killed.
    """

    def __init__(self, quota: int, *, wrong: int | None = None, claim: int = 99, pods_go: bool = False) -> None:
        self.quota, self._wrong, self._claim, self._pods_go = quota, wrong, claim, pods_go
        spec = {"model": {"source": {"configMap": {"name": "m", "key": "k"}}}, "requestQuota": quota}
        metadata = {"name": "mnist", "uid": "u", "generation": 1}
        self._model = SecureModel.read({"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec})
        # Each of these is asked the same few questions in a great many states.
        self._decided = cache(self._decide)
        self._admitted = cache(self._admit)
        self._released = cache(self._release)
        self._taken = cache(self._take)

    def explore(self) -> Collection[State]:
        """Visit every state that can be reached; all of them.

        Raises:
            Broken: a rule does not hold in one of them, which is added as a note, with how it came to that.
        """
        first = State(NOTHING, (), (ABSENT, ABSENT, ABSENT), Job.NONE, ())
        before: dict[State, State | None] = {first: None}
        waiting = deque([first])
        while waiting:
            state = waiting.popleft()
            try:
                for following in map(self._in_order, self._next(state)):
                    if following not in before:
                        before[following] = state
                        self._check(following)
                        waiting.append(following)
            except Broken as broken:
                path: State | None = state
                while path is not None:
                    broken.add_note(str(path))
                    path = before[path]
                raise
        return before

    def _in_order(self, state: State) -> State:
        """Workers 1 and 2 do the same: which is which makes no other state."""
        first, second, third = state.parties
        if (
            state.todo
            or self._wrong
            or (second.life, second.counted and _done(second.counted))
            <= (
                third.life,
                third.counted and _done(third.counted),
            )
        ):
            return state
        return state._replace(parties=(first, third, second))

    def _next(self, state: State) -> Iterator[State]:
        """Every state that may follow."""
        if state.todo:
            yield self._do(state)
            yield state._replace(todo=())  # the operator is killed
        else:
            sights = tuple(self._sight(party, number) for number, party in enumerate(state.parties))
            for todo in self._decided(state.record, sights, state.job):
                yield state._replace(todo=todo)
        yield from self._share(state)
        for number in PARTIES:
            yield from self._live(state, number)

    # --- the operator ---

    def _decide(self, before: Record, sights: Sights, job: Job) -> tuple[tuple[Any, ...], ...]:
        """What the operator may do next: something to write, or calls that make something."""
        status, seen = self._status(before), _observed(before, sights, job)
        found: dict[tuple[Any, ...], None] = {}
        for now in (_day(before), _day(before) + timedelta(seconds=30)):
            new = _record(record.advance(self._model, status, seen, None, now), before)
            if new != before:
                found[self._to_write(new)] = None
                continue
            if actions.act(self._model, status, seen, now).make:
                found[self._to_make(before, sights, job)] = None
        return tuple(todo for todo in found if todo)

    def _to_write(self, new: Record) -> tuple[Any, ...]:
        return (new,)

    def _to_make(self, status: Record, sights: Sights, job: Job) -> tuple[Any, ...]:
        """As `provision` does: pods while the epoch starts, the job once it is recorded that the model is shared."""
        if status.phase is Phase.STARTING:
            return tuple(("pod", number) for number, (life, _) in enumerate(sights) if life is Life.ABSENT)
        return ("job",) if status.phase is Phase.SHARING and job is Job.NONE else ()

    def _do(self, state: State) -> State:
        """The next thing that the operator has decided on."""
        what, state = state.todo[0], state._replace(todo=state.todo[1:])
        match what:
            case Record():
                return self._write(state, what)
            case "job":
                return state._replace(job=Job.GAVE_0)
            case ("pod", number):
                grant = None if number == self._wrong else state.record.grant
                return _with(state, number, Party(Life.UP, Count(grant)))
        raise AssertionError(what)

    def _write(self, state: State, new: Record) -> State:
        """Have it stand; a grant and a charge are compared to the ledger's, and to what really happened."""
        old = state.record
        if old.phase is Phase.ENDED:
            ledger = Ledger(self.quota, _ended(old)).start()
            if ledger.open != Grant(old.epoch + 1, new.grant):
                raise Broken(5, f"the ledger grants {ledger.open}, the operator {new.grant}")
        elif new.phase is Phase.ENDED:
            self._check_charge(state, new.charged - old.charged)
        elif new.charged != old.charged:
            raise Broken(2, "it is charged, and the next operator would charge it again")
        if new.phase is Phase.ENDED:
            return State(new, (), (ABSENT, ABSENT, ABSENT), Job.NONE, ())
        return state._replace(record=new)

    def _status(self, what: Record) -> Status:
        """The status that says this."""
        if what == NOTHING:
            return Status()
        epoch = EpochStatus(
            number=what.epoch,
            grant=what.grant,
            phase=what.phase,
            reached=what.reached,
            reason=what.reason,
            started_at=time_text(_day(what)),
            ending_at=time_text(_day(what)) if what.phase is Phase.ENDING else None,
            model_hash=parts_of_model(self._model),
        )
        return Status(epoch=epoch, quota=QuotaStatus(charged=what.charged))

    def _sight(self, party: Party, number: int) -> Sight:
        if party.life is Life.VANISHED and self._pods_go:
            return Life.ABSENT, None
        count = party.counted
        if party.life is not Life.ENDED or count is None:
            return party.life, None
        admitted, answered = (self._claim, self._claim) if number == self._wrong else (count.admitted, count.answered)
        reason = EndReason.QUOTA_REACHED if count.reached else EndReason.PEER_LOST
        return party.life, Report(1, number, admitted, answered, reason.value)

    # --- the sharing job and the workers ---

    def _share(self, state: State) -> Iterator[State]:
        """It gives a worker its share, or dies."""
        if state.job not in (Job.GAVE_0, Job.GAVE_1, Job.GAVE_2):
            return
        yield state._replace(job=Job.FAILED)
        for number, party in enumerate(state.parties):
            if party.life is Life.UP:
                yield _with(state, number, party._replace(life=Life.HOLDS))._replace(job=Job(state.job + 1))

    def _live(self, state: State, number: int) -> Iterator[State]:
        """What a worker may do now."""
        party = state.parties[number]
        if party.life not in ALIVE or party.counted is None:
            return
        for ending in ENDINGS:
            yield _with(state, number, party._replace(life=ending))
        if party.life is not Life.HOLDS:
            return
        others = [other for other in state.parties if other is not party]
        ran, released = _orders(state.orders, party.counted.admitted), _orders(state.orders, party.counted.answered)
        if ran > released:
            # It needs what the others send when they run the same, whatever becomes of them then.
            if all(other.counted and _orders(state.orders, other.counted.admitted) >= ran for other in others):
                yield _with(state, number, self._released(party, state.orders[released]))
        elif ran < len(state.orders):
            yield _with(state, number, self._admitted(party, state.orders[ran]))
        elif number == 0 and all(other.life >= Life.HOLDS for other in others):
            for rows in self._batches(state, party.counted):
                ordered = state._replace(orders=(*state.orders, rows))
                yield _with(ordered, number, self._admitted(party, rows))

    def _admit(self, party: Party, rows: int) -> Party:
        assert party.counted is not None
        try:
            return party._replace(counted=party.counted.admit(rows))
        except OrderBeyondGrant:
            return party._replace(life=Life.ENDED)

    def _release(self, party: Party, rows: int) -> Party:
        assert party.counted is not None
        return party._replace(counted=party.counted.answer(rows))

    def _batches(self, state: State, count: Count) -> set[int]:
        """What worker 0 may order next, whoever has asked by now; a client that waits for an answer asks no more."""
        waiting_for = state.orders[_orders(state.orders, min(_all_released(state))) :]
        asking = tuple(rows for rows in ROWS if rows not in waiting_for)
        arrivals = {(rows,) for rows in asking} | {asking, asking[::-1]}
        return {rows for arrived in arrivals if (rows := self._taken(arrived, count))}

    def _take(self, arrived: tuple[int, ...], count: Count) -> int:
        """The rows that worker 0 takes of the requests that have arrived, in this order; 0 if none."""
        pairing = Pairing(1.0, len(ROWS))
        for rows in arrived:
            for party in PARTIES:
                pairing.arrive(party, f"client/{rows}", rows, 0.0)
        batch = pairing.take(MAX_ROWS, count)
        return batch.rows if batch else 0

    # --- what has to hold ---

    def _check(self, state: State) -> None:
        """The rules that can be looked at in a single state; Broken if one does not hold."""
        what, answered = state.record, min(_all_released(state))
        if what.charged + answered > self.quota:
            raise Broken(1, f"{what.charged} charged before and {answered} answers, of {self.quota}")
        self._check_counts(state)

    def _check_counts(self, state: State) -> None:
        what = state.record
        for number, party in enumerate(state.parties):
            if party.counted is None:
                continue
            if what.phase is Phase.ENDED:
                raise Broken(5, f"worker {number} is there, and no epoch is recorded")
            if what.grant != self.quota - what.charged:
                raise Broken(5, f"{what.grant} are granted, {self.quota - what.charged} are left")
            if number != self._wrong and party.counted.admitted > what.grant:
                raise Broken(4, f"worker {number} has admitted {party.counted.admitted} of {what.grant}")

    def _check_charge(self, state: State, rows: int) -> None:
        """What an epoch is charged when it is charged, once."""
        what, released = state.record, _all_released(state)
        if any(party.life in ALIVE for party in state.parties):
            raise Broken(2, "it is charged while a worker may still answer")
        if rows > what.grant:
            raise Broken(4, f"{rows} are charged, {what.grant} were granted")
        if rows < min(released):
            raise Broken(2, f"{rows} are charged, {min(released)} are answered")
        heard = [number for number, party in enumerate(state.parties) if party.life is Life.ENDED]
        if heard and self._wrong not in heard and rows != max(released[number] for number in heard):
            raise Broken(3, f"{rows} are charged, the workers {heard} were heard of {released}")
        shared = what.reached in (Phase.SHARING, Phase.SERVING)
        if state.job is not Job.NONE and not shared:
            raise Broken(3, "the model is shared, and it is not recorded")
        if not heard and rows != (what.grant if shared else 0):
            raise Broken(3, f"{rows} of {what.grant} are charged, no worker was heard, {shared=}")
        reports = [self._sight(party, number)[1] for number, party in enumerate(state.parties)]
        ledger = Ledger(self.quota, _ended(what), Grant(1, what.grant)).end(reports, shared=shared)
        if ledger.charged != what.charged + rows:
            raise Broken(2, f"the operator charges {rows}, the ledger {ledger.ended[-1]}")


def _with(state: State, number: int, party: Party) -> State:
    first, second, third = (party if n == number else old for n, old in enumerate(state.parties))
    return state._replace(parties=(first, second, third))


def _done(count: Count) -> tuple[int, int]:
    return count.admitted, count.answered


def _all_released(state: State) -> tuple[int, ...]:
    """Rows whose share of the answer each worker has released in this epoch. Those that all have are answered."""
    return tuple(party.counted.answered if party.counted else 0 for party in state.parties)


@cache
def _orders(orders: tuple[int, ...], rows: int) -> int:
    """How many orders make up so many rows."""
    number = 0
    while rows > 0:
        rows -= orders[number]
        number += 1
    return number


def _ended(what: Record) -> tuple[Charge, ...]:
    """A ledger's history that comes to what is charged."""
    number = what.epoch if what.phase is Phase.ENDED else what.epoch - 1
    charge = Charge(Grant(number, what.charged), (None, None, None), what.charged, Why.REPORTED)
    return (charge,) if what.epoch else ()


def _record(status: Status, before: Record) -> Record:
    """What later decisions about the quota depend on."""
    epoch, charged = status.epoch, status.quota.charged if status.quota else 0
    if epoch is None:
        return NOTHING
    if epoch.number != before.epoch + (before.phase is Phase.ENDED and epoch.phase is not Phase.ENDED):
        raise Broken(5, f"epoch {epoch.number} follows {before}")
    assert epoch.grant is not None
    if epoch.phase is Phase.ENDED:
        return Record(1, 0, Phase.ENDED, Phase.STARTING, None, charged)
    return Record(1, epoch.grant, epoch.phase, epoch.reached, epoch.reason, charged)


def _day(what: Record) -> datetime:
    """An epoch a day: every pause between two is over."""
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=what.phase is Phase.ENDED)


def _observed(what: Record, sights: Sights, job: Job) -> Observed:
    workers = [
        Worker(
            what.epoch,
            party,
            name=f"worker-{party}",
            uid=f"uid-{party}",
            node=f"node-{party}",
            running=life in ALIVE,
            ready=life is Life.HOLDS,
            ended=life in ENDINGS,
            report=report and replace(report, epoch=what.epoch),
        )
        for party, (life, report) in enumerate(sights)
        if life is not Life.ABSENT
    ]
    sharing = Sharing(what.epoch, "sharing", "uid", succeeded=job is Job.SHARED, failed=job is Job.FAILED)
    children: Mapping[tuple[str, str], Any] = {("Job", "sharing"): {"metadata": {"name": "sharing"}}}
    return Observed(tuple(workers), (sharing,) if job is not Job.NONE else (), children)
