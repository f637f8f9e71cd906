"""What the chaos run would say if something were wrong: it has to be able to fail."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.chaos.audit import audit
from tests.chaos.book import SHARING_BEGAN, Book, begin
from tests.chaos.clients import Digits
from tests.chaos.kills import Victims, plan
from tests.chaos.wire import ALL, Wire
from triveni.controller.quota import Charge, Grant, Report, Why
from triveni.identity.authority import Authority
from triveni.local.ports import Ports

QUOTA = 10


class World:
    """A SecureModel whose workers and clients did what a test says, and what its controller wrote."""

    def __init__(self, folder: Path) -> None:
        ports = Ports((1, 2, 3), (4, 5, 6))
        self.book = begin(folder / "model", Authority.create("default", "uid"), ports, QUOTA, folder)
        self.wire = Wire(random.Random(0), lambda epoch: None)

    def epoch(self, *answered: int | None, asked: int, got: int, charged: int, began: bool = True) -> None:
        """An epoch whose workers report so many answers (None: nothing); `got` of `asked` rows came to clients."""
        number = (ledger := self.book.ledger.start()).epoch
        assert ledger.open
        folder = self.book.epoch(number)
        folder.mkdir()
        if began:
            (folder / SHARING_BEGAN).touch()
        for party, rows in enumerate(answered):
            (folder / f"worker-{party}.json").write_text(json.dumps({"grant": ledger.open.rows}))
            if rows is not None:
                report = {"epoch": number, "party": party, "admitted": rows, "answered": rows, "erased": True}
                self.book.report(number, party).write_text(json.dumps(report))
        for row in range(asked):
            header = json.dumps({"id": str(row), "inputs": [{"shape": [1, 28, 28, 1]}]}).encode()
            sent = self.wire.request(number, header, {"Inference-Header-Content-Length": str(len(header))})
            sent.to |= ALL
            sent.answered |= ALL if row < got else {0}
        reports: tuple[Report | None, ...] = (None, None, None)
        ended = (*ledger.ended, Charge(ledger.open, reports, charged, Why.REPORTED))
        self.book.write(replace(ledger, open=None, ended=ended))

    def problems(self) -> str:
        """What the audit finds."""
        return "\n".join(audit(self.book, self.wire).problems)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_right_account_is_found_right_and_counted(world: World) -> None:
    world.epoch(3, None, 4, asked=5, got=3, charged=4)
    world.epoch(None, None, None, asked=0, got=0, charged=0, began=False)
    world.epoch(None, None, None, asked=2, got=2, charged=6)
    found = audit(world.book, world.wire)
    assert found.problems == ()
    assert (found.epochs, found.charged, found.lost, found.unanswered, found.never_shared) == (3, 10, 6, 1, 1)


Wrong = Callable[[World], None]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda w: w.epoch(3, 3, 4, asked=5, got=3, charged=3), "was charged 3, and 4 are due"),
        (lambda w: w.epoch(3, 3, 3, asked=5, got=3, charged=5), "was charged 5, and 3 are due"),
        (lambda w: w.epoch(2, 2, 2, asked=5, got=3, charged=2), "charged 2, and clients have 3 answers of it"),
        (lambda w: w.epoch(4, 4, 4, asked=3, got=3, charged=4), "its workers were asked for 3 together"),
        (lambda w: w.epoch(None, None, None, asked=0, got=0, charged=0), "charged 0, and 10 are due"),
        (lambda w: w.epoch(None, None, None, asked=0, got=0, charged=10, began=False), "charged 10, and 0 are due"),
        (lambda w: w.epoch(11, 10, 10, asked=11, got=10, charged=10), "worker 0 of epoch 1 passed its grant of 10"),
    ],
)
def test_a_wrong_charge_is_found(world: World, wrong: Wrong, words: str) -> None:
    wrong(world)
    assert words in world.problems()


def test_an_epoch_that_the_ledger_does_not_know_is_found(world: World) -> None:
    world.wire.request(7, b'{"id": "x", "inputs": [{"shape": [1]}]}', {"Inference-Header-Content-Length": "40"})
    assert "epochs [7], which the ledger does not know" in world.problems()


def test_an_epoch_that_is_left_open_and_a_grant_that_is_not_what_is_left_are_found(world: World) -> None:
    world.epoch(3, 3, 3, asked=3, got=3, charged=3)
    world.book.write(replace(world.book.ledger, open=Grant(2, 9)))
    assert "epoch 2 is still open" in world.problems()
    ended = (*world.book.ledger.ended, Charge(Grant(2, 9), (None, None, None), 0, Why.NEVER_SHARED))
    world.book.write(replace(world.book.ledger, open=None, ended=ended))
    assert "with 7 left" in world.problems()


def test_the_ledger_is_read_as_it_was_written(world: World) -> None:
    ledger = world.book.ledger.start().end([Report(1, 0, 3, 2, "PeerLost"), None, None]).start()
    world.book.write(ledger)
    assert Book(world.book.folder).ledger == ledger


def test_an_answer_to_another_clients_picture_is_told_from_a_wrong_one() -> None:
    logits = np.arange(8, dtype=np.float32).reshape(4, 2)
    digits = Digits(np.zeros((4, 1), np.float32), logits, clients=2)
    assert [list(digits.of(client)) for client in range(2)] == [[0, 2], [1, 3]]
    assert digits.nearest(np.array([4.0, 5.0])) == 2
    assert digits.nearest(np.array([4.0, 5.1])) is None


def test_the_same_seed_kills_in_the_same_places_and_another_in_others() -> None:
    plans = [plan(f"1/1/{epoch}") for epoch in range(300)]
    assert plans == [plan(f"1/1/{epoch}") for epoch in range(300)]
    assert plans != [plan(f"2/1/{epoch}") for epoch in range(300)]
    assert {strike.victims for strikes in plans for strike in strikes} == set(Victims)
