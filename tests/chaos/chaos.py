"""The chaos run: clients ask, everything is killed again and again, and in the end it is counted.

One SecureModel after the other, each with the whole quota: three workers that vanish at once cost all that is left of
it, so one alone would not last for many kills.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.audit import Audit, audit
from tests.chaos.book import Book, begin
from tests.chaos.clients import EXPECTED, Digits, Tally, ask_until, tick
from tests.chaos.kills import CHARGED, OVER, WORKERS, Strike, Victims, plan
from tests.chaos.running import SHARING, kill, running
from tests.chaos.wire import Wire
from tests.integration.cluster import NAME, NAMESPACE, ROOT
from triveni.client import Connection
from triveni.identity.authority import Authority
from triveni.identity.names import Identity
from triveni.local import ports
from triveni.local.processes import Guard, Process, Processes

SEED = "TRIVENI_CHAOS_SEED"
"""A number in the environment from which everything random is drawn."""

STUCK_S = 180.0
"""Seconds without an answer, an end or a kill, after which something hangs."""

_PATH = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))

ENDING = "ending"
"""Where an epoch is that has been struck already."""


@dataclass(frozen=True)
class Wanted:
    """What to run. `programs` is the cache of compiled programs."""

    quota: int
    kills: int
    seed: int
    digits: Digits
    programs: Path


@dataclass
class Figures:
    """What has happened, over all SecureModels."""

    strikes: Counter[Victims] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)
    processes: int = 0
    tally: Tally = field(default_factory=Tally)
    audits: list[Audit] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    longest_left_s: float = 0.0
    """Until the last process that a killed controller left behind had ended by itself."""
    twice: int = 0
    seconds: float = 0.0

    @property
    def kills(self) -> int:
        """How many there were; all three workers at once are one."""
        return self.strikes.total()

    @property
    def charged(self) -> int:
        """Rows."""
        return sum(one.charged for one in self.audits)

    def failures(self) -> list[str]:
        """Everything that must not be; empty if all rules held."""
        tally = self.tally
        hangs = [f"a request hung: {hang}" for hang in tally.hangs]
        found = [
            *self.problems,
            *hangs,
            *tally.unexpected,
            *(problem for one in self.audits for problem in one.problems),
        ]
        counts = {"wrong answers": tally.wrong, "answers of another client": tally.foreign}
        return found + [f"{count} {what}" for what, count in counts.items() if count]


class Chaos:
    """One run; `run` once. `figures` are right at any moment but for the SecureModel that is being served."""

    def __init__(self, wanted: Wanted, folder: Path, say: Callable[[str], None]) -> None:
        self._wanted, self._folder, self._say = wanted, folder, say
        self.figures = Figures()

    async def run(self) -> None:
        """SecureModel after SecureModel until there were enough kills; the last one is then left in peace."""
        began = time.monotonic()
        clock = asyncio.create_task(tick(self.figures.tally))
        try:
            with Guard() as guard:
                async with Processes(guard) as processes:
                    number = 0
                    while number == 0 or (self.figures.kills < self._wanted.kills and not self.figures.problems):
                        number += 1
                        await self._serve(number, processes)
        finally:
            clock.cancel()
            self.figures.seconds = time.monotonic() - began

    async def _serve(self, number: int, processes: Processes) -> None:
        """Serve one SecureModel to its quota."""
        wanted, figures = self._wanted, self.figures
        authority = Authority.create(NAMESPACE, str(uuid.uuid4()))
        book = begin(self._folder / f"model-{number}", authority, ports.choose(None), wanted.quota, wanted.programs)
        served = _Served(book, f"{wanted.seed}/{number}", self, processes)
        wire = Wire(random.Random(f"{wanted.seed}/{number}/wire"), served.must_know)
        over, before = asyncio.Event(), figures.tally.answers
        with wire.between():
            async with asyncio.TaskGroup() as tasks:
                for client in range(wanted.digits.clients):
                    chance = random.Random(f"{wanted.seed}/{number}/client {client}")
                    connection = _connection(book, authority, f"client-{client}")
                    tasks.create_task(ask_until(over, connection, client, wanted.digits, chance, figures.tally))
                await served.to_its_end()
                over.set()
        if not figures.problems:
            found = audit(book, wire)
            figures.audits.append(found)
            answers = figures.tally.answers - before
            if answers > min(found.charged, wanted.quota):
                figures.problems.append(f"clients have {answers} answers, and {found.charged} were charged")
            self._say(f"model {number}: {found.epochs} epochs, {answers} answers, {found.charged} charged")
        figures.twice += wire.twice
        figures.problems += [f"{wire.differing} repeated requests got another answer"] if wire.differing else []

    @property
    def wants_kills(self) -> bool:
        """Whether there were not enough yet."""
        return self.figures.kills < self._wanted.kills

    def struck(self, strike: Victims, where: str, who: str, processes: int) -> None:
        """Note a kill."""
        figures = self.figures
        figures.strikes[strike] += 1
        figures.moments[where] += 1
        figures.processes += processes
        self._say(
            f"kill {figures.kills}/{self._wanted.kills}: {who} of model {len(figures.audits) + 1}, {where}; "
            f"{figures.tally.answers} answers, {len(figures.failures())} failures"
        )


class _Served:
    """One SecureModel: its controllers, one after the other, and whoever kills them and what they started."""

    def __init__(self, book: Book, seed: str, chaos: Chaos, processes: Processes) -> None:
        self._book, self._seed, self._chaos, self._processes = book, seed, chaos, processes
        self._controller: Process | None = None
        self._doomed = False
        self._moment = ""
        self._hit: set[int] = set()
        self._strikes: set[asyncio.Task[None]] = set()

    async def to_its_end(self) -> None:
        """Have a controller run, and another when it was killed, until the quota is reached."""
        number, code = 0, -1
        while code != 0 and not self._chaos.figures.problems:
            number += 1
            log = self._book.folder / f"controller-{number}.log"
            command = [sys.executable, "-m", "tests.chaos.controller", str(self._book.folder)]
            self._doomed, self._moment = False, "starting the controller"
            self._controller = await self._processes.start(
                "controller", command, log, line=self._said, environment={"PYTHONPATH": _PATH}
            )
            code = await self._until_ended(self._controller)
            if code != 0 and not self._doomed:
                self._problem(f"the controller ended with {code}: {self._controller.last_words()}")
        for strike in self._strikes:
            strike.cancel()
        if left := running(self._book.folder):
            self._problem(f"processes are left: {left}")

    async def _until_ended(self, controller: Process) -> int:
        """Wait for the end of a controller; one that is stuck is ended."""
        before: object = None
        while controller.running:
            ended, _ = await asyncio.wait([controller.ended], timeout=STUCK_S)
            figures = self._chaos.figures
            now = (figures.tally.answers, figures.kills, self._moment)
            if not ended and now == before:
                self._problem(f"nothing has happened for {STUCK_S:g} s, {self._moment}")
                await self._processes.stop([controller])
            before = now
        return await controller.ended

    def must_know(self, epoch: int) -> None:
        """Somebody has an answer: the grant of its epoch stands in the ledger."""
        ledger = self._book.ledger
        known = [charge.grant for charge in ledger.ended] + ([ledger.open] if ledger.open else [])
        if epoch not in [grant.epoch for grant in known]:
            self._problem(f"epoch {epoch} answers, and the ledger on the disk knows nothing of it")

    def _problem(self, what: str) -> None:
        self._chaos.figures.problems.append(what)

    def _said(self, line: str) -> None:
        """The controller is at a moment: whatever is planned for it, later."""
        said = json.loads(line)
        self._moment, epoch = said["moment"], said["epoch"]
        if self._moment == "alone":
            figures = self._chaos.figures
            figures.longest_left_s = max(figures.longest_left_s, said["seconds"])
        for strike in plan(f"{self._seed}/{epoch}"):
            if strike.moment == self._moment and epoch not in self._hit:
                self._later(epoch, strike)

    def _later(self, epoch: int, strike: Strike) -> None:
        task = asyncio.create_task(self._strike(epoch, strike))
        self._strikes.add(task)
        task.add_done_callback(self._strikes.discard)

    async def _strike(self, epoch: int, strike: Strike) -> None:
        await asyncio.sleep(strike.seconds)
        if not self._chaos.wants_kills or not self._kill(epoch, strike):
            return
        self._hit.add(epoch)
        if strike.moment:
            for following in plan(f"{self._seed}/{epoch}"):
                if not following.moment:
                    self._later(epoch, following)

    def _kill(self, epoch: int, strike: Strike) -> bool:
        """Kill those of the victims that are there; whether anybody was."""
        where = ENDING if epoch in self._hit and self._moment not in (OVER, CHARGED) else self._moment
        if strike.victims is Victims.CONTROLLER:
            if self._controller is None or not self._controller.running:
                return False
            self._doomed = True
            kill(self._controller.pid)
            self._chaos.struck(strike.victims, where, f"the controller, in epoch {epoch}", 1)
            return True
        there = running(self._book.folder)
        if strike.victims is Victims.SHARING:
            parties: list[int | str] = [SHARING]
        else:
            parties = list(strike.parties)
        found = [party for party in parties if (epoch, party) in there][: WORKERS.get(strike.victims, 1)]
        for party in found:
            kill(there[epoch, party])
        if not found:
            return False
        victims = strike.victims if found == [SHARING] else tuple(WORKERS)[len(found) - 1]
        who = "the sharing process" if found == [SHARING] else f"worker {' and '.join(map(str, found))}"
        self._chaos.struck(victims, where, f"{who} of epoch {epoch}", len(found))
        return True


def _connection(book: Book, authority: Authority, name: str) -> Connection:
    first, second, third = (f"https://{ports.HOST}:{port}" for port in book.ports.front)
    credentials = authority.issue(Identity.of_client(authority.namespace, authority.uid, name))
    return Connection(NAME, authority.namespace, authority.uid, (first, second, third), credentials)


def table(figures: Figures) -> str:
    """The figures, a line each."""
    tally, audits = figures.tally, figures.audits
    rows: list[tuple[str, object]] = [
        ("seconds", f"{figures.seconds:.0f}"),
        ("  without a processor for the clients", f"{figures.seconds - tally.clock_s:.0f}"),
        ("SecureModels", len(audits)),
        ("epochs", sum(one.epochs for one in audits)),
        ("kills", figures.kills),
        *((f"  {victims}", figures.strikes[victims]) for victims in Victims),
        ("processes killed", figures.processes),
        *((f"  {where}", count) for where, count in figures.moments.most_common()),
        ("answers", tally.answers),
        ("charged", figures.charged),
        ("  answer never came", sum(one.unanswered for one in audits)),
        ("  all workers lost", sum(one.lost for one in audits)),
        ("epochs lost before a share left, charged 0", sum(one.never_shared for one in audits)),
        ("messages that came twice", figures.twice),
        *((f"told {error.__name__}", tally.errors[error.__name__]) for error in EXPECTED),
        ("longest after a deadline, s", f"{tally.slowest_s:.2f}"),
        ("longest until what a killed controller left had ended, s", f"{figures.longest_left_s:.1f}"),
        ("wrong answers", tally.wrong),
        ("answers of another client", tally.foreign),
        ("hangs", len(tally.hangs)),
        ("other errors", len(tally.unexpected)),
        ("broken rules", len(figures.problems) + sum(len(one.problems) for one in audits)),
    ]
    return "\n".join(f"{name:<58} {value:>8}" for name, value in rows)
